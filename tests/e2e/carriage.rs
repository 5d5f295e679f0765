//! What only a proxy shows of the way in and out: request ids, trailers, HEAD, gRPC, upgrades, CONNECT, HTTP/1.0, bodies that come in pieces
//! while a key is fetched, and several requests on one connection.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use serde_json::{Value, json};

use crate::now;
use crate::reply::{is_denial, is_denial_without_body};
use crate::support::client::{Connection, bytes_of};
use crate::support::h2_client;
use crate::support::key_service::{Answer, KeyService};
use crate::support::rig::Rig;
use crate::support::signer::SigningKey;
use crate::support::table::keyring::keyring;
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;
use crate::support::upstream::LICENSE_BODY;

fn key() -> &'static SigningKey {
    keyring().main()
}

fn token() -> String {
    Token::new(key()).compact(now())
}

fn reference() -> Value {
    Plugin::Reference.configuration()
}

/// A rig with the reference configuration, and a key service that knows the key.
fn rig() -> Rig {
    let rig = Rig::start(&reference());
    rig.keys.register(key());
    rig
}

#[test]
fn a_reply_names_the_request_id_if_it_is_printable_and_short() {
    let rig = rig();
    let longest = "i".repeat(128);
    for id in ["5d2c1f0e-1", "x", longest.as_str(), r#"a"b\c"#, "~!@#$%^&*()_+=[]{}|;:'<>,./?`"] {
        let answered = rig.exchange(&Request::get("/widevine").header("X-Request-Id", id));
        is_denial(501, Some(id), &answered).unwrap_or_else(|problem| panic!("{id:?}: {problem}"));
    }
    for id in [&b""[..], "i".repeat(129).as_bytes(), b"a\x80b", b"\xff", "é".as_bytes(), b"a\tb"] {
        let answered = rig.exchange(&Request::get("/widevine").header("X-Request-Id", id));
        is_denial(501, None, &answered).unwrap_or_else(|problem| panic!("{}: {problem}", id.escape_ascii()));
    }
    let allowed = rig.exchange(&Request::get("/widevine").token(token()).header("X-Request-Id", "given"));
    assert_eq!(allowed.status, 200);
    assert_eq!(rig.upstream.received()[0].header("x-request-id").as_deref(), Some("given"), "it goes on as it came");
    rig.envoy.assert_healthy();
}

#[test]
fn answers_of_the_upstream_pass_untouched() {
    let rig = rig();
    for request in [Request::post("/widevine").token(token()), Request::get("/healthz")] {
        let answered = rig.exchange(&request);
        assert_eq!((answered.status, &answered.body[..]), (200, LICENSE_BODY));
        assert_eq!(answered.header("x-mdrm-license").as_deref(), Some("of the upstream"));
        assert_eq!(answered.header("content-type").as_deref(), Some("application/octet-stream"));
    }
    rig.envoy.assert_healthy();
}

#[test]
fn attack_65_head_is_decided_and_its_denial_has_no_body() {
    let rig = rig();
    let denied = rig.exchange(&Request::new("HEAD", "/widevine"));
    is_denial_without_body(501, &denied).unwrap();
    assert!(denied.body.is_empty());
    let allowed = rig.exchange(&Request::new("HEAD", "/widevine").token(token()));
    assert_eq!((allowed.status, allowed.code()), (200, None));
    let h2 = h2_client::Connection::open(rig.envoy.only());
    let denied = h2.exchange(&Request::new("HEAD", "/widevine"), &[]).unwrap();
    assert_eq!((denied.code(), denied.body.len()), (Some(501), 0));
    rig.envoy.assert_healthy();
}

