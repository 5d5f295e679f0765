//! Attack 79: requests that wait for their keys while their bodies come, on every release of Envoy. Bodies arrive whole, whichever of
//! their pieces came before the key; a large one waits with the client.
//!
//! `make test-hosts` runs all tests whose names begin with `attack_79_` in each release, these and those of tunnels and documents.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::keys::{new_key, request};
use crate::now;
use crate::pieces::{VERSIONS, exchange, framed_in_pieces, patient};
use crate::reply::is_denial;
use crate::support::client::{self, Connection, bytes_of, head_of};
use crate::support::envoy::Setup;
use crate::support::exchange::{Answered, Gate};
use crate::support::h2_client;
use crate::support::key_service::Answer;
use crate::support::rig::Rig;
use crate::support::session::{AUDIENCE, ISSUER};
use crate::support::signer::{CPIX, Document, SigningKey};
use crate::support::table::{Framing, Request, Version};
use crate::support::token::Token;
use crate::support::upstream::LICENSE_BODY;
use crate::support::wait;

/// More than Envoy buffers for a connection, unless told otherwise.
const LARGE: usize = 3 << 20;

/// Licenses with session tokens, and documents that are bound to their tokens.
fn plugin() -> Value {
    patient(json!({
        "keys": {"cluster": "keys"},
        "routes": [{"path_prefix": "/cpix", "service": "cpix"}],
        "default_service": "license",
        "services": {"cpix": {"bind_content": true}},
        "session": {"keys": {"cluster": "keys"}, "kid": "s", "issuer": ISSUER, "audience": AUDIENCE},
    }))
}

/// Licenses alone.
fn licenses() -> Value {
    patient(json!({"keys": {"cluster": "keys"}}))
}

/// What a release of Envoy may do differently, or an operator.
type Adjust = fn(&mut Setup);

/// As it is, as releases up to 1.39.0 are, and without the option that bodies are read by.
const HOSTS: [Adjust; 3] = [|_| (), forgetful, |setup| setup.listeners[0].stop_iteration = false];

/// With the fault of releases up to 1.39.0, which do not know the flag and ignore it: a piece that is put to a held body before the
/// body is let go is forgotten.
fn forgetful(setup: &mut Setup) {
    let flag = "envoy.reloadable_features.filter_manager_forward_added_data_on_continue";
    setup.runtime.push((flag.to_owned(), json!(false)));
}

/// Three pieces that differ, each as large as what HTTP/2 sends at once.
fn pieces() -> [Vec<u8>; 3] {
    [b'a', b'b', b'c'].map(|first| (0..16_000_u32).map(|place| first + (place % 23) as u8).collect())
}

/// A key of this name that is told when the gate opens.
fn gated(rig: &Rig, kid: &str) -> (SigningKey, Gate) {
    let (key, gate) = (new_key(kid), Gate::closed());
    rig.keys.set_for(kid, Answer::document(&key.jwk()).held_by(&gate));
    (key, gate)
}

fn is_license(answered: &Answered) {
    assert_eq!((answered.status, &answered.body[..]), (200, LICENSE_BODY), "{answered:?}");
}

#[test]
fn attack_79_a_body_in_pieces_around_the_keys_that_it_waits_for_arrives_whole() {
    for (host, adjust) in HOSTS.into_iter().enumerate() {
        let rig = Rig::adjusted(&plugin(), adjust);
        let pieces = pieces();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        for (number, (version, framing)) in framings().enumerate() {
            for access in 0..=pieces.len() {
                for session in access..=pieces.len() {
                    let id = format!("{number}-{access}-{session}");
                    let (key, access_gate) = gated(&rig, &id);
                    let session_gate = Gate::closed();
                    let document = key.jwk().with("session_kid", json!(format!("s{id}")));
                    rig.keys.set_for(&id, Answer::document(&document).held_by(&access_gate));
                    let session_key = Answer::document(&new_key(&format!("s{id}")).private_jwk());
                    rig.keys.set(&format!("/session-keys/s{id}"), session_key.held_by(&session_gate));
                    let mut sent = request(&key).header("x-case", &id);
                    sent.framing = framing;
                    let trailers: &[_] = if framing == Framing::Chunked { &[("x-checksum", "right")] } else { &[] };
                    let answered = framed_in_pieces(&rig, version, &sent, &pieces, trailers, |place| {
                        if place == access {
                            rig.keys.await_count_for(&id, 1);
                            access_gate.open();
                            // Who waits for the same key is answered when it has come.
                            let elsewhere = Token::new(&key).audience("elsewhere").compact(now());
                            is_denial(503, None, &rig.exchange(&Request::get("/license").token(elsewhere))).unwrap();
                        }
                        assert!(place > session || rig.upstream.take(&id).is_empty(), "{id}: before piece {place}");
                        if place == session {
                            session_gate.open();
                            is_license(&rig.exchange(&Request::get("/license").token(Token::new(&key).compact(now()))));
                        }
                    });
                    is_license(&answered);
                    let [received] = &rig.upstream.take(&id)[..] else { panic!("{id}: one request at the upstream") };
                    let whole = received.body == pieces.concat();
                    let length = received.body.len();
                    assert!(
                        whole,
                        "host {host}, {version:?}, {framing:?}, keys before {access} and {session}: {length}"
                    );
                    assert_eq!(received.trailers.len(), trailers.len(), "{id}");
                }
            }
        }
        rig.envoy.assert_healthy();
    }
}

