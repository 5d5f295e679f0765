//! Whatever the key service answers, only the right key lets a token through.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::json::{object, value};
use super::{NOW, cases, decide, is_allowed};
use crate::support::signer::{Document, LICENSE};
use crate::support::table::Plugin;
use crate::support::table::keyring::keyring;
use crate::support::token::Token;

const MEMBERS: [&str; 17] = [
    "kty",
    "crv",
    "x",
    "y",
    "alg",
    "kid",
    "iss",
    "aud",
    "status",
    "exp",
    "use",
    "key_ops",
    "session_kid",
    "d",
    "k",
    "p",
    "anything",
];

/// Whether a right key is still one with this member.
fn is_good(document: &Value, member: &str, value: &Value) -> bool {
    let texts = |wanted: &str| {
        let list = value.as_array();
        list.is_some_and(|list| list.iter().all(Value::is_string) && list.iter().any(|text| text == wanted))
    };
    match member {
        "status" => value == "enabled",
        // As if it were absent: the type implies the algorithm, and nothing else is missed.
        _ if value.is_null() => !["kty", "crv", "x", "y", "kid", "iss", "aud"].contains(&member),
        "kty" | "crv" | "x" | "y" | "alg" | "kid" | "iss" => document[member] == *value,
        "aud" => texts(LICENSE),
        "key_ops" => texts("verify"),
        "use" => value == "sig",
        "exp" => value.as_f64().is_some_and(|exp| exp.trunc() >= NOW as f64 && exp <= 253_402_300_799.0),
        "session_kid" => value.is_string(),
        "d" | "k" | "p" => false,
        _ => true,
    }
}

fn token() -> String {
    Token::new(keyring().main()).compact(NOW)
}

fn asked_alone(body: &[u8]) -> bool {
    is_allowed(&decide(&Plugin::NoRoutes.configuration(), token().as_bytes(), body))
}

fn in_a_set(body: &[u8]) -> bool {
    is_allowed(&decide(&Plugin::KeySet.configuration(), token().as_bytes(), body))
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn random_bytes_are_no_key(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(!asked_alone(&body) && !in_a_set(&body));
    }

    #[test]
    fn a_random_object_is_no_key(document in object()) {
        let named = document.clone().with("kid", json!(keyring().main().kid()));
        for document in [document, named] {
            prop_assert!(!asked_alone(document.to_string().as_bytes()), "{document}");
            let set = json!({"keys": [document]});
            prop_assert!(!in_a_set(set.to_string().as_bytes()), "{set}");
            prop_assert!(!in_a_set(json!({"keys": document}).to_string().as_bytes()), "{document}");
        }
    }

    #[test]
    fn a_key_with_one_member_replaced_by_anything_serves_exactly_if_it_is_good(
        member in prop::sample::select(MEMBERS.to_vec()), value in value(),
    ) {
        let document = keyring().main().jwk();
        let good = is_good(&document, member, &value);
        let changed = document.with(member, value);
        prop_assert_eq!(asked_alone(changed.to_string().as_bytes()), good, "{}", changed);
        let set = json!({"keys": [changed]});
        prop_assert_eq!(in_a_set(set.to_string().as_bytes()), good, "{}", set);
    }

    #[test]
    fn a_damaged_document_does_not_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), set in any::<bool>(),
    ) {
        let document = keyring().main().jwk();
        let mut body = if set { json!({"keys": [document]}).to_string() } else { document.to_string() }.into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = if set { in_a_set(&body) } else { asked_alone(&body) };
    }

    #[test]
    fn attack_47_any_values_among_the_keys_of_a_set_harm_no_good_key(
        before in prop::collection::vec(value(), 0..3), after in prop::collection::vec(object(), 0..3),
    ) {
        let main = keyring().main();
        // A second key of the same name would drop both, and that is right.
        let same = |value: &Value| value.get("kid").is_some_and(|kid| kid == main.kid());
        prop_assume!(!before.iter().chain(&after).any(same));
        let keys: Vec<Value> = before.into_iter().chain([main.jwk()]).chain(after).collect();
        let set = json!({"keys": keys});
        prop_assert!(in_a_set(set.to_string().as_bytes()), "{set}");
    }
}
