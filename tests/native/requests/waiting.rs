//! How many may wait for a key, and what an outage leads to: for each kind of key by itself.

use std::time::Duration;

use mdrm_authz::authorizer::Decision;
use mdrm_authz::denial::Denial;
use serde_json::json;

use super::host::{Host, NOW, RINGS, Service};
use crate::support::signer::Document;
use crate::support::table::keyring::{self, keyring};
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MEDIA_TYPE, Tunnel};

const MOST: usize = 2;

fn host(services: [Service; 3]) -> Host {
    let keys = json!({"cluster": "keys", "max_waiting": MOST});
    Host::new(&Plugin::TunnelForward.configuration().with("keys", keys), services)
}

/// A request that needs a master key, then an access key, then a session key.
fn tunnel() -> Request {
    let token = Token::new(keyring().main()).compact(NOW);
    let body = Tunnel::new(keyring::master_key(KeyManagement::A256KW), token).body();
    Request::post("/widevine").content_type(MEDIA_TYPE).body(body)
}

fn arrive(host: &mut Host) -> usize {
    let stream = host.connect(&tunnel());
    host.head(stream);
    host.end(stream, false);
    stream
}

fn is_turned_away(host: &Host, stream: usize) -> bool {
    host.streams[stream].decision == Some(Decision::Deny(Denial::TooManyWaiting { retry_after: 1 }))
}

/// The order in which a tunnel needs its keys.
const ORDER: [usize; 3] = [2, 0, 1];

#[test]
fn beyond_those_who_may_wait_for_a_key_of_any_kind_a_request_is_turned_away() {
    let mut host = host([Service::Right; 3]);
    for ring in ORDER {
        // The keys before are held by now.
        let waiting: Vec<usize> = (0..MOST).map(|_| arrive(&mut host)).collect();
        assert_eq!(host.outstanding.len(), 1);
        assert!(host.outstanding[0].path.starts_with(RINGS[ring]), "{:?}", host.outstanding);
        let beyond = arrive(&mut host);
        assert!(is_turned_away(&host, beyond), "{}: {:?}", RINGS[ring], host.streams[beyond].decision);
        // Whoever leaves makes room.
        host.abort(waiting[0]);
        let next = arrive(&mut host);
        assert_eq!(host.streams[next].decision, None, "{}", RINGS[ring]);
        if ring == 1 {
            host.answer(ring);
            for stream in [waiting[1], next] {
                assert!(matches!(host.streams[stream].decision, Some(Decision::Allow(_))));
            }
        } else {
            host.abort(waiting[1]);
            host.abort(next);
            host.answer(ring);
        }
    }
    host.finish();
}

#[test]
fn an_outage_of_one_kind_of_key_is_500_and_leaves_the_others_alone() {
    for (place, ring) in ORDER.into_iter().enumerate() {
        for failure in [Service::Fails, Service::Silent] {
            let mut services = [Service::Right; 3];
            services[ring] = failure;
            let mut host = host(services);
            let stream = arrive(&mut host);
            ORDER.into_iter().for_each(|ring| host.answer(ring));
            let expected = Decision::Deny(Denial::KeyServiceUnavailable { retry_after: 1 });
            assert_eq!(host.streams[stream].decision, Some(expected.clone()), "{}", RINGS[ring]);
            // Within the pause nobody asks and nobody waits.
            let next = arrive(&mut host);
            assert_eq!(host.streams[next].decision, Some(expected));
            assert!(host.outstanding.is_empty(), "{}", RINGS[ring]);
            host.tick(Duration::from_secs(1));
            arrive(&mut host);
            let asked: Vec<&str> = host.outstanding.iter().map(|request| &request.path[..]).collect();
            assert!(matches!(asked[..], [path] if path.starts_with(RINGS[ORDER[place]])), "{asked:?}");
            host.finish();
        }
    }
}

#[test]
fn attack_80_bodies_that_wait_for_keys_take_no_more_than_max_held_bytes() {
    // A body of 180 kB becomes a ciphertext of 130 kB or so, and that a license request of 100 kB: of the first kind seven
    // fit into 1 MiB.
    let keys = json!({"cluster": "keys"});
    let plugin = Plugin::TunnelForward.configuration().with("keys", keys).with("max_held_bytes", json!(1 << 20));
    let mut host = Host::new(&plugin, [Service::Right; 3]);
    let token = Token::new(keyring().main()).compact(NOW);
    let body =
        Tunnel::new(keyring::master_key(KeyManagement::A256KW), token).license_request("c".repeat(100_000)).body();
    let request = Request::post("/widevine").content_type(MEDIA_TYPE).body(body);
    let arrive = |host: &mut Host| {
        let stream = host.connect(&request);
        host.head(stream);
        host.end(stream, false);
        stream
    };
    let too_many = Some(Decision::Deny(Denial::TooManyHeldBytes));
    let streams: Vec<usize> = (0..10).map(|_| arrive(&mut host)).collect();
    let waiting = streams.iter().filter(|stream| host.streams[**stream].decision.is_none()).count();
    assert_eq!(waiting, 7);
    assert!((900_000..=1 << 20).contains(&host.requests.held_bytes()), "{}", host.requests.held_bytes());
    assert!(streams[7..].iter().all(|stream| host.streams[*stream].decision == too_many));
    // A client that goes away makes room, and so does a body that gets smaller.
    host.abort(streams[0]);
    let next = arrive(&mut host);
    assert_eq!(host.streams[next].decision, None);
    host.answer(2);
    assert!(host.requests.held_bytes() < 800_000, "{}", host.requests.held_bytes());
    host.answer(0);
    host.answer(1);
    assert_eq!(host.requests.held_bytes(), 0);
    let allowed = |stream: &&usize| matches!(host.streams[**stream].decision, Some(Decision::Allow(_)));
    assert_eq!(streams[1..7].iter().chain([&next]).filter(allowed).count(), 7);
    host.assert_nothing_held();
}
