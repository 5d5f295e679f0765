//! A right token with one claim replaced by anything is allowed exactly if the claim still says what it must.

use proptest::prelude::*;
use serde_json::Value;

use super::json::value;
use super::{NOW, cases, decide, is_allowed};
use crate::support::signer::{LICENSE, OWNER};
use crate::support::table::Plugin;
use crate::support::table::keyring::keyring;
use crate::support::token::Token;

const CLAIMS: [&str; 10] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "ver", "drm_protocol", "subscriber"];

/// Section 5 of the rules in its own words.
fn is_good(claim: &str, value: &Value) -> bool {
    let seconds = value.as_f64().filter(|s| (0.0..=253_402_300_799.0).contains(s)).map(|s| s.trunc() as i64);
    let text = value.as_str();
    match claim {
        "iss" => text == Some(OWNER),
        "sub" | "jti" => text.is_some_and(|text| !text.is_empty()),
        "aud" => {
            let list = value.as_array();
            text == Some(LICENSE)
                || list.is_some_and(|list| list.iter().all(Value::is_string) && list.iter().any(|aud| aud == LICENSE))
        }
        "iat" => seconds.is_some_and(|iat| (NOW - 95..=NOW + 5).contains(&iat)),
        "exp" => seconds.is_some_and(|exp| NOW <= exp + 5),
        "nbf" => seconds.is_some_and(|nbf| nbf <= NOW + 5),
        "ver" => value.as_f64() == Some(1.0),
        "drm_protocol" => text == Some("REST"),
        _ => true,
    }
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn one_claim_replaced_by_anything_is_allowed_exactly_if_it_is_good(
        claim in prop::sample::select(CLAIMS.to_vec()), value in value(),
    ) {
        let key = keyring().main();
        let token = Token::new(key).claim(claim, value.clone()).compact(NOW);
        let document = key.jwk().to_string();
        let decision = decide(&Plugin::NoRoutes.configuration(), token.as_bytes(), document.as_bytes());
        prop_assert_eq!(is_allowed(&decision), is_good(claim, &value), "{} {}: {:?}", claim, value, decision);
    }
}
