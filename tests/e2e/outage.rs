//! Bad days of the key service: keys that are held serve on, nobody hangs, and the service is left alone.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keys::{new_key, request};
use crate::reply::is_denial;
use crate::support::client::{Connection, bytes_of};
use crate::support::key_service::Answer;
use crate::support::rig::Rig;
use crate::support::signer::{Document, SigningKey};
use crate::support::wait;
use crate::traffic::{during, longest};

const TIMEOUT: Duration = Duration::from_millis(500);
/// What a busy machine may add to a time.
const SLACK: Duration = Duration::from_millis(300);

fn four_workers(plugin: &Value) -> Rig {
    Rig::adjusted(plugin, |setup| setup.concurrency = 4)
}

/// Each way to fail, by the name of the key that it happens to.
fn failures() -> Vec<(SigningKey, Answer)> {
    let failure = |kid: &str, answer: &dyn Fn(Value) -> Answer| {
        let key = new_key(kid);
        let answer = answer(key.jwk());
        (key, answer)
    };
    vec![
        failure("503", &|_| Answer::new(503, "down")),
        failure("reset", &|document| Answer::document(&document).broken_after(20)),
        failure("hangs", &|_| Answer::never()),
        failure("too-large", &|document| Answer::document(&document.with("padding", json!("x".repeat(64 << 10))))),
        failure("unparsable", &|document| Answer::new(200, &document.to_string()[1..])),
        failure("trickles", &|document| Answer::document(&document).trickled(Duration::from_secs(1))),
    ]
}

#[test]
fn attacks_44_and_45_keys_that_are_held_serve_through_an_outage_of_any_kind_and_the_service_is_left_alone() {
    const WATCHED: Duration = Duration::from_secs(5);
    let rig = four_workers(&json!({"keys": {"cluster": "keys", "timeout": "0.5s"}}));
    let failures = failures();
    let fresh = |document: &Value| Answer::document(document).header("cache-control", "max-age=1");
    for (key, _) in &failures {
        rig.keys.set_for(key.kid(), fresh(&key.jwk()));
    }
    let counts = || failures.iter().map(|(key, _)| rig.keys.count_for(key.kid())).collect::<Vec<_>>();
    let requests: Vec<_> = failures.iter().map(|(key, _)| request(key)).collect();
    let (recovery, samples) = during(&rig, 8, &requests, || {
        wait::until_true("each was refreshed", || counts().iter().all(|count| *count >= 2));
        failures.iter().for_each(|(key, failure)| rig.keys.set_for(key.kid(), failure.clone()));
        let before = counts();
        thread::sleep(WATCHED);
        let recovery = Instant::now();
        for ((key, _), (before, after)) in failures.iter().zip(before.iter().zip(counts())) {
            let asked = after - before;
            println!("{}: {asked} callouts in {WATCHED:?} of outage", key.kid());
            assert!((2..=6).contains(&asked), "{}: {asked} callouts in {WATCHED:?}", key.kid());
            rig.keys.set_for(key.kid(), fresh(&key.jwk().with("status", json!("disabled"))));
        }
        for (key, _) in &failures {
            let word = || rig.code(&request(key)) == Some(513);
            wait::until_true(&format!("the word of the service counts again for {}", key.kid()), word);
        }
        println!("all recovered after {:?}", recovery.elapsed());
        recovery
    });
    for sample in &samples {
        let right = sample.is_allowed() || sample.sent_at + TIMEOUT > recovery && sample.answered.code() == Some(513);
        assert!(right, "{}: {sample:?}", failures[sample.request].0.kid());
    }
    println!("{} requests, the longest took {:?}", samples.len(), longest(&samples));
    assert!(longest(&samples) < TIMEOUT + SLACK, "a request took {:?}", longest(&samples));
    rig.envoy.assert_healthy();
}

