//! Keys by callout, one at a time and in sets: what the callout looks like, how often it is made, and how long its answer counts.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::now;
use crate::reply::is_denial;
use crate::support::bootstrap::runs_without;
use crate::support::client::{self, Connection, bytes_of};
use crate::support::envoy::Listener;
use crate::support::exchange::{Answered, Gate};
use crate::support::key_service::{Answer, KeyService, path_of};
use crate::support::rig::Rig;
use crate::support::signer::{Alg, Document, SigningKey};
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::wait;

/// A license request with a token of this key.
pub(crate) fn request(key: &SigningKey) -> Request {
    Request::post("/license").token(Token::new(key).compact(now()))
}

/// A key of the algorithm that is quickest to make.
pub(crate) fn new_key(kid: &str) -> SigningKey {
    SigningKey::generate(kid, Alg::ES256)
}

/// Sends so many requests with tokens of this key at once, lets them all arrive, opens the gate, and gives the answers.
pub(crate) fn at_once(rig: &Rig, key: &SigningKey, count: u64, gate: &Gate) -> Vec<Answered> {
    let bytes = bytes_of(&request(key), &[]);
    let mut connections: Vec<Connection> = (0..count).map(|_| Connection::open(rig.envoy.address("main"))).collect();
    for connection in &mut connections {
        connection.send(&bytes).unwrap();
    }
    rig.envoy.await_active_requests(count);
    gate.open();
    connections.iter_mut().map(|connection| connection.answer("POST").unwrap()).collect()
}

#[test]
fn thirty_requests_that_miss_the_same_key_share_one_callout() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys"}}));
    let (key, gate) = (new_key("shared"), Gate::closed());
    rig.keys.set_for("shared", Answer::document(&key.jwk()).held_by(&gate));
    let answers = at_once(&rig, &key, 30, &gate);
    assert!(answers.iter().all(|answered| answered.status == 200), "{answers:?}");
    assert_eq!(rig.keys.count_for("shared"), 1);
    assert_eq!(rig.upstream.count(), 30);
    rig.envoy.assert_healthy();
}

#[test]
fn thirty_requests_that_miss_the_same_set_share_one_callout() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "path": "/jwks.json"}}));
    let (key, gate) = (new_key("in-a-set"), Gate::closed());
    rig.keys.set("/jwks.json", Answer::set(&[key.jwk(), new_key("other").jwk()]).held_by(&gate));
    let answers = at_once(&rig, &key, 30, &gate);
    assert!(answers.iter().all(|answered| answered.status == 200), "{answers:?}");
    assert_eq!(rig.keys.count("/jwks.json"), 1);
    rig.envoy.assert_healthy();
}

#[test]
fn requests_that_wait_for_different_keys_get_their_own() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys"}}));
    let gate = Gate::closed();
    let keys: Vec<SigningKey> = (0..10).map(|number| new_key(&format!("k{number}"))).collect();
    for (place, key) in keys.iter().enumerate() {
        let answer = match place % 3 {
            0 => Answer::document(&key.jwk()),
            1 => Answer::new(404, "{}"),
            _ => Answer::document(&key.jwk().with("status", json!("disabled"))),
        };
        rig.keys.set_for(key.kid(), answer.held_by(&gate));
    }
    let mut connections: Vec<Connection> = keys.iter().map(|_| Connection::open(rig.envoy.only())).collect();
    for (connection, key) in connections.iter_mut().zip(&keys) {
        connection.send(&bytes_of(&request(key), &[])).unwrap();
    }
    rig.envoy.await_active_requests(10);
    gate.open();
    for (place, connection) in connections.iter_mut().enumerate() {
        let expected = [None, Some(504), Some(513)][place % 3];
        assert_eq!(connection.answer("POST").unwrap().code(), expected, "k{place}");
    }
    rig.envoy.assert_healthy();
}

