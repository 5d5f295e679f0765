//! Four workers of one proxy: they ask the key service once for all, in time, and a flood or a revocation reaches each of them.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keys::{at_once, new_key, request};
use crate::reply::{is_denial, shown};
use crate::support::client::{Connection, bytes_of};
use crate::support::exchange::{Answered, Gate};
use crate::support::key_service::Answer;
use crate::support::rig::Rig;
use crate::support::signer::{Alg, Document, SigningKey};
use crate::support::wait;
use crate::traffic::{during, longest};

const WORKERS: usize = 4;

fn four_workers(plugin: &Value) -> Rig {
    Rig::adjusted(plugin, |setup| setup.concurrency = WORKERS as u32)
}

fn all_allowed(answers: &[Answered]) {
    let refused: Vec<_> = answers.iter().filter(|answered| answered.status != 200).map(shown).collect();
    assert!(refused.is_empty(), "{} of {}: {refused:?}", refused.len(), answers.len());
}

fn fresh_for(seconds: u32, key: &SigningKey) -> Answer {
    Answer::document(&key.jwk()).header("cache-control", &format!("max-age={seconds}"))
}

#[test]
fn sixty_first_requests_on_four_workers_for_one_public_key_make_one_callout() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys"}}));
    let (key, gate) = (new_key("shared"), Gate::closed());
    rig.keys.set_for("shared", Answer::document(&key.jwk()).held_by(&gate));
    all_allowed(&at_once(&rig, &key, 60, &gate));
    assert_eq!(rig.keys.count_for("shared"), 1);
    assert_eq!(rig.upstream.count(), 60);
    rig.envoy.assert_healthy();
}

#[test]
fn sixty_first_requests_on_four_workers_for_one_set_make_one_callout() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys", "path": "/jwks.json"}}));
    let (key, gate) = (new_key("in-a-set"), Gate::closed());
    rig.keys.set("/jwks.json", Answer::set(&[key.jwk(), new_key("other").jwk()]).held_by(&gate));
    all_allowed(&at_once(&rig, &key, 60, &gate));
    assert_eq!(rig.keys.count("/jwks.json"), 1);
    rig.envoy.assert_healthy();
}

#[test]
fn a_secret_key_is_asked_for_by_each_worker_once_and_by_no_more() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys"}}));
    let (key, gate) = (SigningKey::generate("secret", Alg::HS256), Gate::closed());
    rig.keys.set_for("secret", Answer::document(&key.jwk()).held_by(&gate));
    all_allowed(&at_once(&rig, &key, 60, &gate));
    assert_eq!(rig.keys.count_for("secret"), WORKERS);
    rig.envoy.assert_healthy();
}

#[test]
fn a_secret_key_from_a_slow_service_reaches_every_worker() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys", "timeout": "1s"}}));
    let key = SigningKey::generate("slow-secret", Alg::HS256);
    rig.keys.set_for(key.kid(), Answer::document(&key.jwk()).delayed(Duration::from_millis(400)));
    let gate = Gate::closed();
    let start = Instant::now();
    let answers = at_once(&rig, &key, 60, &gate);
    println!("60 for a secret key, 400 ms each: {:?}, {} callouts", start.elapsed(), rig.keys.count_for(key.kid()));
    all_allowed(&answers);
    assert!(rig.keys.count_for(key.kid()) <= WORKERS);
    rig.envoy.assert_healthy();
}

#[test]
fn workers_of_a_vm_without_a_name_share_nothing_and_all_are_answered() {
    let rig = Rig::adjusted(&json!({"keys": {"cluster": "keys"}}), |setup| {
        setup.concurrency = WORKERS as u32;
        setup.vm_id = String::new();
    });
    let (key, gate) = (new_key("k"), Gate::closed());
    rig.keys.set_for("k", Answer::document(&key.jwk()).held_by(&gate));
    all_allowed(&at_once(&rig, &key, 60, &gate));
    assert_eq!(rig.keys.count_for("k"), WORKERS);
    rig.envoy.assert_healthy();
}

