//! What members there are, of which types, and how often.

use serde_json::{Value, json};

use super::{Config, accepted, minimal, read, refused_text, refuses, with, with_routes};

#[test]
fn unknown_members_are_refused_at_every_level() {
    let unknown = json!(1);
    for path in [
        "unknown",
        "Keys",
        "key",
        "keys.unknown",
        "keys.Cluster",
        "keys.ttl",
        "services.unknown",
        "services.open",
        "services.license.unknown",
        "services.license.bind_content",
        "services.cpix.unknown",
        "services.signed_cpix.unknown",
        "services.signed_cpix.max_age",
        "services.signed_cpix.versions",
        "services.signed_cpix.bind_content",
        "upstream.unknown",
        "session.unknown",
        "session.keys.unknown",
        "session.keys.stale_if_error",
        "trust_tunnel.unknown",
        "trust_tunnel.keys.unknown",
    ] {
        let line = refuses(path, &with(path, unknown.clone()));
        assert!(line.contains("unknown field") && line.contains("expected"), "{line}");
    }
    let route = json!({"path": "/a", "service": "open", "methods": ["GET"]});
    refuses("routes[1].methods", &with_routes(json!([{"path": "/", "service": "open"}, route])));
}

#[test]
fn a_member_without_a_name_is_named_all_the_same() {
    for (path, text) in [
        (r#""""#, r#"{"":1}"#),
        (r#"keys."""#, r#"{"keys":{"cluster":"a","":1}}"#),
        (r#"services."""#, r#"{"keys":{"cluster":"a"},"services":{"":{}}}"#),
    ] {
        let (named, line) = refused_text(text);
        assert_eq!(named, path, "{line}");
        assert!(line.starts_with(&format!("configuration refused: {path}: unknown field")), "{line}");
    }
}

#[test]
fn wrong_types_are_refused() {
    for (path, wrong) in [
        ("keys.cluster", json!(7)),
        ("keys.cluster", json!(["keys"])),
        ("keys.authority", json!({})),
        ("keys.path", json!(["/keys"])),
        ("keys.headers", json!("a: b")),
        ("keys.headers", json!([["a", "b"]])),
        ("keys.headers", json!(null)),
        ("keys.headers.a", json!(1)),
        ("keys.headers.a", json!(null)),
        ("keys.headers.a", json!(["b"])),
        ("keys.issuer", json!(["me"])),
        ("routes", json!({})),
        ("routes", json!("/a")),
        ("routes", json!(null)),
        ("default_service", json!(true)),
        ("default_service", json!("open")),
        ("default_service", json!("License")),
        ("services", json!("license")),
        ("services.license", json!(null)),
        ("services.license", json!(90)),
        ("allow_slow_algorithms", json!("true")),
        ("allow_slow_algorithms", json!(1)),
        ("access_log", json!(true)),
        ("access_log", json!("Denied")),
        ("upstream", json!(true)),
        ("upstream.forward_token", json!("yes")),
        ("upstream.payload_header", json!(7)),
        ("upstream.claim_headers", json!("sub")),
        ("upstream.claim_headers.x-sub", json!(7)),
        ("session", json!(true)),
        ("session.kid", json!(7)),
        ("session.lifetime", json!(60)),
        ("trust_tunnel", json!("off")),
        ("trust_tunnel.mode", json!("Permissive")),
        ("trust_tunnel.mode", json!(false)),
        ("report_only", json!("false")),
        ("services.cpix.bind_content", json!(0)),
    ] {
        refuses(path, &with(path, wrong));
    }
}

#[test]
fn repeated_members_are_refused_at_every_level() {
    for (path, text) in [
        (".", r#"{"keys":{"cluster":"k"},"keys":{"cluster":"k"}}"#),
        (".", r#"{"keys":{"cluster":"k"},"clock_skew":"1s","clock_skew":"1s"}"#),
        (".", r#"{"keys":{"cluster":"k"},"clock_skew":"1s","cl\u006fck_skew":"1s"}"#),
        ("keys", r#"{"keys":{"cluster":"k","cluster":"k"}}"#),
        ("keys", r#"{"keys":{"cluster":"k","inline":null,"inline":null}}"#),
        ("services", r#"{"keys":{"cluster":"k"},"services":{"cpix":{},"cpix":{}}}"#),
        ("services.cpix", r#"{"keys":{"cluster":"k"},"services":{"cpix":{"max_age":"1s","max_age":"1s"}}}"#),
        ("upstream", r#"{"keys":{"cluster":"k"},"upstream":{"forward_token":true,"forward_token":false}}"#),
        ("routes[0]", r#"{"keys":{"cluster":"k"},"routes":[{"path":"/a","path":"/b","service":"open"}]}"#),
        ("trust_tunnel", r#"{"keys":{"cluster":"k"},"trust_tunnel":{"mode":"off","mode":"permissive"}}"#),
    ] {
        let (named, line) = refused_text(text);
        assert_eq!(named, path, "{line}");
        // Next to secrets no more is said than where.
        assert!(line.contains("duplicate field") || path == "keys", "{line}");
    }
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    for text in
        ["", " ", "null", "true", "7", "\"keys\"", "{", "{}x", "\u{feff}{}", "keys: {cluster: keys}", "{'keys': {}}"]
    {
        read(text).unwrap_err();
    }
    let twice = format!("{0}{0}", minimal());
    assert_eq!(refused_text(&twice).0, ".");
    read(&format!(" \r\n\t{}\n", minimal())).unwrap();
    for bytes in [&b"\xff"[..], b"{\"keys\":{\"cluster\":\"\xff\"}}", b"{\"keys\":{\"cluster\":\"\\ud800\"}}"] {
        assert!(crate::config::Config::from_json(bytes, &|_| None).is_err());
    }
    let deep = format!("{{\"keys\":{{\"cluster\":\"k\",\"inline\":{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
    read(&deep).unwrap_err();
}

#[test]
fn keys_come_from_somewhere() {
    assert!(refused_text("{}").1.contains("missing field `keys`"));
    refuses("keys.cluster", &json!({"keys": {}}));
    refuses("keys.cluster", &json!({"keys": {"cluster": null, "path": "/jwks"}}));
    let inline = json!({"keys": {"inline": {"keys": []}}});
    assert!(accepted(&inline).keys.source.is_none());
}

#[test]
fn an_array_is_no_object() {
    for (path, value) in [
        ("services", json!([])),
        ("upstream", json!([true, null])),
        ("trust_tunnel", json!([null, null])),
        ("session", json!([])),
    ] {
        refuses(path, &with(path, value));
    }
    refuses("keys", &json!({"keys": ["k"]}));
    refuses("routes[0]", &with("routes", json!([["/a", null, null, "open", null]])));
    refuses("services.cpix", &with("services", json!({"cpix": []})));
}

#[test]
fn a_refusal_is_one_line() {
    refuses("access_log", &with("access_log", json!("a\nb\u{1b}[31m")));
}

/// A field of a protobuf message: its tag, its length, its content.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    let mut length = content.len();
    while length >= 0x80 {
        field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    [&field, content].concat()
}

/// A `google.protobuf.Struct` as protobuf writes it.
fn protobuf_struct(members: &serde_json::Map<String, Value>) -> Vec<u8> {
    let entry = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(members) => field(0x2a, &protobuf_struct(members)),
            Value::String(text) => field(0x1a, text.as_bytes()),
            Value::Bool(truth) => vec![0x20, u8::from(*truth)],
            other => panic!("not needed here: {other}"),
        };
        field(0x0a, &[field(0x0a, name.as_bytes()), field(0x12, &value)].concat())
    };
    members.iter().flat_map(entry).collect()
}

#[test]
fn a_protobuf_struct_is_refused_with_what_to_write_in_its_place() {
    let long = json!({"keys": {"cluster": "k".repeat(300), "path": "/jwks"}, "report_only": true});
    for configuration in [json!({"keys": {"cluster": "keys"}}), long, json!({"a": "é"}), json!({"": false})] {
        let bytes = protobuf_struct(configuration.as_object().unwrap());
        let line = Config::from_json(&bytes, &|_| None).unwrap_err().to_string();
        assert!(line.contains("google.protobuf.Struct") && line.contains("google.protobuf.StringValue"), "{line}");
        for damaged in [&bytes[..bytes.len() - 1], &bytes[1..], &[&bytes[..], b"x"].concat()] {
            let line = Config::from_json(damaged, &|_| None).unwrap_err().to_string();
            assert!(!line.contains("Struct"), "{line}");
        }
    }
    // A line end is the tag of the first field.
    assert!(!Config::from_json(b"\n{", &|_| None).unwrap_err().to_string().contains("Struct"));
    assert!(Config::from_json(b"\n{\"keys\":{\"cluster\":\"k\"}}", &|_| None).is_ok());
    assert!(!Config::from_json(b"", &|_| None).unwrap_err().to_string().contains("Struct"));
}
