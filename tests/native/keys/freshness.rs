//! How long an answer is believed, and what comes after it.

use std::time::Duration;

use serde_json::{Value, json};

use super::stage::{DELETED, DISABLED, EXPIRED, Reply, START, Seen, Stage, UNKNOWN, UNUSABLE, document, key, key_of};
use crate::support::signer::Document;

/// Seconds for which an answer is believed: up to the last millisecond of them, and no longer.
fn believed(members: &Value, reply: &Reply, seen: &Seen) -> u64 {
    let mut stage = Stage::one_key(members);
    assert_eq!(stage.fetch("k", reply), *seen);
    let mut asked_ahead = 0;
    for second in 1..100_000 {
        stage.pass_millis(999);
        assert_eq!(stage.ask("k", 1), *seen, "in second {second} of {reply:?}");
        stage.pass_millis(1);
        // In the last fifth, by whoever comes first; the answer never comes.
        asked_ahead += stage.sent().len();
        assert!(asked_ahead <= 1);
        if stage.ask("k", 1) == Seen::Wait {
            return second;
        }
    }
    panic!("{reply:?} is believed for ever")
}

#[test]
fn a_key_is_held_for_max_age_when_the_answer_says_nothing() {
    assert_eq!(believed(&json!({}), &key("k", "o"), &key_of("o")), 600);
    assert_eq!(believed(&json!({"max_age": "7s"}), &key("k", "o"), &key_of("o")), 7);
    assert_eq!(believed(&json!({"max_age": "1s"}), &key("k", "o").cache("private"), &key_of("o")), 1);
}

#[test]
fn a_key_is_held_as_long_as_its_answer_says() {
    let members = json!({"max_age": "50s", "max_age_limit": "100s"});
    for (cache_control, age, seconds) in [
        ("max-age=30", None, 30),
        ("public, max-age=30, must-revalidate", None, 30),
        ("max-age=100", None, 100),
        ("max-age=101", None, 100),
        ("max-age=31536000", None, 100),
        ("max-age=184467440737095516160", None, 100),
        ("max-age=30", Some("10"), 20),
        ("max-age=30", Some("29"), 1),
        ("max-age=30", Some("4000000000"), 1),
        ("max-age=30", Some("-1"), 30),
        ("max-age=200", Some("150"), 50),
        ("max-age=0", None, 1),
        ("no-store", None, 1),
        ("no-cache", None, 1),
        ("no-store, max-age=30", None, 1),
        ("max-age=30, no-cache", None, 1),
        ("max-age=soon", None, 50),
        ("max-age=soon, max-age=5", None, 5),
        ("s-maxage=5", None, 50),
        ("", None, 50),
    ] {
        let reply = key("k", "o").cache(cache_control);
        let reply = age.map_or(reply.clone(), |age| reply.age(age));
        assert_eq!(believed(&members, &reply, &key_of("o")), seconds, "{cache_control:?}, age {age:?}");
    }
    let two = key("k", "o").cache("public").cache("max-age=9").cache("max-age=8");
    assert_eq!(believed(&members, &two, &key_of("o")), 9);
}

#[test]
fn the_cap_holds_for_what_an_answer_gives_and_max_age_for_the_rest() {
    let members = json!({"max_age": "20s", "max_age_limit": "10s"});
    assert_eq!(believed(&members, &key("k", "o").cache("max-age=30"), &key_of("o")), 10);
    assert_eq!(believed(&members, &key("k", "o"), &key_of("o")), 20);
}

#[test]
fn that_a_key_is_unknown_or_gone_is_remembered_for_negative_max_age() {
    for (reply, seen) in [
        (Reply::status(404), UNKNOWN),
        (Reply::status(410), DELETED),
        (Reply::json(&json!({})), UNUSABLE),
        (key("another", "o"), UNUSABLE),
        (Reply::json(&document("k", "o").with("status", json!("on"))), UNUSABLE),
    ] {
        assert_eq!(believed(&json!({}), &reply, &seen), 30);
        assert_eq!(believed(&json!({"negative_max_age": "3s"}), &reply.clone().cache("max-age=300"), &seen), 3);
        assert_eq!(believed(&json!({"negative_max_age": "3s"}), &reply.cache("no-store"), &seen), 3);
    }
}

#[test]
fn that_a_key_is_disabled_or_deleted_is_an_answer_like_any_other() {
    for (status, seen) in [("disabled", DISABLED), ("deleted", DELETED)] {
        let reply = Reply::json(&document("k", "o").with("status", json!(status)));
        assert_eq!(believed(&json!({"max_age": "40s"}), &reply, &seen), 40);
        assert_eq!(believed(&json!({"max_age": "40s"}), &reply.cache("max-age=20"), &seen), 20);
    }
}

