//! Exact edges of bodies: the last byte, the last millisecond, and a body that the host has lost.

use std::time::Duration;

use mdrm_authz::authorizer::Decision;
use mdrm_authz::clock::Now;
use mdrm_authz::denial::{BodyFault, CpixFault, Denial, TunnelFault};
use mdrm_authz::keys::WaiterId;
use mdrm_authz::requests::Due;
use serde_json::json;

use super::host::{Host, NOW, Service};
use crate::support::signer::{CPIX, Document};
use crate::support::table::keyring::{self, keyring};
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MEDIA_TYPE, Tunnel};

const RIGHT: [Service; 3] = [Service::Right; 3];

fn tunnel() -> Request {
    let token = Token::new(keyring().main()).compact(NOW);
    let body = Tunnel::new(keyring::master_key(KeyManagement::Dir), token).body();
    Request::post("/widevine").content_type(MEDIA_TYPE).body(body)
}

fn cpix() -> Request {
    let token = Token::new(keyring().main()).audience(CPIX).compact(NOW);
    Request::post("/cpix").token(token).body(r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="content-1"/>"#)
}

fn host() -> Host {
    let plugin = Plugin::TunnelPermissive.configuration();
    let plugin = plugin.with("services", json!({"cpix": {"bind_content": true}})).with("max_body_bytes", json!(2048));
    Host::new(&plugin.with("body_timeout", json!("1s")), RIGHT)
}

fn denied(host: &Host, stream: usize) -> Option<Denial> {
    host.streams[stream].decision.clone().map(|decision| match decision {
        Decision::Deny(denial) => denial,
        other => panic!("{other:?}"),
    })
}

fn both(fault: BodyFault) -> [Denial; 2] {
    [Denial::Tunnel(TunnelFault::Body(fault)), Denial::Cpix(CpixFault::Body(fault))]
}

#[test]
fn a_body_is_late_at_the_end_of_its_time_and_not_a_moment_before() {
    for (request, denial) in [tunnel(), cpix()].iter().zip(both(BodyFault::Timeout)) {
        let mut host = host();
        let stream = host.connect(request);
        host.tick(Duration::from_secs(5));
        host.head(stream);
        host.answer(0);
        host.piece(stream, 10);
        host.tick(Duration::from_nanos(999_999_999));
        assert_eq!(denied(&host, stream), None);
        assert!(host.requests.needs_tick());
        host.tick(Duration::from_nanos(1));
        assert_eq!(denied(&host, stream), Some(denial));
        host.piece(stream, 10);
        host.end(stream, true);
        host.assert_nothing_held();
    }
}

#[test]
fn the_time_of_a_body_runs_while_its_key_is_awaited_and_is_over_when_it_is_there() {
    let mut host = host();
    let (late, early) = (host.connect(&cpix()), host.connect(&cpix()));
    host.head(late);
    host.head(early);
    host.end(early, false);
    host.tick(Duration::from_secs(3));
    assert_eq!((denied(&host, late), denied(&host, early)), (None, None), "both wait for a key");
    host.answer(0);
    assert!(matches!(host.streams[early].decision, Some(Decision::Allow(_))));
    host.tick(Duration::ZERO);
    assert_eq!(denied(&host, late), Some(Denial::Cpix(CpixFault::Body(BodyFault::Timeout))));
    host.assert_nothing_held();
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_is_refused_at_the_byte_beyond_before_it_has_ended() {
    for (request, denial) in [tunnel(), cpix()].into_iter().zip(both(BodyFault::TooLarge)) {
        let mut host = host();
        let request = request.body([b' '; 5000]).chunked();
        let stream = host.connect(&request);
        host.head(stream);
        host.answer(0);
        host.piece(stream, 2048);
        assert_eq!(denied(&host, stream), None);
        host.piece(stream, 1);
        assert_eq!(denied(&host, stream), Some(denial));
        host.end(stream, false);
        host.assert_nothing_held();
    }
}

#[test]
fn a_body_that_turns_out_to_be_empty_is_none() {
    for (request, denial) in [tunnel(), cpix()].into_iter().zip(both(BodyFault::Absent)) {
        for trailers in [false, true] {
            let mut host = host();
            let stream = host.connect(&request.clone().body("").chunked());
            host.head(stream);
            host.answer(0);
            host.end(stream, trailers);
            assert_eq!(denied(&host, stream), Some(denial.clone()));
            host.assert_nothing_held();
        }
    }
}

#[test]
fn a_body_that_the_host_has_lost_is_an_internal_failure() {
    let mut host = host();
    let request = tunnel();
    let stream = host.connect(&request);
    host.head(stream);
    let (id, length) = (WaiterId(0), request.body.len());
    assert_eq!(host.requests.on_body(id, length, true), Some(Due::Body));
    let outcome = host.requests.on_whole_body(id, None, host.now);
    assert_eq!(outcome.unwrap().decision, Decision::Deny(Denial::BodyUnreadable));
    assert_eq!(Denial::BodyUnreadable.code().name(), "MDRM-500");
    host.assert_nothing_held();
}

#[test]
fn a_body_that_has_grown_beyond_the_limit_since_it_was_counted_is_too_large() {
    let mut host = host();
    let stream = host.connect(&tunnel());
    host.head(stream);
    assert_eq!(host.requests.on_body(WaiterId(0), 2048, true), Some(Due::Body));
    let outcome = host.requests.on_whole_body(WaiterId(0), Some(&[b'a'; 2049]), host.now);
    assert_eq!(outcome.unwrap().decision, Decision::Deny(both(BodyFault::TooLarge)[0].clone()));
    host.assert_nothing_held();
}

#[test]
fn events_about_requests_that_nobody_holds_change_nothing() {
    let mut host = host();
    let now = Now { unix: NOW, monotonic: Duration::from_secs(1) };
    for id in [WaiterId(0), WaiterId(u32::MAX)] {
        assert_eq!(host.requests.on_body(id, 10, true), None);
        assert_eq!(host.requests.on_trailers(id), None);
        assert_eq!(host.requests.on_whole_body(id, Some(b"body"), now), None);
        assert_eq!(host.requests.on_whole_body(id, None, now), None);
        assert_eq!(host.requests.poll_one(id, now), None);
        assert_eq!(host.requests.poll(now), None);
        host.requests.forget(id);
    }
    host.assert_nothing_held();
}

#[test]
fn a_request_that_waits_for_its_body_is_not_woken() {
    let mut host = host();
    let stream = host.connect(&tunnel());
    host.head(stream);
    for _ in 0..3 {
        assert_eq!(host.requests.poll_one(WaiterId(0), host.now), None);
        assert_eq!(host.requests.poll(host.now), None);
    }
    assert_eq!(host.requests.held(), 1);
    host.finish();
    assert!(matches!(host.streams[stream].decision, Some(Decision::Allow(_))));
}

#[test]
fn what_is_due_about_a_request_that_goes_away_is_dropped_and_nothing_else() {
    let mut host = host();
    let (goes, stays) = (host.connect(&tunnel()), host.connect(&tunnel()));
    host.head(goes);
    host.head(stays);
    host.now.monotonic += Duration::from_secs(1);
    assert!(host.requests.needs_tick(), "both are late");
    host.abort(goes);
    let due = host.requests.poll(host.now);
    let Some(Some((WaiterId(1), Due::Decision(late)))) = &due else { panic!("{due:?}") };
    assert_eq!(late.decision, Decision::Deny(both(BodyFault::Timeout)[0].clone()));
    host.assert_nothing_held();
}

#[test]
fn the_number_of_a_request_that_is_over_can_be_another_requests() {
    let mut host = host();
    for request in [tunnel(), cpix(), tunnel()] {
        host.streams.clear();
        let stream = host.connect(&request);
        host.head(stream);
        host.piece(stream, 5);
        host.abort(stream);
        host.streams.clear();
        let stream = host.connect(&request);
        host.finish();
        assert!(matches!(host.streams[stream].decision, Some(Decision::Allow(_))));
        host.requests.forget(WaiterId(0));
    }
    host.assert_nothing_held();
}

#[test]
fn the_body_of_a_request_that_waits_is_said_to_be_read_exactly_where_a_decision_looks_at_it() {
    let license = Request::post("/widevine").token(Token::new(keyring().main()).compact(NOW));
    let reads = |host: &mut Host, request: &Request| {
        let stream = host.connect(request);
        host.head(stream);
        let reads = host.requests.reads_body(WaiterId(stream as u32));
        assert_eq!(denied(host, stream), None, "it waits");
        reads
    };
    let mut bound = host();
    assert_eq!([&license, &tunnel(), &cpix()].map(|request| reads(&mut bound, request)), [false, true, true]);
    let signed = Request::post("/signed?kid=k-ES256&sub=content-1&iss=company1").body("<CPIX/>");
    let mut unbound = Host::new(&Plugin::Reference.configuration(), RIGHT);
    assert_eq!([&cpix(), &signed].map(|request| reads(&mut unbound, request)), [false, true]);
    assert!(!unbound.requests.reads_body(WaiterId(9)), "nobody waits by this name");
}
