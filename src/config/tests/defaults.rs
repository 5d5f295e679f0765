//! What a configuration that says almost nothing means.

use std::time::Duration;

use serde_json::{Value, json};

use super::{accepted, minimal, with};
use crate::config::{AccessLog, KeyPath, TunnelMode};
use crate::route::DefaultService;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

#[test]
fn the_smallest_configuration_gives_every_default() {
    let config = accepted(&minimal());
    let seconds = Duration::from_secs;

    let source = config.keys.source.as_ref().unwrap();
    assert_eq!(&*source.cluster, "keys");
    assert_eq!(&*source.authority, "keys");
    assert_eq!(source.path, KeyPath::OneKey("/keys/".into(), "".into()));
    assert!(source.headers.is_empty());
    assert_eq!(source.timeout, seconds(2));

    assert_eq!(config.keys.max_age, seconds(10 * MINUTE));
    assert_eq!(config.keys.max_age_limit, seconds(HOUR));
    assert_eq!(config.keys.min_age, seconds(1));
    assert_eq!(config.keys.stale_if_error, seconds(HOUR));
    assert_eq!(config.keys.negative_max_age, seconds(30));
    assert_eq!(config.keys.refetch_interval, seconds(30));
    assert_eq!(config.keys.max_entries, 10_000);
    assert_eq!(config.keys.max_waiting, 1000);
    assert_eq!(config.keys.issuer, None);
    assert!(config.keys.audiences.is_empty());
    assert!(config.keys.inline.is_none());

    assert!(config.routes.is_empty());
    assert_eq!(config.default_service, DefaultService::License);
    assert_eq!(*config.license.audiences, ["urn:verimatrix:multidrm".into()]);
    assert_eq!(config.license.max_age, seconds(90));
    assert_eq!(*config.license.versions, [1]);
    assert_eq!(*config.cpix.audiences, ["urn:verimatrix:cpix".into()]);
    assert_eq!(config.cpix.max_age, seconds(30 * MINUTE));
    assert_eq!(*config.cpix.versions, [1]);

    assert!(!config.keys.slow_algorithms);
    assert_eq!(config.access_log, AccessLog::Denied);
    assert_eq!(config.clock_skew, seconds(5));
    assert_eq!(config.max_token_bytes, 8192);
    assert_eq!(config.max_body_bytes, 262_144);
    assert_eq!(config.max_held_bytes, 16 * 1024 * 1024);
    assert_eq!(config.body_timeout, seconds(10));
    assert!(!config.bind_content);
    assert_eq!(*config.signed_cpix_audiences, ["urn:verimatrix:cpix".into()]);
    assert!(!config.upstream.forward_token);
    assert_eq!(config.upstream.payload_header, None);
    assert!(config.upstream.claim_headers.is_empty());
    assert!(config.session.is_none());
    assert!(!config.report_only);
    assert_eq!(config.tunnel.mode, TunnelMode::Permissive);
    assert!(config.tunnel.keys.is_none());
}

#[test]
fn private_keys_are_held_like_access_keys() {
    let mut configuration = with("session", super::session());
    configuration["trust_tunnel"] = json!({"keys": {"cluster": "outbound|443||master.example.com"}});
    configuration["keys"]["max_age_limit"] = json!("2h");
    configuration["keys"]["stale_if_error"] = json!("3h");
    configuration["keys"]["negative_max_age"] = json!("7s");
    configuration["keys"]["max_waiting"] = json!(17);
    // Not what these have members of their own for.
    configuration["keys"]["timeout"] = json!("9s");
    configuration["keys"]["max_age"] = json!("9m");
    configuration["keys"]["max_entries"] = json!(9);
    let config = accepted(&configuration);
    let session = config.session.unwrap();
    assert_eq!((&*session.header, session.kid, session.lifetime), ("x-mdrm-session", None, Duration::from_secs(60)));
    let master = config.tunnel.keys.unwrap();
    for (keys, cluster, authority, path) in [
        (&session.keys, "session-keys", "session-keys", "/session-keys/"),
        (&master, "outbound|443||master.example.com", "master.example.com", "/master-keys/"),
    ] {
        let source = keys.source.as_ref().unwrap();
        assert_eq!((&*source.cluster, &*source.authority), (cluster, authority));
        assert_eq!(source.path, KeyPath::OneKey(path.into(), "".into()));
        assert_eq!((source.timeout.as_secs(), keys.max_age.as_secs(), keys.max_entries), (2, 600, 10_000));
        assert_eq!((keys.max_age_limit.as_secs(), keys.stale_if_error.as_secs()), (2 * HOUR, 3 * HOUR));
        assert_eq!((keys.negative_max_age.as_secs(), keys.max_waiting), (7, 17));
        assert!(keys.inline.is_none());
    }
}

