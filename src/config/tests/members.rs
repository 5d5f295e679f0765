//! What members there are, of which types, and how often.

use serde_json::{Value, json};

use super::{accepted, minimal, read, refused_text, refuses, with, with_routes};
use crate::route::{Drm, Matcher, Service};

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

fn route(members: Value) -> Value {
    with_routes(json!([{"path": "/first", "service": "open"}, members]))
}

#[test]
fn a_route_has_a_path_or_a_prefix_and_a_service() {
    let routes = json!([
        {"path": "/a/b", "service": "license", "drm": "widevine"},
        {"path_prefix": "/a", "host": "Example.com:8443", "service": "cpix", "drm": "playready"},
        {"path_prefix": "/", "service": "open", "drm": "fairplay"},
        {"path": "/a%20b/~._-", "host": null, "drm": null, "service": "open"},
        {"path": "/s", "service": "signed_cpix"},
    ]);
    let routes = accepted(&with_routes(routes)).routes;
    assert_eq!(routes[0].matcher, Matcher::Exact("/a/b".into()));
    assert_eq!((routes[0].service, routes[0].drm, &routes[0].host), (Service::License, Some(Drm::Widevine), &None));
    assert_eq!(routes[1].matcher, Matcher::Prefix("/a".into()));
    assert_eq!((routes[1].service, routes[1].drm), (Service::Cpix, Some(Drm::PlayReady)));
    assert_eq!(routes[1].host.as_deref(), Some("Example.com:8443"));
    assert_eq!((routes[2].service, routes[2].drm), (Service::Open, Some(Drm::FairPlay)));
    assert_eq!((&routes[3].matcher, routes[3].drm), (&Matcher::Exact("/a%20b/~._-".into()), None));

    assert_eq!((routes[4].service, routes[4].drm), (Service::SignedCpix, None));

    refuses("routes[1]", &route(json!({"service": "open"})));
    refuses("routes[1]", &route(json!({"path": "/a", "path_prefix": "/a", "service": "open"})));
    refuses("routes[1]", &route(json!({"path": null, "service": "open"})));
    refuses("routes[1]", &route(json!({"path": "/a"})));
    refuses("routes[1].service", &route(json!({"path": "/a", "service": "deny"})));
    refuses("routes[1].service", &route(json!({"path": "/a", "service": null})));
    refuses("routes[1].drm", &route(json!({"path": "/a", "service": "open", "drm": "Widevine"})));
    refuses("routes[1].drm", &route(json!({"path": "/a", "service": "open", "drm": ""})));
    refuses("routes[1].host", &route(json!({"path": "/a", "service": "open", "host": ""})));
    refuses("routes[1].host", &route(json!({"path": "/a", "service": "open", "host": ["a"]})));
    refuses("routes[1]", &route(json!("/a")));
}

#[test]
fn a_route_is_written_as_paths_are_compared() {
    for bad in [
        "",
        "a",
        "*",
        "/a?b",
        "/a?",
        "/a#b",
        "/a//b",
        "//",
        "/./a",
        "/a/..",
        "/..",
        "/%61",
        "/%7E",
        "/a\\b",
        "/a;b",
        "/%2F",
        "/%2f",
        "/%5C",
        "/%3b",
        "/%00",
        "/a b",
        "/ä",
        "/\u{7f}",
        "/a\n",
        "http://h/a",
    ] {
        for name in ["path", "path_prefix"] {
            let line = refuses(&format!("routes[1].{name}"), &route(json!({name: bad, "service": "open"})));
            assert!(line.contains("found") && line.contains("allowed"), "{line}");
        }
    }
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
