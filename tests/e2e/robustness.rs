//! What clients do to a proxy: odd bytes, huge headers, going away, and many of them at once. No VM may die of it.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::now;
use crate::support::client::{self, Connection, bytes_of};
use crate::support::exchange::Gate;
use crate::support::h2_client;
use crate::support::key_service::Answer;
use crate::support::random::Random;
use crate::support::rig::Rig;
use crate::support::signer::{Alg, SigningKey};
use crate::support::table::keyring::keyring;
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;

fn license(key: &SigningKey) -> Request {
    Request::post("/widevine").token(Token::new(key).compact(now()))
}

#[test]
fn attack_9_bytes_that_are_no_utf_8_in_any_header_do_not_hurt() {
    let rig = Rig::start(&Plugin::Reference.configuration());
    let key = keyring().main();
    rig.keys.register(key);
    let names = [
        "accept",
        "accept-encoding",
        "accept-language",
        "access-control-request-headers",
        "access-control-request-method",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-type",
        "cookie",
        "forwarded",
        "from",
        "if-none-match",
        "origin",
        "range",
        "referer",
        "te",
        "traceparent",
        "user-agent",
        "via",
        "x-b3-traceid",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-http-method-override",
        "x-mdrm-session",
        "x-mdrm-sub",
        "x-request-id",
        "x-whatever",
    ];
    let bytes: [&[u8]; 5] = [b"\xff", b"\xc3\x28", b"caf\xe9", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"];
    for name in names {
        for value in bytes {
            for request in
                [license(key), Request::get("/widevine"), Request::get("/healthz"), Request::new("OPTIONS", "/cpix")]
            {
                let answered = rig.exchange(&request.header(name, value));
                let understood = matches!(answered.status, 200 | 401 | 403);
                // Envoy itself looks at some headers and may answer 400.
                assert!(understood || answered.status == 400, "{name}: {}: {answered:?}", value.escape_ascii());
            }
        }
    }
    assert_eq!(rig.code(&license(key)), None);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_11_headers_up_to_envoys_own_limit_are_decided_and_beyond_it_refused() {
    let rig = Rig::adjusted(&Plugin::Reference.configuration(), |setup| setup.listeners[0].max_headers_kb = 60);
    let long = |bytes: usize| Request::get("/widevine").token(".".repeat(bytes));
    assert_eq!(rig.exchange(&long(55 * 1024)).code(), Some(502));
    let refused = client::exchange(rig.envoy.only(), &long(70 * 1024), &[]);
    assert!(refused.is_err() || refused.is_ok_and(|answered| answered.status == 431));
    let padded = Request::get("/widevine").header("x-padding", "p".repeat(55 * 1024));
    assert_eq!(rig.exchange(&padded).code(), Some(501));
    let many = (0..95).fold(Request::get("/widevine"), |request, number| request.header(&format!("x-{number}"), "v"));
    assert_eq!(rig.exchange(&many).code(), Some(501));
    rig.envoy.assert_healthy();
}

#[test]
fn attack_61_hundreds_of_clients_that_go_away_while_their_key_is_fetched_do_no_harm() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "timeout": "20s"}}));
    let key = keyring().main();
    for round in 0..3 {
        let gate = Gate::closed();
        let key = key.under_kid(&format!("round-{round}"));
        rig.keys.set_for(key.kid(), Answer::document(&key.jwk()).held_by(&gate));
        let bytes = bytes_of(&license(&key), &[]);
        let mut connections: Vec<Connection> = (0..150).map(|_| Connection::open(rig.envoy.only())).collect();
        for connection in &mut connections {
            connection.send(&bytes).unwrap();
        }
        rig.envoy.await_active_requests(150);
        connections.into_iter().for_each(Connection::abort);
        rig.envoy.await_active_requests(0);
        gate.open();
        assert_eq!(rig.code(&license(&key)), None, "round {round}");
        assert_eq!(rig.keys.count_for(key.kid()), 1, "round {round}");
    }
    assert_eq!(rig.upstream.count(), 3);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_65_http_2_streams_and_connections_that_are_reset_do_no_harm() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "timeout": "20s"}}));
    let (key, gate) = (keyring().main().under_kid("reset"), Gate::closed());
    rig.keys.set_for("reset", Answer::document(&key.jwk()).held_by(&gate));
    for round in 1..=5 {
        let connection = h2_client::Connection::open(rig.envoy.only());
        let pending: Vec<h2_client::Pending> = (0..20).map(|_| connection.start(&license(&key))).collect();
        rig.envoy.await_active_requests(20);
        drop(pending); // resets each stream
        rig.envoy.await_active_requests(0);
        assert_eq!(rig.keys.count_for("reset"), 1, "round {round}");
    }
    gate.open();
    assert_eq!(rig.code(&license(&key)), None);
    rig.envoy.assert_healthy();
}

