//! Trust Tunnel requests in a running proxy: bodies in pieces, too slow, too large and cut off, keys that come late, and what the
//! upstream and the next request on a connection get.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keys::new_key;
use crate::now;
use crate::pieces::{VERSIONS, exchange, in_pieces, patient};
use crate::reply::is_denial;
use crate::support::client::{Connection, bytes_of, chunk, head_of};
use crate::support::exchange::{Answered, Gate, Scripted, Step};
use crate::support::h2_client;
use crate::support::key_service::Answer;
use crate::support::rig::Rig;
use crate::support::session::{AUDIENCE, ISSUER};
use crate::support::signer::{Document, SigningKey};
use crate::support::table::{Request, Version};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, LICENSE_REQUEST, MEDIA_TYPE, MasterKey, Part, Tunnel};
use crate::support::upstream::LICENSE_BODY;
use crate::support::wait;
use crate::traffic::during;

const WORKERS: usize = 4;
/// Where the filter asks for the master key of these tests, and for the session key.
const MASTER: &str = "/master-keys/m1";
const SESSION: &str = "/session-keys/s1";
/// What a busy machine may add to a time.
const SLACK: Duration = Duration::from_millis(300);

/// Trust Tunnel and everything else as it is by default.
fn plugin() -> Value {
    json!({"keys": {"cluster": "keys"}, "trust_tunnel": {"keys": {"cluster": "keys"}}})
}

/// The same with session tokens: three keys a request.
fn with_sessions(plugin: Value) -> Value {
    let session = json!({"keys": {"cluster": "keys"}, "kid": "s1", "issuer": ISSUER, "audience": AUDIENCE});
    plugin.with("session", session)
}

/// A rig and the keys that its key service knows.
struct Tunnels {
    rig: Rig,
    access: SigningKey,
    master: MasterKey,
}

impl Tunnels {
    fn start(plugin: &Value, workers: usize) -> Tunnels {
        Tunnels::on(Rig::adjusted(plugin, |setup| setup.concurrency = workers as u32))
    }

    fn on(rig: Rig) -> Tunnels {
        let (access, master) = (new_key("k"), MasterKey::generate("m1", KeyManagement::A256KW));
        rig.keys.register(&access);
        rig.keys.set(MASTER, Answer::document(&master.jwk()));
        rig.keys.set(SESSION, Answer::document(&new_key("s1").private_jwk()));
        Tunnels { rig, access, master }
    }

    fn sealed(&self) -> Tunnel {
        Tunnel::new(&self.master, Token::new(&self.access).compact(now()))
    }

    fn request(&self) -> Request {
        post(self.sealed().body())
    }

    /// The last request that the upstream got is the plain one that was inside.
    fn assert_opened(&self, license_request: &[u8]) {
        let received = self.rig.upstream.received().pop().expect("a request at the upstream");
        assert_eq!(received.body, license_request);
        assert_eq!(received.header("content-type").as_deref(), Some("application/octet-stream"));
        let length = license_request.len().to_string();
        assert_eq!(received.values("content-length"), [length.as_bytes()], "{:?}", received.headers);
        assert!(received.values("transfer-encoding").is_empty(), "{:?}", received.headers);
    }
}

fn post(body: impl AsRef<[u8]>) -> Request {
    Request::post("/license").content_type(MEDIA_TYPE).body(body)
}

fn is_license(answered: &Answered) {
    assert_eq!((answered.status, &answered.body[..]), (200, LICENSE_BODY), "{answered:?}");
}

#[test]
fn attack_58_a_body_in_one_byte_chunks_is_opened() {
    let tunnels = Tunnels::start(&plugin(), 1);
    let body = tunnels.sealed().body();
    let mut connection = Connection::open(tunnels.rig.envoy.only());
    connection.send(&head_of(&post("").chunked(), &[])).unwrap();
    for byte in body.as_bytes() {
        connection.send(&chunk(&[*byte])).unwrap();
    }
    connection.send_byte_by_byte(b"0\r\n\r\n").unwrap();
    is_license(&connection.answer("POST").unwrap());
    tunnels.assert_opened(LICENSE_REQUEST);
    let steps = body.bytes().map(|byte| Step::Data(vec![byte]));
    let h2 = h2_client::Connection::open(tunnels.rig.envoy.only());
    let (answered, _) = h2.exchange_with_body(&post("").chunked(), &[], Scripted::new(steps)).unwrap();
    is_license(&answered);
    tunnels.assert_opened(LICENSE_REQUEST);
    assert_eq!(tunnels.rig.upstream.count(), 2);
    tunnels.rig.envoy.assert_healthy();
}

