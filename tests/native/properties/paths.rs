//! Paths in every spelling: one normal form, and no spelling reaches an open route.

use mdrm_authz::config::Config;
use mdrm_authz::request::RequestHead;
use mdrm_authz::route::{Handling, Service, Unrouted, is_normal};
use proptest::prelude::*;
use serde_json::json;

use super::cases;

fn handling(config: &Config, path: &[u8]) -> Handling {
    let headers: [(&[u8], &[u8]); 3] = [(b":method", b"POST"), (b":path", path), (b":authority", b"h")];
    Handling::of(RequestHead::new(&headers, false), &config.routes, config.default_service)
}

fn with_route(route: &serde_json::Value) -> Config {
    let configuration = json!({"keys": {"cluster": "keys"}, "routes": [route], "default_service": "deny"});
    Config::from_json(configuration.to_string().as_bytes(), &|_| None).unwrap()
}

/// Paths made of what spelling tricks are made of. Every `%` is followed by two digits.
fn path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "//",
        "a",
        "b",
        "A",
        ".",
        "..",
        "/./",
        "/../",
        "%2e",
        "%2E",
        "%61",
        "%41",
        "%7e",
        "%25",
        "%252e",
        "%20",
        "%3F",
        "~",
        "-",
        "%2d",
        "...",
        "%25%32%65",
    ]);
    prop::collection::vec(piece, 0..10).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// The rules in the order of RFC 3986 section 6.2.2: unreserved characters decoded, dot segments removed; then repeated
/// slashes merged. `None` if slashes that are merged first lead elsewhere, or if an escape hides another one.
fn normal(path: &str) -> Option<String> {
    let decoded = decoded(path);
    let bytes = decoded.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    if (0..bytes.len()).any(|at| bytes[at..].starts_with(b"%25") && is_hex(at + 3) && is_hex(at + 4)) {
        return None;
    }
    let normal = merged(&without_dots(&decoded));
    (normal == without_dots(&merged(&decoded))).then_some(normal)
}

fn decoded(path: &str) -> String {
    let mut decoded = String::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let byte = rest.strip_prefix('%').map(|digits| u8::from_str_radix(&digits[..2], 16).unwrap());
        match byte.map(char::from) {
            Some(c) if c.is_ascii_alphanumeric() || "-._~".contains(c) => decoded.push(c),
            Some(_) => decoded.push_str(&rest[..3]),
            None => decoded.push(first),
        }
        rest = &rest[if byte.is_some() { 3 } else { 1 }..];
    }
    decoded
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

fn merged(path: &str) -> String {
    let mut merged = path.to_owned();
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    merged
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn normalisation_is_idempotent_and_finds_the_route_of_the_normal_path(
        path in path(), query in "(\\?[a-z./%]{0,5})?",
    ) {
        let asked = format!("{path}{query}");
        let Some(normal) = normal(&path) else {
            prop_assert!(!is_normal(&path));
            let config = with_route(&json!({"path_prefix": "/", "service": "cpix"}));
            prop_assert_eq!(handling(&config, asked.as_bytes()), Handling::Deny(Unrouted::Path), "{}", asked);
            return Ok(());
        };
        prop_assert!(is_normal(&normal), "{} of {}", normal, path);
        prop_assert_eq!(is_normal(&path), path == normal);
        let config = with_route(&json!({"path": normal, "service": "cpix"}));
        prop_assert_eq!(handling(&config, asked.as_bytes()), Handling::Service(Service::Cpix, None), "{}", asked);
    }

    #[test]
    fn a_path_that_normalisation_changes_never_reaches_an_open_route(path in path()) {
        let normal = normal(&path).unwrap_or_else(|| "/not/a/path/of/this/test".to_owned());
        for route in [json!({"path": normal, "service": "open"}), json!({"path_prefix": "/", "service": "open"})] {
            let open = handling(&with_route(&route), path.as_bytes()) == Handling::Service(Service::Open, None);
            prop_assert_eq!(open, path == normal, "{} by {}", path, route);
        }
    }

    #[test]
    fn whatever_the_path_is_an_open_route_is_reached_by_its_one_spelling(
        path in prop::collection::vec(any::<u8>(), 0..30),
    ) {
        let config = with_route(&json!({"path_prefix": "/", "service": "open"}));
        for path in [path.clone(), [b"/", &path[..]].concat()] {
            if handling(&config, &path) == Handling::Service(Service::Open, None) {
                let end = path.iter().position(|b| *b == b'?').unwrap_or(path.len());
                prop_assert!(is_normal(std::str::from_utf8(&path[..end]).unwrap()), "{}", path.escape_ascii());
                prop_assert!(!path.contains(&b'#'));
            }
        }
    }

    #[test]
    fn what_another_server_could_read_differently_is_denied(
        before in path(), after in path(),
        bad in prop::sample::select(vec![
            "\\", ";", "%2F", "%2f", "%5C", "%5c", "%3B", "%3b", "%00", " ", "\x7f", "\t", "é", "\x01",
        ]),
    ) {
        let path = format!("{before}{bad}{after}");
        for service in ["open", "license", "cpix"] {
            let config = with_route(&json!({"path_prefix": "/", "service": service}));
            prop_assert_eq!(handling(&config, path.as_bytes()), Handling::Deny(Unrouted::Path), "{}", path);
        }
    }
}