#[test]
fn clients_that_go_away_in_the_middle_of_their_body_do_no_harm() {
    let rig = Rig::start(&Plugin::Reference.configuration());
    let key = keyring().main();
    rig.keys.register(key);
    let token = Token::new(key).compact(now());
    for path in ["/widevine", "/healthz", "/nowhere", "/cpix"] {
        for sent in [0, 1, 500] {
            let mut connection = Connection::open(rig.envoy.only());
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nAuthorization: {token}\r\n\r\n");
            connection.send(head.as_bytes()).unwrap();
            connection.send(&vec![b'x'; sent]).unwrap();
            connection.abort();
        }
    }
    rig.envoy.await_active_requests(0);
    assert_eq!(rig.code(&license(key)), None);
    rig.envoy.assert_healthy();
}

#[test]
fn random_requests_get_an_answer_and_hurt_nothing() {
    let rig = Rig::start(&Plugin::Reference.configuration());
    let key = keyring().main();
    rig.keys.register(key);
    let token = Token::new(key).compact(now());
    let mut random = Random(0x5eed);
    for _ in 0..1500 {
        let mut value = token.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let place = random.below(value.len());
            match random.below(3) {
                0 => value[place] = *random.of(b"ABCabc019-_.+/= %&?\xff\x80"),
                1 => value.truncate(place.max(1)),
                _ => value.insert(place, *random.of(b"ABCabc019-_.+/= %&?\xff\x80")),
            }
        }
        let in_query: Vec<u8> = value.iter().copied().filter(u8::is_ascii_graphic).collect();
        if value.trim_ascii() == token.as_bytes() || in_query == token.as_bytes() {
            continue;
        }
        let request = if random.below(2) == 0 {
            Request::post("/widevine").token(&value)
        } else {
            Request::post([b"/widevine?Authorization=", &in_query[..]].concat())
        };
        let answered = rig.exchange(&request);
        assert!(matches!(answered.code(), Some(501..=505)), "{request:?} got {answered:?}");
    }
    assert_eq!(rig.upstream.count(), 0);
    assert_eq!(rig.code(&license(key)), None);
    rig.envoy.assert_healthy();
}

#[test]
fn two_and_four_workers_decide_alike() {
    for workers in [2, 4] {
        let rig = Rig::adjusted(&Plugin::Reference.configuration(), |setup| setup.concurrency = workers);
        let keys = [Alg::ES256, Alg::RS256, Alg::EdDSA, Alg::HS256].map(|alg| keyring().of_alg(alg));
        keys.iter().for_each(|key| rig.keys.register(key));
        let gone = keyring().main().under_kid("gone");
        rig.keys.set_for("gone", Answer::new(410, ""));
        thread::scope(|scope| {
            for thread in 0..8 {
                let (rig, gone) = (&rig, &gone);
                scope.spawn(move || {
                    for round in 0..25 {
                        let key = keys[(thread + round) % keys.len()];
                        let forged = Token::new(key).signed_by(keyring().stranger()).compact(now());
                        assert_eq!(rig.code(&license(key)), None);
                        assert_eq!(rig.code(&Request::get("/widevine").token(forged)), Some(505));
                        assert_eq!(rig.code(&license(gone)), Some(512));
                        assert_eq!(rig.code(&Request::get("/widevine")), Some(501));
                    }
                });
            }
        });
        assert_eq!(rig.upstream.count(), 8 * 25);
        for worker in 0..workers {
            let connections = rig.envoy.admin(&format!("/stats?filter=worker_{worker}.downstream_cx_total"));
            let served = connections.lines().any(|line| !line.ends_with(": 0") && line.contains("downstream_cx_total"));
            assert!(served, "worker {worker} of {workers} had nothing to do: {connections}");
        }
        for key in keys.into_iter().chain([&gone]) {
            let fetches = rig.keys.count_for(key.kid());
            // A secret is not shared between workers.
            let allowed = if key.alg() == Alg::HS256 { workers as usize } else { 1 };
            assert!((1..=allowed).contains(&fetches), "{fetches} fetches of {} by {workers} workers", key.kid());
        }
        rig.envoy.assert_healthy();
    }
}

#[test]
fn requests_beyond_those_that_may_wait_and_requests_that_wait_too_long_are_500() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "timeout": "0.5s", "max_waiting": 10}}));
    let key = keyring().main().under_kid("slow");
    rig.keys.set_for("slow", Answer::document(&key.jwk()).delayed(Duration::from_secs(30)));
    let bytes = bytes_of(&license(&key), &[]);
    let mut connections: Vec<Connection> = (0..30).map(|_| Connection::open(rig.envoy.only())).collect();
    for connection in &mut connections {
        connection.send(&bytes).unwrap();
    }
    let codes: Vec<Option<u16>> = connections.iter_mut().map(|one| one.answer("POST").unwrap().code()).collect();
    assert!(codes.iter().all(|code| *code == Some(500)), "{codes:?}");
    assert_eq!(rig.upstream.count(), 0);
    rig.envoy.assert_healthy();
}
