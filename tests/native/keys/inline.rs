//! Keys in the configuration.

use serde_json::{Value, json};

use super::stage::{DELETED, DISABLED, EXPIRED, Reply, START, Stage, UNKNOWN, document, key, key_of};
use crate::support::signer::{Alg, Document};
use crate::support::table::keyring::keyring;

fn inline(documents: &[Value]) -> Value {
    json!({"inline": {"keys": documents}})
}

#[test]
fn an_inline_key_serves_without_a_request() {
    let mut stage = Stage::new(inline(&[document("k", "house")]), &json!({"max_waiting": 0}));
    assert!(stage.resolver.source().is_none());
    for _ in 0..3 {
        assert_eq!(stage.ask("k", 1), key_of("house"));
        assert_eq!(stage.ask("another", 1), UNKNOWN, "there is nobody to ask");
        stage.pass(1_000_000);
    }
    assert!(stage.sent().is_empty());
}

#[test]
fn an_inline_key_shadows_the_service() {
    let inline = inline(&[document("k", "house")]);
    let mut stage = Stage::one_key(&inline);
    assert_eq!(stage.ask("k", 1), key_of("house"));
    assert!(stage.sent().is_empty());
    assert_eq!(stage.fetch("another", &key("another", "o")), key_of("o"));

    let mut stage = Stage::set(&inline);
    let deleted = document("k", "o").with("status", json!("deleted"));
    assert_eq!(stage.fetch("another", &Reply::set(&[deleted, document("another", "o")])), key_of("o"));
    assert_eq!(stage.ask("k", 1), key_of("house"));
    stage.pass(10_000);
    assert_eq!(stage.ask("k", 1), key_of("house"));
    assert!(stage.sent().is_empty());
}

#[test]
fn inline_keys_have_states_and_an_end() {
    let mut stage = Stage::one_key(&inline(&[
        document("disabled", "o").with("status", json!("disabled")),
        document("deleted", "o").with("status", json!("deleted")),
        document("ends", "o").with("exp", json!(START + 1)),
    ]));
    assert_eq!((stage.ask("disabled", 1), stage.ask("deleted", 1)), (DISABLED, DELETED));
    assert_eq!(stage.ask("ends", 1), key_of("o"));
    stage.pass(2);
    assert_eq!(stage.ask("ends", 1), EXPIRED);
    assert!(stage.sent().is_empty());
}

#[test]
fn inline_keys_may_be_secrets_and_get_owner_and_purposes_from_the_configuration() {
    let secret = keyring().of_alg(Alg::HS256).under_kid("secret").jwk().without("iss").without("aud");
    let mut stage = Stage::one_key(&inline(&[secret]).with("issuer", json!("house")));
    assert_eq!(stage.ask("secret", 1), key_of("house"));
}

#[test]
fn inline_keys_take_no_room() {
    let keys: Vec<Value> = (0..20).map(|n| document(&format!("k{n}"), "house")).collect();
    let mut stage = Stage::one_key(&inline(&keys).with("max_entries", json!(1)));
    assert_eq!(stage.fetch("another", &key("another", "o")), key_of("o"));
    for n in 0..20 {
        assert_eq!(stage.ask(&format!("k{n}"), 1), key_of("house"));
    }
    assert_eq!(stage.ask("another", 1), key_of("o"));
}
