//! What the lines of the reference configuration are for: each is taken away, and what it kept out comes in.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::keys::{new_key, request};
use crate::now;
use crate::reply::is_denial;
use crate::support::client::{self, Connection, bytes_of};
use crate::support::exchange::{Answered, Gate};
use crate::support::key_service::Answer;
use crate::support::reference::{PROXY, Reference};
use crate::support::rig::Rig;
use crate::support::signer::SigningKey;
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MasterKey, Tunnel};
use crate::support::wait;

/// The end of the filter's configuration in the file, to put a member behind.
pub(crate) const LAST_MEMBER: &str = r#""default_service": "deny""#;

/// An Envoy with this configuration whose key service knows the key `k` and the session key.
pub(crate) fn serving(reference: Reference) -> (Rig, SigningKey) {
    let rig = reference.start();
    let key = new_key("k");
    rig.keys.register(&key);
    rig.keys.set("/session-keys/demo-session", Answer::document(&new_key("demo-session").private_jwk()));
    (rig, key)
}

pub(crate) fn ask(rig: &Rig, request: &Request) -> Answered {
    client::exchange(rig.envoy.address(PROXY), request, &[]).unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

/// The path that the license server saw last.
fn last_path(rig: &Rig) -> String {
    rig.upstream.received().last().expect("a request has arrived").path.clone()
}

/// A module in place of the filter that holds the first request and dies of the second.
fn dying_module() -> (TempDir, String) {
    let text = r#"(module
        (memory (export "memory") 1)
        (global $seen (mut i32) (i32.const 0))
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 4096)
        (func (export "proxy_on_context_create") (param i32 i32))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (global.get $seen) (then unreachable))
            (global.set $seen (i32.const 1))
            i32.const 1 (; Pause ;)))"#;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dying.wasm");
    fs::write(&path, wat::parse_str(text).expect("the text is WebAssembly")).unwrap();
    let path = path.display().to_string();
    (directory, path)
}

/// An answer, unless it takes longer than `limit`.
fn answer_within(connection: &mut Connection, limit: Duration) -> Option<Answered> {
    connection.set_patience(limit);
    match connection.answer("GET") {
        Ok(answered) => Some(answered),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => None,
        Err(error) => panic!("no answer: {error}"),
    }
}

/// One request that the VM holds when another one kills it.
fn held_and_killing(reference: Reference) -> (Rig, Connection, Answered, TempDir) {
    let (module, path) = dying_module();
    let rig = reference.module(&path).start();
    let mut held = Connection::open(rig.envoy.address(PROXY));
    held.send(&bytes_of(&Request::get("/license"), &[])).unwrap();
    let began = || rig.envoy.stat("http.proxy.downstream_rq_active") == Some(1);
    wait::until_true("the first request is held", began);
    let killing = ask(&rig, &Request::get("/license"));
    (rig, held, killing, module)
}