#[test]
fn nobody_waits_for_a_key_that_is_refreshed_ahead_and_one_worker_refreshes_it() {
    const SLOW: Duration = Duration::from_millis(300);
    const WATCHED: Duration = Duration::from_secs(8);
    let rig = four_workers(&json!({"keys": {"cluster": "keys"}}));
    let key = new_key("k");
    rig.keys.set_for("k", fresh_for(2, &key).delayed(SLOW));
    assert_eq!(rig.code(&request(&key)), None);
    let ((), samples) = during(&rig, 8, &[request(&key)], || thread::sleep(WATCHED));
    assert!(samples.iter().all(|sample| sample.is_allowed()));
    let (count, longest) = (rig.keys.count_for("k"), longest(&samples));
    println!("refresh ahead: {count} callouts for {} requests, longest {longest:?}", samples.len());
    assert!(longest < SLOW * 4 / 5, "a request waited for {longest:?}");
    assert!((4..=7).contains(&count), "{count} callouts");
    rig.envoy.assert_healthy();
}

#[test]
fn callouts_after_the_first_are_conditional_and_304_keeps_the_keys_serving() {
    for path in ["/keys/{kid}", "/jwks.json"] {
        let rig = four_workers(&json!({"keys": {"cluster": "keys", "path": path}}));
        let key = new_key("k");
        let asked = path.replace("{kid}", "k");
        let (tag, fresh) = (("etag", "\"v1\""), ("cache-control", "max-age=1"));
        let whole = if asked == path { Answer::set(&[key.jwk()]) } else { Answer::document(&key.jwk()) };
        rig.keys.set(&asked, whole.header(tag.0, tag.1).header(fresh.0, fresh.1));
        assert_eq!(rig.code(&request(&key)), None);
        rig.keys.set(&asked, Answer::new(304, "").header(tag.0, tag.1).header(fresh.0, fresh.1));
        let four_more = || wait::until_true("four more callouts", || rig.keys.count(&asked) >= 5);
        let ((), samples) = during(&rig, 8, &[request(&key)], four_more);
        let refused = samples.iter().find(|sample| !sample.is_allowed());
        assert!(refused.is_none(), "{path}: {refused:?}");
        let received = rig.keys.received();
        let tags: Vec<Option<String>> = received.iter().map(|callout| callout.header("if-none-match")).collect();
        assert_eq!(tags[0], None, "{path}");
        assert!(tags[1..].iter().all(|sent| sent.as_deref() == Some(tag.1)), "{path}: {tags:?}");
        rig.envoy.assert_healthy();
    }
}

#[test]
fn attack_52_a_key_that_is_revoked_under_traffic_is_refused_by_every_worker_within_its_freshness() {
    const FRESHNESS: Duration = Duration::from_secs(1);
    const SLACK: Duration = Duration::from_millis(150);
    let rig = four_workers(&json!({"keys": {"cluster": "keys"}}));
    let ends = [("disabled", 513), ("deleted", 512), ("404", 504), ("410", 512)];
    let keys = ends.map(|(end, _)| new_key(end));
    keys.iter().for_each(|key| rig.keys.set_for(key.kid(), fresh_for(1, key)));
    let requests = keys.each_ref().map(request);
    let (revoked_at, samples) = during(&rig, 8, &requests, || {
        wait::until_true("each was refreshed", || keys.iter().all(|key| rig.keys.count_for(key.kid()) >= 3));
        for key in &keys {
            let answer = match key.kid().parse() {
                Ok(status) => Answer::new(status, "{}"),
                Err(_) => Answer::document(&key.jwk().with("status", json!(key.kid()))),
            };
            rig.keys.set_for(key.kid(), answer);
        }
        let revoked_at = Instant::now();
        thread::sleep(FRESHNESS * 2);
        revoked_at
    });
    for (place, (end, code)) in ends.into_iter().enumerate() {
        let of_key: Vec<_> = samples.iter().filter(|sample| sample.request == place).collect();
        let last = of_key.iter().filter(|sample| sample.is_allowed()).map(|sample| sample.sent_at).max().unwrap();
        let late = last.saturating_duration_since(revoked_at);
        println!("{end}: the last allowed request came {late:?} after");
        assert!(late < FRESHNESS + SLACK, "{end}: still allowed after {late:?}");
        let refused = of_key.iter().filter(|sample| !sample.is_allowed());
        assert!(refused.clone().count() > 20, "{end}");
        refused.for_each(|sample| is_denial(code, None, &sample.answered).unwrap());
    }
    rig.envoy.assert_healthy();
}