#[test]
fn attack_58_a_body_in_three_chunks_with_trailers_is_opened() {
    for upstream_http2 in [false, true] {
        let tunnels = Tunnels::on(Rig::adjusted(&plugin(), |setup| setup.upstream_http2 = upstream_http2));
        for (round, version) in VERSIONS.into_iter().cycle().take(4).enumerate() {
            let body = tunnels.sealed().body().into_bytes();
            let (first, rest) = body.split_at(100);
            let (second, third) = rest.split_at(200);
            let trailers = [("x-mdrm-sub", "forged"), ("x-checksum", "of the sealed body")];
            let answered = in_pieces(&tunnels.rig, version, &post(""), &[first, second, third], &trailers, |place| {
                assert_eq!(tunnels.rig.upstream.count(), round, "something left before piece {place}");
            });
            is_license(&answered);
            tunnels.assert_opened(LICENSE_REQUEST);
            let received = tunnels.rig.upstream.received().pop().unwrap();
            assert!(received.trailers.iter().all(|(name, _)| name == "x-checksum"), "{:?}", received.trailers);
        }
        tunnels.rig.envoy.assert_healthy();
    }
}

#[test]
fn attack_79_keys_that_come_one_by_one_after_the_body_open_it() {
    for version in VERSIONS {
        let tunnels = Tunnels::start(&patient(with_sessions(plugin())), 1);
        let Tunnels { rig, access, master } = &tunnels;
        let gates = [Gate::closed(), Gate::closed(), Gate::closed()];
        rig.keys.set(MASTER, Answer::document(&master.jwk()).held_by(&gates[0]));
        rig.keys.set_for("k", Answer::document(&access.jwk()).held_by(&gates[1]));
        rig.keys.set(SESSION, Answer::document(&new_key("s1").private_jwk()).held_by(&gates[2]));
        let request = tunnels.request();
        let answered = thread::scope(|scope| {
            let answer = scope.spawn(|| exchange(rig, version, &request));
            for (path, gate) in [MASTER, "/keys/k", SESSION].into_iter().zip(&gates) {
                wait::until_true(path, || rig.keys.count(path) == 1);
                assert_eq!(rig.upstream.count(), 0, "before {path} is there");
                gate.open();
            }
            answer.join().unwrap()
        });
        is_license(&answered);
        tunnels.assert_opened(LICENSE_REQUEST);
        assert_eq!(rig.keys.received().len(), 3);
        rig.envoy.assert_healthy();
    }
}

#[test]
fn keys_that_come_between_the_pieces_of_another_body_open_both() {
    for version in VERSIONS {
        let tunnels = Tunnels::start(&patient(with_sessions(plugin())), 1);
        let Tunnels { rig, access, master } = &tunnels;
        let (gates, paths) = ([Gate::closed(), Gate::closed()], [MASTER, "/keys/k"]);
        rig.keys.set(MASTER, Answer::document(&master.jwk()).held_by(&gates[0]));
        rig.keys.set_for("k", Answer::document(&access.jwk()).held_by(&gates[1]));
        let mut ahead = Connection::open(rig.envoy.only());
        ahead.send(&bytes_of(&tunnels.request(), &[])).unwrap();
        // The other one is told apart by the number of requests under way.
        rig.envoy.await_active_requests(1);
        let body = tunnels.sealed().license_request("the other").body().into_bytes();
        let (first, second) = body.split_at(body.len() / 2);
        let answered = in_pieces(rig, version, &post(""), &[first, second], &[], |place| {
            let Some(gate) = gates.get(place) else {
                return is_license(&ahead.answer("POST").unwrap());
            };
            wait::until_true(paths[place], || rig.keys.count(paths[place]) == 1);
            assert_eq!(rig.upstream.count(), 0);
            gate.open();
        });
        is_license(&answered);
        tunnels.assert_opened(b"the other");
        assert_eq!((rig.upstream.count(), rig.keys.received().len()), (2, 3));
        rig.envoy.assert_healthy();
    }
}

