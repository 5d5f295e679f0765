//! Many requests that wait at once, kept connections that close, and tokens that come again: what one of them costs the others.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::keys::{new_key, request};
use crate::now;
use crate::support::client;
use crate::support::envoy::Listener;
use crate::support::exchange::Gate;
use crate::support::h2_client;
use crate::support::key_service::Answer;
use crate::support::memory::linear_memories;
use crate::support::rig::Rig;
use crate::support::signer::{Document, SigningKey};
use crate::support::table::Request;
use crate::support::table::keyring::{self, keyring};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MEDIA_TYPE, Tunnel};
use crate::support::wait;

/// Requests of the burst, `MDRM_BURST` (20 000 for the figures in RESULTS.md), over so many connections of HTTP/2. Other tests
/// run beside this one, and all of them answer within their deadline.
fn burst_size() -> usize {
    std::env::var("MDRM_BURST").map_or(4_000, |number| number.parse().expect("a number of requests"))
}

const CONNECTIONS: usize = 40;

/// The longest that one callback may take in microseconds, by a clock that runs on while another process has the processor.
/// On a machine that does nothing else it is a few thousand; before waiters were indexed it was over ten million.
const LONGEST_CALLBACK: u64 = 200_000;

/// What a burst did to a request that came meanwhile.
struct Disturbed {
    /// The slowest answer of `/healthz` while the burst was under way.
    slowest: Duration,
    answers: usize,
}

/// Sends a burst of these requests and asks for `/healthz`, one after the other, until the burst is answered.
fn burst(rig: &Rig, requests: impl Fn(usize) -> Request) -> Disturbed {
    let address = rig.envoy.only();
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| h2_client::Connection::open(address)).collect();
    let size = burst_size();
    let requests: Vec<Request> = (0..size).map(requests).collect();
    let begun = rig.envoy.begun_requests();
    let pending: Vec<h2_client::Pending> =
        requests.iter().enumerate().map(|(at, request)| connections[at % CONNECTIONS].start(request)).collect();
    let (mut slowest, mut answers) = (Duration::ZERO, 0);
    let health = Request::get("/healthz");
    loop {
        let asked = Instant::now();
        let answered = client::exchange(address, &health, &[]).unwrap();
        assert_eq!(answered.status, 200);
        slowest = slowest.max(asked.elapsed());
        answers += 1;
        if pending.iter().all(h2_client::Pending::is_answered) {
            break;
        }
    }
    assert!(rig.envoy.begun_requests() - begun >= size as u64, "the burst did not arrive");
    Disturbed { slowest, answers }
}

#[test]
fn attack_76_a_burst_of_random_kids_holds_no_callback_and_no_other_request_up() {
    let plugin = json!({
        "keys": {"cluster": "keys", "max_waiting": 100_000, "timeout": "2s"},
        "routes": [{"path": "/healthz", "service": "open"}, {"path": "/open", "service": "open"}],
        "default_service": "license",
    });
    let rig = Rig::adjusted(&plugin, |setup| setup.measure_callbacks());
    let open = burst(&rig, |_| Request::post("/open"));
    let key = new_key("nobody");
    let random = burst(&rig, |number| {
        // No key service knows the kid, so the signature is never looked at.
        let token = Token::new(&key.under_kid(&format!("random-{number}"))).with_signature(now(), |_| vec![7; 64]);
        Request::post("/license").token(token)
    });
    let log = rig.envoy.log();
    let longest =
        log.lines().filter_map(|line| line.split_once("longest callback: ")?.1.split(' ').next()?.parse().ok());
    let longest: u64 = longest.max().expect("every callback is measured");
    println!(
        "{} requests at once: /healthz at most {:?} ({} answers) beside an open route, {:?} ({} answers) beside random \
         kids; longest callback {longest} us",
        burst_size(),
        open.slowest,
        open.answers,
        random.slowest,
        random.answers
    );
    assert!(longest < LONGEST_CALLBACK, "a callback took {longest} us");
    // Other tests run beside this one, so a moment is granted to both.
    let moment = Duration::from_millis(100);
    assert!(random.slowest < 3 * (open.slowest + moment), "{:?} beside {:?}", random.slowest, open.slowest);
    assert!(rig.keys.total() < 2_000, "{} callouts", rig.keys.total());
    rig.envoy.assert_healthy();
}

