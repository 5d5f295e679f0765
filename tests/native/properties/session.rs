//! Random claims on their way into session tokens and headers, and random session key documents.

use hyper::header::{HeaderName, HeaderValue};
use mdrm_authz::jose::json::Object;
use mdrm_authz::jose::signing::SessionKey;
use mdrm_authz::session::unregistered;
use mdrm_authz::upstream::{HeaderUse, claim_header, is_writable_header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::cases;
use super::json::{object, value};

/// What is not handed on.
const CONSUMED: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "ver", "drm_protocol"];

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn the_claims_that_are_handed_on_are_the_clients_less_nine(claims in object()) {
        let text = claims.to_string();
        let handed_on = unregistered(&Object::parse(text.as_bytes()).unwrap());
        // Read again, because serde_json does not read each double exactly as it wrote it.
        let mut expected: Value = serde_json::from_str(&text).unwrap();
        expected.as_object_mut().unwrap().retain(|name, _| !CONSUMED.contains(&name.as_str()));
        prop_assert_eq!(serde_json::from_str::<Value>(&handed_on).unwrap(), expected);
    }

    #[test]
    fn a_header_carries_a_claim_unchanged_or_not_at_all(claim in value()) {
        let text = json!({"c": claim}).to_string();
        let object = Object::parse(text.as_bytes()).unwrap();
        if let Ok(header) = claim_header(object.get("c").unwrap()) {
            prop_assert!(HeaderValue::from_str(&header).is_ok());
            prop_assert_eq!(header.trim(), &header);
            let carried = claim.as_str().map_or_else(|| claim.to_string(), str::to_owned);
            prop_assert_eq!(header, carried);
        }
    }

    #[test]
    fn a_header_that_may_be_written_is_a_header(
        name in any::<String>(), known in "[a-z:_-]{0,12}", forward_token in any::<bool>(),
    ) {
        for name in [name, known] {
            for header_use in [HeaderUse::Claims, HeaderUse::SessionToken] {
                if is_writable_header(&name, header_use, forward_token) {
                    prop_assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name:?}");
                }
            }
        }
    }

    #[test]
    fn a_random_document_is_no_session_key(document in object(), kty in "EC|OKP", x in any::<[u8; 32]>()) {
        let mut document = document;
        document["kty"] = json!(kty);
        document["crv"] = json!(if kty == "EC" { "P-256" } else { "Ed25519" });
        if document["x"].is_null() {
            document["x"] = json!(crate::support::signer::base64url(&x));
        }
        let text = document.to_string();
        let object = Object::parse(text.as_bytes()).unwrap();
        let read = SessionKey::read(text.as_bytes(), &object, None);
        prop_assert!(read.is_err() || read.is_ok_and(|key| key.pair().is_err()), "{text}");
    }
}
