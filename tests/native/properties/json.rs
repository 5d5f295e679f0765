//! Random JSON, and what the strict reader makes of it.

use mdrm_authz::jose::json::Object;
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};

use super::{NOW, cases};

/// Any JSON value, with a liking for what this filter looks for.
pub fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Any JSON object.
pub fn object() -> impl Strategy<Value = Value> {
    prop::collection::vec((name(), value()), 0..8)
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| json!(n)),
        (-200_i64..200).prop_map(|n| json!(NOW + n)),
        (-5_i64..5).prop_map(|n| json!(n)),
        (-200.0..200.0_f64).prop_map(|n| json!(n + 1_764_000_000.0)),
        any::<f64>().prop_filter_map("a number", |n| Number::from_f64(n).map(Value::Number)),
        any::<String>().prop_map(Value::String),
        text().prop_map(Value::String),
    ]
}

/// Names and strings that mean something somewhere.
fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "company1",
        "urn:verimatrix:multidrm",
        "urn:verimatrix:cpix",
        "REST",
        "Trust Tunnel",
        "ES256",
        "HS256",
        "none",
        "k-ES256",
        "sig",
        "enc",
        "verify",
        "enabled",
        "disabled",
        "deleted",
        "EC",
        "RSA",
        "oct",
        "OKP",
        "P-256",
        "Ed25519",
        "AQAB",
        "1",
        "..",
        "JWT",
        "mdrm-session+jwt",
    ])
    .prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "kid",
        "alg",
        "typ",
        "crit",
        "b64",
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "ver",
        "drm_protocol",
        "keys",
        "kty",
        "crv",
        "x",
        "y",
        "n",
        "e",
        "k",
        "d",
        "use",
        "key_ops",
        "status",
        "session_kid",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

/// Whether this is one JSON object to a reader that is not strict, numbers beyond a double aside: those keep their
/// spelling until someone asks for them.
fn is_json(text: &[u8]) -> bool {
    match serde_json::from_slice::<Map<String, Value>>(text) {
        Ok(_) => true,
        Err(error) => error.to_string().starts_with("number out of range"),
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    #[test]
    fn what_the_strict_reader_takes_is_json(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if Object::parse(&bytes).is_ok() {
            prop_assert!(is_json(&bytes));
        }
    }

    #[test]
    fn the_strict_reader_takes_any_object_and_finds_its_members(object in object()) {
        let text = object.to_string();
        let read = Object::parse(text.as_bytes());
        prop_assert!(read.is_ok(), "{text}");
        let read = read.unwrap();
        for (name, value) in object.as_object().unwrap() {
            let found = read.get(name).unwrap();
            let text = found.text();
            prop_assert_eq!(text.as_deref(), value.as_str());
            prop_assert_eq!(found.number(), value.as_f64());
            prop_assert_eq!(found.is_null(), value.is_null());
            let texts: Option<Vec<&str>> = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
            let found: Option<Vec<_>> = found.texts();
            prop_assert_eq!(found.as_ref().map(|list| list.iter().map(AsRef::as_ref).collect::<Vec<&str>>()), texts);
        }
    }

    #[test]
    fn a_damaged_object_is_refused_or_still_json(
        object in object(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut text = object.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        if Object::parse(&text).is_ok() {
            prop_assert!(is_json(&text), "{}", text.escape_ascii());
        }
    }
}
