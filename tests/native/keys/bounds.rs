//! How much is held, and who makes room for whom.

use mdrm_authz::keys::WaiterId;
use serde_json::json;

use super::stage::{CROWDED, DELETED, Reply, Seen, Stage, UNKNOWN, document, key, key_of, unavailable};
use crate::support::signer::Document;

#[test]
fn the_key_that_was_not_used_for_longest_makes_room() {
    let mut stage = Stage::one_key(&json!({"max_entries": 2}));
    assert_eq!(stage.fetch("a", &key("a", "o")), key_of("o"));
    assert_eq!(stage.fetch("b", &key("b", "o")), key_of("o"));
    assert_eq!(stage.ask("a", 1), key_of("o"));
    assert_eq!(stage.fetch("c", &key("c", "o")), key_of("o"));
    assert_eq!((stage.ask("a", 1), stage.ask("c", 1)), (key_of("o"), key_of("o")));
    assert!(stage.would_fetch("b"));
}

#[test]
fn a_disabled_key_is_held_like_an_enabled_one() {
    let mut stage = Stage::one_key(&json!({"max_entries": 1}));
    let disabled = Reply::json(&document("a", "o").with("status", json!("disabled")));
    stage.fetch("a", &disabled);
    assert_eq!(stage.fetch("b", &key("b", "o")), key_of("o"));
    assert!(stage.would_fetch("a"), "it made room");
}

#[test]
fn one_entry_is_enough_to_serve() {
    let mut stage = Stage::one_key(&json!({"max_entries": 1}));
    for round in 0..3 {
        for kid in ["a", "b"] {
            assert_eq!(stage.fetch(kid, &key(kid, "o")), key_of("o"), "round {round}");
            assert_eq!(stage.ask(kid, 1), key_of("o"));
        }
        assert_eq!(stage.fetch("nobody", &Reply::status(404)), UNKNOWN);
        assert_eq!(stage.fetch("late", &Reply::silence()), unavailable(1));
        assert_eq!(stage.ask("b", 1), key_of("o"), "unknown names take no room of keys");
        stage.pass(30);
    }
}

#[test]
fn waiters_for_a_key_that_makes_room_at_once_are_not_lost() {
    let mut stage = Stage::one_key(&json!({"max_entries": 1}));
    assert_eq!((stage.ask("a", 1), stage.ask("b", 2)), (Seen::Wait, Seen::Wait));
    let sent = stage.sent();
    assert_eq!(stage.answer(sent[0].id, &key("a", "o")), [1]);
    assert_eq!(stage.answer(sent[1].id, &key("b", "o")), [2]);
    assert_eq!(stage.ask("b", 2), key_of("o"));
    assert_eq!(stage.ask("a", 1), Seen::Wait, "who was too slow waits again");
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &key("a", "o")), [1]);
    assert_eq!(stage.ask("a", 1), key_of("o"));
}

#[test]
fn remembered_names_without_a_key_are_bounded_too() {
    let mut stage = Stage::one_key(&json!({"max_entries": 2}));
    assert_eq!(stage.fetch("a", &Reply::status(404)), UNKNOWN);
    assert_eq!(stage.fetch("b", &Reply::status(410)), DELETED);
    assert_eq!(stage.ask("a", 1), UNKNOWN);
    assert_eq!(stage.fetch("c", &Reply::silence()), unavailable(1));
    assert_eq!((stage.ask("a", 1), stage.ask("c", 1)), (UNKNOWN, unavailable(1)));
    assert!(stage.would_fetch("b"));
}

#[test]
fn attack_27_a_flood_of_unknown_kids_never_pushes_out_a_known_key() {
    for (flood, seen) in [
        (Reply::status(404), UNKNOWN),
        (Reply::status(410), DELETED),
        (Reply::silence(), unavailable(1)),
        (Reply::json(&json!({"status": "deleted"})), DELETED),
    ] {
        let mut stage = Stage::one_key(&json!({"max_entries": 3}));
        for kid in ["a", "b", "c"] {
            assert_eq!(stage.fetch(kid, &key(kid, "o")), key_of("o"));
        }
        for random in 0..2_000 {
            assert_eq!(stage.fetch(&format!("random-{random}"), &flood), seen);
            stage.pass_millis(20);
        }
        for kid in ["a", "b", "c"] {
            assert_eq!(stage.ask(kid, 1), key_of("o"));
        }
        assert!(stage.sent().is_empty());
    }
}

#[test]
fn attack_27_a_flood_of_unknown_kids_asks_no_more_than_may_wait() {
    let mut stage = Stage::one_key(&json!({"max_waiting": 10}));
    let seen: Vec<Seen> = (0..1_000).map(|n| stage.ask(&format!("random-{n}"), n)).collect();
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::Wait).count(), 10);
    assert!(seen.iter().skip(10).all(|seen| *seen == CROWDED), "never refused as unknown because of a limit");
    assert_eq!(stage.sent().len(), 10);
}

#[test]
fn attack_27_a_flood_of_unknown_kids_refetches_a_set_once() {
    let mut stage = Stage::set(&json!({}));
    assert_eq!(stage.fetch("k", &Reply::set(&[document("k", "o")])), key_of("o"));
    let mut asked = 0;
    for second in 0..90 {
        for n in 0..10 {
            let waiter = second * 10 + n;
            stage.ask(&format!("random-{waiter}"), waiter);
            stage.resolver.forget(WaiterId(waiter));
        }
        for request in stage.sent() {
            asked += 1;
            stage.answer(request.id, &Reply::set(&[document("k", "o")]));
        }
        assert_eq!(stage.ask("k", 7), key_of("o"));
        stage.pass(1);
    }
    assert_eq!(asked, 2, "after 30 and 60 s");
}