#[test]
fn attack_61_a_body_that_is_cut_off_and_clients_that_go_away_in_any_phase_leave_nothing_behind() {
    const CLIENTS: usize = 10;
    let limited = plugin().with("keys", json!({"cluster": "keys", "timeout": "20s", "max_waiting": CLIENTS}));
    let tunnels = Tunnels::start(&patient(with_sessions(limited)), 1);
    let Tunnels { rig, access, master } = &tunnels;
    let whole = bytes_of(&tunnels.request(), &[]);
    let chunked = bytes_of(&tunnels.request().chunked(), &[]);
    for cut in [head_of(&tunnels.request(), &[]).len(), whole.len() / 2, whole.len() - 1] {
        for bytes in [&whole, &chunked] {
            let mut connections: Vec<Connection> = (0..CLIENTS).map(|_| Connection::open(rig.envoy.only())).collect();
            connections.iter_mut().for_each(|one| one.send(&bytes[..cut]).unwrap());
            rig.envoy.await_active_requests(CLIENTS as u64);
            connections.into_iter().for_each(Connection::abort);
            rig.envoy.await_active_requests(0);
        }
    }
    assert_eq!((rig.keys.received().len(), rig.upstream.count()), (0, 0), "a part of a body asks for nothing");
    // Whoever was left would take the place of those who come next, who then get a 500.
    let documents = [(MASTER, master.jwk()), ("/keys/k", access.jwk()), (SESSION, new_key("s1").private_jwk())];
    for (path, document) in documents {
        let gate = Gate::closed();
        rig.keys.set(path, Answer::document(&document).held_by(&gate));
        for round in 0..3 {
            let mut connections: Vec<Connection> = (0..CLIENTS).map(|_| Connection::open(rig.envoy.only())).collect();
            connections.iter_mut().for_each(|one| one.send(&whole).unwrap());
            rig.envoy.await_active_requests(CLIENTS as u64);
            wait::until_true(path, || rig.keys.count(path) == 1);
            assert_eq!(rig.envoy.active_requests(), CLIENTS as u64, "{path}, round {round}: somebody was answered");
            connections.into_iter().for_each(Connection::abort);
            rig.envoy.await_active_requests(0);
        }
        let h2 = h2_client::Connection::open(rig.envoy.only());
        let pending: Vec<h2_client::Pending> = (0..CLIENTS).map(|_| h2.start(&tunnels.request())).collect();
        rig.envoy.await_active_requests(CLIENTS as u64);
        drop(pending);
        rig.envoy.await_active_requests(0);
        assert_eq!(rig.upstream.count(), 0, "{path}");
        gate.open();
    }
    wait::until_true("the last key is there", || rig.code(&tunnels.request()).is_none());
    tunnels.assert_opened(LICENSE_REQUEST);
    let counts = documents_asked(rig);
    assert_eq!((rig.upstream.count(), counts), (1, [1, 1, 1]));
    rig.envoy.assert_healthy();
}

fn documents_asked(rig: &Rig) -> [usize; 3] {
    [MASTER, "/keys/k", SESSION].map(|path| rig.keys.count(path))
}

#[test]
fn fifty_tunnels_that_wait_for_one_master_key_make_one_callout_a_worker() {
    for workers in [1, WORKERS] {
        let tunnels = Tunnels::start(&patient(plugin()), workers);
        let (rig, gate) = (&tunnels.rig, Gate::closed());
        rig.keys.set(MASTER, Answer::document(&tunnels.master.jwk()).held_by(&gate));
        let mut connections: Vec<Connection> = (0..50).map(|_| Connection::open(rig.envoy.only())).collect();
        for (number, connection) in connections.iter_mut().enumerate() {
            let request = post(tunnels.sealed().license_request(format!("license {number}")).body());
            connection.send(&bytes_of(&request, &[])).unwrap();
        }
        rig.envoy.await_active_requests(50);
        wait::until_true("each worker has asked", || rig.keys.count(MASTER) == workers);
        gate.open();
        connections.iter_mut().for_each(|connection| is_license(&connection.answer("POST").unwrap()));
        assert_eq!((rig.keys.count(MASTER), rig.keys.count_for("k")), (workers, 1));
        let mut bodies: Vec<Vec<u8>> = rig.upstream.received().into_iter().map(|request| request.body).collect();
        bodies.sort_unstable();
        bodies.dedup();
        assert_eq!(bodies.len(), 50, "each body once");
        rig.envoy.assert_healthy();
    }
}