#[test]
fn attacks_44_and_45_without_a_key_an_outage_of_any_kind_is_500_within_the_timeout_and_then_at_once() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys", "timeout": "0.5s"}}));
    for (key, failure) in failures() {
        rig.keys.set_for(key.kid(), failure);
        // Open at the same time, so that each worker has some.
        let connections: Vec<Connection> = (0..9).map(|_| Connection::open(rig.envoy.only())).collect();
        let timed = connections.into_iter().map(|mut connection| {
            let start = Instant::now();
            connection.send(&bytes_of(&request(&key), &[])).unwrap();
            is_denial(500, None, &connection.answer("POST").unwrap()).unwrap();
            start.elapsed()
        });
        let times: Vec<Duration> = timed.collect();
        let (first, next) = (times[0], &times[1..]);
        println!("{}: 500 after {first:?}, then after {next:?}", key.kid());
        assert!(first < TIMEOUT + Duration::from_millis(100) + SLACK, "{}: {first:?}", key.kid());
        assert!(next.iter().all(|took| *took < SLACK), "{}: {next:?}", key.kid());
        // What may be a kept connection that closed is asked for once more.
        let callouts = if ["503", "reset"].contains(&key.kid()) { 2 } else { 1 };
        assert_eq!(rig.keys.count_for(key.kid()), callouts, "{}", key.kid());
    }
    assert_eq!(rig.upstream.count(), 0);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_46_a_set_that_says_nothing_is_an_outage_with_its_back_off() {
    for answer in [json!({}), json!({"keys": {}}), json!({"keys": [{"kty": "EC"}]})] {
        let rig = four_workers(&json!({"keys": {"cluster": "keys", "path": "/jwks.json", "max_age": "1s"}}));
        let key = new_key("k");
        rig.keys.set("/jwks.json", Answer::document(&answer));
        is_denial(500, None, &rig.exchange(&request(&key))).unwrap();
        rig.keys.set("/jwks.json", Answer::set(&[key.jwk()]));
        wait::until_true("the set is read", || rig.code(&request(&key)).is_none());
        rig.keys.set("/jwks.json", Answer::document(&answer));
        let before = rig.keys.count("/jwks.json");
        let ((), samples) = during(&rig, 8, &[request(&key)], || thread::sleep(Duration::from_secs(3)));
        let refused = samples.iter().find(|sample| !sample.is_allowed());
        assert!(refused.is_none(), "{answer}: {refused:?}");
        let asked = rig.keys.count("/jwks.json") - before;
        println!("{answer}: {asked} callouts in 3 s");
        assert!((1..=4).contains(&asked), "{answer}: {asked} callouts");
        // That there are no keys any more is an answer, not an outage.
        rig.keys.set("/jwks.json", Answer::set(&[]));
        wait::until_true("all keys are gone", || rig.code(&request(&key)) == Some(504));
        rig.envoy.assert_healthy();
    }
}

#[test]
fn attack_52_a_key_is_not_served_beyond_its_freshness_and_stale_if_error() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys", "max_age": "1s", "stale_if_error": "1s"}}));
    let key = new_key("k");
    rig.keys.register(&key);
    let (outage, samples) = during(&rig, 8, &[request(&key)], || {
        wait::until_true("it was refreshed", || rig.keys.count_for("k") >= 2);
        rig.keys.set_for("k", Answer::new(503, "down"));
        let outage = Instant::now();
        thread::sleep(Duration::from_secs(4));
        outage
    });
    let (allowed, refused): (Vec<_>, Vec<_>) = samples.iter().partition(|sample| sample.is_allowed());
    let last = allowed.iter().map(|sample| sample.sent_at).max().unwrap() - outage;
    println!("the last request was allowed {last:?} after the outage began, longest {:?}", longest(&samples));
    assert!(last > Duration::from_millis(1200), "stale for too short a time: {last:?}");
    assert!(last < Duration::from_secs(2) + Duration::from_millis(150), "stale for too long: {last:?}");
    assert!(refused.len() > 20);
    refused.iter().for_each(|sample| is_denial(500, None, &sample.answered).unwrap());
    assert!(longest(&samples) < SLACK, "a request took {:?}", longest(&samples));
    rig.keys.register(&key);
    wait::until_true("the service is back", || rig.code(&request(&key)).is_none());
    rig.envoy.assert_healthy();
}

