//! Requests that wait: they share what they wait for, are named once, and may go away.

use mdrm_authz::keys::WaiterId;
use mdrm_authz::keys::answer::{MAX_DOCUMENT_BYTES, MAX_SET_BYTES};
use serde_json::json;

use super::stage::{CROWDED, DELETED, Reply, Seen, Stage, UNKNOWN, document, key, key_of, unavailable};

#[test]
fn several_waiters_share_one_request() {
    let mut stage = Stage::one_key(&json!({}));
    for waiter in 1..=5 {
        assert_eq!(stage.ask("k", waiter), Seen::Wait);
    }
    assert_eq!(stage.resolver.waiting(), 5);
    let id = stage.only_request();
    assert_eq!(stage.ask("k", 6), Seen::Wait);
    assert!(stage.sent().is_empty(), "one request about a key is under way");
    assert_eq!(stage.answer(id, &key("k", "owner")), [1, 2, 3, 4, 5, 6]);
    assert_eq!(stage.resolver.waiting(), 0);
    for waiter in 1..=6 {
        assert_eq!(stage.ask("k", waiter), key_of("owner"));
    }
    assert!(stage.sent().is_empty());
}

#[test]
fn different_kids_are_asked_for_separately() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.ask("a", 1), Seen::Wait);
    assert_eq!(stage.ask("b/c", 2), Seen::Wait);
    let sent = stage.sent();
    let paths: Vec<&str> = sent.iter().map(|request| &*request.path).collect();
    assert_eq!(paths, ["/keys/a", "/keys/b%2Fc"]);
    assert!(sent.iter().all(|request| request.max_body_bytes == MAX_DOCUMENT_BYTES));
    assert_eq!(stage.answer(sent[1].id, &key("b/c", "owner")), [2]);
    assert_eq!(stage.resolver.waiting(), 1);
    assert_eq!(stage.ask("b/c", 2), key_of("owner"));
    assert_eq!(stage.answer(sent[0].id, &Reply::status(404)), [1]);
    assert_eq!(stage.ask("a", 1), UNKNOWN);
}

#[test]
fn all_kids_of_a_set_share_one_request() {
    let mut stage = Stage::set(&json!({}));
    assert_eq!(stage.ask("a", 1), Seen::Wait);
    assert_eq!(stage.ask("b", 2), Seen::Wait);
    let sent = stage.sent();
    assert_eq!((sent.len(), &*sent[0].path, sent[0].max_body_bytes), (1, "/jwks.json", MAX_SET_BYTES));
    assert_eq!(stage.answer(sent[0].id, &Reply::set(&[document("a", "owner")])), [1, 2]);
    assert_eq!((stage.ask("a", 1), stage.ask("b", 2)), (key_of("owner"), UNKNOWN));
}

#[test]
fn a_waiter_that_went_away_is_not_named() {
    let mut stage = Stage::one_key(&json!({}));
    for waiter in 1..=4 {
        assert_eq!(stage.ask("k", waiter), Seen::Wait);
    }
    stage.resolver.forget(WaiterId(2));
    stage.resolver.forget(WaiterId(3));
    stage.resolver.forget(WaiterId(3));
    stage.resolver.forget(WaiterId(99));
    assert_eq!(stage.resolver.waiting(), 2);
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &key("k", "owner")), [1, 4]);
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_is_remembered() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    let id = stage.only_request();
    stage.resolver.forget(WaiterId(1));
    assert_eq!(stage.answer(id, &key("k", "owner")), [0_u32; 0]);
    assert_eq!(stage.ask("k", 2), key_of("owner"));
}

#[test]
fn who_comes_after_all_others_went_away_waits_for_the_same_answer() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    let id = stage.only_request();
    stage.resolver.forget(WaiterId(1));
    assert_eq!(stage.ask("k", 2), Seen::Wait);
    assert!(stage.sent().is_empty());
    assert_eq!(stage.answer(id, &key("k", "owner")), [2]);
}