#[test]
fn a_client_that_sends_its_body_too_slowly_is_517_after_the_time_it_has() {
    let tunnels = Tunnels::start(&plugin().with("body_timeout", json!("1s")), 1);
    let body = tunnels.sealed().body().into_bytes();
    let mut connection = Connection::open(tunnels.rig.envoy.only());
    let start = Instant::now();
    connection.send(&head_of(&post(&body), &[])).unwrap();
    for byte in &body[..8] {
        connection.send(&[*byte]).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    is_denial(517, None, &connection.answer("POST").unwrap()).unwrap();
    let took = start.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(1) + SLACK).contains(&took), "{took:?}");
    let h2 = h2_client::Connection::open(tunnels.rig.envoy.only());
    let stalls = Scripted::new([Step::Data(body), Step::Wait(Gate::closed())]);
    let start = Instant::now();
    let (answered, _) = h2.exchange_with_body(&post(""), &[], stalls).unwrap();
    is_denial(517, None, &answered).unwrap();
    let took = start.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(1) + SLACK).contains(&took), "{took:?}");
    assert_eq!((tunnels.rig.upstream.count(), tunnels.rig.keys.received().len()), (0, 0));
    // Waiting for keys does not count: the body is there.
    let slow = Answer::document(&tunnels.master.jwk()).delayed(Duration::from_millis(1200));
    tunnels.rig.keys.set(MASTER, slow);
    is_license(&tunnels.rig.exchange(&tunnels.request()));
    tunnels.rig.envoy.assert_healthy();
}

#[test]
fn where_the_host_delivers_no_body_the_log_names_the_option_that_the_plugin_lacks() {
    let plugin = plugin().with("body_timeout", json!("1s"));
    let tunnels = Tunnels::on(Rig::adjusted(&plugin, |setup| setup.listeners[0].stop_iteration = false));
    for version in VERSIONS {
        let start = Instant::now();
        is_denial(517, None, &exchange(&tunnels.rig, version, &tunnels.request())).unwrap();
        assert!((Duration::from_secs(1)..Duration::from_secs(1) + SLACK).contains(&start.elapsed()));
    }
    let log = tunnels.rig.envoy.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("MDRM-517")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("allow_on_headers_stop_iteration: true")), "{lines:?}");
    assert_eq!(tunnels.rig.upstream.count(), 0);
    let plain = Request::post("/license").token(Token::new(&tunnels.access).compact(now()));
    assert_eq!(tunnels.rig.code(&plain), None, "a plain request needs no body");
    tunnels.rig.envoy.assert_healthy();
}

#[test]
fn attack_58_a_body_over_the_limit_is_517_as_soon_as_it_is_too_large() {
    let tunnels = Tunnels::start(&plugin().with("max_body_bytes", json!(4096)), 1);
    let address = tunnels.rig.envoy.only();
    let mut connection = Connection::open(address);
    connection.send(&head_of(&post("").chunked(), &[])).unwrap();
    connection.send(&chunk(&[b'a'; 4096])).unwrap();
    connection.send(&chunk(b"b")).unwrap();
    is_denial(517, None, &connection.answer("POST").unwrap()).unwrap();
    let h2 = h2_client::Connection::open(address);
    let endless = Scripted::new([Step::Data(vec![b'a'; 4097]), Step::Wait(Gate::closed())]);
    is_denial(517, None, &h2.exchange_with_body(&post(""), &[], endless).unwrap().0).unwrap();
    // Announced: at once, before the first byte.
    let mut connection = Connection::open(address);
    let announced = post("").header("content-length", "4097");
    connection.send(&head_of(&announced, &[])).unwrap();
    is_denial(517, None, &connection.answer("POST").unwrap()).unwrap();
    // The largest one that may be.
    let fill = |extra: usize| tunnels.sealed().member("fill", json!("f".repeat(extra))).body();
    let longest = (0..4096).map(|extra| 2000 + extra).map(fill).take_while(|body| body.len() <= 4096).last().unwrap();
    assert!(longest.len() > 4090);
    is_license(&tunnels.rig.exchange(&post(longest).chunked()));
    assert_eq!(tunnels.rig.upstream.count(), 1);
    tunnels.rig.envoy.assert_healthy();
}