#[test]
fn the_next_answer_replaces_what_was_held() {
    let states = [
        (key("k", "first"), key_of("first")),
        (key("k", "second"), key_of("second")),
        (Reply::json(&document("k", "o").with("status", json!("disabled"))), DISABLED),
        (Reply::status(410), DELETED),
        (Reply::status(404), UNKNOWN),
        (Reply::json(&json!({})), UNUSABLE),
    ];
    for (reply, seen) in &states {
        for (next_reply, next) in &states {
            let mut stage = Stage::one_key(&json!({}));
            assert_eq!(stage.fetch("k", reply), *seen);
            stage.pass(600);
            assert_eq!(stage.fetch("k", next_reply), *next, "after {seen:?}");
            assert_eq!(stage.ask("k", 7), *next, "after {seen:?}");
        }
    }
}

#[test]
fn a_key_is_good_to_the_last_second_of_its_exp_without_any_skew() {
    let mut stage = Stage::one_key(&json!({"max_age": "1h"}));
    let reply = Reply::json(&document("k", "o").with("exp", json!(START + 10)));
    assert_eq!(stage.fetch("k", &reply), key_of("o"));
    stage.pass(10);
    assert_eq!(stage.ask("k", 1), key_of("o"));
    stage.pass(1);
    assert_eq!(stage.ask("k", 1), EXPIRED);
    assert!(stage.sent().is_empty(), "that it expired is known without asking");
}

#[test]
fn a_clock_that_is_set_moves_exp_and_no_freshness() {
    let mut stage = Stage::one_key(&json!({"max_age": "100s"}));
    let reply = Reply::json(&document("k", "o").with("exp", json!(START + 10)));
    assert_eq!(stage.fetch("k", &reply), key_of("o"));
    stage.now.unix = START + 3600;
    assert_eq!(stage.ask("k", 1), EXPIRED);
    stage.now.unix = START - 3600;
    assert_eq!(stage.ask("k", 1), key_of("o"));
    stage.now.unix = i64::MIN;
    assert_eq!(stage.ask("k", 1), key_of("o"));
    assert!(stage.sent().is_empty());
}

#[test]
fn a_clock_that_runs_backwards_does_no_harm() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("k", &key("k", "o")), key_of("o"));
    stage.now.monotonic = Duration::ZERO;
    assert_eq!(stage.ask("k", 1), key_of("o"));
    stage.now.monotonic = Duration::MAX;
    assert!(stage.would_fetch("k"));
    let id = stage.only_request();
    assert_eq!(stage.answer(id, &key("k", "o")), [0_u32; 0]);
}

#[test]
fn an_answer_that_forbids_caching_is_fresh_for_min_age() {
    for directive in
        ["no-store", "no-cache", "max-age=0", "no-cache, no-store, max-age=0, must-revalidate", "max-age=4"]
    {
        let mut stage = Stage::one_key(&json!({"min_age": "5s", "max_age_limit": "60s"}));
        assert_eq!(stage.fetch("k", &key("k", "o").cache(directive)), key_of("o"), "{directive}");
        stage.pass_millis(4_999);
        assert_eq!(stage.ask("k", 1), key_of("o"), "{directive}");
        stage.pass_millis(1);
        assert_eq!(stage.ask("k", 1), Seen::Wait, "{directive}");
    }
}

#[test]
fn an_age_beyond_max_age_counts_as_min_age() {
    let mut stage = Stage::one_key(&json!({"min_age": "2s"}));
    assert_eq!(stage.fetch("k", &key("k", "o").cache("max-age=30").age("40")), key_of("o"));
    stage.pass_millis(1_999);
    assert_eq!(stage.ask("k", 1), key_of("o"));
    stage.pass_millis(1);
    assert_eq!(stage.ask("k", 1), Seen::Wait);
}

#[test]
fn min_age_neither_lengthens_what_says_nothing_nor_exceeds_the_limit() {
    let mut stage = Stage::one_key(&json!({"min_age": "10s", "max_age": "3s", "max_age_limit": "10s"}));
    assert_eq!(stage.fetch("k", &key("k", "o")), key_of("o"));
    stage.pass(3);
    assert_eq!(stage.fetch("k", &key("k", "o").cache("max-age=3600")), key_of("o"));
    stage.pass(10);
    assert_eq!(stage.ask("k", 1), Seen::Wait);
}
