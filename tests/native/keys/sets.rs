//! JWK Set mode: one answer says everything about every key.

use serde_json::{Value, json};

use super::stage::{DELETED, DISABLED, EXPIRED, Reply, Seen, Stage, UNKNOWN, document, key_of, unavailable};
use crate::support::signer::{Alg, Document};
use crate::support::table::keyring::keyring;

fn set_of(kids: &[&str]) -> Reply {
    Reply::set(&kids.iter().map(|kid| document(kid, "o")).collect::<Vec<_>>())
}

/// A stage that holds the keys `a` and `b` from now on, for an hour.
fn with_a_and_b(members: &Value) -> Stage {
    let mut stage = Stage::set(members);
    assert_eq!(stage.fetch("a", &set_of(&["a", "b"]).cache("max-age=3600")), key_of("o"));
    assert_eq!(stage.ask("b", 1), key_of("o"));
    stage
}

#[test]
fn an_unknown_kid_refetches_the_set_at_most_each_refetch_interval() {
    let mut stage = with_a_and_b(&json!({"refetch_interval": "20s"}));
    stage.pass_millis(19_999);
    assert_eq!((stage.ask("c", 1), stage.ask("d", 2)), (UNKNOWN, UNKNOWN));
    assert!(stage.sent().is_empty());
    stage.pass_millis(1);
    assert_eq!((stage.ask("c", 1), stage.ask("d", 2)), (Seen::Wait, Seen::Wait));
    assert_eq!(stage.ask("a", 3), key_of("o"), "a known key does not wait");
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &set_of(&["a", "b", "c"]).cache("max-age=3600")), [1, 2]);
    assert_eq!((stage.ask("c", 1), stage.ask("d", 2)), (key_of("o"), UNKNOWN));
    stage.pass_millis(19_999);
    assert_eq!(stage.ask("d", 2), UNKNOWN);
    stage.pass_millis(1);
    assert_eq!(stage.ask("d", 2), Seen::Wait);
}

#[test]
fn a_newly_fetched_set_clears_remembered_unknown_kids() {
    let mut stage = Stage::set(&json!({"refetch_interval": "1h"}));
    assert_eq!(stage.fetch("new", &set_of(&["a"]).cache("max-age=5")), UNKNOWN);
    assert_eq!(stage.ask("newer", 1), UNKNOWN);
    stage.pass(5);
    assert_eq!(stage.fetch("a", &set_of(&["a", "new", "newer"])), key_of("o"));
    assert_eq!((stage.ask("new", 1), stage.ask("newer", 1)), (key_of("o"), key_of("o")));
}

#[test]
fn a_failed_refetch_leaves_the_fresh_keys_and_backs_off() {
    let mut stage = with_a_and_b(&json!({}));
    stage.pass(30);
    assert_eq!(stage.fetch("c", &Reply::silence()), UNKNOWN, "the last set that came still counts");
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        stage.pass_millis(pause * 1000 - 1);
        assert_eq!((stage.ask("a", 1), stage.ask("c", 2)), (key_of("o"), UNKNOWN));
        assert!(stage.sent().is_empty(), "nothing is asked within {pause} s");
        stage.pass_millis(1);
        assert_eq!(stage.ask("a", 1), key_of("o"));
        assert_eq!(stage.fetch("c", &Reply::status(503)), UNKNOWN);
    }
    stage.pass(30);
    assert_eq!(stage.fetch("c", &set_of(&["a", "c"])), key_of("o"));
    assert_eq!(stage.ask("b", 1), UNKNOWN, "the set that came is the whole truth");
}

#[test]
fn an_empty_set_says_that_all_keys_are_gone() {
    let mut stage = Stage::set(&json!({}));
    assert_eq!(stage.fetch("a", &set_of(&["a"]).cache("max-age=5")), key_of("o"));
    stage.pass(5);
    assert_eq!(stage.fetch("a", &Reply::set(&[])), UNKNOWN);
    stage.pass(30);
    assert_eq!(stage.fetch("a", &Reply::silence()), UNKNOWN, "and it is held like any other");
}

#[test]
fn attack_46_a_set_without_a_usable_key_is_a_failure_and_the_back_off_runs() {
    let failures = [
        json!({}),
        json!({"keys": null}),
        json!({"keys": {}}),
        json!({"keys": "a"}),
        json!({"keys": [{}]}),
        json!({"keys": [null, 7, "a"]}),
        json!({"keys": [document("a", "o").without("kid")]}),
        json!({"keys": [document("a", "o").with("d", json!("AQAB"))]}),
        json!([]),
        json!([document("a", "o")]),
    ];
    let mut empty = Stage::set(&json!({}));
    let mut held = Stage::set(&json!({}));
    assert_eq!(held.fetch("a", &set_of(&["a"]).cache("max-age=5")), key_of("o"));
    held.pass(5);
    assert_eq!(held.fetch("a", &Reply::silence()), key_of("o"));
    held.pass(1);
    for (at, failure) in failures.iter().enumerate() {
        let pause = [1, 2, 4, 8, 16].get(at).copied().unwrap_or(30);
        assert_eq!(empty.fetch("a", &Reply::json(failure)), unavailable(pause), "{failure}");
        empty.pass(pause.into());

        assert_eq!(held.ask("a", 1), key_of("o"));
        let id = held.only_request();
        assert_eq!(held.answer(id, &Reply::json(failure)), [0_u32; 0]);
        assert_eq!(held.ask("a", 1), key_of("o"), "{failure}");
        assert!(held.sent().is_empty());
        held.pass(30);
    }
}