#[test]
fn attack_65_grpc_requests_get_their_status_as_grpc_wants_it() {
    let rig = rig();
    let h2 = h2_client::Connection::open(rig.envoy.only());
    let grpc = |token: Option<String>| {
        let request = Request::post("/widevine").content_type("application/grpc").header("te", "trailers");
        token.into_iter().fold(request, |request, token| request.token(token))
    };
    for (request, code, grpc_status) in [(grpc(None), 501, "16"), (grpc(Some("x".into())), 502, "16")] {
        let answered = h2.exchange(&request, &[]).unwrap();
        assert_eq!((answered.status, answered.code()), (200, Some(code)), "{answered:?}");
        assert_eq!(answered.header("grpc-status").as_deref(), Some(grpc_status));
    }
    let other = Token::new(key()).audience("other").compact(now());
    let answered = h2.exchange(&grpc(Some(other)), &[]).unwrap();
    assert_eq!((answered.code(), answered.header("grpc-status").as_deref()), (Some(503), Some("7")));
    assert_eq!(rig.upstream.count(), 0);
    assert_eq!(h2.exchange(&grpc(Some(token())), &[]).unwrap().code(), None);
    assert_eq!(rig.upstream.count(), 1);
    rig.envoy.assert_healthy();
}

#[test]
fn attacks_10_and_71_trailers_with_names_like_ours_are_removed_on_every_route() {
    let rig = Rig::adjusted(&reference(), |setup| setup.upstream_http2 = true);
    rig.keys.register(key());
    let h2 = h2_client::Connection::open(rig.envoy.only());
    let mut trailers = HeaderMap::new();
    for name in ["x-mdrm-session", "x-mdrm-sub", "x_mdrm_org", "x.mdrm_sub", "x!mdrm!a", "x-mdrm", "x-checksum"] {
        trailers.append(HeaderName::from_static(name), "sent".parse().unwrap());
    }
    let license = Request::post("/widevine").token(token());
    // The first license request waits for its key, the second does not.
    for (way, request) in
        [("waiting", license.clone()), ("held key", license), ("open", Request::post("/healthz").body("x"))]
    {
        let (answered, _) = h2.exchange_with_trailers(&request, &[], Some(trailers.clone())).unwrap();
        assert_eq!(answered.code(), None, "{way}");
        let received = rig.upstream.received().pop().unwrap();
        let mut names: Vec<&str> = received.trailers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["x-checksum", "x-mdrm"], "{way}");
        assert_eq!(received.body, request.body, "{way}");
    }
    rig.envoy.assert_healthy();
}

