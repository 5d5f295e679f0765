//! The schema beside the reader: every configuration of these tests is shown to both.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::config::{Config, ConfigError};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&Config::schema()).unwrap());

/// What a schema cannot say, by a part of the refusal's line.
const BEYOND_A_SCHEMA: &[(&str, &str)] = &[
    ("duplicate field", "a value has each member once by the time that a schema sees it"),
    ("allowed: 0ns to", "a range of durations"),
    ("allowed: 1ms to", "a range of durations"),
    ("allowed: 1s to", "a range of durations"),
    ("allowed: at most max_age_limit", "one member that bounds another"),
    ("allowed: at least max_body_bytes", "one member that bounds another"),
    ("in whole milliseconds", "a fraction of a millisecond"),
    (".0, allowed: a whole number", "how a number is spelled"),
    ("written as it is compared", "the escapes of a path"),
    ("allowed: the narrower of two routes first", "a route beside another"),
    ("and a DNS name, each with an optional :port", "the range of a port, the form of an IPv6 address"),
    ("not made of dots only", "bytes, where a schema counts characters"),
    ("neither HTTP nor Envoy nor this filter uses otherwise", "names, whatever their case"),
    ("each header once", "one name in two members"),
    ("each header name once", "names, whatever their case"),
    ("found ${ without }", "a template"),
    ("allowed: ${NAME}", "a template"),
    ("of the VM is not set", "the environment"),
    ("allowed: printable ASCII", "the environment"),
    ("allowed: a host name and port", "the cluster's name, where there is no authority"),
    ("is of no use without keys.cluster", "one member that needs another"),
    ("keys.inline: ", "whether a key is usable"),
];

/// The schema accepts what the reader accepted, and refuses what the reader refused, as far as a schema can.
pub(super) fn agrees(text: &[u8], read: Result<&Config, &ConfigError>) {
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        assert!(read.is_err(), "accepted, and no JSON: {}", text.escape_ascii());
        return;
    };
    match (read, SCHEMA.validate(&value)) {
        (Ok(_), Err(error)) => panic!("the reader accepts and the schema refuses: {value}: {error}"),
        (Err(refusal), Ok(())) => {
            let line = refusal.to_string();
            let beyond = BEYOND_A_SCHEMA.iter().any(|(part, _)| line.contains(part));
            assert!(beyond || is_about_spelling(&line), "the reader refuses and the schema accepts: {value}: {line}");
        }
        (Ok(_), Ok(())) | (Err(_), Err(_)) => {}
    }
}

/// Whether the reader refused a number that is whole, but not spelled like one: to a schema, 10e4 is 100000.
fn is_about_spelling(line: &str) -> bool {
    let spelled =
        line.split_once(": found ").and_then(|(_, rest)| rest.strip_suffix(", allowed: a whole number of 64 bits"));
    let is_whole =
        |text: &str| text.contains(['.', 'e', 'E']) && text.parse().is_ok_and(|number: f64| number.fract() == 0.0);
    spelled.is_some_and(is_whole)
}

#[test]
fn a_number_may_be_whole_to_a_schema_and_not_to_the_reader() {
    for (spelling, whole) in
        [("10e4", true), ("1E5", true), ("100000.0", true), ("10.5", false), ("1e-1", false), ("\"1\"", false)]
    {
        let text = format!(r#"{{"keys":{{"cluster":"k"}},"max_body_bytes":{spelling}}}"#);
        let refusal = Config::from_json(text.as_bytes(), &|_| None).unwrap_err();
        assert_eq!(is_about_spelling(&refusal.to_string()), whole, "{refusal}");
        agrees(text.as_bytes(), Err(&refusal));
    }
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_types() {
    let kept = include_str!("../../../envoy/mdrm-authz.schema.json");
    assert_eq!(kept, format!("{:#}\n", Config::schema()), "make it anew: mdrm schema > envoy/mdrm-authz.schema.json");
}