#[test]
fn a_callout_is_what_the_configuration_says() {
    let plugin = json!({"keys": {
        "cluster": "keys",
        "authority": "keys.example.com",
        "path": "/v1/{kid}/public?format=jwk",
        "headers": {"x-api-key": "${KEY_SERVICE_TOKEN}", "x-literal": "$${KEY_SERVICE_TOKEN}", "Accept": "application/jwk+json"},
    }});
    let rig = Rig::adjusted(&plugin, |setup| {
        setup.vm_environment.push(("KEY_SERVICE_TOKEN".into(), "s3cret-of-the-test".into()));
    });
    let kid = "a b/../ü?#%&=+|;\r\n\0\"'é{}~-._";
    let key = new_key(kid);
    let path = "/v1/a%20b%2F..%2F%C3%BC%3F%23%25%26%3D%2B%7C%3B%0D%0A%00%22%27%C3%A9%7B%7D~-._/public?format=jwk";
    rig.keys.set(path, Answer::document(&key.jwk()));
    assert_eq!(rig.code(&request(&key)), None);
    let [callout] = &rig.keys.received()[..] else { panic!("{:?}", rig.keys.received()) };
    assert_eq!((&callout.method[..], &callout.path[..], &callout.authority[..]), ("GET", path, "keys.example.com"));
    assert_eq!(callout.header("x-api-key").as_deref(), Some("s3cret-of-the-test"));
    assert_eq!(callout.header("x-literal").as_deref(), Some("${KEY_SERVICE_TOKEN}"));
    assert_eq!(callout.header("accept").as_deref(), Some("application/jwk+json"));
    assert!(!rig.envoy.log().contains("s3cret-of-the-test"), "the log holds a secret");
    rig.envoy.assert_healthy();
}

#[test]
fn a_callout_goes_to_the_authority_of_its_cluster_by_default() {
    let rig = Rig::adjusted(&json!({"keys": {"cluster": "outbound|80||keys.example.com"}}), |setup| {
        setup.clusters[0].0 = "outbound|80||keys.example.com".to_owned();
    });
    let key = new_key("k");
    rig.keys.register(&key);
    assert_eq!(rig.code(&request(&key)), None);
    assert_eq!(rig.keys.received()[0].authority, "keys.example.com");
    rig.envoy.assert_healthy();
}

#[test]
fn a_key_is_held_until_its_freshness_ends_and_is_then_fetched_again() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "max_age": "1s", "negative_max_age": "1s"}}));
    let key = new_key("k");
    rig.keys.register(&key);
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(rig.code(&request(&key)), None);
    }
    let quick = start.elapsed() < Duration::from_millis(500);
    assert!(!quick || rig.keys.count_for("k") == 1, "{} fetches", rig.keys.count_for("k"));
    rig.keys.set_for("k", Answer::document(&key.jwk().with("status", json!("disabled"))));
    let code = wait::until("the change of the key is noticed", || rig.code(&request(&key)));
    assert_eq!(code, 513);
    rig.keys.set_for("k", Answer::new(410, "{}"));
    wait::until_true("the key's end is noticed", || rig.code(&request(&key)) == Some(512));
    rig.keys.register(&key);
    wait::until_true("the key's return is noticed", || rig.code(&request(&key)).is_none());
    let seconds = start.elapsed().as_secs() + 2;
    assert!(rig.keys.count_for("k") as u64 <= 2 * seconds, "{} fetches in {seconds} s", rig.keys.count_for("k"));
    rig.envoy.assert_healthy();
}

#[test]
fn what_the_key_service_says_of_a_kid_is_remembered() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "negative_max_age": "1s"}}));
    let key = |kid: &str| new_key(kid);
    rig.keys.set_for("gone", Answer::new(410, "gone"));
    rig.keys.set_for("unusable", Answer::document(&key("unusable").jwk().with("use", json!("enc"))));
    for (kid, code) in [("never", 504), ("gone", 512), ("unusable", 504)] {
        let key = key(kid);
        let answers: Vec<Answered> = (0..3).map(|_| rig.exchange(&request(&key))).collect();
        for answered in &answers {
            is_denial(code, None, answered).unwrap_or_else(|problem| panic!("{kid}: {problem}"));
        }
        assert_eq!(rig.keys.count_for(kid), 1, "{kid}");
        rig.keys.register(&key);
        wait::until_true("a kid registered later is noticed", || rig.code(&request(&key)).is_none());
    }
    rig.envoy.assert_healthy();
}

