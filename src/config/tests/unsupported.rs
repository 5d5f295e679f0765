//! What is described and not built yet: refused by name, while its default is accepted.

use serde_json::{Value, json};

use super::{accepted, refuses, with, with_routes};

fn session() -> Value {
    json!({"keys": {"cluster": "session-keys"}, "issuer": "me", "audience": "license-server"})
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let route = json!({"path": "/a", "service": "license"});
    let signed = json!({"path": "/b", "service": "signed_cpix"});
    for (path, configuration) in [
        ("session", with("session", session())),
        ("trust_tunnel.mode", with("trust_tunnel.mode", json!("off"))),
        ("trust_tunnel.mode", with("trust_tunnel.mode", json!("enforcing"))),
        ("trust_tunnel.keys", with("trust_tunnel.keys", json!({"cluster": "master-keys"}))),
        ("services.cpix.bind_content", with("services.cpix.bind_content", json!(true))),
        ("routes[0].service", with_routes(json!([signed]))),
        ("routes[1].service", with_routes(json!([route, signed, signed]))),
        ("report_only", with("report_only", json!(true))),
        ("upstream.payload_header", with("upstream.payload_header", json!("x-payload"))),
        ("upstream.claim_headers", with("upstream.claim_headers", json!({"x-sub": "sub"}))),
    ] {
        assert_eq!(refuses(path, &configuration), format!("configuration refused: {path}: not supported yet"));
    }
}

#[test]
fn the_defaults_of_what_is_not_built_yet_are_accepted() {
    for (path, value) in [
        ("session", json!(null)),
        ("trust_tunnel", json!({})),
        ("trust_tunnel", json!({"mode": "permissive"})),
        ("trust_tunnel", json!({"mode": null, "keys": null})),
        ("services.cpix.bind_content", json!(false)),
        ("services.cpix.bind_content", json!(null)),
        ("report_only", json!(false)),
        ("report_only", json!(null)),
        ("upstream.payload_header", json!(null)),
        ("upstream.claim_headers", json!({})),
        ("services.signed_cpix", json!({})),
        ("services.signed_cpix.audiences", json!(["urn:x"])),
    ] {
        accepted(&with(path, value));
    }
}

#[test]
fn a_misspelt_member_of_what_is_not_built_yet_is_refused_as_such() {
    let mut misspelt = session();
    misspelt["lifetim"] = json!("60s");
    refuses("session.lifetim", &with("session", misspelt));
    for missing in ["keys", "issuer", "audience"] {
        let mut session = session();
        session.as_object_mut().unwrap().remove(missing);
        let line = refuses("session", &with("session", session));
        assert!(line.contains(missing), "{line}");
    }
    refuses("trust_tunnel.keys", &with("trust_tunnel.keys", json!({})));
}
