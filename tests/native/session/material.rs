//! Session keys of these tests, and a check of their signatures that is not the library under test's.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use mdrm_authz::jose::json::Object;
use mdrm_authz::jose::native::Verify;
use mdrm_authz::jose::signing::SessionKey;
use mdrm_authz::jose::unusable::Unusable;
use serde_json::{Value, json};

use crate::support::signer::{Document, base64url, from_base64url};

/// The key of RFC 6979 appendix A.2.5.
pub fn es256() -> Value {
    json!({
        "kid": "session-es256",
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "x": hex("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"),
        "y": hex("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"),
        "d": hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"),
    })
}

/// The key of RFC 8037 appendix A.1.
pub fn eddsa() -> Value {
    json!({
        "kid": "session-eddsa",
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    })
}

/// Other keys of the two kinds, as `mdrm keygen` writes them.
pub fn others() -> [Value; 2] {
    [
        include_str!("../../../envoy/keys/demo-es256.private.jwk"),
        include_str!("../../../envoy/keys/demo-eddsa.private.jwk"),
    ]
    .map(|document| serde_json::from_str(document).unwrap())
}

pub fn read(document: &Value) -> Result<SessionKey, Unusable> {
    read_on(document, None)
}

/// On a host with this verification.
pub fn read_on(document: &Value, native: Option<Verify>) -> Result<SessionKey, Unusable> {
    let text = document.to_string();
    SessionKey::read(text.as_bytes(), &Object::parse(text.as_bytes()).unwrap(), native)
}

/// The document without its private part.
pub fn public(document: &Value) -> Value {
    document.clone().without("d")
}

/// Whether the signature is that of the key in `document`.
pub fn verifies(document: &Value, message: &[u8], signature: &[u8]) -> bool {
    let member = |name: &str| from_base64url(document[name].as_str().unwrap());
    if document["kty"] == "EC" {
        let point = [&[4], &member("x")[..], &member("y")[..]].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
    } else {
        UnparsedPublicKey::new(&ED25519, member("x")).verify(message, signature).is_ok()
    }
}

/// base64url of the bytes that these hexadecimal digits stand for.
pub fn hex(digits: &str) -> String {
    base64url(&from_hex(digits))
}

pub fn from_hex(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
