//! A host with one or two workers that share data, whose key service, clock and memory do as an event says.

use std::collections::BTreeMap;
use std::time::Duration;

use mdrm_authz::authorizer::{Authorizer, Decision, Outcome, Platform};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, FetchId, KeyRequest, Places, SharedView, WaiterId};
use mdrm_authz::request::RequestHead;
use mdrm_authz::requests::{Due, Requests};
use serde_json::Value;

use super::super::NOW;
use super::requests::REQUESTS;
use super::{Event, MAX_STREAMS, keys, log};

/// What a key service says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// What it should, to be kept so many seconds.
    Right(u8),
    /// Some other status.
    Status(u16),
    /// Nothing.
    Silence,
    /// More than can be read.
    TooMuch,
    /// Something that is no document, or one that is cut off.
    Nonsense(bool),
    /// The document of another key.
    Other,
}

impl Says {
    pub(super) fn read(byte: u8) -> Self {
        match byte % 16 {
            seconds @ 0..=5 => Self::Right(seconds),
            6 => Self::Status(503),
            7 => Self::Status(404),
            8 => Self::Status(410),
            9 => Self::Status(304),
            10 | 11 => Self::Silence,
            12 => Self::TooMuch,
            13 => Self::Nonsense(false),
            14 => Self::Nonsense(true),
            _ => Self::Other,
        }
    }
}

/// A request, its client and its worker.
pub(super) struct Stream {
    /// Its number in [`REQUESTS`].
    pub(super) request: usize,
    pub(super) decision: Option<Decision>,
    pub(super) body_lost: bool,
    /// Its body was not there when `body_timeout` had passed.
    pub(super) was_late: bool,
    worker: usize,
    came: Duration,
    sent: usize,
    ended: bool,
    gone: bool,
}

struct Worker {
    requests: Requests,
    /// Sent to the key service and not answered.
    outstanding: Vec<KeyRequest>,
    answered: Vec<FetchId>,
}

pub(super) struct Host {
    workers: Vec<Worker>,
    streams: Vec<Stream>,
    shared: BTreeMap<String, Vec<u8>>,
    now: Now,
    max_waiting: usize,
    body_timeout: Duration,
    lose_body: bool,
    lose_race: bool,
    /// A key service has said something else about a key than it should.
    pub(super) lied: bool,
}

impl Host {
    pub(super) fn new(configuration: &Value, workers: usize) -> Self {
        let config = || Config::from_json(configuration.to_string().as_bytes(), &|_| None).expect("a configuration");
        let random = Some((|| Some(*b"sixteen bytes ..")) as fn() -> Option<[u8; 16]>);
        let platform = Platform { remember_tokens: true, random, ..Platform::default() };
        let worker = |_| Worker {
            requests: Requests::new(Authorizer::new(config(), platform)),
            outstanding: Vec::new(),
            answered: Vec::new(),
        };
        Self {
            workers: (0..workers).map(worker).collect(),
            streams: Vec::new(),
            shared: BTreeMap::new(),
            // Not zero: a time before it can be told from none.
            now: Now { unix: NOW, monotonic: Duration::from_secs(1000) },
            max_waiting: config().keys.max_waiting,
            body_timeout: config().body_timeout,
            lose_body: false,
            lose_race: false,
            lied: false,
        }
    }

    pub(super) fn streams(&self) -> &[Stream] {
        &self.streams
    }