#[test]
fn attack_51_a_revoked_key_stays_revoked_though_an_older_answer_was_under_way() {
    let rig = four_workers(&json!({"keys": {"cluster": "keys", "max_age": "1s", "timeout": "0.5s"}}));
    let key = new_key("k");
    rig.keys.register(&key);
    let (revoked_at, samples) = during(&rig, 8, &[request(&key)], || {
        wait::until_true("it was refreshed", || rig.keys.count_for("k") >= 2);
        // The old document, on its way for longer than anybody waits …
        rig.keys.set_for("k", Answer::document(&key.jwk()).delayed(TIMEOUT + SLACK));
        let count = rig.keys.count_for("k");
        rig.keys.await_count_for("k", count + 1);
        // … and overtaken by the new one.
        rig.keys.set_for("k", Answer::document(&key.jwk().with("status", json!("disabled"))));
        let revoked_at =
            wait::until("the new document counts", || (rig.code(&request(&key)) == Some(513)).then(Instant::now));
        thread::sleep(Duration::from_secs(2));
        revoked_at
    });
    let later = samples.iter().filter(|sample| sample.sent_at > revoked_at + Duration::from_millis(50));
    later.for_each(|sample| is_denial(513, None, &sample.answered).unwrap());
    rig.envoy.assert_healthy();
}

#[test]
fn attack_64_a_cluster_that_is_removed_ends_no_key_that_is_held_and_those_who_wait_are_answered() {
    let mut rig = Rig::adjusted(&json!({"keys": {"cluster": "keys", "timeout": "10s"}}), |setup| {
        setup.concurrency = 4;
        setup.dynamic = true;
    });
    let [held, short, slow] = ["held", "short", "slow"].map(new_key);
    rig.keys.register(&held);
    rig.keys.set_for("short", Answer::document(&short.jwk()).header("cache-control", "max-age=1"));
    rig.keys.set_for("slow", Answer::never());
    let ask = |rig: &Rig, key: &SigningKey, count| -> Vec<Connection> {
        let mut connections: Vec<Connection> = (0..count).map(|_| Connection::open(rig.envoy.only())).collect();
        connections.iter_mut().for_each(|one| one.send(&bytes_of(&request(key), &[])).unwrap());
        connections
    };
    for key in [&held, &short] {
        assert!(ask(&rig, key, 8).iter_mut().all(|one| one.answer("POST").unwrap().status == 200));
    }
    let mut waiting = ask(&rig, &slow, 20);
    rig.envoy.await_active_requests(20);
    let start = Instant::now();
    assert!(rig.envoy.push_clusters(Vec::new()), "the cluster is removed");
    waiting.iter_mut().for_each(|one| is_denial(500, None, &one.answer("POST").unwrap()).unwrap());
    println!("20 who waited were answered {:?} after the removal", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(5), "only the time-out answered them");
    let ((), samples) = during(&rig, 8, &[request(&held), request(&short)], || thread::sleep(Duration::from_secs(2)));
    let refused = samples.iter().find(|sample| !sample.is_allowed());
    assert!(refused.is_none(), "{refused:?}");
    is_denial(500, None, &rig.exchange(&request(&new_key("never-seen")))).unwrap();
    let address = rig.keys.address();
    assert!(rig.envoy.push_clusters(vec![("keys".into(), address)]), "it is back");
    rig.keys.register(&slow);
    wait::until_true("the cluster is back", || rig.code(&request(&slow)).is_none());
    rig.envoy.await_active_requests(0);
    rig.envoy.assert_healthy();
}