#[test]
fn a_status_other_than_200_says_nothing_about_a_set() {
    let mut stage = with_a_and_b(&json!({}));
    for status in [404, 410, 304, 204, 302, 500, 503] {
        stage.pass(30);
        assert_eq!(stage.fetch("c", &Reply::status(status)), UNKNOWN);
        assert_eq!(stage.ask("a", 1), key_of("o"), "{status}");
    }
    let mut stage = Stage::set(&json!({}));
    assert_eq!(stage.fetch("a", &Reply::status(404)), unavailable(1));
    stage.pass(1);
    assert_eq!(stage.fetch("a", &Reply::status(410)), unavailable(2));
}

#[test]
fn more_keys_than_may_be_held_are_a_failure() {
    let mut stage = Stage::set(&json!({"max_entries": 2}));
    assert_eq!(stage.fetch("a", &set_of(&["a", "b", "c"])), unavailable(1));
    stage.pass(1);
    assert_eq!(stage.fetch("a", &set_of(&["a", "b"])), key_of("o"));
    assert_eq!(stage.ask("b", 1), key_of("o"));
}

#[test]
fn attack_47_one_bad_key_among_good_ones_harms_no_other() {
    let bad = [
        json!(null),
        json!("key"),
        json!({}),
        json!({"kid": "bad"}),
        document("bad", "o").with("kty", json!("X")),
        document("bad", "o").with("status", json!(null)),
        document("bad", "o").with("x", json!("AA")),
        document("bad", "o").without("iss"),
        document("bad", "o").with("kid", json!(7)),
        document("bad", "o").with("kid", json!("..")),
    ];
    for bad in &bad {
        let mut stage = Stage::set(&json!({}));
        let set = Reply::set(&[document("a", "o"), bad.clone(), document("b", "o")]);
        assert_eq!(stage.fetch("a", &set), key_of("o"), "{bad}");
        assert_eq!((stage.ask("b", 1), stage.ask("bad", 1)), (key_of("o"), UNKNOWN), "{bad}");
    }
}

#[test]
fn attack_48_a_repeated_kid_drops_both() {
    let twice = document("twice", "o");
    for (first, second) in [
        (twice.clone(), twice.clone()),
        (twice.clone(), document("twice", "another")),
        (twice.clone(), twice.clone().with("status", json!("disabled"))),
        (twice.clone().with("status", json!("deleted")), twice.clone()),
        (twice.clone().with("x", json!("AA")), twice.clone()),
        (twice.clone(), twice.clone().without("iss")),
    ] {
        let mut stage = Stage::set(&json!({}));
        let set = Reply::set(&[first.clone(), document("a", "o"), second.clone()]);
        assert_eq!(stage.fetch("a", &set), key_of("o"));
        assert_eq!(stage.ask("twice", 1), UNKNOWN, "{first} {second}");
        let mut alone = Stage::set(&json!({}));
        assert_eq!(alone.fetch("twice", &Reply::set(&[first, second])), unavailable(1), "nothing is left");
    }
}

#[test]
fn states_count_in_a_set_as_they_do_alone() {
    let mut stage = Stage::set(&json!({}));
    let set = Reply::set(&[
        document("disabled", "o").with("status", json!("disabled")),
        json!({"kid": "deleted", "status": "deleted"}),
        document("expired", "o").with("exp", json!(stage.now.unix - 1)),
    ]);
    assert_eq!(stage.fetch("disabled", &set), DISABLED);
    assert_eq!(stage.ask("deleted", 1), DELETED);
    assert_eq!(stage.ask("expired", 1), EXPIRED);
}

#[test]
fn shared_secrets_are_not_taken_from_a_fetched_set() {
    let mut stage = Stage::set(&json!({}));
    let secret = keyring().of_alg(Alg::HS256).under_kid("secret").jwk();
    assert_eq!(stage.fetch("secret", &Reply::set(&[document("a", "o"), secret.clone()])), UNKNOWN);
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("secret", &Reply::json(&secret)), key_of("company1"));
}

#[test]
fn keys_of_a_set_get_owner_and_purposes_from_the_configuration_and_one_key_answers_do_not() {
    let members = json!({"issuer": "house", "audiences": ["urn:x"]});
    let bare = document("bare", "o").without("iss").without("aud");
    let mut stage = Stage::set(&members);
    assert_eq!(stage.fetch("bare", &Reply::set(&[bare.clone(), document("own", "guest")])), key_of("house"));
    assert_eq!(stage.ask("own", 1), key_of("guest"));
    let mut stage = Stage::one_key(&members);
    assert_eq!(stage.fetch("bare", &Reply::json(&bare)), super::stage::UNUSABLE);
}