#[test]
fn a_body_over_envoys_own_limit_is_envoys_413_and_reaches_nothing() {
    let tunnels = Tunnels::start(&plugin().with("max_body_bytes", json!(8 << 20)), 1);
    let large = post(vec![b'a'; 2 << 20]).chunked();
    let mut connection = Connection::open(tunnels.rig.envoy.only());
    connection.send(&head_of(&large, &[])).unwrap();
    connection.send(&chunk(&large.body)).unwrap();
    let answered = connection.answer("POST").unwrap();
    assert_eq!((answered.status, answered.code()), (413, None), "{answered:?}");
    tunnels.rig.envoy.await_active_requests(0);
    // Over HTTP/2 Envoy's limit is the window of a stream, 16 MiB, and this one is the filter's.
    let answered = exchange(&tunnels.rig, Version::Http2, &large);
    is_denial(517, None, &answered).unwrap();
    assert_eq!((tunnels.rig.upstream.count(), tunnels.rig.keys.received().len()), (0, 0));
    is_license(&tunnels.rig.exchange(&tunnels.request()));
    tunnels.rig.envoy.assert_healthy();
}

#[test]
fn the_upstream_gets_the_right_length_over_either_version_of_http() {
    for upstream_http2 in [false, true] {
        let tunnels = Tunnels::on(Rig::adjusted(&plugin(), |setup| setup.upstream_http2 = upstream_http2));
        for length in [1, 2, 100, 60_000] {
            let inside = vec![b'l'; length];
            let body = tunnels.sealed().license_request(&inside).body();
            for request in [post(&body), post(&body).chunked()] {
                for version in VERSIONS {
                    is_license(&exchange(&tunnels.rig, version, &request));
                    tunnels.assert_opened(&inside);
                }
            }
        }
        tunnels.rig.envoy.assert_healthy();
    }
}

#[test]
fn requests_behind_a_tunnel_on_one_connection_are_their_own() {
    let tunnels = Tunnels::start(&plugin(), 1);
    let rig = &tunnels.rig;
    let token = Token::new(&tunnels.access).compact(now());
    // A body inside that looks like a request must not become one.
    let smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let tunnel = |inside: &[u8]| post(tunnels.sealed().license_request(inside).body());
    let plain = |body: &str| Request::post("/license").token(&token).body(body);
    let requests = [
        (tunnel(smuggled), &smuggled[..]),
        (plain("plain"), b"plain"),
        (tunnel(smuggled).chunked(), smuggled),
        (tunnel(&[b'l'; 50_000]), &[b'l'; 50_000]),
        (plain("in chunks").chunked(), b"in chunks"),
        (tunnel(b"s"), b"s"),
        (plain("the last"), b"the last"),
    ];
    // One after the other, and all at once.
    for at_once in [false, true] {
        let before = rig.upstream.count();
        let mut connection = Connection::open(rig.envoy.only());
        if at_once {
            let all: Vec<u8> = requests.iter().flat_map(|(request, _)| bytes_of(request, &[])).collect();
            connection.send(&all).unwrap();
        }
        for (request, _) in &requests {
            if !at_once {
                connection.send(&bytes_of(request, &[])).unwrap();
            }
            is_license(&connection.answer("POST").unwrap());
        }
        let received: Vec<Vec<u8>> =
            rig.upstream.received().split_off(before).into_iter().map(|one| one.body).collect();
        let expected: Vec<Vec<u8>> = requests.iter().map(|(_, body)| body.to_vec()).collect();
        assert!(received == expected, "at once: {at_once}: {} requests, or other bodies", received.len());
    }
    assert!(rig.upstream.received().iter().all(|request| request.path == "/license"));
    rig.envoy.assert_healthy();
}

