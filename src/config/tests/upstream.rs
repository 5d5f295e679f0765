//! What the upstream gets: headers that may be written, session tokens, requests that are let pass.

use serde_json::{Value, json};

use super::{accepted, refuses, session, with};

#[test]
fn report_only_is_off_unless_it_is_set() {
    assert!(accepted(&with("report_only", json!(true))).report_only);
    assert!(!accepted(&with("report_only", json!(false))).report_only);
}

#[test]
fn a_session_names_its_keys_and_both_parties() {
    for missing in ["keys", "issuer", "audience"] {
        let mut session = session();
        session.as_object_mut().unwrap().remove(missing);
        let line = refuses("session", &with("session", session));
        assert!(line.contains(missing), "{line}");
    }
    let kid = |kid: &str| with("session.kid", json!(kid));
    assert_eq!(accepted(&kid("s1")).session.unwrap().kid.unwrap().as_str(), "s1");
    for bad in ["", ".", "..", &"k".repeat(257)] {
        refuses("session.kid", &kid(bad));
    }
    refuses("trust_tunnel.keys", &with("trust_tunnel.keys", json!({})));
}

#[test]
fn private_keys_are_asked_for_one_by_one() {
    for member in ["session.keys", "trust_tunnel.keys"] {
        let path = format!("{member}.path");
        accepted(&with(&path, json!("/private/{kid}.json")));
        let line = refuses(&path, &with(&path, json!("/private.json")));
        assert!(line.contains("allowed: a path with {kid}"), "{line}");
        refuses(&path, &with(&path, json!("/{kid}/{kid}")));
        let headers = format!("{member}.headers");
        let line = refuses(&format!("{headers}.x-secret"), &with(&headers, json!({"x-secret": "s3cret\n"})));
        assert!(line.contains("<redacted>") && !line.contains("s3cret"), "{line}");
        let config = format!("{:?}", accepted(&with(&headers, json!({"x-secret": "s3cret-${TOKEN}"}))));
        assert!(
            config.contains("x-secret") && !config.contains("s3cret") && !config.contains("from-the-vm"),
            "{config}"
        );
    }
}

/// Each member that names a header to write, with this name.
fn writes(name: &str) -> [(String, Value); 3] {
    [
        ("session.header".to_owned(), with("session.header", json!(name))),
        ("upstream.payload_header".to_owned(), with("upstream.payload_header", json!(name))),
        (
            format!("upstream.claim_headers.{}", name.escape_debug()),
            with("upstream.claim_headers", json!({name: "sub"})),
        ),
    ]
}

#[test]
fn headers_that_mean_something_else_are_not_written() {
    for name in [
        ":path",
        ":authority",
        "host",
        "Host",
        "content-type",
        "Content-Length",
        "content-anything",
        "content_type",
        "Content.Type",
        "content!md5",
        "x.forwarded_for",
        "X!Request~Id",
        "x.mdrm.would.deny",
        "transfer_encoding",
        "transfer-encoding",
        "connection",
        "te",
        "upgrade",
        "x-forwarded-for",
        "X-Forwarded-Client-Cert",
        "x_forwarded_for",
        "x-envoy-original-path",
        "x-request-id",
        "x-mdrm-would-deny",
        "a b",
        "a:",
        "a\nb",
        "ä",
        "",
    ] {
        for (path, configuration) in writes(name) {
            let line = refuses(&path, &configuration);
            assert!(line.contains("found") && line.contains("allowed"), "{line}");
        }
    }
    for name in ["x-payload", "X-Mdrm-Sub", "x-mdrm-session-2", "cookie", "x_user", "contents", "te-st", "x-forwarded"]
    {
        for (_, configuration) in writes(name) {
            accepted(&configuration);
        }
    }
}

#[test]
fn the_session_token_alone_may_take_the_place_of_the_clients() {
    let [session_header, payload, claim] = writes("Authorization");
    assert_eq!(&*accepted(&session_header.1).session.unwrap().header, "authorization");
    for (path, configuration) in [payload, claim] {
        refuses(&path, &configuration);
    }
    let mut both = session_header.1;
    both["upstream"] = json!({"forward_token": true});
    refuses("session.header", &both);
}

#[test]
fn each_header_is_written_once() {
    let mut configuration = with("session", session());
    configuration["upstream"] =
        json!({"payload_header": "x-payload", "claim_headers": {"x-sub": "sub", "x-sub-2": "sub"}});
    let config = accepted(&configuration);
    let headers: Vec<(&str, &str)> =
        config.upstream.claim_headers.iter().map(|header| (&*header.header, &*header.claim)).collect();
    assert_eq!(headers, [("x-sub", "sub"), ("x-sub-2", "sub")]);
    for (path, upstream) in [
        ("upstream.payload_header", json!({"payload_header": "X-Mdrm-Session"})),
        (
            "upstream.claim_headers.x_payload",
            json!({"payload_header": "x-payload", "claim_headers": {"x_payload": "sub"}}),
        ),
        (
            "upstream.claim_headers.x!payload",
            json!({"payload_header": "x-payload", "claim_headers": {"x!payload": "sub"}}),
        ),
        ("upstream.claim_headers.x_a", json!({"claim_headers": {"x_a": "sub", "X.A": "jti"}})),
        ("upstream.claim_headers.x-a", json!({"claim_headers": {"x-a": "sub", "X-A": "jti"}})),
        ("upstream.claim_headers.x-mdrm-session", json!({"claim_headers": {"x-mdrm-session": "sub"}})),
    ] {
        configuration["upstream"] = upstream;
        let line = refuses(path, &configuration);
        assert!(line.contains("each header once"), "{line}");
    }
}
