//! Requests that are preflights if no byte of a body comes: what they wait for, in every order, and for how long.

use std::time::Duration;

use mdrm_authz::authorizer::{Decision, Edits};
use mdrm_authz::denial::{Denial, TunnelFault};
use serde_json::json;

use super::host::{Host, NOW, Service};
use crate::support::signer::Document;
use crate::support::table::keyring::{self, keyring};
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MEDIA_TYPE, Tunnel};

const RIGHT: [Service; 3] = [Service::Right; 3];

fn asking(path: &str, body: &str) -> Request {
    let request = Request::new("OPTIONS", path).header("Origin", "https://player.example");
    request.header("Access-Control-Request-Method", "POST").body(body).chunked()
}

fn with_token(body: &str) -> Request {
    asking("/widevine", body).token(Token::new(keyring().main()).compact(NOW))
}

fn decision(host: &Host) -> Option<&Decision> {
    host.streams[0].decision.as_ref()
}

#[test]
fn without_a_byte_it_passes_whether_its_key_has_come_or_not() {
    for key_first in [true, false] {
        for trailers in [true, false] {
            let mut host = Host::new(&Plugin::Reference.configuration(), RIGHT);
            let stream = host.connect(&with_token(""));
            host.head(stream);
            if key_first {
                host.answer(0);
            }
            assert_eq!(decision(&host), None, "its end is awaited");
            host.end(stream, trailers);
            assert!(matches!(decision(&host), Some(Decision::Pass(_))), "{:?}", decision(&host));
            host.abort(stream);
            host.answer(0);
            host.assert_nothing_held();
        }
    }
}

#[test]
fn with_a_byte_it_is_decided_as_its_route_says_whether_its_key_has_come_or_not() {
    for key_first in [true, false] {
        let mut host = Host::new(&Plugin::Reference.configuration(), RIGHT);
        let stream = host.connect(&with_token("body"));
        host.head(stream);
        if key_first {
            host.answer(0);
            assert_eq!(decision(&host), None, "its first byte is awaited");
        }
        host.piece(stream, 1);
        host.answer(0);
        assert!(matches!(decision(&host), Some(Decision::Allow(_))), "{:?}", decision(&host));
        host.finish();
    }
    let mut host = Host::new(&Plugin::Reference.configuration(), RIGHT);
    let stream = host.connect(&asking("/widevine", "body"));
    host.head(stream);
    assert_eq!(decision(&host), None);
    host.piece(stream, 1);
    assert_eq!(decision(&host), Some(&Decision::Deny(Denial::TokenMissing)));
}

#[test]
fn a_tunnel_that_looks_like_one_is_read_to_its_end() {
    let token = Token::new(keyring().main()).compact(NOW);
    let body = Tunnel::new(keyring::master_key(KeyManagement::Dir), token).body();
    for (body, opened) in [(body, true), ("x".to_owned(), false)] {
        let mut host = Host::new(&Plugin::TunnelPermissive.configuration(), RIGHT);
        let stream = host.connect(&asking("/widevine", "").content_type(MEDIA_TYPE).body(&body));
        host.head(stream);
        host.piece(stream, 1);
        assert_eq!(decision(&host), None);
        host.finish();
        match decision(&host) {
            Some(Decision::Allow(_)) => assert!(opened),
            other => assert!(
                !opened && other == Some(&Decision::Deny(Denial::Tunnel(TunnelFault::NotFiveParts))),
                "{other:?}"
            ),
        }
    }
}

#[test]
fn one_that_never_ends_is_decided_as_its_route_says_after_body_timeout() {
    let plugin = Plugin::Reference.configuration().with("body_timeout", json!("1s"));
    for (request, denied) in [(asking("/widevine", "body"), true), (with_token("body"), false)] {
        let mut host = Host::new(&plugin, RIGHT);
        let stream = host.connect(&request);
        host.head(stream);
        host.answer(0);
        host.tick(Duration::from_nanos(999_999_999));
        assert_eq!(decision(&host), None);
        assert!(host.requests.needs_tick());
        host.tick(Duration::from_nanos(1));
        match decision(&host) {
            Some(Decision::Deny(denial)) => assert!(denied && *denial == Denial::TokenMissing),
            other => assert!(!denied && matches!(other, Some(Decision::Allow(_))), "{other:?}"),
        }
    }
}

#[test]
fn where_denials_are_only_reported_it_keeps_its_token_until_it_is_known_to_be_one() {
    let plugin = Plugin::Reference.configuration().with("report_only", json!(true));
    let path = |token: &str| format!("/widevine?a=1&Authorization={token}");
    let token = Token::new(keyring().main()).compact(NOW);
    let mut host = Host::new(&plugin, RIGHT);
    let stream = host.connect(&asking(&path(&token), "").token(&token));
    host.head(stream);
    host.end(stream, false);
    let without =
        Edits { remove: vec!["authorization"], set: vec![(":path".into(), b"/widevine?a=1".to_vec())], body: None };
    assert_eq!(decision(&host), Some(&Decision::Pass(without)));

    let mut host = Host::new(&plugin, RIGHT);
    let stream = host.connect(&asking(&path("x"), "body").token("x"));
    host.head(stream);
    host.piece(stream, 1);
    assert_eq!(decision(&host), Some(&Decision::Report(Denial::NotThreeParts)));
}

#[test]
fn what_says_that_it_has_a_body_and_what_an_open_route_passes_do_not_wait() {
    let mut host = Host::new(&Plugin::Reference.configuration(), RIGHT);
    let length = host.connect(&asking("/widevine", "body").header("Content-Length", "4"));
    let open = host.connect(&asking("/healthz", "body"));
    host.head(length);
    host.head(open);
    assert_eq!(host.streams[length].decision, Some(Decision::Deny(Denial::TokenMissing)));
    assert_eq!(host.streams[open].decision, Some(Decision::Pass(Edits::default())));
}