#[test]
fn the_method_does_not_matter_and_a_client_may_ask_before_it_sends_its_body() {
    let tunnels = Tunnels::start(&plugin(), 1);
    for method in ["GET", "PUT", "HEAD"] {
        for version in VERSIONS {
            let request = Request { method: method.into(), ..tunnels.request() };
            let answered = exchange(&tunnels.rig, version, &request);
            assert_eq!((answered.status, answered.code()), (200, None), "{method}: {answered:?}");
            tunnels.assert_opened(LICENSE_REQUEST);
            assert_eq!(tunnels.rig.upstream.received().pop().unwrap().method, method);
        }
        let request = Request::new(method, "/license").content_type(MEDIA_TYPE);
        assert_eq!(tunnels.rig.exchange(&request).code(), Some(517), "{method} without a body");
    }
    let mut connection = Connection::open(tunnels.rig.envoy.only());
    let request = tunnels.request().header("expect", "100-continue");
    let head = head_of(&request, &[]);
    connection.send(&head).unwrap();
    assert_eq!(connection.one_answer("POST").unwrap().status, 100);
    connection.send(&request.body).unwrap();
    is_license(&connection.one_answer("POST").unwrap());
    tunnels.assert_opened(LICENSE_REQUEST);
    tunnels.rig.envoy.assert_healthy();
}

#[test]
fn attack_65_a_grpc_request_is_no_tunnel_whatever_its_body_holds() {
    let tunnels = Tunnels::start(&plugin(), 1);
    let h2 = h2_client::Connection::open(tunnels.rig.envoy.only());
    let grpc = tunnels.request().content_type("application/grpc").header("te", "trailers");
    let answered = h2.exchange(&grpc, &[]).unwrap();
    assert_eq!((answered.status, answered.code()), (200, Some(501)));
    assert_eq!(answered.header("grpc-status").as_deref(), Some("16"));
    let answered = h2.exchange(&grpc.clone().token(Token::new(&tunnels.access).compact(now())), &[]).unwrap();
    assert_eq!(answered.code(), None);
    assert_eq!(tunnels.rig.upstream.received().pop().unwrap().body, grpc.body, "as it was sent");
    assert_eq!(tunnels.rig.keys.count(MASTER), 0);
    tunnels.rig.envoy.assert_healthy();
}

#[test]
fn attack_45_a_master_key_that_is_held_opens_on_while_its_key_service_fails_and_without_one_it_is_500() {
    let tunnels = Tunnels::start(&plugin(), WORKERS);
    let (rig, master) = (&tunnels.rig, &tunnels.master);
    rig.keys.set("/master-keys/m2", Answer::new(503, "down"));
    let unknown = Tunnel::new(&master.under_kid("m2"), Token::new(&tunnels.access).compact(now()));
    is_denial(500, None, &rig.exchange(&post(unknown.body()))).unwrap();
    let fresh = Answer::document(&master.jwk()).header("cache-control", "max-age=1");
    rig.keys.set(MASTER, fresh);
    let ((), samples) = during(rig, 8, &[tunnels.request()], || {
        wait::until_true("each worker has it", || rig.keys.count(MASTER) >= WORKERS);
        rig.keys.set(MASTER, Answer::new(503, "down"));
        let before = rig.keys.count(MASTER);
        wait::until_true("each worker was refused", || rig.keys.count(MASTER) >= before + 2 * WORKERS);
    });
    let refused = samples.iter().find(|sample| !sample.is_allowed());
    assert!(refused.is_none(), "{refused:?}");
    rig.keys.set("/master-keys/m2", Answer::document(&master.under_kid("m2").jwk()));
    wait::until_true("the key service is back", || rig.code(&post(unknown.body())).is_none());
    rig.envoy.assert_healthy();
}

#[test]
fn attack_52_a_master_key_that_is_disabled_or_replaced_counts_within_its_freshness() {
    const FRESHNESS: Duration = Duration::from_secs(1);
    let replaced = MasterKey::generate("m1", KeyManagement::A256KW).jwk();
    for (change, code) in [(None, 518), (Some(replaced), 519)] {
        let tunnels = Tunnels::start(&plugin(), WORKERS);
        let (rig, document) = (&tunnels.rig, tunnels.master.jwk());
        let fresh = |document: &Value| Answer::document(document).header("cache-control", "max-age=1");
        rig.keys.set(MASTER, fresh(&document));
        let (changed_at, samples) = during(rig, 8, &[tunnels.request()], || {
            wait::until_true("each worker has it", || rig.keys.count(MASTER) >= WORKERS);
            rig.keys.set(MASTER, fresh(&change.unwrap_or(document.with("status", json!("disabled")))));
            let changed_at = Instant::now();
            thread::sleep(FRESHNESS + 2 * SLACK);
            changed_at
        });
        let late = samples.iter().filter(|sample| sample.sent_at > changed_at + FRESHNESS + SLACK);
        let late: Vec<_> = late.collect();
        assert!(late.len() >= 8, "{} requests are too few", late.len());
        late.into_iter().for_each(|sample| is_denial(code, None, &sample.answered).unwrap());
        let early = samples.iter().filter(|sample| sample.sent_at + sample.took < changed_at);
        early.for_each(|sample| assert!(sample.is_allowed(), "{sample:?}"));
        rig.envoy.assert_healthy();
    }
}

