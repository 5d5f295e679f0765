//! A host that delivers events in the order that a test wants, and checks at every step what must hold in any order.

use std::time::Duration;

use mdrm_authz::authorizer::{Authorizer, Decision, Platform};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, FetchId, KeyRequest, SharedView, WaiterId};
use mdrm_authz::request::RequestHead;
use mdrm_authz::requests::{Due, Requests};
use serde_json::Value;

use crate::proxy::Header;
use crate::support::table::Request;
use crate::support::table::keyring::{self, KeyAnswer};

/// The moment of every request; only the monotonic clock runs.
pub(super) const NOW: i64 = 1_764_000_000;

/// What the key service of a ring does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// Answers as the table says.
    Right,
    /// Answers 503.
    Fails,
    /// Does not answer.
    Silent,
}

/// The kinds of keys by the paths that they are asked for at.
pub(super) const RINGS: [&str; 3] = ["/keys/", "/session-keys/", "/master-keys/"];

/// One worker.
pub(super) struct Host {
    pub(super) requests: Requests,
    pub(super) now: Now,
    services: [Service; 3],
    pub(super) streams: Vec<Stream>,
    /// Sent to the key service and not answered.
    pub(super) outstanding: Vec<KeyRequest>,
    /// The last request of each ring, by which its store is found.
    stores: [Option<FetchId>; 3],
}

/// A request as its client and the host know it.
pub(super) struct Stream {
    headers: Vec<Header>,
    /// None: the head ends it.
    body: Option<Vec<u8>>,
    /// How much of the body the client has sent.
    sent: usize,
    pub(super) head_at: Option<Duration>,
    pub(super) ended: bool,
    pub(super) gone: bool,
    pub(super) decision: Option<Decision>,
}

impl Host {
    pub(super) fn new(configuration: &Value, services: [Service; 3]) -> Host {
        let config = Config::from_json(configuration.to_string().as_bytes(), &|_| None).unwrap();
        let random = Some((|| Some(*b"sixteen bytes ..")) as fn() -> Option<[u8; 16]>);
        let platform = Platform { remember_tokens: true, random, ..Platform::default() };
        Host {
            requests: Requests::new(Authorizer::new(config, platform)),
            now: Now { unix: NOW, monotonic: Duration::ZERO },
            services,
            streams: Vec::new(),
            outstanding: Vec::new(),
            stores: [None; 3],
        }
    }

    /// A client connects; gives the number of its request.
    pub(super) fn connect(&mut self, request: &Request) -> usize {
        self.streams.push(Stream {
            headers: request.as_a_filter_sees_it(),
            body: request.has_body().then(|| request.body.clone()),
            sent: 0,
            head_at: None,
            ended: false,
            gone: false,
            decision: None,
        });
        self.streams.len() - 1
    }

    /// The head of a request arrives, unless it has.
    pub(super) fn head(&mut self, stream: usize) {
        let one = &mut self.streams[stream];
        if one.head_at.is_some() || one.gone {
            return;
        }
        one.head_at = Some(self.now.monotonic);
        one.ended = one.body.is_none();
        let pairs: Vec<(&[u8], &[u8])> =
            one.headers.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
        let (_, outcome) = self.requests.on_head(RequestHead::new(&pairs, one.ended), id(stream), self.now);
        match outcome {
            Some(outcome) => self.decide(stream, outcome.decision),
            None => {
                self.ask();
                let due = self.requests.poll_one(id(stream), self.now);
                self.settle(stream, due);
            }
        }
    }

    /// At most so many bytes more of the body arrive, if there are any left.
    pub(super) fn piece(&mut self, stream: usize, bytes: usize) {
        let one = &mut self.streams[stream];
        let length = one.body.as_ref().map_or(0, Vec::len);
        if one.head_at.is_none() || one.ended || one.gone || one.sent == length {
            return;
        }
        one.sent = length.min(one.sent + bytes);
        if one.decision.is_none() {
            let due = self.requests.on_body(id(stream), one.sent, false);
            self.settle(stream, due);
        }
    }

    /// All that is left of the body arrives, with trailers or without.
    pub(super) fn end(&mut self, stream: usize, trailers: bool) {
        if trailers {
            self.piece(stream, usize::MAX / 2);
        }
        let one = &mut self.streams[stream];
        if one.head_at.is_none() || one.ended || one.gone {
            return;
        }
        one.sent = one.body.as_ref().map_or(0, Vec::len);
        one.ended = true;
        if one.decision.is_none() {
            let due = match trailers {
                true => self.requests.on_trailers(id(stream)),
                false => self.requests.on_body(id(stream), one.sent, true),
            };
            self.settle(stream, due);
        }
    }

    /// The client goes away.
    pub(super) fn abort(&mut self, stream: usize) {
        self.streams[stream].gone = true;
        self.requests.forget(id(stream));
    }

    /// The oldest request to the key service of this ring is answered, if there is one.
    pub(super) fn answer(&mut self, ring: usize) {
        self.learn(ring);
        self.conclude();
    }

