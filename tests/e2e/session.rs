//! Session tokens in a running proxy: where their keys come from and go to, how long one is sent again, and what hostile claims do to
//! the headers towards the upstream.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use hyper::HeaderMap;
use hyper::header::HeaderName;
use serde_json::{Value, json};

use crate::keys::{at_once, new_key, request};
use crate::now;
use crate::pieces::{VERSIONS, exchange, patient};
use crate::reply::is_denial;
use crate::support::bootstrap::runs_without;
use crate::support::client;
use crate::support::envoy::Listener;
use crate::support::exchange::{Gate, Received};
use crate::support::h2_client;
use crate::support::key_service::{Answer, KeyService};
use crate::support::rig::Rig;
use crate::support::session::{AUDIENCE, ISSUER};
use crate::support::signer::{Document, SigningKey, from_base64url};
use crate::support::table::{Plugin, Request, Version};
use crate::support::token::Token;
use crate::support::wait;
use crate::traffic::during;

const WORKERS: usize = 4;
const HEADER: &str = "x-mdrm-session";
/// Where the filter asks for the session key of these tests.
const PATH: &str = "/session-keys/s1";

fn session(lifetime: &str) -> Value {
    json!({"keys": {"cluster": "keys"}, "kid": "s1", "issuer": ISSUER, "audience": AUDIENCE, "lifetime": lifetime})
}

fn plugin() -> Value {
    json!({"keys": {"cluster": "keys"}, "session": session("60s")})
}

/// A rig of these workers whose key service knows the access key `k`; and that key.
fn rig(plugin: &Value, workers: usize) -> (Rig, SigningKey) {
    let rig = Rig::adjusted(plugin, |setup| setup.concurrency = workers as u32);
    let key = new_key("k");
    rig.keys.register(&key);
    (rig, key)
}

fn fresh_for(seconds: u32, document: &Value) -> Answer {
    Answer::document(document).header("cache-control", &format!("max-age={seconds}"))
}

fn session_token(received: &Received) -> String {
    let values = received.values(HEADER);
    assert_eq!(values.len(), 1, "{received:?}");
    String::from_utf8(values[0].to_vec()).unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&from_base64url(token.split('.').nth(1).unwrap())).unwrap()
}

fn is_signed_by(token: &str, key: &SigningKey) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    key.verifies(message.as_bytes(), &from_base64url(signature))
}