#[test]
fn a_failure_names_all_who_waited() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!((stage.ask("k", 1), stage.ask("k", 2)), (Seen::Wait, Seen::Wait));
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &Reply::silence()), [1, 2]);
    assert_eq!((stage.ask("k", 1), stage.ask("k", 2)), (unavailable(1), unavailable(1)));
}

#[test]
fn so_many_may_wait_as_configured() {
    let mut stage = Stage::one_key(&json!({"max_waiting": 2}));
    assert_eq!((stage.ask("a", 1), stage.ask("b", 2)), (Seen::Wait, Seen::Wait));
    assert_eq!((stage.ask("a", 3), stage.ask("c", 3)), (CROWDED, CROWDED));
    assert_eq!(stage.resolver.waiting(), 2);
    let sent = stage.sent();
    assert_eq!(sent.len(), 2, "nothing is asked for those who may not wait");

    stage.resolver.forget(WaiterId(1));
    assert_eq!(stage.ask("c", 3), Seen::Wait, "who goes away makes room");
    assert_eq!(stage.answer(sent[1].id, &key("b", "owner")), [2]);
    assert_eq!(stage.ask("d", 4), Seen::Wait, "an answer makes room");
    assert_eq!(stage.ask("e", 5), CROWDED);
    assert_eq!(stage.ask("b", 6), key_of("owner"), "a key that is held serves whoever waits");
}

#[test]
fn with_no_room_to_wait_a_missing_key_is_500_and_there_for_who_comes_later() {
    for (mut stage, reply) in [
        (Stage::one_key(&json!({"max_waiting": 0})), key("a", "owner")),
        (Stage::set(&json!({"max_waiting": 0})), Reply::set(&[document("a", "owner")])),
    ] {
        assert_eq!(stage.ask("a", 1), CROWDED);
        assert_eq!(stage.resolver.waiting(), 0);
        let id = stage.only_request();
        assert_eq!(stage.answer(id, &reply), [0_u32; 0]);
        assert_eq!(stage.ask("a", 1), key_of("owner"));
    }
}

#[test]
fn waiters_for_a_set_count_as_well() {
    let mut stage = Stage::set(&json!({"max_waiting": 2}));
    assert_eq!((stage.ask("a", 1), stage.ask("b", 2), stage.ask("c", 3)), (Seen::Wait, Seen::Wait, CROWDED));
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &Reply::set(&[])), [1, 2]);
    assert_eq!(stage.ask("c", 3), UNKNOWN);
}

#[test]
fn a_repeated_answer_changes_nothing() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &key("k", "first")), [1]);
    for reply in [Reply::status(404), Reply::status(410), Reply::silence(), key("k", "second")] {
        assert_eq!(stage.answer(id, &reply), [0_u32; 0]);
        assert_eq!(stage.ask("k", 2), key_of("first"));
    }
    stage.pass(600);
    assert!(stage.would_fetch("k"), "nor does it make the key fresh again");
}

#[test]
fn an_answer_to_nothing_that_was_asked_changes_nothing() {
    let mut elsewhere = Stage::one_key(&json!({}));
    for waiter in 0..3 {
        elsewhere.ask(&format!("k{waiter}"), waiter);
    }
    let foreign = elsewhere.sent()[2].id;

    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    assert_eq!(stage.answer(foreign, &key("k", "stranger")), [0_u32; 0]);
    assert_eq!((stage.ask("k", 2), stage.resolver.waiting()), (Seen::Wait, 2));
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &key("k", "owner")), [1, 2]);
}

#[test]
fn attack_51_an_older_answer_after_a_newer_one_is_ignored() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    let older = stage.only_request();
    assert_eq!(stage.answer(older, &Reply::silence()), [1], "the host gave it up");
    stage.pass(1);
    assert_eq!(stage.fetch("k", &Reply::status(410)), DELETED);
    assert_eq!(stage.answer(older, &key("k", "owner")), [0_u32; 0]);
    assert_eq!(stage.ask("k", 1), DELETED);
}