/// The codes of the answers to 2 000 requests for keys that nobody knows, 1 000 at once.
fn flood(rig: &Rig, key: &SigningKey) -> BTreeMap<u16, usize> {
    let mut codes = BTreeMap::new();
    for turn in 0..2 {
        let mut connections: Vec<Connection> = (0..1000).map(|_| Connection::open(rig.envoy.address("main"))).collect();
        for (number, connection) in connections.iter_mut().enumerate() {
            let unknown = request(&key.under_kid(&format!("flood-{turn}-{number}")));
            connection.send(&bytes_of(&unknown, &[])).unwrap();
        }
        for connection in &mut connections {
            let answered = connection.answer("POST").unwrap();
            let code = answered.code().unwrap_or(answered.status);
            assert!(matches!(code, 500 | 504), "{answered:?}");
            is_denial(code, None, &answered).unwrap();
            *codes.entry(code).or_default() += 1;
        }
    }
    codes
}

#[test]
fn attack_27_a_flood_of_unknown_kids_is_held_back_and_the_requests_of_a_known_key_pass_beside_it() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys"}}));
    let known = new_key("known");
    rig.keys.register(&known);
    let start = Instant::now();
    let (codes, samples) = during(&rig, 8, &[request(&known)], || {
        wait::until_true("every client was answered", || rig.upstream.count() >= 32);
        flood(&rig, &known)
    });
    let refused = samples.iter().find(|sample| !sample.is_allowed());
    assert!(refused.is_none(), "{:?} after the start: {refused:?}", refused.map(|sample| sample.sent_at - start));
    let callouts = rig.keys.received().iter().filter(|callout| callout.path.contains("flood")).count();
    let (elapsed, longest) = (start.elapsed(), longest(&samples));
    println!(
        "flood: {codes:?}, {callouts} callouts in {elapsed:?}, beside it {} for the known key, longest {longest:?}",
        samples.len()
    );
    let allowed = WORKERS as f64 * (200.0 + 100.0 * elapsed.as_secs_f64());
    assert!(callouts as f64 <= allowed, "{callouts} callouts in {elapsed:?}");
    assert!(callouts >= WORKERS * 200, "the bucket gave {callouts}");
    assert!(longest < Duration::from_secs(1), "a request for a known key took {longest:?}");
    assert_eq!(rig.keys.count_for("known"), 1);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_27_a_worker_that_has_not_seen_a_known_key_yet_gets_it_in_the_middle_of_a_flood() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys"}}));
    let known = new_key("known");
    rig.keys.register(&known);
    // Two for each worker, and only the first is used before the flood.
    let mut clients: Vec<Connection> = (0..2 * WORKERS).map(|_| Connection::open(rig.envoy.only())).collect();
    let bytes = bytes_of(&request(&known), &[]);
    clients[0].send(&bytes).unwrap();
    assert_eq!(clients[0].answer("POST").unwrap().code(), None, "one worker knows it now");
    let mut connections: Vec<Connection> = (0..1200).map(|_| Connection::open(rig.envoy.only())).collect();
    for (number, connection) in connections.iter_mut().enumerate() {
        let unknown = request(&known.under_kid(&format!("flood-{number}")));
        connection.send(&bytes_of(&unknown, &[])).unwrap();
    }
    wait::until_true("the buckets are empty", || rig.keys.received().len() > WORKERS * 200);
    let start = Instant::now();
    clients.iter_mut().for_each(|client| client.send(&bytes).unwrap());
    let codes: Vec<(Option<u16>, Duration)> =
        clients.iter_mut().map(|client| (client.answer("POST").unwrap().code(), start.elapsed())).collect();
    println!("in a flood, a known key: {codes:?}");
    assert!(codes.iter().all(|(code, took)| code.is_none() && *took < Duration::from_millis(500)), "{codes:?}");
    assert_eq!(rig.keys.count_for("known"), 1);
    rig.envoy.assert_healthy();
}