    pub(super) fn happen(&mut self, event: Event) {
        let stream = |number: u8| (!self.streams.is_empty()).then(|| usize::from(number) % self.streams.len());
        match event {
            Event::Head { request, worker } => self.head(usize::from(request), usize::from(worker)),
            Event::Piece { stream: number, bytes } => {
                if let Some(stream) = stream(number) {
                    self.piece(stream, bytes);
                }
            }
            Event::End { stream: number, trailers } => {
                if let Some(stream) = stream(number) {
                    self.end(stream, trailers);
                }
            }
            Event::Abort { stream: number } => {
                if let Some(stream) = stream(number) {
                    self.streams[stream].gone = true;
                    let worker = self.streams[stream].worker;
                    self.workers[worker].requests.forget(id(stream));
                }
            }
            Event::Answer { which, says, later } => self.answer(usize::from(which), says, later),
            Event::Again { which, says } => self.answer_again(usize::from(which), says),
            Event::Pass { millis, told } => {
                self.now.monotonic += Duration::from_millis(millis);
                if told {
                    self.tick();
                }
            }
            Event::Shared { which, how } => self.spoil(usize::from(which), how),
            Event::Fault { body: true } => self.lose_body = true,
            Event::Fault { body: false } => self.lose_race = true,
        }
    }

    /// What holds after each event.
    pub(super) fn check(&mut self) {
        for (number, worker) in self.workers.iter_mut().enumerate() {
            let waits = |stream: &&Stream| stream.worker == number && stream.decision.is_none() && !stream.gone;
            let waiting = self.streams.iter().filter(waits).count();
            assert!(worker.requests.held() <= waiting, "more is held than waits");
            for request in &worker.outstanding {
                let store = worker.requests.authorizer().keys().of(request.id).expect("it asked");
                assert!(store.waiting() <= self.max_waiting, "too many wait for keys");
            }
            let ended = self.streams.iter().filter(waits).any(|stream| stream.ended);
            let something_comes = !worker.outstanding.is_empty() || worker.requests.needs_tick();
            assert!(!ended || something_comes, "a request waits for nothing");
        }
    }

    /// Whatever is still to come comes, and the key service is well again.
    pub(super) fn finish(&mut self) {
        (self.lose_body, self.lose_race) = (false, false);
        // Longer than the time-out of a request that is never sent, and than the note of a worker that asks.
        (0..80).for_each(|_| self.serve(Duration::from_millis(50)));
        for stream in &self.streams {
            assert!(stream.gone || stream.decision.is_some(), "{} waits on and on", REQUESTS[stream.request].name);
        }
        for worker in &mut self.workers {
            assert_eq!((worker.requests.held(), worker.requests.held_bytes()), (0, 0));
            assert_eq!(worker.requests.poll(self.now), None);
            assert!(worker.outstanding.is_empty() && !worker.requests.needs_tick());
        }
    }

    /// All bodies are there, the key service says what it should, and a moment passes.
    pub(super) fn serve(&mut self, moment: Duration) {
        for stream in 0..self.streams.len() {
            self.end(stream, false);
        }
        while self.workers.iter().any(|worker| !worker.outstanding.is_empty()) {
            self.answer(0, Says::Right(60), false);
        }
        self.now.monotonic += moment;
        self.tick();
    }

    fn head(&mut self, request: usize, worker: usize) {
        if self.streams.len() == MAX_STREAMS {
            return;
        }
        let (request, worker) = (request % REQUESTS.len(), worker % self.workers.len());
        let (stream, ended) = (self.streams.len(), REQUESTS[request].body.is_none());
        self.streams.push(Stream {
            request,
            decision: None,
            body_lost: false,
            was_late: false,
            worker,
            came: self.now.monotonic,
            sent: 0,
            ended,
            gone: false,
        });
        let headers = &REQUESTS[request].headers;
        let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
        let requests = &mut self.workers[worker].requests;
        match requests.on_head(RequestHead::new(&pairs, ended), id(stream), self.now).1 {
            Some(outcome) => self.decide(stream, outcome),
            None => self.settle(stream),
        }
    }

    fn piece(&mut self, stream: usize, bytes: usize) {
        let one = &mut self.streams[stream];
        let length = REQUESTS[one.request].body.as_ref().map_or(0, Vec::len);
        if one.ended || one.gone {
            return;
        }
        one.sent = length.min(one.sent + bytes);
        if one.decision.is_none() {
            let due = self.workers[one.worker].requests.on_body(id(stream), one.sent, false);
            self.come_due(stream, due);
        }
    }