#[test]
fn attack_65_a_websocket_is_decided_at_its_handshake() {
    let rig = Rig::adjusted(&reference(), |setup| setup.listeners[0].upgrades = true);
    rig.keys.register(key());
    let handshake = |path: String| {
        let request = Request::get(path).header("Connection", "Upgrade").header("Upgrade", "websocket");
        request.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    let send = |request: &Request| {
        let mut connection = Connection::open(rig.envoy.only());
        connection.send(&bytes_of(request, &[])).unwrap();
        connection.answer("GET").unwrap()
    };
    assert_eq!(send(&handshake("/widevine".into())).code(), Some(501));
    assert_eq!(send(&handshake("/widevine".into()).token("x")).code(), Some(502));
    assert_eq!(rig.upstream.count(), 0);
    assert_eq!(send(&handshake("/widevine".into()).token(token())).status, 101);
    assert_eq!(send(&handshake(format!("/widevine?a=1&Authorization={}", token()))).status, 101);
    let received = rig.upstream.received();
    assert!(received.iter().all(|request| request.header("authorization").is_none()), "{received:?}");
    assert_eq!(received.iter().map(|request| &request.path[..]).collect::<Vec<_>>(), ["/widevine", "/widevine?a=1"]);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_65_connect_reaches_nothing_without_a_token() {
    let rig = Rig::adjusted(&reference(), |setup| setup.listeners[0].upgrades = true);
    let mut connection = Connection::open(rig.envoy.only());
    connection.send(b"CONNECT license.example.com:443 HTTP/1.1\r\nHost: license.example.com:443\r\n\r\n").unwrap();
    let answered = connection.answer("GET").unwrap();
    assert_eq!(answered.code(), Some(501), "{answered:?}");
    assert_eq!(rig.upstream.count(), 0);
    rig.envoy.assert_healthy();
}

#[test]
fn attack_65_http_1_0_is_decided_like_any_other_version() {
    let rig = rig();
    let send = |header: String| {
        let mut connection = Connection::open(rig.envoy.only());
        connection.send(format!("GET /widevine HTTP/1.0\r\n{header}\r\n").as_bytes()).unwrap();
        connection.answer("GET").unwrap()
    };
    is_denial(501, None, &send(String::new())).unwrap();
    let allowed = send(format!("Authorization: {}\r\n", token()));
    assert_eq!((allowed.status, &allowed.body[..]), (200, LICENSE_BODY));
    rig.envoy.assert_healthy();
}

#[test]
fn the_body_of_a_denied_request_goes_nowhere() {
    let rig = rig();
    let mut connection = Connection::open(rig.envoy.only());
    connection.send(b"POST /widevine HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\npart of it").unwrap();
    is_denial(501, None, &connection.answer("POST").unwrap()).unwrap();
    connection.abort();
    rig.envoy.await_active_requests(0);
    assert_eq!(rig.upstream.count(), 0);
    rig.envoy.assert_healthy();
}

#[test]
fn requests_on_one_connection_are_decided_one_by_one() {
    let rig = rig();
    let mut connection = Connection::open(rig.envoy.only());
    let right = Request::post("/widevine").token(token());
    let none = Request::get("/widevine"); // Envoy closes the connection if it answers before the body is there
    let open = Request::get("/healthz");
    let expected = [(&right, None), (&none, Some(501)), (&right, None), (&open, None), (&none, Some(501))];
    for (request, code) in expected {
        connection.send(&bytes_of(request, &[])).unwrap();
        assert_eq!(connection.answer(&request.method).unwrap().code(), code, "{request:?}");
    }
    assert_eq!(rig.upstream.count(), 3);
    rig.envoy.assert_healthy();
}

#[test]
fn behind_the_cors_filter_a_browser_can_read_a_denial() {
    let rig = Rig::adjusted(&reference(), |setup| setup.listeners[0].cors = true);
    let request = Request::post("/widevine").header("Origin", "https://player.example.com");
    let denied = rig.exchange(&request);
    assert_eq!(denied.code(), Some(501));
    assert_eq!(denied.header("access-control-allow-origin").as_deref(), Some("https://player.example.com"));
    assert_eq!(denied.header("access-control-expose-headers").as_deref(), Some("x-mdrm-error-code"));
    rig.envoy.assert_healthy();
}

#[test]
fn where_envoy_normalises_paths_first_the_normal_path_is_decided() {
    let rig = Rig::adjusted(&reference(), |setup| setup.listeners[0].normalize_path = true);
    rig.keys.register(key());
    assert_eq!(rig.code(&Request::get("/fairplay/certificate/../license")), Some(501));
    assert_eq!(rig.code(&Request::get("/healthz/../widevine")), Some(501));
    assert_eq!(rig.upstream.count(), 0);
    assert_eq!(rig.code(&Request::get("/a/../widevine?x=1").token(token())), None);
    assert_eq!(rig.upstream.received()[0].path, "/widevine?x=1");
    rig.envoy.assert_healthy();
}

#[test]
fn a_redirect_that_envoy_follows_itself_is_decided_again_and_needs_the_token_to_go_on() {
    for forward_token in [false, true] {
        // Servers of the tests answer as they are told: this one is the license server.
        let licenses = KeyService::start();
        licenses.set("/license", Answer::new(307, "").header("location", "http://license.example.com/moved"));
        licenses.set("/moved", Answer::new(200, LICENSE_BODY));
        let plugin = json!({"keys": {"cluster": "keys"}, "upstream": {"forward_token": forward_token}});
        let rig = Rig::adjusted(&plugin, |setup| {
            setup.upstream = licenses.address();
            setup.listeners[0].follow_redirects = true;
        });
        rig.keys.register(key());
        let answered = rig.exchange(&Request::get("/license").token(token()));
        let reached: Vec<String> = licenses.received().into_iter().map(|request| request.path).collect();
        if forward_token {
            assert_eq!((answered.status, &answered.body[..]), (200, LICENSE_BODY));
            assert_eq!(reached, ["/license", "/moved"]);
        } else {
            is_denial(501, None, &answered).unwrap();
            assert_eq!(reached, ["/license"]);
        }
        rig.envoy.assert_healthy();
    }
}
