//! Any bytes are a configuration or are not; none of them panics.

use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};

use super::{Config, environment};
use crate::config::KeyPath;
use crate::jose::token::Kid;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// A configuration with every member in it.
fn complete() -> Value {
    let secret = "c2VjcmV0LW9mLXRoZS1vcGVyYXRvci1pcy1sb25nLWVub3VnaA";
    json!({
        "keys": {
            "cluster": "outbound|443||keys.example.com", "authority": "keys.example.com:8443", "path": "/v1/{kid}",
            "headers": {"x-api-key": "${TOKEN}", "accept": "application/json"}, "timeout": "500ms", "max_age": "5m",
            "max_age_limit": "2h", "min_age": "2s", "stale_if_error": "0s", "negative_max_age": "10s", "refetch_interval": "1m",
            "max_entries": 100, "max_waiting": 10, "issuer": "me", "audiences": ["urn:a"],
            "inline": {"keys": [
                {"kid": "s", "kty": "oct", "alg": "HS256", "k": secret},
                {"kid": "g", "status": "deleted"},
            ]},
        },
        "routes": [
            {"path": "/healthz", "service": "open"},
            {"path_prefix": "/widevine", "host": "h.example.com", "service": "license", "drm": "widevine"},
        ],
        "default_service": "deny",
        "services": {
            "license": {"audiences": ["urn:a"], "max_age": "90s", "versions": [1, 2]},
            "cpix": {"audiences": ["urn:b"], "max_age": "1h", "versions": [1], "bind_content": false},
            "signed_cpix": {"audiences": ["urn:b"]},
        },
        "allow_slow_algorithms": true, "access_log": "all", "clock_skew": "0s", "max_token_bytes": 256,
        "max_body_bytes": 1024, "max_held_bytes": 1048576, "body_timeout": "1s",
        "upstream": {"forward_token": true, "payload_header": null, "claim_headers": {}},
        "session": null, "trust_tunnel": {"mode": "permissive", "keys": null}, "report_only": false,
    })
}

fn read(bytes: &[u8]) -> Option<Config> {
    let read = Config::from_json(bytes, &environment);
    super::schema::agrees(bytes, read.as_ref());
    match read {
        Ok(config) => {
            let _ = format!("{config:?}");
            Some(config)
        }
        Err(refusal) => {
            assert!(!refusal.path().is_empty() || !refusal.to_string().is_empty());
            None
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|n| json!(n)),
        (0..100_000_u64).prop_map(|n| json!(n)),
        any::<f64>().prop_filter_map("a number", |n| Number::from_f64(n).map(Value::Number)),
        any::<String>().prop_map(Value::String),
        "[0-9]{0,3}(\\.[0-9]{1,3})?(ms|s|m|h|d)".prop_map(Value::String),
        "/[a-z{}%./?]{0,12}".prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Every place in a JSON value, as a JSON pointer (RFC 6901).
fn places(value: &Value, at: &str) -> Vec<String> {
    let mut places = vec![at.to_owned()];
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(list) => list.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        _ => Vec::new(),
    };
    places.extend(inner.iter().flat_map(|(name, value)| self::places(value, &format!("{at}/{name}"))));
    places
}

#[test]
fn the_complete_configuration_is_accepted() {
    assert!(read(complete().to_string().as_bytes()).is_some());
    assert!(places(&complete(), "").len() > 60);
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(read(&bytes).is_none());
    }

    #[test]
    fn random_json_is_refused(value in value()) {
        prop_assert!(read(value.to_string().as_bytes()).is_none());
        read(json!({"keys": value}).to_string().as_bytes());
    }

    #[test]
    fn a_damaged_configuration_does_not_panic(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = complete().to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
            prop_assert!(read(&bytes).is_none());
        } else {
            bytes[at] = byte;
            read(&bytes);
        }
    }

    #[test]
    fn any_value_in_any_place_does_not_panic(at in any::<prop::sample::Index>(), value in value()) {
        let mut configuration = complete();
        let places = places(&configuration, "");
        *configuration.pointer_mut(&places[at.index(places.len())]).unwrap() = value;
        read(configuration.to_string().as_bytes());
    }

    #[test]
    fn a_kid_is_written_in_unreserved_characters_and_escapes_alone(kid in any::<String>()) {
        if let Some(name) = Kid::new(&kid) {
            let path = KeyPath::OneKey("/keys/".into(), "".into()).for_kid(&name);
            let written = path.strip_prefix("/keys/").unwrap();
            let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
            prop_assert!(written.bytes().all(unreserved), "{written}");
            let mut decoded = Vec::new();
            let mut parts = written.split('%');
            decoded.extend(parts.next().unwrap().bytes());
            for part in parts {
                let (digits, rest) = part.split_at_checked(2).unwrap();
                decoded.push(u8::from_str_radix(digits, 16).unwrap());
                decoded.extend(rest.bytes());
            }
            prop_assert_eq!(decoded, kid.into_bytes());
        }
    }
}
