//! The lowest and the highest value of each member, and one beyond.

use std::time::Duration;

use serde_json::{Value, json};

use super::{accepted, refuses, with};
use crate::config::{Config, Keys};

/// A duration in milliseconds as a member is written.
fn text(millis: u64) -> Value {
    json!(format!("{millis}ms"))
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn timeout(keys: &Keys) -> Option<Duration> {
    keys.source.as_ref().map(|source| source.timeout)
}

#[test]
fn durations_have_bounds() {
    type Get = fn(&Config) -> Option<Duration>;
    let members: [(&str, u64, u64, Get); 16] = [
        ("keys.timeout", 1, MINUTE, |config| config.keys.source.as_ref().map(|source| source.timeout)),
        ("keys.max_age", SECOND, DAY, |config| Some(config.keys.max_age)),
        ("keys.max_age_limit", SECOND, DAY, |config| Some(config.keys.max_age_limit)),
        ("keys.min_age", SECOND, HOUR, |config| Some(config.keys.min_age)),
        ("keys.stale_if_error", 0, DAY, |config| Some(config.keys.stale_if_error)),
        ("keys.negative_max_age", SECOND, HOUR, |config| Some(config.keys.negative_max_age)),
        ("keys.refetch_interval", SECOND, HOUR, |config| Some(config.keys.refetch_interval)),
        ("services.license.max_age", SECOND, DAY, |config| Some(config.license.max_age)),
        ("services.cpix.max_age", SECOND, DAY, |config| Some(config.cpix.max_age)),
        ("clock_skew", 0, 5 * MINUTE, |config| Some(config.clock_skew)),
        ("body_timeout", SECOND, MINUTE, |config| Some(config.body_timeout)),
        ("session.lifetime", SECOND, HOUR, |config| config.session.as_ref().map(|session| session.lifetime)),
        ("session.keys.timeout", 1, MINUTE, |config| timeout(&config.session.as_ref()?.keys)),
        ("session.keys.max_age", SECOND, DAY, |config| Some(config.session.as_ref()?.keys.max_age)),
        ("trust_tunnel.keys.timeout", 1, MINUTE, |config| timeout(config.tunnel.keys.as_ref()?)),
        ("trust_tunnel.keys.max_age", SECOND, DAY, |config| Some(config.tunnel.keys.as_ref()?.max_age)),
    ];
    for (path, low, high, get) in members {
        for millis in [low, high] {
            assert_eq!(get(&accepted(&with(path, text(millis)))), Some(Duration::from_millis(millis)), "{path}");
        }
        let beyond = low.checked_sub(1).into_iter().chain([high + 1, high * 10]);
        for millis in beyond {
            let line = refuses(path, &with(path, text(millis)));
            assert!(line.contains("found") && line.contains("allowed"), "{line}");
        }
    }
}

#[test]
fn numbers_have_bounds() {
    type Get = fn(&Config) -> Option<usize>;
    let members: [(&str, u64, u64, Get); 7] = [
        ("keys.max_entries", 1, 100_000, |config| Some(config.keys.max_entries)),
        ("keys.max_waiting", 0, 100_000, |config| Some(config.keys.max_waiting)),
        ("max_token_bytes", 256, 65_536, |config| Some(config.max_token_bytes)),
        ("max_body_bytes", 1024, 8 * 1024 * 1024, |config| Some(config.max_body_bytes)),
        ("max_held_bytes", 1 << 20, 1 << 30, |config| Some(config.max_held_bytes)),
        ("session.keys.max_entries", 1, 100_000, |config| Some(config.session.as_ref()?.keys.max_entries)),
        ("trust_tunnel.keys.max_entries", 1, 100_000, |config| Some(config.tunnel.keys.as_ref()?.max_entries)),
    ];
    for (path, low, high, get) in members {
        for number in [low, high] {
            let got = get(&accepted(&with(path, json!(number))));
            assert_eq!(got.map(|got| got as u64), Some(number), "{path}");
        }
        for number in low.checked_sub(1).into_iter().chain([high + 1, u64::from(u32::MAX) + 1 + low, u64::MAX]) {
            let line = refuses(path, &with(path, json!(number)));
            assert!(line.contains(&format!("found {number}, allowed: {low} to {high}")), "{line}");
        }
        for other in [json!(-1), json!(2000.5), json!(2000.0), json!("2000"), json!([2000]), json!(true)] {
            refuses(path, &with(path, other));
        }
    }
}

#[test]
fn versions_are_whole_numbers_of_32_bits() {
    for service in ["license", "cpix"] {
        let path = format!("services.{service}.versions");
        for bad in [json!(-1), json!(1.5), json!("1"), json!(4_294_967_296_u64), json!(null)] {
            refuses(&format!("{path}[1]"), &with(&path, json!([1, bad])));
        }
        refuses(&path, &with(&path, json!([])));
        refuses(&path, &with(&path, json!(1)));
    }
}

#[test]
fn lists_of_audiences_are_not_empty_and_hold_no_empty_audience() {
    for path in
        ["keys.audiences", "services.license.audiences", "services.cpix.audiences", "services.signed_cpix.audiences"]
    {
        accepted(&with(path, json!(["a", "b"])));
        refuses(path, &with(path, json!([])));
        refuses(path, &with(path, json!(["a", ""])));
        refuses(path, &with(path, json!("a")));
        refuses(&format!("{path}[1]"), &with(path, json!(["a", 7])));
    }
}

#[test]
fn texts_that_must_say_something_are_not_empty() {
    for path in [
        "keys.cluster",
        "keys.authority",
        "keys.issuer",
        "keys.path",
        "session.issuer",
        "session.audience",
        "session.kid",
        "session.header",
        "session.keys.cluster",
        "session.keys.path",
        "trust_tunnel.keys.cluster",
        "trust_tunnel.keys.authority",
        "upstream.payload_header",
        "upstream.claim_headers.x-sub",
    ] {
        refuses(path, &with(path, json!("")));
    }
}

#[test]
fn durations_are_texts_with_a_unit() {
    for path in ["keys.timeout", "keys.max_age", "services.license.max_age", "clock_skew", "body_timeout"] {
        for (text, millis) in [("2s", 2000), ("0.5m", 30_000), ("2000ms", 2000), ("1.25s", 1250)] {
            accepted(&with(path, json!(text)));
            let got = accepted(&with("clock_skew", json!(text))).clock_skew;
            assert_eq!(got, Duration::from_millis(millis), "{text}");
        }
        for bad in [
            json!(2),
            json!(2.0),
            json!("2"),
            json!("2 s"),
            json!("-2s"),
            json!("+2s"),
            json!("2S"),
            json!("2sec"),
            json!("2d"),
            json!("1m30s"),
            json!("s"),
            json!(""),
            json!("0.0005s"),
            json!("1e1s"),
            json!("٢s"),
            json!("99999999999999999999s"),
            json!({"seconds": 2}),
            json!(true),
        ] {
            let line = refuses(path, &with(path, bad.clone()));
            assert!(line.contains("a duration such as"), "{bad}: {line}");
        }
    }
}

#[test]
fn a_bound_is_not_below_another_one_that_it_must_hold() {
    let mut configuration = with("keys.max_age_limit", json!("10s"));
    configuration["keys"]["min_age"] = json!("11s");
    let line = refuses("keys.min_age", &configuration);
    assert!(line.contains("found 11s") && line.contains("max_age_limit"), "{line}");
    let mut configuration = with("max_body_bytes", json!(2 << 20));
    configuration["max_held_bytes"] = json!(1 << 20);
    let line = refuses("max_held_bytes", &configuration);
    assert!(line.contains("found 1048576") && line.contains("max_body_bytes"), "{line}");
}
