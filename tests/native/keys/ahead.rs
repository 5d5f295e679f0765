//! Asking ahead, conditional requests, jitter, and the limit on names that nobody has asked for before.

use std::time::Duration;

use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::jose::jwk::Ring;
use mdrm_authz::jose::token::Kid;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Resolution, Resolver, SharedView, WaiterId};
use serde_json::json;

use super::stage::{Reply, START, Seen, Stage, document, key, key_of, unavailable};

#[test]
fn the_first_request_in_the_last_fifth_has_the_key_asked_for_and_is_served_at_once() {
    for mut stage in [Stage::one_key(&json!({})), Stage::set(&json!({}))] {
        let set =
            stage.resolver.source().is_some_and(|source| source.path.for_kid(&Kid::new("k").unwrap()) == "/jwks.json");
        let reply = |owner: &str| if set { Reply::set(&[document("k", owner)]) } else { key("k", owner) };
        assert_eq!(stage.fetch("k", &reply("old").cache("max-age=10")), key_of("old"));
        stage.pass_millis(7_999);
        assert_eq!(stage.ask("k", 1), key_of("old"));
        assert!(stage.sent().is_empty());
        stage.pass_millis(1);
        assert_eq!((stage.ask("k", 1), stage.ask("k", 2)), (key_of("old"), key_of("old")));
        let id = stage.only_request();
        assert_eq!(stage.answer(id, &reply("new").cache("max-age=10")), [0_u32; 0]);
        assert_eq!(stage.ask("k", 1), key_of("new"));
        stage.pass_millis(7_999);
        assert_eq!(stage.ask("k", 1), key_of("new"));
        assert!(stage.sent().is_empty(), "the freshness starts anew");
    }
}

#[test]
fn an_attempt_ahead_that_fails_backs_off_and_harms_nobody() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("k", &key("k", "o").cache("max-age=10")), key_of("o"));
    stage.pass(8);
    assert_eq!(stage.ask("k", 1), key_of("o"));
    let id = stage.only_request();
    stage.answer(id, &Reply::silence());
    assert_eq!(stage.ask("k", 1), key_of("o"));
    assert!(stage.sent().is_empty(), "not again within a second");
    stage.pass(1);
    assert_eq!(stage.ask("k", 1), key_of("o"));
    assert_eq!(stage.sent().len(), 1);
}

#[test]
fn an_answer_with_a_tag_is_asked_for_conditionally_and_304_renews_it() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("k", &key("k", "o").etag("\"v1\"").cache("max-age=10")), key_of("o"));
    stage.pass(10);
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    let request = stage.sent().pop().unwrap();
    assert_eq!(request.if_none_match.as_deref(), Some("\"v1\""));
    assert_eq!(stage.answer(request.id, &Reply::status(304).cache("max-age=20")), [1]);
    assert_eq!(stage.ask("k", 1), key_of("o"));
    stage.pass_millis(15_999);
    assert_eq!(stage.ask("k", 1), key_of("o"));
    assert!(stage.sent().is_empty());
}

#[test]
fn an_unasked_for_304_is_a_failure() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("k", &Reply::status(304)), unavailable(1));
    let mut stage = Stage::set(&json!({}));
    assert_eq!(stage.fetch("k", &Reply::status(304)), unavailable(1));
}

#[test]
fn a_refusal_is_never_asked_for_conditionally() {
    let mut stage = Stage::one_key(&json!({}));
    stage.fetch("k", &Reply::status(404).etag("\"none\""));
    stage.pass(30);
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    assert_eq!(stage.sent().pop().unwrap().if_none_match, None);
}

#[test]
fn attack_27_new_names_are_asked_for_in_a_burst_and_then_a_hundred_a_second() {
    let mut stage = Stage::one_key(&json!({}));
    for n in 0..900 {
        assert_eq!(stage.ask(&format!("random-{n}"), n), Seen::Wait);
    }
    let mut sent = Vec::new();
    sent.extend(std::iter::from_fn(|| stage.next_request()));
    assert_eq!(sent.len(), 200);
    stage.pass(1);
    sent.extend(std::iter::from_fn(|| stage.next_request()));
    assert_eq!(sent.len(), 300);
    assert!(stage.resolver.needs_tick());
}

