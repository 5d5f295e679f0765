//! Routes: paths and hosts that can be matched, none behind another that covers it, and what no route names.

use serde_json::{Value, json};

use super::{accepted, refuses, with, with_routes};
use crate::route::{DefaultService, Drm, Matcher, Service};

fn route(members: Value) -> Value {
    with_routes(json!([{"path": "/first", "service": "open"}, members]))
}

#[test]
fn a_route_has_a_path_or_a_prefix_and_a_service() {
    let routes = json!([
        {"path": "/a/b", "service": "license", "drm": "widevine"},
        {"path_prefix": "/a", "host": "Example.com:8443", "service": "cpix", "drm": "playready"},
        {"path_prefix": "/c", "service": "open", "drm": "fairplay"},
        {"path": "/a%20b/~._-", "host": null, "drm": null, "service": "open"},
        {"path": "/s", "service": "signed_cpix"},
    ]);
    let routes = accepted(&with_routes(routes)).routes;
    assert_eq!(routes[0].matcher, Matcher::Exact("/a/b".into()));
    assert_eq!((routes[0].service, routes[0].drm, &routes[0].host), (Service::License, Some(Drm::Widevine), &None));
    assert_eq!(routes[1].matcher, Matcher::Prefix("/a".into()));
    assert_eq!((routes[1].service, routes[1].drm), (Service::Cpix, Some(Drm::PlayReady)));
    assert_eq!(routes[1].host.as_ref().map(ToString::to_string).as_deref(), Some("example.com:8443"));
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
        "/%252e",
        "/a/%25%32%65",
        "/a//../b",
    ] {
        for name in ["path", "path_prefix"] {
            let line = refuses(&format!("routes[1].{name}"), &route(json!({name: bad, "service": "open"})));
            assert!(line.contains("found") && line.contains("allowed"), "{line}");
        }
    }
}

#[test]
fn attack_69_a_host_that_can_never_match_is_refused() {
    for host in [
        "",
        "*",
        "*.",
        "https://x",
        "x/y",
        "a b",
        "user@a",
        "a..b",
        ".a",
        "a.",
        "a:",
        "a:0",
        "a:00",
        "a:65536",
        "::1",
        "[::g]",
        "*.[::1]",
        "ä.example",
        "a.*",
        "*a",
        "a.example.",
        "a,b",
    ] {
        let line = refuses("routes[1].host", &route(json!({"path": "/a", "host": host, "service": "open"})));
        assert!(line.contains(&format!("found {host:?}, allowed: a DNS name")), "{line}");
    }
    for host in ["a", "A.Example", "a_b.c-d", "10.0.0.1:80", "[::1]", "[2001:DB8::1]:443", "*.a", "*.a.example:65535"] {
        let config = accepted(&route(json!({"path": "/a", "host": host, "service": "open"})));
        assert_eq!(config.routes[1].host.as_ref().unwrap().to_string(), host.to_lowercase());
    }
}

#[test]
fn a_route_that_an_earlier_one_covers_is_refused_with_both_names() {
    let line = refuses(
        "routes[1]",
        &with_routes(json!([
            {"path_prefix": "/", "service": "open"}, {"path_prefix": "/license", "host": "h:1", "service": "license"},
        ])),
    );
    let both = r#"found path_prefix "/license" on host "h:1" (license), which no request reaches because routes[0] is path_prefix "/" (open)"#;
    assert!(line.contains(both), "{line}");
    for (earlier, later) in [
        (json!({"path": "/a"}), json!({"path": "/a"})),
        (json!({"path_prefix": "/a"}), json!({"path": "/a/b"})),
        (json!({"path_prefix": "/a", "host": "*.h"}), json!({"path_prefix": "/a/", "host": "x.y.h:1"})),
        (json!({"path": "/a", "host": "H"}), json!({"path": "/a", "host": "h"})),
    ] {
        let between = json!({"path": "/between", "service": "open"});
        let routes = [earlier, between, later].map(|mut route| {
            route["service"] = json!("cpix");
            route
        });
        assert!(refuses("routes[2]", &with_routes(json!(routes))).contains("routes[0]"));
        let [earlier, between, later] = routes;
        let same = earlier["path"] == later["path"] && !earlier["path"].is_null();
        if !same {
            accepted(&with_routes(json!([later, between, earlier])));
        }
    }
    // An open route is not matched by a port that it does not name, so this says something.
    accepted(&with_routes(json!([
        {"path_prefix": "/", "host": "h", "service": "open"}, {"path_prefix": "/", "host": "h:8443", "service": "license"},
    ])));
}

#[test]
fn what_no_route_names_is_denied_where_there_are_routes() {
    let routes = json!([{"path": "/a", "service": "open"}]);
    let config = accepted(&with_routes(routes.clone()));
    assert_eq!(config.default_service, DefaultService::Deny);
    assert_eq!(accepted(&with_routes(json!([]))).default_service, DefaultService::License);
    for (name, service) in [("license", DefaultService::License), ("deny", DefaultService::Deny)] {
        let mut configuration = with("default_service", json!(name));
        assert_eq!(accepted(&configuration).default_service, service);
        configuration["routes"] = routes.clone();
        assert_eq!(accepted(&configuration).default_service, service);
    }
}
