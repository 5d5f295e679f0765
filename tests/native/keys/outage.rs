//! The key service fails: what is held serves on for a while, and the service is left alone more and more.

use serde_json::{Value, json};

use super::stage::{
    DELETED, DISABLED, EXPIRED, Reply, Seen, Stage, UNKNOWN, UNUSABLE, document, key, key_of, unavailable,
};
use crate::support::signer::Document;

/// The seconds after the first, second, … failure in which the key service is left alone.
const PAUSES: [u32; 8] = [1, 2, 4, 8, 16, 30, 30, 30];

#[test]
fn with_nothing_held_the_service_is_left_alone_longer_and_longer() {
    let set = Reply::set(&[document("k", "o")]);
    for (mut stage, good) in [(Stage::one_key(&json!({})), key("k", "o")), (Stage::set(&json!({})), set)] {
        for pause in PAUSES {
            assert_eq!(stage.fetch("k", &Reply::silence()), unavailable(pause));
            for second in 0..pause {
                assert_eq!(stage.ask("k", 1), unavailable(pause - second));
                stage.pass_millis(1);
                assert_eq!(stage.ask("k", 1), unavailable(pause - second), "whole seconds, rounded up");
                stage.pass_millis(999);
            }
            assert!(stage.sent().is_empty(), "nothing is asked within {pause} s");
        }
        assert_eq!(stage.fetch("k", &good), key_of("o"));
    }
}

#[test]
fn the_pause_ends_on_the_millisecond() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("k", &Reply::silence()), unavailable(1));
    stage.pass_millis(999);
    assert_eq!(stage.ask("k", 1), unavailable(1));
    stage.pass_millis(1);
    assert_eq!(stage.ask("k", 1), Seen::Wait);
}

#[test]
fn an_answer_ends_the_pauses() {
    let mut stage = Stage::one_key(&json!({"max_age": "5s", "stale_if_error": "0s"}));
    for pause in [1, 2, 4] {
        assert_eq!(stage.fetch("k", &Reply::status(503)), unavailable(pause));
        stage.pass(pause.into());
    }
    assert_eq!(stage.fetch("k", &key("k", "o")), key_of("o"));
    stage.pass(5);
    assert_eq!(stage.fetch("k", &Reply::status(503)), unavailable(1));
}

#[test]
fn a_failure_about_one_key_says_nothing_about_another() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("a", &Reply::silence()), unavailable(1));
    assert_eq!(stage.fetch("b", &key("b", "o")), key_of("o"));
    assert_eq!(stage.ask("a", 1), unavailable(1));
}

/// A stage whose key `k` was fresh for 10 s, with this answer, and the service just failed for the first time since.
fn stale(mut stage: Stage, reply: &Reply, seen: &Seen) -> Stage {
    assert_eq!(stage.fetch("k", &reply.clone().cache("max-age=10")), *seen);
    stage.pass(10);
    assert_eq!(stage.fetch("k", &Reply::silence()), *seen, "what is held serves once the service has failed");
    stage
}

#[test]
fn past_freshness_a_request_waits_until_the_service_has_failed() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("k", &key("k", "o").cache("max-age=10")), key_of("o"));
    stage.pass(10);
    assert_eq!((stage.ask("k", 1), stage.ask("k", 2)), (Seen::Wait, Seen::Wait));
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &Reply::status(500)), [1, 2]);
    assert_eq!((stage.ask("k", 1), stage.ask("k", 2)), (key_of("o"), key_of("o")));
    assert!(stage.sent().is_empty());
}

#[test]
fn what_is_held_serves_for_stale_if_error_and_no_longer() {
    let members = json!({"stale_if_error": "100s"});
    let set = Reply::set(&[document("k", "o")]);
    for (stage, reply) in [(Stage::one_key(&members), key("k", "o")), (Stage::set(&members), set)] {
        let mut stage = stale(stage, &reply, &key_of("o"));
        let mut retries = Vec::new();
        for millis in 1..=100_000 {
            stage.pass_millis(1);
            let seen = stage.ask("k", 1);
            if millis == 100_000 {
                assert!(matches!(seen, Seen::Refused(_)), "served past its time: {seen:?}");
                break;
            }
            assert_eq!(seen, key_of("o"), "after {millis} ms");
            for request in stage.sent() {
                retries.push(millis);
                assert_eq!(stage.ask("k", 2), key_of("o"), "who comes during a retry is served");
                assert!(stage.sent().is_empty(), "one retry at a time");
                assert_eq!(stage.answer(request.id, &Reply::silence()), [0_u32; 0], "nobody waits for a retry");
            }
        }
        assert_eq!(retries, [1_000, 3_000, 7_000, 15_000, 31_000, 61_000, 91_000]);
        assert_eq!(stage.ask("k", 1), unavailable(21), "the pause goes on");
        assert!(stage.sent().is_empty());
        stage.pass(21);
        assert_eq!(stage.ask("k", 1), Seen::Wait);
    }
}

