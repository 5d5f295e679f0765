//! Requests over either version of HTTP, and bodies that come in pieces with something happening between them.

use std::thread;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::support::client::{self, Connection, chunk, head_of};
use crate::support::exchange::{Answered, Gate, Scripted, Step};
use crate::support::h2_client;
use crate::support::rig::Rig;
use crate::support::table::{Framing, Request, Version};
use crate::support::wait;

/// Both versions of HTTP.
pub(crate) const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// The same plugin with key services that are waited for as long as a test waits. Where a test lets go of a key when it sees
/// something, the two seconds of the default can pass on a busy machine.
pub(crate) fn patient(mut plugin: Value) -> Value {
    for keys in ["/keys", "/trust_tunnel/keys", "/session/keys"] {
        if let Some(keys) = plugin.pointer_mut(keys) {
            keys["timeout"] = json!("20s");
        }
    }
    plugin
}

/// The answer to a request in this version, on a connection of its own.
pub(crate) fn exchange(rig: &Rig, version: Version, request: &Request) -> Answered {
    let address = rig.envoy.address("main");
    if version == Version::Http2 {
        h2_client::Connection::open(address).exchange(request, &[]).unwrap()
    } else {
        client::exchange(address, request, &[]).unwrap()
    }
}

/// Sends a request whose body comes in these pieces, without its length told in advance, and these trailers. `before` is
/// called before each piece and once more before the end; by then Envoy has read everything up to there.
pub(crate) fn in_pieces(
    rig: &Rig,
    version: Version,
    request: &Request,
    pieces: &[&[u8]],
    trailers: &[(&'static str, &'static str)],
    before: impl FnMut(usize),
) -> Answered {
    framed_in_pieces(rig, version, &request.clone().chunked(), pieces, trailers, before)
}

/// The same with the length told in advance, if that is how the request is framed; then there are no trailers in HTTP/1.1.
pub(crate) fn framed_in_pieces(
    rig: &Rig,
    version: Version,
    request: &Request,
    pieces: &[&[u8]],
    trailers: &[(&'static str, &'static str)],
    before: impl FnMut(usize),
) -> Answered {
    let mut request = request.clone().body("");
    if request.framing == Framing::Length {
        request = request.header("content-length", pieces.concat().len().to_string());
    }
    if version == Version::Http2 {
        over_http_2(rig, &request, pieces, trailers, before)
    } else {
        over_http_1(rig, &request, pieces, trailers, before)
    }
}

fn over_http_1(
    rig: &Rig,
    request: &Request,
    pieces: &[&[u8]],
    trailers: &[(&'static str, &'static str)],
    mut before: impl FnMut(usize),
) -> Answered {
    let mut connection = Connection::open(rig.envoy.address("main"));
    let sent = rig.envoy.received_bytes();
    let head = head_of(request, &[]);
    connection.send(&head).unwrap();
    await_bytes(rig, sent, head.len());
    for (place, piece) in pieces.iter().enumerate() {
        before(place);
        let sent = rig.envoy.received_bytes();
        let piece = if request.framing == Framing::Chunked { chunk(piece) } else { piece.to_vec() };
        connection.send(&piece).unwrap();
        await_bytes(rig, sent, piece.len());
    }
    before(pieces.len());
    if request.framing == Framing::Chunked {
        let trailers: Vec<String> = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        connection.send(format!("0\r\n{}\r\n", trailers.concat()).as_bytes()).unwrap();
    }
    connection.answer(&request.method).unwrap()
}

fn over_http_2(
    rig: &Rig,
    request: &Request,
    pieces: &[&[u8]],
    trailers: &[(&'static str, &'static str)],
    mut before: impl FnMut(usize),
) -> Answered {
    let connection = h2_client::Connection::open(rig.envoy.address("main"));
    let gates: Vec<Gate> = (0..=pieces.len()).map(|_| Gate::closed()).collect();
    let held = |(gate, piece): (&Gate, &&[u8])| [Step::Wait(gate.clone()), Step::Data(piece.to_vec())];
    let mut steps: Vec<Step> = gates.iter().zip(pieces).flat_map(held).collect();
    steps.push(Step::Wait(gates[pieces.len()].clone()));
    if !trailers.is_empty() {
        let trailers =
            trailers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        steps.push(Step::Trailers(trailers.collect::<HeaderMap>()));
    }
    // Counted since the start, because the request before this one may still be leaving.
    let before_it = rig.envoy.begun_requests();
    thread::scope(|scope| {
        let answer = scope.spawn(|| connection.exchange_with_body(request, &[], Scripted::new(steps)).unwrap().0);
        wait::until_true("Envoy has the head", || rig.envoy.begun_requests() > before_it);
        for (place, gate) in gates.iter().enumerate() {
            before(place);
            let sent = rig.envoy.received_bytes();
            gate.open();
            if let Some(piece) = pieces.get(place) {
                await_bytes(rig, sent, piece.len());
            }
        }
        answer.join().unwrap()
    })
}

/// Waits until Envoy has read so many bytes more than `before`.
fn await_bytes(rig: &Rig, before: u64, bytes: usize) {
    wait::until_true("Envoy has read what was sent", || rig.envoy.received_bytes() >= before + bytes as u64);
}