#[test]
fn attack_62_nine_hundred_requests_that_are_refused_at_once_do_not_exhaust_the_stack_of_the_vm() {
    const REQUESTS: u64 = 900;
    let rig = Rig::start(&json!({"keys": {"cluster": "keys", "timeout": "60s"}}));
    let (key, gate) = (new_key("unknown"), Gate::closed());
    rig.keys.set_for("unknown", Answer::new(404, "").held_by(&gate));
    let connections: Vec<_> = (0..30).map(|_| h2_client::Connection::open(rig.envoy.only())).collect();
    let request = request(&key);
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for connection in connections.iter().cycle().take(REQUESTS as usize) {
            scope.spawn(|| {
                let answered = connection.exchange(&request, &[]).unwrap();
                assert_eq!(answered.code(), Some(504), "{answered:?}");
                refused.fetch_add(1, Ordering::SeqCst);
            });
        }
        rig.envoy.await_active_requests(REQUESTS);
        gate.open();
    });
    assert_eq!(refused.into_inner() as u64, REQUESTS);
    assert_eq!(rig.keys.count_for("unknown"), 1);
    rig.envoy.assert_healthy();
}

/// A key service that keeps connections open, and closes each when a second request comes on it, without an answer.
struct Closing {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Closing {
    fn start(documents: Vec<(String, String)>) -> Closing {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let closing = Closing { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let requests = Arc::clone(&closing.requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (documents, requests) = (documents.clone(), Arc::clone(&requests));
                thread::spawn(move || serve_one(&stream.unwrap(), &documents, &requests));
            }
        });
        closing
    }
}

fn serve_one(mut stream: &TcpStream, documents: &[(String, String)], requests: &AtomicUsize) {
    let mut lines = BufReader::new(stream).lines();
    for answers in [true, false] {
        let Some(Ok(first)) = lines.next() else { return };
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        requests.fetch_add(1, Ordering::SeqCst);
        if answers {
            let path = first.split(' ').nth(1).unwrap();
            let (_, document) = documents.iter().find(|(of, _)| of == path).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", document.len());
            stream.write_all((head + document).as_bytes()).unwrap();
        }
    }
}

#[test]
fn attack_78_a_kept_connection_that_closes_as_the_next_request_comes_loses_no_request() {
    let keys: Vec<SigningKey> = (0..4).map(|number| new_key(&format!("kept-{number}"))).collect();
    let documents = keys.iter().map(|key| (format!("/keys/{}", key.kid()), key.jwk().to_string())).collect();
    let service = Closing::start(documents);
    let rig = Rig::adjusted(&json!({"keys": {"cluster": "closing"}}), |setup| {
        setup.clusters.push(("closing".to_owned(), service.address));
    });
    for key in &keys {
        assert_eq!(rig.code(&request(key)), None, "{}", key.kid());
    }
    // Every request but the first came on a kept connection, was lost with it, and was sent again.
    assert_eq!(service.requests.load(Ordering::SeqCst), 7);
    assert_eq!(rig.envoy.stat("wasmcustom.mdrm_authz.keys.fetch_failure"), Some(0));
    rig.envoy.assert_healthy();
}

#[test]
fn attack_77_a_plugin_with_a_short_freshness_is_not_served_by_one_with_a_long_one() {
    let plugin = |max_age: &str| json!({"keys": {"cluster": "keys", "max_age": max_age}});
    let rig = Rig::adjusted(&plugin("1h"), |setup| setup.listeners.push(Listener::new("short", &plugin("2s"))));
    let key = new_key("shared");
    rig.keys.register(&key);
    let code = |listener: &str| client::exchange(rig.envoy.address(listener), &request(&key), &[]).unwrap().code();
    assert_eq!((code("main"), code("short")), (None, None));
    assert_eq!(rig.keys.count_for("shared"), 1, "the second plugin takes what the first one learnt");
    rig.keys.set_for("shared", Answer::document(&key.jwk().with("status", json!("disabled"))));
    let disabled = Instant::now();
    wait::until_true("the plugin with 2 s refuses the key", || code("short") == Some(513));
    assert!(disabled.elapsed() < Duration::from_secs(4), "{:?}", disabled.elapsed());
    rig.envoy.assert_healthy();
}

