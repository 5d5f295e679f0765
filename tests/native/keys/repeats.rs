//! A request to the key service that ends before it is answered is sent again, once: the service may have closed a kept
//! connection.

use std::time::Duration;

use mdrm_authz::metrics::{Counter, Event};
use serde_json::json;

use super::stage::{Reply, Seen, Stage, key, key_of, unavailable};

fn early() -> [Reply; 2] {
    [Reply::silence(), Reply::status(503)]
}

#[test]
fn attack_78_a_request_that_ends_early_is_sent_again_at_once_and_no_waiter_is_lost() {
    for reply in early() {
        let mut stage = Stage::one_key(&json!({}));
        assert_eq!((stage.ask("k", 1), stage.ask("k", 2)), (Seen::Wait, Seen::Wait));
        let id = stage.only_request();
        assert_eq!(stage.answer_once(id, &reply), [0_u32; 0], "nobody is told yet");
        assert_eq!(stage.ask("k", 3), Seen::Wait, "nothing has failed");
        assert_eq!(stage.only_request(), id, "the same request, at once");
        assert_eq!(stage.answer_once(id, &key("k", "o")), [1, 2, 3]);
        assert_eq!(stage.ask("k", 1), key_of("o"));
        let counters = stage.resolver.counters();
        assert_eq!(
            (counters.get(Counter::Event(Event::FetchSuccess)), counters.get(Counter::Event(Event::FetchFailure))),
            (1, 0)
        );
    }
}

#[test]
fn attack_78_the_second_early_end_is_a_failure() {
    for (first, second) in early().into_iter().zip(early().into_iter().rev()) {
        let mut stage = Stage::one_key(&json!({}));
        assert_eq!(stage.ask("k", 1), Seen::Wait);
        let id = stage.only_request();
        stage.answer_once(id, &first);
        assert_eq!(stage.only_request(), id);
        assert_eq!(stage.answer_once(id, &second), [1]);
        assert_eq!(stage.ask("k", 1), unavailable(1));
        assert!(stage.sent().is_empty());
        assert_eq!(stage.resolver.counters().get(Counter::Event(Event::FetchFailure)), 1);
    }
}

#[test]
fn attack_78_the_second_request_gets_what_is_left_of_the_time_out() {
    let mut stage = Stage::one_key(&json!({"timeout": "2s"}));
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    let sent = stage.sent();
    assert_eq!(sent[0].timeout, Duration::from_secs(2));
    stage.pass_millis(1_600);
    stage.answer_once(sent[0].id, &Reply::silence());
    assert_eq!(stage.sent()[0].timeout, Duration::from_millis(400));
}

#[test]
fn attack_78_a_request_that_ends_when_its_time_is_over_is_a_failure_at_once() {
    for reply in early() {
        let mut stage = Stage::one_key(&json!({"timeout": "2s"}));
        assert_eq!(stage.ask("k", 1), Seen::Wait);
        let id = stage.only_request();
        stage.pass_millis(1_800);
        assert_eq!(stage.answer_once(id, &reply), [1]);
        assert_eq!(stage.ask("k", 1), unavailable(1));
    }
}

#[test]
fn attack_78_an_answer_that_came_is_never_asked_for_again() {
    for status in [500, 502, 504, 404, 410, 204, 301] {
        let mut stage = Stage::one_key(&json!({}));
        assert_eq!(stage.ask("k", 1), Seen::Wait);
        let id = stage.only_request();
        assert_eq!(stage.answer_once(id, &Reply::status(status)), [1], "{status}");
        assert!(stage.sent().is_empty(), "{status}");
    }
}

#[test]
fn attack_78_each_attempt_of_an_outage_may_be_repeated_once() {
    let mut stage = Stage::one_key(&json!({}));
    for pause in [1, 2] {
        assert_eq!(stage.ask("k", 1), Seen::Wait);
        let id = stage.only_request();
        stage.answer_once(id, &Reply::silence());
        assert_eq!(stage.only_request(), id);
        assert_eq!(stage.answer_once(id, &Reply::silence()), [1]);
        assert_eq!(stage.ask("k", 1), unavailable(pause));
        stage.pass(u64::from(pause));
    }
}