    fn end(&mut self, stream: usize, trailers: bool) {
        if trailers {
            self.piece(stream, usize::MAX / 2);
        }
        let one = &mut self.streams[stream];
        if one.ended || one.gone {
            return;
        }
        one.sent = REQUESTS[one.request].body.as_ref().map_or(0, Vec::len);
        one.ended = true;
        if one.decision.is_none() {
            one.was_late |= self.now.monotonic >= one.came + self.body_timeout;
            let requests = &mut self.workers[one.worker].requests;
            let due = match trailers {
                true => requests.on_trailers(id(stream)),
                false => requests.on_body(id(stream), one.sent, true),
            };
            self.come_due(stream, due);
        }
    }

    fn answer(&mut self, which: usize, says: Says, later: bool) {
        let under_way = self.workers.iter().enumerate();
        let under_way: Vec<(usize, usize)> =
            under_way.flat_map(|(worker, of)| (0..of.outstanding.len()).map(move |place| (worker, place))).collect();
        if under_way.is_empty() {
            return;
        }
        let (worker, place) = under_way[which % under_way.len()];
        let request = self.workers[worker].outstanding.remove(place);
        self.workers[worker].answered.push(request.id);
        self.deliver(worker, request.id, &request.path, request.places.as_ref(), says);
        if !later {
            self.conclude(worker);
        }
    }

    /// The host answers what it has answered before.
    fn answer_again(&mut self, which: usize, says: Says) {
        let worker = which % self.workers.len();
        let answered = &self.workers[worker].answered;
        if let Some(id) = (!answered.is_empty()).then(|| answered[which / 2 % answered.len()]) {
            self.deliver(worker, id, "/keys/e", None, says);
            self.conclude(worker);
        }
    }

    fn deliver(&mut self, worker: usize, id: FetchId, path: &str, places: Option<&Places>, says: Says) {
        let right = keys::document(path);
        let denies = matches!(says, Says::Status(404 | 410)) && path != "/set" || says == Says::Other;
        self.lied |= denies && (says != Says::Status(404) || right.is_some());
        let body = match says {
            Says::Right(_) => right.as_ref().map(Value::to_string).unwrap_or_default(),
            Says::Nonsense(true) => "{\"kid\":".to_owned(),
            Says::Nonsense(false) => "<html>not here</html>".to_owned(),
            Says::Other if path == "/set" => r#"{"keys":[]}"#.to_owned(),
            Says::Other => keys::document("/session-keys/s").map(|other| other.to_string()).unwrap_or_default(),
            Says::Status(_) | Says::Silence | Says::TooMuch => String::new(),
        };
        let status = match says {
            Says::Status(status) => status,
            Says::Right(_) if right.is_none() => 404,
            _ => 200,
        };
        let max_age = if let Says::Right(seconds) = says { format!("max-age={seconds}") } else { String::new() };
        let cache_control = [max_age.as_bytes()];
        let body = Some(body.as_bytes()).filter(|_| says != Says::TooMuch);
        let etag = Some(&b"\"1\""[..]).filter(|_| status == 200);
        let answer = Answer { status, cache_control: &cache_control, age: None, etag, body };
        let answer = Some(answer).filter(|_| says != Says::Silence);
        let Worker { requests, .. } = &mut self.workers[worker];
        let store = requests.authorizer().keys().of(id).expect("it asked");
        let writes = store.on_answer(id, answer, view(&self.shared, places), self.now);
        // Secrets have no places: the host writes nothing of them.
        for write in writes.into_iter().filter(|_| places.is_some()) {
            let secret = format!("{}", String::from_utf8_lossy(&write.content));
            assert!(!secret.contains("\"k\"") && !secret.contains("\"d\""), "a secret is shared");
            self.shared.insert(write.place, write.content);
        }
    }

    fn tick(&mut self) {
        for worker in 0..self.workers.len() {
            self.workers[worker].requests.on_tick();
            self.conclude(worker);
        }
    }