#[test]
fn keys_in_the_configuration_need_no_callout() {
    let (es256, hs256) = (new_key("es"), SigningKey::generate("hs", Alg::HS256));
    let set = json!({"keys": [es256.jwk(), hs256.jwk()]});
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "inline": set}}));
    for _ in 0..3 {
        assert_eq!(rig.code(&request(&es256)), None);
        assert_eq!(rig.code(&request(&hs256)), None);
    }
    assert_eq!(rig.keys.received().len(), 0);
    assert_eq!(rig.code(&request(&new_key("elsewhere"))), Some(504));
    assert_eq!(rig.keys.count_for("elsewhere"), 1);
    rig.envoy.assert_healthy();
}

#[test]
fn a_key_that_joins_a_set_is_found_and_an_unknown_kid_refetches_no_more_than_it_may() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "path": "/jwks.json", "refetch_interval": "1s"}}));
    let (first, second) = (new_key("first"), new_key("second"));
    rig.keys.set("/jwks.json", Answer::set(&[first.jwk()]));
    assert_eq!(rig.code(&request(&first)), None);
    let start = Instant::now();
    for number in 0..20 {
        assert_eq!(rig.code(&request(&new_key(&format!("unknown-{number}")))), Some(504));
    }
    let allowed = 2 + start.elapsed().as_secs() as usize;
    assert!(rig.keys.count("/jwks.json") <= allowed, "{} fetches", rig.keys.count("/jwks.json"));
    rig.keys.set("/jwks.json", Answer::set(&[first.jwk(), second.jwk()]));
    wait::until_true("the new key is found", || rig.code(&request(&second)).is_none());
    assert_eq!(rig.code(&request(&first)), None);
    rig.envoy.assert_healthy();
}

#[test]
fn a_failing_key_service_is_500_with_the_time_of_the_next_attempt_and_recovers() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "timeout": "1s"}}));
    let key = new_key("k");
    rig.keys.set_for("k", Answer::new(503, "down"));
    for _ in 0..3 {
        is_denial(500, None, &rig.exchange(&request(&key))).unwrap();
    }
    assert!(rig.keys.count_for("k") <= 2, "{} attempts within a moment", rig.keys.count_for("k"));
    rig.keys.register(&key);
    wait::until_true("the key service is back", || rig.code(&request(&key)).is_none());
    rig.envoy.assert_healthy();
}

#[test]
fn a_key_service_that_goes_away_is_500_for_keys_that_are_not_held() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys"}}));
    let key = new_key("held");
    rig.keys.register(&key);
    assert_eq!(rig.code(&request(&key)), None);
    let Rig { envoy, upstream, keys } = rig;
    drop(keys);
    let send = |key: &SigningKey| client::exchange(envoy.only(), &request(key), &[]).unwrap();
    is_denial(500, None, &send(&new_key("never-fetched"))).unwrap();
    assert_eq!(send(&key).code(), None, "a key that is still fresh serves on");
    assert_eq!(upstream.count(), 2);
    envoy.assert_healthy();
}

#[test]
fn slow_algorithms_need_no_permission_where_envoy_verifies_them() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys"}}));
    for alg in Alg::ALL {
        let key = SigningKey::generate(&alg.name(), alg);
        rig.keys.register(&key);
        let refused = matches!(alg, Alg::ES384 | Alg::ES512) && runs_without("verify_signature");
        assert_eq!(rig.code(&request(&key)), refused.then_some(504), "{alg:?}");
    }
    rig.envoy.assert_healthy();
}