#[test]
fn attack_54_every_cause_of_519_looks_alike_to_the_client_and_in_the_log() {
    let tunnels = Tunnels::start(&plugin(), 1);
    let sealed = tunnels.sealed().seal();
    let other = MasterKey::generate("m1", KeyManagement::A256KW);
    let direct = tunnels.master.with_alg(KeyManagement::Dir);
    let mut bodies = vec![
        Tunnel::new(&other, "a.b.c").body(),
        Tunnel::new(&direct, "a.b.c").body(),
        tunnels.sealed().aad("another header").body(),
    ];
    bodies.extend([0, 4, 8, 12, 15, 17].map(|length| sealed.clone().resize(Part::Tag, length).body()));
    bodies.extend([0, 11, 13].map(|length| sealed.clone().resize(Part::Iv, length).body()));
    bodies.extend([8, 39, 48].map(|length| sealed.clone().resize(Part::EncryptedKey, length).body()));
    let parts = [Part::EncryptedKey, Part::Iv, Part::Ciphertext, Part::Tag];
    bodies.extend(parts.map(|part| sealed.clone().flip(part, 3).body()));
    bodies.push(sealed.clone().with(Part::Ciphertext, "").body());
    assert!(bodies.len() <= 20, "more than the log takes of one code at once");
    let without_date = |mut answered: Answered| {
        answered.headers.retain(|(name, _)| name != "date");
        answered
    };
    let answers: Vec<Answered> = bodies.iter().map(|body| without_date(tunnels.rig.exchange(&post(body)))).collect();
    is_denial(519, None, &answers[0]).unwrap();
    for (answered, body) in answers.iter().zip(&bodies) {
        let same = (answered.status, &answered.headers, &answered.body);
        assert_eq!(same, (answers[0].status, &answers[0].headers, &answers[0].body), "{body}");
    }
    let log = tunnels.rig.envoy.log();
    // What stands before the message is the time, the thread and the place.
    let said: Vec<&str> = log.lines().filter_map(|line| Some(line.split_once("denied ")?.1)).collect();
    assert_eq!(said.len(), bodies.len(), "{said:#?}");
    assert!(said.iter().all(|line| *line == said[0] && line.starts_with("MDRM-519")), "{said:#?}");
    let levels = log.lines().filter(|line| line.contains("denied ") && line.contains("[info][wasm]")).count();
    assert_eq!(levels, bodies.len(), "lines at the level info");
    is_license(&tunnels.rig.exchange(&post(sealed.body())));
    tunnels.rig.envoy.assert_healthy();
}

#[test]
fn a_tunnel_in_pieces_is_denied_like_a_whole_one_and_reaches_nothing() {
    let tunnels = Tunnels::start(&plugin(), 1);
    let damaged = tunnels.sealed().seal().flip(Part::Tag, 0).body().into_bytes();
    let stale = Token::new(&tunnels.access).aged(100).compact(now());
    let stale = Tunnel::new(&tunnels.master, stale).body().into_bytes();
    for (body, code) in [(damaged, 519), (stale, 508), (b"no JWE".to_vec(), 517)] {
        let (first, second) = body.split_at(body.len() / 2);
        for version in VERSIONS {
            for trailers in [&[][..], &[("x-checksum", "right")]] {
                let answered = in_pieces(&tunnels.rig, version, &post(""), &[first, second], trailers, |_| ());
                is_denial(code, None, &answered).unwrap();
            }
        }
    }
    assert_eq!(exchange(&tunnels.rig, Version::Http2, &tunnels.request()).code(), None);
    assert_eq!(tunnels.rig.upstream.count(), 1);
    tunnels.rig.envoy.assert_healthy();
}