#[test]
fn with_stale_if_error_0_nothing_is_served_past_freshness() {
    let members = json!({"stale_if_error": "0s"});
    let set = Reply::set(&[document("k", "o")]);
    for (mut stage, reply) in [(Stage::one_key(&members), key("k", "o")), (Stage::set(&members), set)] {
        assert_eq!(stage.fetch("k", &reply.cache("max-age=10")), key_of("o"));
        stage.pass(10);
        assert_eq!(stage.fetch("k", &Reply::silence()), unavailable(1));
    }
}

#[test]
fn a_stale_key_without_requests_is_not_retried() {
    let mut stage = stale(Stage::one_key(&json!({})), &key("k", "o"), &key_of("o"));
    stage.pass(100);
    assert!(stage.sent().is_empty());
    assert_eq!(stage.ask("k", 1), key_of("o"));
    assert_eq!(stage.sent().len(), 1);
}

#[test]
fn refusals_serve_stale_as_well() {
    let with_status = |status: &str| Reply::json(&document("k", "o").with("status", json!(status)));
    for (reply, seen) in [
        (Reply::status(404), UNKNOWN),
        (Reply::status(410), DELETED),
        (Reply::json(&json!({})), UNUSABLE),
        (with_status("disabled"), DISABLED),
        (with_status("deleted"), DELETED),
    ] {
        let members = json!({"negative_max_age": "10s", "stale_if_error": "60s"});
        let mut stage = stale(Stage::one_key(&members), &reply, &seen);
        stage.pass_millis(59_999);
        assert_eq!(stage.ask("k", 1), seen);
        stage.pass_millis(1);
        assert_ne!(stage.ask("k", 1), seen);
    }
}

#[test]
fn a_stale_set_refuses_the_kids_that_it_lacks() {
    let mut stage = stale(Stage::set(&json!({})), &Reply::set(&[document("k", "o")]), &key_of("o"));
    assert_eq!(stage.ask("nobody", 1), UNKNOWN);
    stage.pass(1);
    assert_eq!(stage.ask("nobody", 1), UNKNOWN);
    assert_eq!(stage.sent().len(), 1, "and the service is tried again");
}

#[test]
fn the_service_recovers_in_the_background() {
    let mut stage = stale(Stage::one_key(&json!({})), &key("k", "old"), &key_of("old"));
    stage.pass(1);
    assert_eq!(stage.ask("k", 1), key_of("old"));
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &key("k", "new").cache("max-age=10")), [0_u32; 0]);
    assert_eq!(stage.ask("k", 1), key_of("new"));
    stage.pass_millis(7_999);
    assert_eq!(stage.ask("k", 1), key_of("new"));
    assert!(stage.sent().is_empty(), "fresh again");
    stage.pass_millis(2_001);
    assert_eq!(stage.ask("k", 1), Seen::Wait, "and waits again past freshness");
}

#[test]
fn a_key_that_went_during_an_outage_is_refused_as_soon_as_the_service_says_so() {
    for (reply, seen) in [(Reply::status(404), UNKNOWN), (Reply::status(410), DELETED)] {
        let mut stage = stale(Stage::one_key(&json!({})), &key("k", "o"), &key_of("o"));
        stage.pass(1);
        assert_eq!(stage.ask("k", 1), key_of("o"));
        let id = stage.only_request();
        stage.answer(id, &reply);
        assert_eq!(stage.ask("k", 1), seen);
        stage.pass(30);
        assert_eq!(stage.fetch("k", &Reply::silence()), seen, "the old key never comes back");
    }
}

#[test]
fn a_key_expires_during_an_outage_too() {
    let expiring = |stage: &Stage| -> Value { document("k", "o").with("exp", json!(stage.now.unix + 15)) };
    let stage = Stage::one_key(&json!({}));
    let reply = Reply::json(&expiring(&stage));
    let mut stage = stale(stage, &reply, &key_of("o"));
    stage.pass(5);
    assert_eq!(stage.ask("k", 1), key_of("o"));
    stage.pass(1);
    assert_eq!(stage.ask("k", 1), EXPIRED);
}

#[test]
fn a_crowd_in_an_outage_does_not_wait() {
    let mut stage = Stage::one_key(&json!({"max_waiting": 1}));
    assert_eq!(stage.fetch("k", &Reply::silence()), unavailable(1));
    for waiter in 1..100 {
        assert_eq!(stage.ask("k", waiter), unavailable(1));
    }
    assert_eq!(stage.resolver.waiting(), 0);
}