    /// The same in the middle of another request's callback, as when another worker has left the answer: what becomes due
    /// stays for the next tick.
    pub(super) fn learn(&mut self, ring: usize) {
        while let Some(place) = self.outstanding.iter().position(|request| request.path.starts_with(RINGS[ring])) {
            let request = self.outstanding.remove(place);
            let KeyAnswer { status, headers, body } = match self.services[ring] {
                Service::Right => keyring::answer(&request.path),
                _ => KeyAnswer::status(503, "down"),
            };
            let cache_control = headers.iter().filter(|(name, _)| name == "cache-control");
            let cache_control: Vec<&[u8]> = cache_control.map(|(_, value)| value.as_bytes()).collect();
            let answer = Answer { status, cache_control: &cache_control, age: None, etag: None, body: Some(&body) };
            let answer = Some(answer).filter(|_| self.services[ring] != Service::Silent);
            let store = self.requests.authorizer().keys().of(request.id).unwrap();
            store.on_answer(request.id, answer, SharedView::default(), self.now);
            if self.services[ring] == Service::Right {
                return;
            }
            // A request that ended early is sent once more.
            let again = store.next_request(self.now).filter(|again| again.id == request.id);
            let Some(again) = again else { return };
            let asked = store.consult(again.id, SharedView::default(), self.now);
            assert!(matches!(asked, Consultation::Ask { .. }), "{asked:?}");
            self.outstanding.insert(place, again);
        }
    }

    /// Time passes, and the host tells.
    pub(super) fn tick(&mut self, time: Duration) {
        self.now.monotonic += time;
        self.requests.on_tick();
        self.conclude();
    }

    /// Everything still to come comes, in the order of the streams.
    pub(super) fn finish(&mut self) {
        for stream in 0..self.streams.len() {
            self.head(stream);
            self.end(stream, false);
        }
        for _ in 0..100 {
            (0..RINGS.len()).for_each(|ring| self.answer(ring));
            self.tick(Duration::from_millis(10));
        }
        for (number, stream) in self.streams.iter().enumerate() {
            assert!(stream.gone || stream.decision.is_some(), "request {number} waits on and on");
        }
        assert!(self.outstanding.is_empty(), "{:?}", self.outstanding);
        self.assert_nothing_held();
    }

    /// Nothing is left of any request.
    pub(super) fn assert_nothing_held(&mut self) {
        assert_eq!((self.requests.held(), self.requests.held_bytes()), (0, 0));
        assert_eq!(self.requests.poll(self.now), None);
        assert!(!self.requests.needs_tick());
        for store in self.stores.into_iter().flatten() {
            assert_eq!(self.requests.authorizer().keys().of(store).unwrap().waiting(), 0);
        }
    }

    /// Sends what is queued for the key services.
    fn ask(&mut self) {
        while let Some(request) = self.requests.authorizer().keys().next_request(self.now) {
            let store = self.requests.authorizer().keys().of(request.id).unwrap();
            match store.consult(request.id, SharedView::default(), self.now) {
                Consultation::Ask { .. } => {
                    let ring = RINGS.iter().position(|ring| request.path.starts_with(ring)).unwrap();
                    self.stores[ring] = Some(request.id);
                    self.outstanding.push(request);
                }
                Consultation::Answered | Consultation::Later => {}
            }
        }
    }

    /// As the root does after an answer and at a tick.
    fn conclude(&mut self) {
        self.ask();
        while let Some(polled) = self.requests.poll(self.now) {
            let Some((WaiterId(number), due)) = polled else { continue };
            let stream = usize::try_from(number).unwrap();
            assert!(!self.streams[stream].gone, "something is due about a request that is forgotten");
            self.settle(stream, Some(due));
        }
        self.ask();
        let waits = |stream: &Stream| stream.head_at.is_some() && !stream.gone && stream.decision.is_none();
        if self.outstanding.is_empty() && self.streams.iter().any(waits) {
            assert!(self.requests.needs_tick(), "a request waits for nothing");
        }
    }

    fn settle(&mut self, stream: usize, due: Option<Due>) {
        let is_due = due.is_some();
        let outcome = match due {
            None => None,
            Some(Due::Decision(outcome)) => Some(outcome),
            Some(Due::Body) => {
                assert!(self.streams[stream].ended, "a part of a body is taken for all of it");
                let body = self.streams[stream].body.clone().unwrap();
                self.requests.on_whole_body(id(stream), Some(&body), self.now)
            }
        };
        match outcome {
            Some(outcome) => self.decide(stream, outcome.decision),
            // The body was right, and another key is needed.
            None if is_due => {
                self.ask();
                let due = self.requests.poll_one(id(stream), self.now);
                self.settle(stream, due);
            }
            None => {}
        }
    }

    fn decide(&mut self, stream: usize, decision: Decision) {
        let one = &mut self.streams[stream];
        assert!(one.decision.is_none(), "decided twice: {:?} and {decision:?}", one.decision);
        one.decision = Some(decision);
        let due = self.requests.poll_one(id(stream), self.now);
        assert_eq!(due, None, "due about a decided request");
    }
}

fn id(stream: usize) -> WaiterId {
    WaiterId(u32::try_from(stream).unwrap())
}