#[test]
fn attack_27_a_known_key_is_asked_for_past_the_new_names() {
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("k", &key("k", "o").cache("max-age=1")), key_of("o"));
    for n in 0..900 {
        assert_eq!(stage.ask(&format!("random-{n}"), n), Seen::Wait);
    }
    while stage.next_request().is_some() {}
    stage.pass(1);
    while stage.next_request().is_some() {}
    assert_eq!(stage.ask("k", 1000), Seen::Wait);
    assert_eq!(stage.next_request().unwrap().path, "/keys/k");
}

#[test]
fn who_waits_for_a_new_name_that_may_not_be_asked_for_gets_500_within_the_time_out() {
    let mut stage = Stage::one_key(&json!({"timeout": "2s"}));
    for n in 0..1000 {
        assert_eq!(stage.ask(&format!("random-{n}"), n), Seen::Wait);
    }
    while stage.next_request().is_some() {}
    stage.pass_millis(1_999);
    assert_eq!(stage.poll(), (vec![], vec![]));
    stage.pass_millis(1);
    let (woken, turned_away) = stage.poll();
    assert_eq!((woken.len(), turned_away.len()), (0, 800), "all but the burst, which the host has");
    assert_eq!(stage.ask("random-999", 999), Seen::Wait, "nothing was learnt about the key service");
}

#[test]
fn new_names_whose_requests_went_away_cost_no_callout() {
    let mut stage = Stage::one_key(&json!({}));
    for n in 0..600 {
        assert_eq!(stage.ask(&format!("random-{n}"), n), Seen::Wait);
        stage.resolver.forget(WaiterId(n));
    }
    assert_eq!(stage.ask("k", 1), Seen::Wait);
    assert_eq!(stage.sent().iter().map(|request| &*request.path).collect::<Vec<_>>(), ["/keys/k"]);
}

#[test]
fn proxies_with_different_seeds_do_not_ask_in_step() {
    let keys = || Config::from_json(br#"{"keys": {"cluster": "keys"}}"#, &|_| None).unwrap().keys;
    let freshness = |seed: u64| {
        let mut resolver: Resolver = Resolver::new(Ring::Access, keys(), None, Some(seed));
        let kid = Kid::new("k").unwrap();
        let at = |seconds| Now { unix: START, monotonic: Duration::from_secs(seconds) };
        let body = document("k", "o").to_string();
        assert!(matches!(resolver.resolve(&kid, WaiterId(1), at(0)), Resolution::Wait));
        let request = resolver.next_request(at(0)).unwrap();
        let answer = Answer { status: 200, cache_control: &[], age: None, etag: None, body: Some(body.as_bytes()) };
        resolver.on_answer(request.id, Some(answer), SharedView::default(), at(0));
        (1..=600).find(|second| matches!(resolver.resolve(&kid, WaiterId(1), at(*second)), Resolution::Wait)).unwrap()
    };
    let times: std::collections::BTreeSet<u64> = (0..40).map(freshness).collect();
    assert!(times.iter().all(|time| (540..=600).contains(time)), "jitter only shortens, by a tenth: {times:?}");
    assert!(times.len() > 15, "{times:?}");
}

#[test]
fn attack_27_a_refusal_that_has_ended_is_asked_for_through_the_bucket_again() {
    let mut stage = Stage::one_key(&json!({"negative_max_age": "1s", "max_waiting": 10_000}));
    for round in 0..3 {
        for n in 0..1_500 {
            assert_eq!(stage.ask(&format!("random-{n}"), n), Seen::Wait, "in round {round}");
        }
        let sent = stage.sent();
        assert!(sent.len() <= 300, "{} in round {round}", sent.len());
        for request in sent {
            stage.answer(request.id, &Reply::status(404));
        }
        for n in 0..1_500 {
            stage.resolver.forget(WaiterId(n));
        }
        assert!(stage.sent().is_empty());
        stage.pass(1);
    }
}
