//! Rows of the table in random orders of events: every order ends in the decision of the straightforward one.

use std::sync::LazyLock;
use std::time::Duration;

use mdrm_authz::authorizer::{Decision, Edits};
use mdrm_authz::denial::{BodyFault, CpixFault, Denial, TunnelFault};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::host::{Host, NOW, Service, Stream};
use crate::support::signer::Document;
use crate::support::table::{Case, Plugin, table};

/// `body_timeout` of these tests.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// Configurations that need bodies, master keys or session keys.
const PLUGINS: [Plugin; 8] = [
    Plugin::TunnelPermissive,
    Plugin::TunnelForward,
    Plugin::TunnelEnforcing,
    Plugin::BindContent,
    Plugin::CpixSession,
    Plugin::SmallBodies,
    Plugin::Session,
    Plugin::SessionByKey,
];

static ROWS: LazyLock<Vec<Case>> = LazyLock::new(|| table(NOW));

fn rows_of(plugin: Plugin) -> Vec<&'static Case> {
    ROWS.iter().filter(|row| row.plugin == plugin).collect()
}

fn configuration(plugin: Plugin) -> Value {
    plugin.configuration().with("body_timeout", json!("1s"))
}

#[derive(Debug, Clone)]
enum Event {
    Head(usize),
    Piece(usize, usize),
    End(usize, bool),
    Abort(usize),
    Answer(usize),
    Learn(usize),
    Tick(u64),
}

const STREAMS: usize = 3;

fn event() -> impl Strategy<Value = Event> {
    let stream = 0..STREAMS;
    prop_oneof![
        4 => stream.clone().prop_map(Event::Head),
        4 => (stream.clone(), prop_oneof![1_usize..5, 1_usize..2000]).prop_map(|(stream, size)| Event::Piece(stream, size)),
        3 => (stream.clone(), any::<bool>()).prop_map(|(stream, trailers)| Event::End(stream, trailers)),
        1 => stream.prop_map(Event::Abort),
        4 => (0_usize..3).prop_map(Event::Answer),
        2 => (0_usize..3).prop_map(Event::Learn),
        2 => (0_u64..600).prop_map(Event::Tick),
    ]
}

fn service() -> impl Strategy<Value = Service> {
    prop_oneof![6 => Just(Service::Right), 1 => Just(Service::Fails), 1 => Just(Service::Silent)]
}

/// The decision when nothing is late: head, keys, body, keys.
fn straightforward(plugin: Plugin, row: &Case, services: [Service; 3]) -> Decision {
    let mut host = Host::new(&configuration(plugin), services);
    let stream = host.connect(&row.request);
    host.head(stream);
    for _ in 0..2 {
        (0..3).for_each(|ring| host.answer(ring));
    }
    host.end(stream, false);
    host.finish();
    host.streams[stream].decision.clone().unwrap()
}

/// The decision without what depends on the moment.
fn lasting(decision: &Decision) -> Decision {
    match decision {
        Decision::Deny(Denial::KeyServiceUnavailable { .. }) => {
            Decision::Deny(Denial::KeyServiceUnavailable { retry_after: 0 })
        }
        other => other.clone(),
    }
}

fn is_timeout(decision: &Decision) -> bool {
    matches!(
        decision,
        Decision::Deny(
            Denial::Tunnel(TunnelFault::Body(BodyFault::Timeout)) | Denial::Cpix(CpixFault::Body(BodyFault::Timeout))
        )
    )
}

/// Whether the filter must know the body of this row before it may be allowed.
fn needs_body(row: &Case) -> bool {
    let has_type = |(name, value): &(String, Vec<u8>)| {
        name.eq_ignore_ascii_case("content-type") && value.to_ascii_lowercase().starts_with(b"application/jose")
    };
    let path = String::from_utf8_lossy(&row.request.path);
    path.starts_with("/signed") || path.starts_with("/widevine") && row.request.headers.iter().any(has_type)
}

/// What must hold of a stream after each event, given how things were before.
fn check_progress(stream: &Stream, was_decided: bool, row: &Case, now: Duration) {
    let (Some(decision), false) = (&stream.decision, was_decided) else { return };
    if matches!(decision, Decision::Allow(_)) && needs_body(row) {
        assert!(stream.ended, "{}: allowed before its body was there", row.name);
    }
    if is_timeout(decision) {
        assert!(!stream.ended && now >= stream.head_at.unwrap() + BODY_TIMEOUT, "{}: too early", row.name);
    }
}

proptest! {
    #![proptest_config(crate::properties::cases(1_000))]

    #[test]
    fn every_order_of_events_ends_in_the_decision_of_the_straightforward_order(
        plugin in select(&PLUGINS[..]),
        chosen in prop::array::uniform3(any::<Index>()),
        services in prop::array::uniform3(service()),
        events in prop::collection::vec(event(), 0..40),
    ) {
        let rows = rows_of(plugin);
        let chosen = chosen.map(|index| *index.get(&rows));
        let mut host = Host::new(&configuration(plugin), services);
        for row in chosen {
            host.connect(&row.request);
        }
        for event in events {
            let decided: Vec<bool> = host.streams.iter().map(|stream| stream.decision.is_some()).collect();
            match event {
                Event::Head(stream) => host.head(stream),
                Event::Piece(stream, size) => host.piece(stream, size),
                Event::End(stream, trailers) => host.end(stream, trailers),
                Event::Abort(stream) => host.abort(stream),
                Event::Answer(ring) => host.answer(ring),
                Event::Learn(ring) => host.learn(ring),
                Event::Tick(milliseconds) => host.tick(Duration::from_millis(milliseconds)),
            }
            for ((stream, row), was_decided) in host.streams.iter().zip(chosen).zip(decided) {
                check_progress(stream, was_decided, row, host.now.monotonic);
            }
        }
        host.finish();
        for (stream, row) in host.streams.iter().zip(chosen) {
            let Some(decision) = &stream.decision else { continue };
            if !is_timeout(decision) {
                let expected = straightforward(plugin, row, services);
                prop_assert_eq!(lasting(decision), lasting(&expected), "{}", &row.name);
            }
        }
    }
}

#[test]
fn the_rows_that_orders_are_tried_with_reach_every_way() {
    let mut opened = 0;
    let mut with_session = 0;
    for plugin in PLUGINS {
        let rows = rows_of(plugin);
        let right = [Service::Right; 3];
        let allowed =
            rows.iter().map(|row| straightforward(plugin, row, right)).filter_map(|decision| match decision {
                Decision::Allow(edits) => Some(edits),
                _ => None,
            });
        let allowed: Vec<Edits> = allowed.collect();
        assert!(!allowed.is_empty(), "{plugin:?} allows nothing");
        opened += allowed.iter().filter(|edits| edits.body.is_some()).count();
        let set = |edits: &Edits| edits.set.iter().any(|(name, _)| &**name == "x-mdrm-session");
        with_session += allowed.iter().filter(|edits| set(edits)).count();
    }
    assert!(opened > 10 && with_session > 10, "{opened} tunnels, {with_session} session tokens");
}