    /// Data that workers share gets lost, or is cut, or stands in another place.
    fn spoil(&mut self, which: usize, how: u8) {
        let places: Vec<String> = self.shared.keys().cloned().collect();
        if places.is_empty() {
            return;
        }
        let (one, other) = (&places[which % places.len()], &places[(which + 1) % places.len()]);
        match how % 3 {
            0 => drop(self.shared.remove(one)),
            1 => self.shared.entry(one.clone()).or_default().truncate(usize::from(how)),
            _ => {
                let content = self.shared[one].clone();
                self.shared.insert(other.clone(), content);
            }
        }
    }

    /// Sends what is queued for the key services.
    fn ask(&mut self, worker: usize) {
        let Worker { requests, outstanding, .. } = &mut self.workers[worker];
        while let Some(request) = requests.authorizer().keys().next_request(self.now) {
            let shared = view(&self.shared, request.places.as_ref());
            let store = requests.authorizer().keys().of(request.id).expect("it asks");
            match store.consult(request.id, shared, self.now) {
                Consultation::Answered | Consultation::Later => {}
                Consultation::Ask { .. } if std::mem::take(&mut self.lose_race) => store.put_back(request.id),
                Consultation::Ask { note, .. } => {
                    if let Some(places) = &request.places {
                        self.shared.insert(places.note.clone(), note);
                    }
                    outstanding.push(request);
                }
            }
        }
    }

    /// As the root does after an answer and at a tick.
    fn conclude(&mut self, worker: usize) {
        let late = |stream: &&mut Stream| !stream.ended && self.now.monotonic >= stream.came + self.body_timeout;
        self.streams.iter_mut().filter(late).for_each(|stream| stream.was_late = true);
        self.ask(worker);
        while let Some(polled) = self.workers[worker].requests.poll(self.now) {
            let Some((WaiterId(number), due)) = polled else { continue };
            let stream = usize::try_from(number).expect("a number of a request");
            assert!(!self.streams[stream].gone, "something is due about a request that is forgotten");
            self.come_due(stream, Some(due));
        }
        self.ask(worker);
    }

    /// As a request does that was not decided at once.
    fn settle(&mut self, stream: usize) {
        let worker = self.streams[stream].worker;
        self.ask(worker);
        let due = self.workers[worker].requests.poll_one(id(stream), self.now);
        self.come_due(stream, due);
    }

    fn come_due(&mut self, stream: usize, due: Option<Due>) {
        match due {
            None => {}
            Some(Due::Decision(outcome)) => self.decide(stream, outcome),
            Some(Due::Body) => {
                let lost = std::mem::take(&mut self.lose_body);
                let one = &mut self.streams[stream];
                assert!(one.ended, "a part of a body is taken for all of it");
                one.body_lost |= lost;
                let body = REQUESTS[one.request].body.as_deref().filter(|_| !lost);
                match self.workers[one.worker].requests.on_whole_body(id(stream), body, self.now) {
                    Some(outcome) => self.decide(stream, outcome),
                    None => self.settle(stream),
                }
            }
        }
    }

    fn decide(&mut self, stream: usize, Outcome { decision, facts }: Outcome) {
        facts.properties().for_each(|(_, value)| log::check_line(&value));
        assert!(facts.proven.is_some() || !matches!(decision, Decision::Allow(_)), "nobody is allowed");
        let one = &mut self.streams[stream];
        assert!(one.decision.is_none(), "decided twice: {:?} and {decision:?}", one.decision);
        one.decision = Some(decision);
        let due = self.workers[one.worker].requests.poll_one(id(stream), self.now);
        assert_eq!(due, None, "due about a decided request");
    }
}

fn id(stream: usize) -> WaiterId {
    WaiterId(u32::try_from(stream).expect("few requests"))
}

/// What stands in the places of a request.
fn view<'a>(shared: &'a BTreeMap<String, Vec<u8>>, places: Option<&Places>) -> SharedView<'a> {
    let Some(places) = places else { return SharedView::default() };
    let at = |place: &String| shared.get(place).map(Vec::as_slice);
    SharedView { answer: at(&places.answer), refusal: places.refusal.as_ref().and_then(at), note: at(&places.note) }
}