#[test]
fn a_cluster_that_does_not_exist_is_500_and_is_logged_once() {
    let rig = Rig::start(&json!({"keys": {"cluster": "no-such-cluster"}}));
    for number in 0..5 {
        is_denial(500, None, &rig.exchange(&request(&new_key(&format!("k{number}"))))).unwrap();
    }
    let lines = rig.envoy.log().lines().filter(|line| line.contains("no-such-cluster")).count();
    assert_eq!(lines, 1, "lines about the cluster");
    assert_eq!(rig.upstream.count(), 0);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_44_answers_that_do_not_come_or_come_wrong_are_failures_within_the_timeout() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "timeout": "0.7s"}}));
    let document = |kid: &str| new_key(kid).jwk();
    let large = |kid: &str| document(kid).with("padding", json!("x".repeat(64 * 1024)));
    for (kid, answer) in [
        ("never", Answer::never()),
        ("late", Answer::document(&document("late")).delayed(Duration::from_secs(5))),
        ("broken", Answer::document(&document("broken")).broken_after(40)),
        ("stopped", Answer::document(&document("stopped")).stopped_after(40)),
        ("trickled", Answer::document(&document("trickled")).trickled(Duration::from_millis(100))),
        ("large", Answer::document(&large("large"))),
        (
            "gzip",
            Answer::new(200, b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3")
                .header("content-encoding", "gzip"),
        ),
        ("array", Answer::document(&json!([document("array")]))),
        ("204", Answer::new(204, "")),
        ("429", Answer::new(429, "{}")),
        ("401", Answer::new(401, "{}")),
    ] {
        rig.keys.set_for(kid, answer);
        let start = Instant::now();
        is_denial(500, None, &rig.exchange(&request(&new_key(kid))))
            .unwrap_or_else(|problem| panic!("{kid}: {problem}"));
        assert!(start.elapsed() < Duration::from_millis(2000), "{kid} took {:?}", start.elapsed());
    }
    assert_eq!(rig.upstream.count(), 0);
    rig.envoy.assert_healthy();
}

#[test]
fn a_late_answer_for_clients_that_went_away_does_no_harm_and_is_kept() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "timeout": "10s"}}));
    let (key, gate) = (new_key("late"), Gate::closed());
    rig.keys.set_for("late", Answer::document(&key.jwk()).held_by(&gate));
    let bytes = bytes_of(&request(&key), &[]);
    let mut connections: Vec<Connection> = (0..20).map(|_| Connection::open(rig.envoy.only())).collect();
    for connection in &mut connections {
        connection.send(&bytes).unwrap();
    }
    rig.envoy.await_active_requests(20);
    let mut stay = connections.split_off(10);
    connections.into_iter().for_each(Connection::abort);
    rig.envoy.await_active_requests(10);
    gate.open();
    for connection in &mut stay {
        assert_eq!(connection.answer("POST").unwrap().status, 200);
    }
    assert_eq!((rig.code(&request(&key)), rig.keys.count_for("late")), (None, 1));
    assert_eq!(rig.upstream.count(), 11, "those who stayed, and one more");
    rig.envoy.assert_healthy();
}

#[test]
fn attack_52b_two_filters_with_different_key_services_never_see_each_others_keys() {
    let other_service = KeyService::start();
    let rig = Rig::adjusted(&json!({"keys": {"cluster": "keys"}}), |setup| {
        setup.clusters.push(("other-keys".into(), other_service.address()));
        setup.listeners.push(Listener::new("other", &json!({"keys": {"cluster": "other-keys"}})));
    });
    let (ours, theirs) = (new_key("k"), new_key("k"));
    rig.keys.register(&ours);
    other_service.register(&theirs);
    let code = |listener: &str, key: &SigningKey| {
        client::exchange(rig.envoy.address(listener), &request(key), &[]).unwrap().code()
    };
    for _ in 0..2 {
        assert_eq!((code("main", &ours), code("main", &theirs)), (None, Some(505)));
        assert_eq!((code("other", &ours), code("other", &theirs)), (Some(505), None));
    }
    let only_here = new_key("only-here");
    rig.keys.register(&only_here);
    assert_eq!((code("main", &only_here), code("other", &only_here)), (None, Some(504)));
    rig.envoy.assert_healthy();
}

#[test]
fn attack_27_a_flood_of_unknown_kids_does_not_slow_a_known_key() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys"}}));
    let known = new_key("known");
    rig.keys.register(&known);
    assert_eq!(rig.code(&request(&known)), None);
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            for number in 0..200 {
                let code = rig.code(&request(&known.under_kid(&format!("flood-{number}"))));
                assert!(matches!(code, Some(504 | 500)), "{code:?}");
            }
        });
        while !flood.is_finished() {
            let start = Instant::now();
            assert_eq!(rig.code(&request(&known)), None);
            assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
        }
    });
    assert_eq!(rig.keys.count(&path_of("known")), 1);
    rig.envoy.assert_healthy();
}