/// Both versions, each with the length told in advance and without.
fn framings() -> impl Iterator<Item = (Version, Framing)> {
    VERSIONS.into_iter().flat_map(|version| [Framing::Chunked, Framing::Length].map(|framing| (version, framing)))
}

#[test]
fn attack_79_a_large_body_stays_with_the_client_until_its_key_comes_and_then_arrives_whole() {
    let rig = Rig::start(&licenses());
    let body: Vec<u8> = (0..LARGE).map(|place| (place % 251) as u8).collect();
    for (version, framing) in framings() {
        let kid = format!("{version:?}-{framing:?}");
        let (key, gate) = gated(&rig, &kid);
        let mut sent = request(&key).body(&body);
        sent.framing = framing;
        let before = rig.envoy.received_bytes();
        let answered = thread::scope(|scope| {
            let answer = scope.spawn(|| exchange(&rig, version, &sent));
            rig.keys.await_count_for(&kid, 1);
            let mut read = 0;
            // Until Envoy reads no more.
            wait::until_true("Envoy stops to read", || {
                let last = std::mem::replace(&mut read, rig.envoy.received_bytes() - before);
                thread::sleep(Duration::from_millis(100));
                last == read && read > 100_000
            });
            // A window of HTTP/2 is larger than this body, so all of that may have come.
            assert!(version == Version::Http2 || read < LARGE as u64, "{read} bytes were read");
            gate.open();
            answer.join().unwrap()
        });
        is_license(&answered);
        let received = rig.upstream.received().pop().unwrap();
        assert!(received.body == body, "{kid}: {} bytes arrived", received.body.len());
    }
    rig.envoy.assert_healthy();
}

#[test]
fn attack_79_a_large_body_whose_key_is_refused_goes_nowhere() {
    let rig = Rig::start(&licenses());
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let (kid, gate) = (format!("gone-{number}"), Gate::closed());
        rig.keys.set_for(&kid, Answer::new(404, "").held_by(&gate));
        let sent = request(&new_key(&kid)).body(vec![b'x'; LARGE]);
        let answered = thread::scope(|scope| {
            let answer = scope.spawn(|| {
                if version == Version::Http2 {
                    return exchange(&rig, version, &sent);
                }
                // The rest is never sent: Envoy answers first and closes the connection.
                let mut connection = Connection::open(rig.envoy.only());
                connection.send(&bytes_of(&sent, &[])[..400_000]).unwrap();
                connection.answer("POST").unwrap()
            });
            rig.keys.await_count_for(&kid, 1);
            gate.open();
            answer.join().unwrap()
        });
        is_denial(504, None, &answered).unwrap();
    }
    rig.envoy.await_active_requests(0);
    assert_eq!(rig.upstream.count(), 0);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_79_clients_that_go_away_while_their_large_body_is_held_leave_nothing_behind() {
    const CLIENTS: u64 = 5;
    let rig = Rig::start(&licenses());
    let (key, gate) = gated(&rig, "k");
    let sent = request(&key).body(vec![b'x'; LARGE]);
    // More than Envoy reads before it stops, and no more than the sockets take besides.
    let part = &bytes_of(&sent, &[])[..(1 << 20) + 200_000];
    let mut clients: Vec<Connection> = (0..CLIENTS).map(|_| Connection::open(rig.envoy.only())).collect();
    clients.iter_mut().for_each(|client| client.send(part).unwrap());
    rig.envoy.await_active_requests(CLIENTS);
    clients.into_iter().for_each(Connection::abort);
    rig.envoy.await_active_requests(0);
    let h2 = h2_client::Connection::open(rig.envoy.only());
    let pending: Vec<h2_client::Pending> = (0..CLIENTS).map(|_| h2.start(&sent)).collect();
    rig.envoy.await_active_requests(CLIENTS);
    drop(pending);
    rig.envoy.await_active_requests(0);
    gate.open();
    is_license(&rig.exchange(&request(&key)));
    assert_eq!((rig.upstream.count(), rig.keys.count_for("k")), (1, 1));
    rig.envoy.assert_healthy();
}

