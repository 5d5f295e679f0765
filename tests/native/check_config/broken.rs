//! Configurations as people break them: what the tool says, and whether an editor with the schema would have said so.

use mdrm_authz::config::Config;
use serde_json::Value;

use super::check;

/// Whether the schema refuses it as well.
#[derive(Clone, Copy)]
enum Schema {
    Refuses,
    /// It cannot tell: why.
    CannotTell(&'static str),
    /// It is no JSON.
    NotJson,
}
use Schema::{CannotTell, NotJson, Refuses};

/// A file, the line that the tool says, and the schema.
const BROKEN: &[(&str, &str, Schema)] = &[
    ("", ".: ", NotJson),
    (r#"{"keys": {"cluster": "k"}"#, ".: ", NotJson),
    (r#"{"keys": {"cluster": "k"},}"#, ".: ", NotJson),
    ("keys:\n  cluster: k\n", ".: ", NotJson),
    ("[]", ".: found an array, allowed: an object", Refuses),
    ("{}", ".: missing field `keys`", Refuses),
    (r#"{"keys": {}}"#, "keys.cluster: missing, required unless keys.inline is set", Refuses),
    (
        r#"{"keys": {"cluster": ""}}"#,
        "keys.cluster: found an empty string, allowed: the name of an Envoy cluster",
        Refuses,
    ),
    (r#"{"keys": {"cluster": "k", "ttl": "1m"}}"#, "keys.ttl: unknown field `ttl`, expected one of", Refuses),
    (r#"{"Keys": {"cluster": "k"}}"#, "Keys: unknown field `Keys`, expected one of", Refuses),
    (r#"{"keys": {"cluster": "k"}, "clock_skew": 5}"#, "clock_skew: found 5, allowed: a duration such as", Refuses),
    (
        r#"{"keys": {"cluster": "k"}, "clock_skew": "5 s"}"#,
        "clock_skew: found \"5 s\", allowed: a duration such as",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k"}, "clock_skew": "10m"}"#,
        "clock_skew: found 600s, allowed: 0ns to 300s",
        CannotTell("a range of durations"),
    ),
    (r#"{"keys": {"cluster": "k", "timeout": "0s"}}"#, "keys.timeout: found 0ns", CannotTell("a range of durations")),
    (r#"{"keys": {"cluster": "k", "max_entries": 0}}"#, "keys.max_entries: found 0, allowed: 1 to 100000", Refuses),
    (
        r#"{"keys": {"cluster": "k"}, "max_token_bytes": "8192"}"#,
        "max_token_bytes: found \"8192\", allowed: a whole number",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k"}, "max_body_bytes": 512}"#,
        "max_body_bytes: found 512, allowed: 1024 to 8388608",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k"}, "report_only": "yes"}"#,
        "report_only: found \"yes\", allowed: true or false",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k", "path": "keys/{kid}"}}"#,
        "keys.path: found \"keys/{kid}\", allowed: a path in",
        Refuses,
    ),
    (r#"{"keys": {"cluster": "k", "path": "/{kid}/{kid}"}}"#, "keys.path: found", Refuses),
    (r#"{"keys": {"cluster": "k", "path": "/{name}"}}"#, "keys.path: found", Refuses),
    (
        r#"{"keys": {"cluster": "k", "headers": {"authorization": "Bearer ${KEY_SERVICE_TOKEN_THAT_IS_NOT_SET}"}}}"#,
        "keys.headers.authorization: the environment variable \"KEY_SERVICE_TOKEN_THAT_IS_NOT_SET\" of the VM is not set",
        CannotTell("the environment"),
    ),
    (
        r#"{"keys": {"inline": {"keys": [{"kid": "a", "kty": "oct", "k": "AA"}]}}}"#,
        "keys.inline: none of the keys can be used",
        CannotTell("whether a key is usable"),
    ),
    (
        r#"{"keys": {"inline": {"keys": []}, "path": "/jwks"}}"#,
        "keys.path: is of no use without keys.cluster",
        CannotTell("one member that needs another"),
    ),
    (
        r#"{"keys": {"cluster": "k"}, "routes": [{"path": "/a", "path_prefix": "/b", "service": "open"}]}"#,
        "routes[0]: allowed: exactly one of path and path_prefix",
        Refuses,
    ),
    (r#"{"keys": {"cluster": "k"}, "routes": [{"path": "/a"}]}"#, "routes[0]: missing field `service`", Refuses),
    (
        r#"{"keys": {"cluster": "k"}, "routes": [{"path": "license", "service": "license"}]}"#,
        "routes[0].path: found \"license\", allowed: a path that starts with /",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k"}, "routes": [{"path": "/a/../b", "service": "open"}]}"#,
        "routes[0].path: found",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k"}, "routes": [{"path": "/%41", "service": "open"}]}"#,
        "routes[0].path: found",
        CannotTell("the escapes of a path"),
    ),
    (
        r#"{"keys": {"cluster": "k"}, "routes": [{"path": "/a", "service": "License"}]}"#,
        "routes[0].service: found \"License\", allowed: \"license\", \"cpix\", \"signed_cpix\", \"open\"",
        Refuses,
    ),
    (r#"{"keys": {"cluster": "k"}, "default_service": "open"}"#, "default_service: found \"open\"", Refuses),
    (
        r#"{"keys": {"cluster": "k"}, "services": {"license": {"audiences": []}}}"#,
        "services.license.audiences: found an empty list, allowed: at least one audience",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k"}, "upstream": {"claim_headers": {"Host": "sub"}}}"#,
        "upstream.claim_headers.Host: found \"host\", allowed: the name of a header that",
        CannotTell("names, whatever their case"),
    ),
    (
        r#"{"keys": {"cluster": "k"}, "session": {"keys": {"cluster": "k"}, "audience": "a"}}"#,
        "session: missing field `issuer`",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k"}, "trust_tunnel": {"keys": {"cluster": "k", "path": "/master-keys"}}}"#,
        "trust_tunnel.keys.path: found \"/master-keys\", allowed: a path with {kid}",
        Refuses,
    ),
    (
        r#"{"keys": {"cluster": "k"}, "report_only": true, "report_only": false}"#,
        ".: duplicate field `report_only`",
        CannotTell("a value has each member once by the time that a schema sees it"),
    ),
];

#[test]
fn every_broken_file_is_refused_by_the_line_of_the_filter() {
    assert!(BROKEN.len() >= 30);
    for (text, line, _) in BROKEN {
        let output = check(text);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{text} is accepted");
        assert!(said.starts_with(&format!("mdrm: configuration refused: {line}")), "{text}: {said}");
        assert_eq!(said.lines().count(), 1, "{text}: {said}");
        let filter = Config::from_json(text.as_bytes(), &|_| None).unwrap_err().to_string();
        assert_eq!(said.trim_end(), format!("mdrm: {filter}"), "the filter says something else");
    }
}

#[test]
fn the_schema_refuses_every_broken_file_that_a_schema_can() {
    let schema = jsonschema::validator_for(&Config::schema()).unwrap();
    for (text, _, expected) in BROKEN {
        let value = serde_json::from_str::<Value>(text);
        match (expected, value) {
            (NotJson, Err(_)) => {}
            (Refuses, Ok(value)) => assert!(!schema.is_valid(&value), "the schema accepts {text}"),
            (CannotTell(why), Ok(value)) => assert!(schema.is_valid(&value), "not because of {why}: {text}"),
            (_, value) => panic!("{text}: {value:?}"),
        }
    }
}