#[test]
fn attack_80_held_tunnels_of_the_largest_size_take_bounded_memory_and_give_it_back() {
    const TUNNELS: usize = 900;
    const HELD_BYTES: u64 = 16 << 20;
    let plugin = json!({
        "keys": {"cluster": "keys"},
        "trust_tunnel": {"keys": {"cluster": "keys", "timeout": "60s"}},
        "body_timeout": "60s",
    });
    let rig = Rig::start(&plugin);
    let key = keyring().main();
    rig.keys.register(key);
    let master = keyring::master_key(KeyManagement::A256KW);
    let token = Token::new(key).compact(now());
    let license_request = "c".repeat(130_000);
    let body = Tunnel::new(master, token).license_request(license_request.as_bytes()).body();
    assert!((230_000..262_144).contains(&body.len()), "{} bytes", body.len());
    let largest = |rig: &Rig| linear_memories(rig.envoy.pid()).unwrap()[0];
    let mut after = Vec::new();
    for round in 0..2 {
        let gate = Gate::closed();
        let master = master.under_kid(&format!("master-{round}"));
        rig.keys.set(&format!("/master-keys/{}", master.kid()), Answer::document(&master.jwk()).held_by(&gate));
        let body =
            Tunnel::new(&master, Token::new(key).compact(now())).license_request(license_request.as_bytes()).body();
        let request = Request::post("/license").content_type(MEDIA_TYPE).body(body);
        let connections: Vec<_> = (0..30).map(|_| h2_client::Connection::open(rig.envoy.only())).collect();
        let (denied, allowed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..TUNNELS {
                let (connection, request, denied, allowed) = (&connections[number % 30], &request, &denied, &allowed);
                scope.spawn(move || {
                    let answered = connection.exchange(request, &[]).unwrap();
                    if answered.status == 200 {
                        allowed.fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert_eq!((answered.status, answered.code()), (500, Some(500)), "{answered:?}");
                        assert_eq!(answered.header("retry-after").as_deref(), Some("1"));
                        denied.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            // Those that fit wait; all others are told to come back.
            let waiting = || TUNNELS - denied.load(Ordering::SeqCst);
            wait::until_true("the tunnels that do not fit are denied", || waiting() as u64 <= HELD_BYTES / 170_000);
            gate.open();
        });
        let (denied, allowed) = (denied.into_inner(), allowed.into_inner());
        println!("round {round}: {allowed} allowed, {denied} denied, linear memory {} bytes", largest(&rig));
        assert_eq!(denied + allowed, TUNNELS);
        assert!(allowed >= 60, "{allowed} allowed");
        after.push(largest(&rig));
    }
    assert!(after[0] < 3 * HELD_BYTES, "{after:?}");
    assert!(after[1] <= after[0] + (1 << 20), "what was given back is used again: {after:?}");
    rig.envoy.assert_healthy();
}

#[test]
fn attack_81_an_expired_token_that_comes_again_and_again_has_its_signature_checked_once() {
    let rig = Rig::start(&json!({"keys": {"cluster": "keys"}}));
    let key = new_key("expired");
    rig.keys.register(&key);
    let expired = Request::post("/license").token(Token::new(&key).aged(3600).compact(now()));
    for _ in 0..20 {
        assert_eq!(rig.code(&expired), Some(508));
    }
    let verified = || rig.envoy.stat("wasmcustom.mdrm_authz.verify.host");
    wait::until_true("the checks are counted", || rig.envoy.stat("wasmcustom.mdrm_authz.denied.MDRM-508") == Some(20));
    assert_eq!(verified(), Some(1));
    assert_eq!(rig.envoy.stat("wasmcustom.mdrm_authz.tokens.hit"), Some(19));
    rig.envoy.assert_healthy();
}