#[test]
fn attack_79_requests_without_a_body_and_upgrades_wait_for_their_key() {
    for adjust in HOSTS {
        let rig = Rig::adjusted(&licenses(), |setup| {
            setup.listeners[0].upgrades = true;
            adjust(setup);
        });
        let websocket = |token: String| {
            let upgrade = Request::get("/license").header("Connection", "Upgrade").header("Upgrade", "websocket");
            let upgrade = upgrade.header("Sec-WebSocket-Version", "13");
            upgrade.header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").token(token)
        };
        let with_token = |method: &str, token: String| Request::new(method, "/license").token(token);
        let kinds: [(&str, Version, u16); 6] = [
            ("GET", Version::Http1, 200),
            ("HEAD", Version::Http1, 200),
            ("websocket", Version::Http1, 101),
            ("GET", Version::Http2, 200),
            ("HEAD", Version::Http2, 200),
            ("POST", Version::Http2, 200),
        ];
        for (number, (kind, version, status)) in kinds.into_iter().enumerate() {
            let kid = format!("k{number}");
            let (key, gate) = gated(&rig, &kid);
            let token = Token::new(&key).compact(now());
            let answered = thread::scope(|scope| {
                let answer = scope.spawn(|| {
                    if version == Version::Http2 {
                        return exchange(&rig, version, &with_token(kind, token));
                    }
                    let request = if kind == "websocket" { websocket(token) } else { with_token(kind, token) };
                    let mut connection = Connection::open(rig.envoy.only());
                    connection.send(&bytes_of(&request, &[])).unwrap();
                    connection.answer(&request.method).unwrap()
                });
                rig.keys.await_count_for(&kid, 1);
                assert_eq!(rig.upstream.count(), number);
                gate.open();
                answer.join().unwrap()
            });
            assert_eq!((answered.status, answered.code()), (status, None), "{kind} in {version:?}");
        }
        rig.envoy.assert_healthy();
    }
}

#[test]
fn attack_79_what_report_only_lets_go_in_the_middle_of_its_body_arrives_whole() {
    let mut plugin = plugin();
    plugin["report_only"] = json!(true);
    plugin["body_timeout"] = json!("1s");
    for adjust in [HOSTS[0], HOSTS[1]] {
        let rig = Rig::adjusted(&plugin, adjust);
        let pieces = pieces();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let arrived = |id: &str, code: &str| {
            let [received] = &rig.upstream.take(id)[..] else { panic!("{id}: one request at the upstream") };
            assert_eq!(received.header("x-mdrm-would-deny").as_deref(), Some(code), "{id}");
            assert!(received.body == pieces.concat(), "{id}: {} bytes arrived", received.body.len());
        };
        for (number, (version, framing)) in framings().enumerate() {
            let document = |key: &SigningKey, audience: &str, id: &str| {
                let token = Token::new(key).audience(audience).compact(now());
                let sent = Request::post("/cpix").content_type("application/xml").token(token).header("x-case", id);
                if framing == Framing::Chunked { sent.chunked() } else { sent }
            };
            // The key shows that the token is refused, whatever the document says.
            for place_of_key in 0..=pieces.len() {
                let id = format!("{number}-{place_of_key}");
                let (key, gate) = gated(&rig, &id);
                let sent = document(&key, "elsewhere", &id);
                let answered = framed_in_pieces(&rig, version, &sent, &pieces, &[], |place| {
                    if place == place_of_key {
                        rig.keys.await_count_for(&id, 1);
                        gate.open();
                        is_license(&rig.exchange(&Request::get("/cpix").token(Token::new(&key).compact(now()))));
                    }
                });
                is_license(&answered);
                arrived(&id, "MDRM-503");
            }
            // The rest of the document takes its time.
            let id = format!("slow-{number}");
            let key = new_key(&id);
            rig.keys.register(&key);
            let answered = framed_in_pieces(&rig, version, &document(&key, CPIX, &id), &pieces, &[], |place| {
                if place == 1 {
                    thread::sleep(Duration::from_millis(1300));
                }
            });
            is_license(&answered);
            arrived(&id, "MDRM-910");
        }
        rig.envoy.assert_healthy();
    }
}

#[test]
fn a_body_that_the_filter_reads_is_refused_by_envoy_past_its_buffer_and_one_that_it_does_not_read_is_not() {
    let rig = Rig::adjusted(&plugin(), forgetful);
    let (key, _gate) = gated(&rig, "k");
    let token = Token::new(&key).audience(CPIX).compact(now());
    let sent = Request::post("/cpix").content_type("application/xml").token(token).chunked().body(vec![b' '; LARGE]);
    let mut connection = Connection::open(rig.envoy.only());
    connection.send(&head_of(&sent, &[])).unwrap();
    let mut answered = None;
    while answered.is_none() {
        // The connection may be closed by then.
        let sent = connection.send(&client::chunk(&[b' '; 50_000]));
        connection.set_patience(Duration::from_millis(20));
        answered = connection.answer("POST").ok();
        assert!(sent.is_ok() || answered.is_some(), "no answer");
    }
    assert_eq!((answered.unwrap().status, rig.upstream.count()), (413, 0));
    rig.envoy.assert_healthy();
}