#[test]
fn a_request_that_passes_is_not_held_up_by_the_refusal_of_another_one() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "timeout": "0.5s"}}));
    let known = new_key("known");
    rig.keys.register(&known);
    assert_eq!(rig.code(&request(&known)), None);
    let ((), samples) = during(&rig, 16, &[request(&known)], || {
        // More than the bucket gives in time: the last ones are refused while the known key's requests come.
        let mut connections: Vec<Connection> = (0..300).map(|_| Connection::open(rig.envoy.only())).collect();
        for (number, connection) in connections.iter_mut().enumerate() {
            let unknown = request(&known.under_kid(&format!("unknown-{number}")));
            connection.send(&bytes_of(&unknown, &[])).unwrap();
        }
        for connection in &mut connections {
            assert!(matches!(connection.answer("POST").unwrap().code(), Some(500 | 504)));
        }
    });
    let refused: Vec<_> = samples.iter().filter(|sample| !sample.is_allowed()).collect();
    println!("{} requests, longest {:?}, not allowed {}", samples.len(), longest(&samples), refused.len());
    assert!(refused.is_empty(), "{} of {}: {refused:?}", refused.len(), samples.len());
    assert!(longest(&samples) < Duration::from_secs(1), "a request took {:?}", longest(&samples));
    rig.envoy.assert_healthy();
}

#[test]
fn first_requests_of_many_workers_that_race_each_other_are_all_answered_soon() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys"}}));
    let mut longest = (Duration::ZERO, 0);
    for round in 0..100 {
        let key = new_key(&format!("race-{round}"));
        rig.keys.register(&key);
        let bytes = bytes_of(&request(&key), &[]);
        let mut connections: Vec<Connection> = (0..8).map(|_| Connection::open(rig.envoy.only())).collect();
        let start = Instant::now();
        connections.iter_mut().for_each(|connection| connection.send(&bytes).unwrap());
        all_allowed(&connections.iter_mut().map(|one| one.answer("POST").unwrap()).collect::<Vec<_>>());
        longest = longest.max((start.elapsed(), rig.keys.count_for(key.kid())));
        assert_eq!(rig.keys.count_for(key.kid()), 1, "round {round}");
    }
    println!("races: longest {longest:?}");
    assert!(longest.0 < Duration::from_secs(1), "{longest:?}");
    rig.envoy.assert_healthy();
}

#[test]
fn requests_beyond_those_that_may_wait_are_500_at_once_and_the_others_are_answered() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys", "timeout": "20s", "max_waiting": 10}}));
    let (key, gate) = (new_key("slow"), Gate::closed());
    rig.keys.set_for("slow", Answer::document(&key.jwk()).held_by(&gate));
    let bytes = bytes_of(&request(&key), &[]);
    let mut connections: Vec<Connection> = (0..100).map(|_| Connection::open(rig.envoy.only())).collect();
    connections.iter_mut().for_each(|connection| connection.send(&bytes).unwrap());
    // Those beyond are answered while the gate is closed.
    rig.envoy.await_active_requests(10 * WORKERS as u64);
    gate.open();
    let answers: Vec<Answered> = connections.iter_mut().map(|one| one.answer("POST").unwrap()).collect();
    let (waited, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answered| answered.status == 200);
    assert_eq!((waited.len(), refused.len()), (10 * WORKERS, 100 - 10 * WORKERS));
    refused.into_iter().for_each(|answered| is_denial(500, None, answered).unwrap());
    assert_eq!(rig.keys.count_for("slow"), 1);
    rig.envoy.assert_healthy();
}

#[test]
fn attacks_61_and_62_half_of_those_who_wait_go_away_and_the_others_are_answered() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys", "timeout": "20s"}}));
    let (key, gate) = (new_key("waited-for"), Gate::closed());
    rig.keys.set_for(key.kid(), Answer::document(&key.jwk()).held_by(&gate));
    let bytes = bytes_of(&request(&key), &[]);
    let mut stay: Vec<Connection> = (0..100).map(|_| Connection::open(rig.envoy.only())).collect();
    stay.iter_mut().for_each(|connection| connection.send(&bytes).unwrap());
    rig.envoy.await_active_requests(100);
    // Every second one, so that some of every worker go.
    for place in (0..100).step_by(2).rev() {
        stay.swap_remove(place).abort();
    }
    rig.envoy.await_active_requests(50);
    gate.open();
    all_allowed(&stay.iter_mut().map(|connection| connection.answer("POST").unwrap()).collect::<Vec<_>>());
    rig.envoy.await_active_requests(0);
    assert_eq!((rig.keys.count_for(key.kid()), rig.upstream.count()), (1, 50));
    let again: Vec<Option<u16>> = (0..WORKERS).map(|_| rig.code(&request(&key))).collect();
    assert_eq!((again, rig.keys.count_for(key.kid())), (vec![None; WORKERS], 1));
    rig.envoy.assert_healthy();
}