#[test]
fn a_vm_that_died_is_replaced_by_fail_reload_stays_dead_by_fail_closed_and_lets_all_pass_by_fail_open() {
    let (rig, _held, killing, _module) = held_and_killing(Reference::whole());
    assert_eq!((killing.status, rig.upstream.count()), (503, 0), "{killing:?}");
    wait::until_true("a new VM holds the next request", || {
        let mut next = Connection::open(rig.envoy.address(PROXY));
        next.send(&bytes_of(&Request::get("/license"), &[])).unwrap();
        answer_within(&mut next, Duration::from_millis(500)).is_none()
    });
    let reloads = rig.envoy.admin("/stats?filter=vm_reload_success");
    assert!(reloads.lines().any(|line| line.starts_with("wasm.mdrm_authz.") && !line.ends_with(": 0")), "{reloads}");

    let open = Reference::whole().with("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN");
    let (rig, _held, killing, _module) = held_and_killing(open);
    // The one that killed it may be refused; all that come later are not.
    let later = ask(&rig, &Request::get("/license"));
    assert_eq!(later.status, 200, "{killing:?} {later:?}");
    assert!(rig.upstream.count() >= 1);

    let closed = Reference::whole().with("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_CLOSED");
    let (rig, _held, _, _module) = held_and_killing(closed);
    for _ in 0..3 {
        assert_eq!(ask(&rig, &Request::get("/license")).status, 503);
        thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(rig.upstream.count(), 0);
}

#[test]
fn stream_idle_timeout_ends_requests_that_a_dead_vm_has_left_behind() {
    const LINE: &str = "stream_idle_timeout: 15s";
    let short = Reference::whole().with(LINE, "stream_idle_timeout: 1s");
    let (rig, mut held, _, _module) = held_and_killing(short);
    let answered = answer_within(&mut held, Duration::from_secs(15)).expect("an end");
    assert_eq!(answered.status, 503);
    wait::until_true("the log says why", || rig.envoy.output().contains(r#""flags":"SI""#));

    let (_rig, mut held, _, _module) = held_and_killing(Reference::whole().without(LINE));
    assert!(answer_within(&mut held, Duration::from_secs(4)).is_none(), "Envoy's own limit is five minutes");
}

#[test]
fn headers_with_underscores_reach_the_license_server_unless_they_are_rejected() {
    const LINE: &str = "headers_with_underscores_action: REJECT_REQUEST";
    let sent = |rig: &Rig, key: &SigningKey| ask(rig, &request(key).header("X_Forwarded_For", "10.0.0.1"));
    let (rig, key) = serving(Reference::whole());
    assert_eq!((sent(&rig, &key).status, rig.upstream.count()), (400, 0));

    let (rig, key) = serving(Reference::whole().without(LINE));
    assert_eq!(sent(&rig, &key).status, 200);
    assert_eq!(rig.upstream.received()[0].header("x_forwarded_for").as_deref(), Some("10.0.0.1"));
}

#[test]
fn without_normalisation_the_license_server_sees_another_path_than_the_filter_compared() {
    let odd = |key: &SigningKey, path: &str| Request::post(path).token(Token::new(key).compact(now()));
    let (rig, key) = serving(Reference::whole());
    for (path, seen) in [("/cpix/../license", "/license"), ("//license", "/license")] {
        assert_eq!(ask(&rig, &odd(&key, path)).status, 200, "{path}");
        assert_eq!(last_path(&rig), seen);
    }
    for (line, path) in [("normalize_path: true", "/cpix/../license"), ("merge_slashes: true", "//license")] {
        let (rig, key) = serving(Reference::whole().without(line));
        assert_eq!(ask(&rig, &odd(&key, path)).status, 200, "{path}");
        assert_eq!(last_path(&rig), path, "{line}");
    }
}

#[test]
fn escaped_slashes_are_400_at_once_and_otherwise_left_to_the_filter() {
    const LINE: &str = "path_with_escaped_slashes_action: REJECT_REQUEST";
    let escaped = |key: &SigningKey| Request::post("/license%2Fwidevine").token(Token::new(key).compact(now()));
    let (rig, key) = serving(Reference::whole());
    let refused = ask(&rig, &escaped(&key));
    assert_eq!((refused.status, refused.code()), (400, None));

    let (rig, key) = serving(Reference::whole().without(LINE));
    is_denial(503, request_id(&rig, &escaped(&key)).as_deref(), &ask(&rig, &escaped(&key))).unwrap_err();
    assert_eq!((ask(&rig, &escaped(&key)).code(), rig.upstream.count()), (Some(503), 0));
}

/// The ID that an answer gives a request.
fn request_id(rig: &Rig, request: &Request) -> Option<String> {
    ask(rig, request).header("x-request-id")
}

#[test]
fn request_ids_and_addresses_are_the_proxys_own_and_every_answer_has_the_id() {
    let chosen = |key: &SigningKey| request(key).header("X-Request-Id", "chosen").header("X-Forwarded-For", "10.0.0.1");
    let (rig, key) = serving(Reference::whole());
    let id = request_id(&rig, &chosen(&key)).expect("an ID");
    assert_ne!(id, "chosen");
    let received = &rig.upstream.received()[0];
    assert_eq!(received.header("x-request-id"), Some(id));
    // Envoy writes an address of the machine for a client on the loopback interface.
    assert!(received.header("x-forwarded-for").is_some_and(|all| all.starts_with("10.0.0.1,")), "{received:?}");

    let (rig, key) = serving(Reference::whole().without("use_remote_address: true"));
    assert_eq!(ask(&rig, &chosen(&key)).status, 200);
    let received = &rig.upstream.received()[0];
    assert_eq!(received.header("x-request-id").as_deref(), Some("chosen"));
    assert_eq!(received.header("x-forwarded-for").as_deref(), Some("10.0.0.1"));

    let (rig, key) = serving(Reference::whole().without("always_set_request_id_in_response: true"));
    assert_eq!(request_id(&rig, &request(&key)), None);
}

#[test]
fn a_browser_reads_refusals_with_the_cors_filter_in_front_and_only_for_whole_origins() {
    const FILTER: [&str; 3] = [
        "- name: envoy.filters.http.cors",
        "typed_config:",
        r#""@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"#,
    ];
    let of_origin = |rig: &Rig, origin: &str| {
        let answered = ask(rig, &Request::post("/license").header("Origin", origin));
        assert_eq!(answered.code(), Some(501));
        let exposed = answered.header("access-control-expose-headers");
        (
            answered.header("access-control-allow-origin"),
            exposed.is_some_and(|names| names.contains("x-mdrm-error-code")),
        )
    };
    let (ours, other) = ("https://player.example", "https://player.example.attacker.example");
    let rig = Reference::whole().start();
    assert_eq!(of_origin(&rig, ours), (Some(ours.to_owned()), true));
    assert_eq!(of_origin(&rig, other), (None, false));

    let filter: String =
        FILTER.iter().zip([10, 12, 14]).map(|(line, depth)| format!("{:depth$}{line}\n", "")).collect();
    let rig = Reference::whole().with(&filter, "").start();
    assert_eq!(of_origin(&rig, ours), (None, false));

    let rig = Reference::whole().with("- exact: https://player.example", "- prefix: https://player.example").start();
    assert_eq!(of_origin(&rig, other), (Some(other.to_owned()), true));
}

#[test]
fn bodies_that_wait_are_bounded_by_the_buffer_limit_which_must_not_be_below_the_filters_own() {
    const LINE: &str = "per_connection_buffer_limit_bytes: 327680";
    // How much Envoy reads of a request that waits for its key, with a body that the filter does not need.
    let read_of = |rig: &Rig, kibibytes: usize| {
        let (key, gate) = (new_key("slow"), Gate::closed());
        rig.keys.set_for("slow", Answer::document(&key.jwk()).held_by(&gate));
        rig.keys.set("/session-keys/demo-session", Answer::document(&new_key("demo-session").private_jwk()));
        let mut connection = Connection::open(rig.envoy.address(PROXY));
        let request = request(&key).body(vec![b'x'; kibibytes << 10]);
        connection.send(&bytes_of(&request, &[])).unwrap();
        assert!(answer_within(&mut connection, Duration::from_millis(1000)).is_none(), "it waits");
        let read = rig.envoy.stat("http.proxy.downstream_cx_rx_bytes_total").unwrap();
        gate.open();
        assert_eq!(connection.answer("POST").unwrap().status, 200);
        assert_eq!(rig.upstream.received()[0].body.len(), kibibytes << 10);
        read
    };
    let bounded = read_of(&Reference::whole().start(), 600);
    assert!((300 << 10..500 << 10).contains(&bounded), "{bounded} bytes were read");
    let unbounded = read_of(&Reference::whole().without(LINE).start(), 600);
    assert!(unbounded > 600 << 10, "{unbounded} bytes were read");

    let tunnel = |rig: &Rig| {
        let key = MasterKey::generate("m", KeyManagement::A256KW);
        rig.keys.set("/master-keys/m", Answer::document(&key.jwk()));
        let body = Tunnel::new(&key, "no token").license_request(vec![b'x'; 90 << 10]).body();
        ask(rig, &Request::post("/license").content_type("application/jose").body(body))
    };
    assert_eq!(tunnel(&Reference::whole().start()).code(), Some(502));
    let low = Reference::whole().with(LINE, "per_connection_buffer_limit_bytes: 65536");
    assert_eq!(tunnel(&low.start()).status, 413);
}

#[test]
fn without_stop_iteration_no_body_comes_and_body_timeout_answers() {
    let key = MasterKey::generate("m", KeyManagement::A256KW);
    let sent = |reference: Reference| {
        let rig = reference.with(LAST_MEMBER, &format!(r#"{LAST_MEMBER}, "body_timeout": "1s""#)).start();
        rig.keys.set("/master-keys/m", Answer::document(&key.jwk()));
        let body = Tunnel::new(&key, "no token").body();
        ask(&rig, &Request::post("/license").content_type("application/jose").body(body)).code()
    };
    assert_eq!(sent(Reference::whole()), Some(502));
    assert_eq!(sent(Reference::whole().without("allow_on_headers_stop_iteration: true")), Some(517));
}

#[test]
fn the_circuit_breaker_bounds_what_a_flood_of_unknown_kids_asks_of_the_key_service_at_once() {
    const LINE: &str = "- { max_connections: 32, max_pending_requests: 128, max_requests: 128 }";
    const KEYS: &str = r#""keys": { "cluster": "key_service", "path": "/keys/{kid}" }"#;
    let flooded = |reference: Reference| {
        let rig = reference.with(KEYS, &KEYS.replace(" }", r#", "timeout": "60s" }"#)).start();
        let (key, gate) = (new_key("any"), Gate::closed());
        let mut connections: Vec<Connection> = (0..200).map(|_| Connection::open(rig.envoy.address(PROXY))).collect();
        for (number, connection) in connections.iter_mut().enumerate() {
            let kid = format!("flood-{number}");
            rig.keys.set_for(&kid, Answer::new(404, "").held_by(&gate));
            connection.send(&bytes_of(&request(&key.under_kid(&kid)), &[])).unwrap();
        }
        (rig, connections, gate)
    };
    let (rig, _connections, _gate) = flooded(Reference::whole());
    let refused = wait::until("all are refused or wait", || {
        let stat = |name: &str| rig.envoy.stat(&format!("http.proxy.{name}")).unwrap_or(0);
        let (waiting, refused) = (stat("downstream_rq_active"), stat("downstream_rq_5xx"));
        (waiting + refused == 200 && rig.keys.total() >= 32).then_some(refused)
    });
    assert!((40..=100).contains(&refused), "{refused} of 200 are beyond the breaker");
    assert_eq!(rig.keys.total(), 32, "a connection each");

    let lines = ["circuit_breakers:", "thresholds:", LINE];
    let (rig, _connections, _gate) = flooded(lines.into_iter().fold(Reference::whole(), Reference::without));
    // All 200 of the worker's bucket, but for connections that a busy machine makes too late.
    wait::until_true("nearly all arrive at once", || rig.keys.total() > 150);
}

#[test]
fn connections_beyond_the_limit_are_closed_at_once() {
    const LINE: &str = "max_active_downstream_connections: 20000";
    let rig = Reference::whole().with(LINE, "max_active_downstream_connections: 2").start();
    let served = |connection: &mut Connection| {
        let sent = connection.send(&bytes_of(&Request::post("/license"), &[]));
        sent.and_then(|()| connection.answer("POST")).is_ok_and(|answered| answered.code() == Some(501))
    };
    let mut connections: Vec<Connection> = (0..3).map(|_| Connection::open(rig.envoy.address(PROXY))).collect();
    let answers: Vec<bool> = connections.iter_mut().map(served).collect();
    assert_eq!(answers, [true, true, false]);
}

#[test]
fn requests_that_are_sent_too_slowly_end() {
    for (line, short, sent) in [
        ("request_headers_timeout: 10s", "request_headers_timeout: 1s", "POST /license HTTP/1.1\r\nHost: h\r\n"),
        (
            "request_timeout: 30s",
            "request_timeout: 1s",
            "POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1",
        ),
    ] {
        let slow = |reference: Reference| {
            let rig = reference.start();
            let mut connection = Connection::open(rig.envoy.address(PROXY));
            connection.send(sent.as_bytes()).unwrap();
            let start = Instant::now();
            (answer_within(&mut connection, Duration::from_secs(4)), start.elapsed())
        };
        let (answered, _) = slow(Reference::whole().with(line, short));
        assert_eq!(answered.map(|answered| answered.status), Some(408), "{line}");
        let (answered, took) = slow(Reference::whole().without(line));
        assert!(answered.is_none(), "{line}: {answered:?} after {took:?}");
    }
}

#[test]
fn the_access_log_holds_no_token_of_a_request_that_never_got_to_the_filter() {
    let logged = |reference: Reference| {
        let (rig, key) = serving(reference);
        let token = Token::new(&key).compact(now());
        let refused = Request::post(format!("/license%2Fwidevine?Authorization={token}"));
        assert_eq!(ask(&rig, &refused).status, 400);
        let line =
            wait::until("a line", || rig.envoy.output().lines().find(|line| line.contains("400")).map(str::to_owned));
        line.contains(&token)
    };
    assert!(!logged(Reference::whole()));
    assert!(logged(Reference::whole().with("%PATH(NQ:PATH)%", "%REQ(:PATH)%")));
}