#[test]
fn a_session_key_that_cannot_be_had_is_500_with_the_time_of_the_next_attempt_and_recovers() {
    let (rig, key) = rig(&plugin(), 1);
    let session_key = new_key("s1");
    rig.keys.set(PATH, Answer::new(503, "down"));
    for version in VERSIONS {
        is_denial(500, None, &exchange(&rig, version, &request(&key))).unwrap();
    }
    assert_eq!((rig.keys.count(PATH), rig.upstream.count()), (2, 0), "one attempt within a moment, repeated once");
    rig.keys.set(PATH, Answer::document(&session_key.private_jwk()));
    wait::until_true("the key service is back", || rig.code(&request(&key)).is_none());
    assert!(is_signed_by(&session_token(&rig.upstream.received()[0]), &session_key));
    assert_eq!(rig.keys.count_for("k"), 1);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_45_a_session_key_that_is_held_signs_on_while_its_key_service_fails() {
    let (rig, key) = rig(&plugin(), WORKERS);
    let session_key = new_key("s1");
    rig.keys.set(PATH, fresh_for(1, &session_key.private_jwk()));
    let ((), samples) = during(&rig, 8, &[request(&key)], || {
        wait::until_true("each worker has it", || rig.keys.count(PATH) >= WORKERS);
        rig.keys.set(PATH, Answer::new(503, "down"));
        let before = rig.keys.count(PATH);
        // One failure each ends the freshness of one second.
        wait::until_true("each worker was refused", || rig.keys.count(PATH) >= before + 2 * WORKERS);
    });
    let refused = samples.iter().find(|sample| !sample.is_allowed());
    assert!(refused.is_none(), "{refused:?}");
    assert_eq!(rig.upstream.count(), samples.len());
    rig.envoy.assert_healthy();
}

#[test]
fn attack_52_a_session_key_that_ends_under_traffic_is_refused_by_every_worker_within_its_freshness() {
    const FRESHNESS: Duration = Duration::from_secs(1);
    const SLACK: Duration = Duration::from_millis(300);
    for end in ["disabled", "deleted"] {
        let (rig, key) = rig(&plugin(), WORKERS);
        let document = new_key("s1").private_jwk();
        rig.keys.set(PATH, fresh_for(1, &document));
        // One token throughout: that it was signed for before must not help.
        let (ended, samples) = during(&rig, 8, &[request(&key)], || {
            wait::until_true("each worker has it", || rig.keys.count(PATH) >= WORKERS);
            rig.keys.set(PATH, fresh_for(1, &document.with("status", json!(end))));
            let ended = Instant::now();
            thread::sleep(FRESHNESS + 2 * SLACK);
            ended
        });
        let late: Vec<_> = samples.iter().filter(|sample| sample.sent_at > ended + FRESHNESS + SLACK).collect();
        assert!(late.len() >= 8, "{end}: {} requests are too few", late.len());
        late.into_iter().for_each(|sample| is_denial(506, None, &sample.answered).unwrap());
        let early = samples.iter().filter(|sample| sample.sent_at + sample.took < ended);
        early.for_each(|sample| assert!(sample.is_allowed(), "{end}: {sample:?}"));
        rig.envoy.assert_healthy();
    }
}

#[test]
fn a_session_key_that_is_replaced_under_its_name_signs_new_tokens_for_the_clients_old_ones() {
    let (rig, key) = rig(&plugin(), 1);
    let (old, new) = (new_key("s1"), new_key("s1"));
    rig.keys.set(PATH, fresh_for(1, &old.private_jwk()));
    let request = request(&key);
    let token = || {
        assert_eq!(rig.code(&request), None);
        session_token(&rig.upstream.received().pop().unwrap())
    };
    let first = token();
    assert!(is_signed_by(&first, &old) && token() == first);
    rig.keys.set(PATH, fresh_for(1, &new.private_jwk()));
    let second = wait::until("the new key signs", || Some(token()).filter(|token| is_signed_by(token, &new)));
    assert!(!is_signed_by(&second, &old));
    rig.envoy.assert_healthy();
}

#[test]
fn one_session_token_serves_until_half_of_its_life_is_over_and_never_another_route() {
    const LIFETIME: i64 = 4;
    let plugin = Plugin::Reference.configuration().with("session", session("4s"));
    let (rig, key) = rig(&plugin, 1);
    rig.keys.set(PATH, Answer::document(&new_key("s1").private_jwk()));
    // One client token for each route, and one that goes to all of them in turn.
    let token = |id: &str| Token::new(&key).claim("jti", json!(id)).compact(now());
    let routes = ["/widevine", "/playready", "/exact"].map(|path| (path, token(path)));
    let shared = token("shared");
    let start = Instant::now();
    let mut sent: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_millis(3300) {
        rounds += 1;
        for (path, token) in routes.iter().flat_map(|(path, own)| [(*path, own), (*path, &shared)]) {
            let before = now();
            assert_eq!(rig.code(&Request::post(path).token(token)), None);
            let session_token = session_token(&rig.upstream.received().pop().unwrap());
            let claims = claims(&session_token);
            let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
            assert_eq!(expires - issued, LIFETIME);
            assert!(issued + LIFETIME / 2 > before, "sent again after half of its life: {claims} at {before}");
            let drm = claims.get("drm").and_then(Value::as_str);
            assert_eq!(drm, ["widevine", "playready"].into_iter().find(|drm| path.ends_with(drm)));
            if claims["jti"] != "shared" {
                assert_eq!(claims["jti"], path);
                sent.entry(session_token).or_default().insert(path);
            }
        }
    }
    assert!(sent.values().all(|paths| paths.len() == 1), "one token on two routes: {sent:?}");
    // A new one every second second, on each of three routes; every second where it is not remembered.
    let most = if runs_without("remembered_tokens") { 5 } else { 3 };
    assert!((2 * 3..=most * 3).contains(&sent.len()), "{} tokens in {rounds} rounds", sent.len());
    assert!(rounds > 20, "{rounds} rounds are too few");
    rig.envoy.assert_healthy();
}

#[test]
fn sixty_first_requests_make_one_callout_for_the_access_key_and_one_a_worker_for_the_session_key() {
    for workers in [1, WORKERS] {
        let rig = Rig::adjusted(&patient(plugin()), |setup| setup.concurrency = workers as u32);
        let (key, session_key, gate) = (new_key("k"), new_key("s1"), Gate::closed());
        rig.keys.set_for("k", Answer::document(&key.jwk()).held_by(&gate));
        rig.keys.set(PATH, Answer::document(&session_key.private_jwk()));
        let answers = at_once(&rig, &key, 60, &gate);
        assert!(answers.iter().all(|answered| answered.status == 200), "{answers:?}");
        assert_eq!((rig.keys.count_for("k"), rig.keys.count(PATH)), (1, workers));
        let received = rig.upstream.received();
        assert_eq!(received.len(), 60);
        assert!(received.iter().all(|request| is_signed_by(&session_token(request), &session_key)));
        rig.envoy.assert_healthy();
    }
}

#[test]
fn a_session_key_stands_in_no_log_and_no_other_plugin_of_the_vm_gets_it() {
    let elsewhere = KeyService::start();
    let rig = Rig::adjusted(&patient(plugin()), |setup| {
        setup.concurrency = WORKERS as u32;
        setup.log_level = "debug".into();
        setup.clusters.push(("elsewhere".into(), elsewhere.address()));
        let other = session("60s").with("keys", json!({"cluster": "elsewhere"}));
        setup.listeners.push(Listener::new("other", &plugin().with("session", other)));
        setup.listeners.push(Listener::new("alike", &plugin().with("session", session("59s"))));
    });
    let (key, session_key) = (new_key("k"), new_key("s1"));
    rig.keys.register(&key);
    let gate = Gate::closed();
    rig.keys.set(PATH, Answer::document(&session_key.private_jwk()).held_by(&gate));
    let answers = at_once(&rig, &key, 40, &gate);
    assert!(answers.iter().all(|answered| answered.status == 200), "{answers:?}");
    assert_eq!(rig.keys.count(PATH), WORKERS, "it is not shared, so each worker asks");
    for _ in 0..2 * WORKERS {
        let answered = client::exchange(rig.envoy.address("other"), &request(&key), &[]).unwrap();
        is_denial(506, None, &answered).unwrap();
    }
    assert!(elsewhere.count(PATH) >= 1);
    assert_eq!(rig.keys.count(PATH), WORKERS);
    let answered = client::exchange(rig.envoy.address("alike"), &request(&key), &[]).unwrap();
    assert_eq!((answered.status, rig.keys.count(PATH)), (200, WORKERS + 1), "it asks for itself");
    let secret = session_key.private_jwk()["d"].as_str().unwrap().to_owned();
    let log = rig.envoy.log() + &rig.envoy.access_log();
    assert!(log.contains("[debug][wasm]") || log.contains("[debug][http]"), "the log says too little");
    assert!(!log.contains(&secret), "the log holds the private key");
    for admin in ["/config_dump", "/stats", "/clusters"] {
        assert!(!rig.envoy.admin(admin).contains(&secret), "{admin} holds the private key");
    }
    rig.envoy.assert_healthy();
}

#[test]
fn hostile_claims_reach_the_upstream_whole_or_not_at_all_and_the_log_says_so_once() {
    let claim_headers = json!({"x-sub": "sub", "x-hostile": "hostile"});
    let upstream = json!({"payload_header": "x-payload", "claim_headers": claim_headers});
    for upstream_http2 in [false, true] {
        let plugin = plugin().with("upstream", upstream.clone()).with("max_token_bytes", json!(65536));
        let rig = Rig::adjusted(&plugin, |setup| setup.upstream_http2 = upstream_http2);
        let (key, session_key) = (new_key("k"), new_key("s1"));
        rig.keys.register(&key);
        rig.keys.set(PATH, Answer::document(&session_key.private_jwk()));
        let long = "c".repeat(47 << 10);
        let texts = [
            "plain",
            "a\r\nx-mdrm-session: forged",
            "a\nb",
            "a\rb",
            "a\0b",
            "\"quoted\", and \\ more; \u{7f}",
            " blanks around ",
            "\u{202e}naïve ☃",
            "",
            &long,
        ];
        let others = [json!({"a": {"b": "c\r\n"}}), json!(["a", "b"]), json!(null), json!(1.5e300), json!(true)];
        for hostile in texts.iter().map(|text| json!(text)).chain(others) {
            let token = Token::new(&key).claim("hostile", hostile.clone()).claim("sub", json!("content-1"));
            let request = Request::post("/license").token(token.compact(now()));
            for version in VERSIONS {
                let answered = exchange(&rig, version, &request);
                assert_eq!(answered.status, 200, "{hostile:.60}: {answered:?}");
                let received = rig.upstream.received().pop().unwrap();
                let whole = hostile.as_str().map_or_else(|| hostile.to_string(), str::to_owned);
                let values = received.values("x-hostile");
                assert!(values.is_empty() || values == [whole.as_bytes()], "{hostile:.60} became {values:?}");
                assert_eq!(received.values("x-sub"), [b"content-1"]);
                let payload = received.header("x-payload").unwrap();
                let payload: Value = serde_json::from_slice(&from_base64url(&payload)).unwrap();
                assert_eq!(payload["hostile"], hostile);
                let session_token = session_token(&received);
                assert!(is_signed_by(&session_token, &session_key));
                assert_eq!(claims(&session_token)["claims"]["hostile"], hostile);
            }
        }
        let carried = rig.upstream.received();
        assert!(carried.iter().any(|request| request.values("x-hostile") == [long.as_bytes()]), "a long one is whole");
        assert!(carried.iter().any(|request| request.values("x-hostile").is_empty()), "none was left out");
        let lines = rig.envoy.log().lines().filter(|line| line.contains("x-hostile")).count();
        assert_eq!(lines, 1, "lines about the header");
        rig.envoy.assert_healthy();
    }
}

#[test]
fn attack_10_forged_trailers_with_names_of_ours_are_removed_while_two_keys_are_awaited() {
    let plugin = plugin().with("session", session("60s").with("header", json!("x-session")));
    let rig = Rig::adjusted(&plugin, |setup| setup.upstream_http2 = true);
    let (key, session_key) = (new_key("k"), new_key("s1"));
    rig.keys.register(&key);
    rig.keys.set(PATH, Answer::document(&session_key.private_jwk()));
    let mut trailers = HeaderMap::new();
    for name in ["x-session", "x_session", "x-mdrm-session", "x_mdrm_sub", "x-mdrm-would-deny", "x-checksum"] {
        trailers.append(HeaderName::from_static(name), "forged".parse().unwrap());
    }
    let h2 = h2_client::Connection::open(rig.envoy.only());
    for _ in 0..2 {
        let (answered, _) = h2.exchange_with_trailers(&request(&key), &[], Some(trailers.clone())).unwrap();
        assert_eq!((answered.status, answered.code()), (200, None));
        let received = rig.upstream.received().pop().unwrap();
        assert_eq!(received.trailers, [("x-checksum".to_owned(), b"forged".to_vec())]);
        assert!(is_signed_by(&received.header("x-session").unwrap(), &session_key));
        assert_eq!(received.body, request(&key).body);
    }
    assert_eq!(exchange(&rig, Version::Http1, &request(&key)).status, 200);
    rig.envoy.assert_healthy();
}