#[test]
fn a_default_may_be_written_out() {
    let defaults = json!({
        "keys": {
            "cluster": "keys", "authority": "keys", "path": "/keys/{kid}", "headers": {}, "timeout": "2s",
            "max_age": "10m", "max_age_limit": "1h", "min_age": "1s", "stale_if_error": "1h", "negative_max_age": "30s",
            "refetch_interval": "30s",
            "max_entries": 10000, "max_waiting": 1000,
        },
        "routes": [],
        "default_service": "license",
        "services": {
            "license": {"audiences": ["urn:verimatrix:multidrm"], "max_age": "90s", "versions": [1]},
            "cpix": {"audiences": ["urn:verimatrix:cpix"], "max_age": "30m", "versions": [1], "bind_content": false},
            "signed_cpix": {"audiences": ["urn:verimatrix:cpix"]},
        },
        "allow_slow_algorithms": false,
        "access_log": "denied",
        "clock_skew": "5s",
        "max_token_bytes": 8192,
        "max_body_bytes": 262144,
        "max_held_bytes": 16777216,
        "body_timeout": "10s",
        "upstream": {"forward_token": false, "claim_headers": {}},
        "trust_tunnel": {"mode": "permissive"},
        "report_only": false,
    });
    assert_eq!(format!("{:?}", accepted(&defaults)), format!("{:?}", accepted(&minimal())));
}

#[test]
fn an_empty_part_gives_its_defaults() {
    let expected = format!("{:?}", accepted(&minimal()));
    for path in ["services", "services.license", "services.cpix", "services.signed_cpix", "upstream", "trust_tunnel"] {
        assert_eq!(format!("{:?}", accepted(&with(path, json!({})))), expected, "{path}");
    }
}

#[test]
fn every_choice_is_taken() {
    assert_eq!(accepted(&with("default_service", json!("deny"))).default_service, DefaultService::Deny);
    for (name, mode) in
        [("enforcing", TunnelMode::Enforcing), ("permissive", TunnelMode::Permissive), ("off", TunnelMode::Off)]
    {
        assert_eq!(accepted(&with("trust_tunnel.mode", json!(name))).tunnel.mode, mode);
    }
    assert!(accepted(&with("services.cpix.bind_content", json!(true))).bind_content);
    for (name, access_log) in [("off", AccessLog::Off), ("denied", AccessLog::Denied), ("all", AccessLog::All)] {
        assert_eq!(accepted(&with("access_log", json!(name))).access_log, access_log);
    }
    assert!(accepted(&with("allow_slow_algorithms", json!(true))).keys.slow_algorithms);
    assert!(accepted(&with("upstream.forward_token", json!(true))).upstream.forward_token);
}

#[test]
fn lists_replace_their_defaults() {
    let texts = |list: &[Box<str>]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let config = accepted(&with(
        "services",
        json!({
            "license": {"audiences": ["a", "b"], "max_age": "1m", "versions": [0, 4_294_967_295_u32]},
            "cpix": {"audiences": ["c"], "max_age": "1.5m", "versions": [2]},
        }),
    ));
    assert_eq!(texts(&config.license.audiences), ["a", "b"]);
    assert_eq!((config.license.max_age.as_secs(), &*config.license.versions), (60, &[0, u32::MAX][..]));
    assert_eq!(texts(&config.cpix.audiences), ["c"]);
    assert_eq!((config.cpix.max_age.as_secs(), &*config.cpix.versions), (90, &[2][..]));
    let keys = accepted(&json!({"keys": {"cluster": "k", "issuer": "me", "audiences": ["a"]}})).keys;
    assert_eq!((keys.issuer.as_deref(), texts(&keys.audiences)), (Some("me"), vec!["a".to_owned()]));
}

#[test]
fn null_is_as_good_as_absent_where_a_member_may_be_absent() {
    let expected = format!("{:?}", accepted(&minimal()));
    for path in [
        "keys.authority",
        "keys.path",
        "keys.timeout",
        "keys.max_age",
        "keys.min_age",
        "keys.issuer",
        "keys.audiences",
        "keys.inline",
        "default_service",
        "allow_slow_algorithms",
        "access_log",
        "clock_skew",
        "max_token_bytes",
        "max_body_bytes",
        "max_held_bytes",
        "body_timeout",
        "services.license.max_age",
        "services.cpix.audiences",
        "services.cpix.versions",
        "upstream.forward_token",
        "upstream.payload_header",
        "services.cpix.bind_content",
        "services.signed_cpix.audiences",
        "session",
        "trust_tunnel.mode",
        "trust_tunnel.keys",
        "report_only",
    ] {
        assert_eq!(format!("{:?}", accepted(&with(path, Value::Null))), expected, "{path}");
    }
}
