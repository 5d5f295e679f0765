//! One proxy with the real store: a [`Resolver`] in each worker, and a stand-in for the host's shared data, its timer and
//! its HTTP client.
//!
//! Every answer of the key service is the same document of a disabled key: it takes the way of every other document
//! (parsed, held, shared, renewed by 304), but has no curve point to decompress, which is all that would take long. Requests
//! that are refused because of it are counted as served.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::denial::{Denial, KeyRefusal};
use mdrm_authz::jose::jwk::Ring;
use mdrm_authz::jose::token::Kid;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, KeyRequest, Progress, Resolution, Resolver, SharedView, WaiterId, Wake, Write};

use crate::script::{LATENCY, MAX_AGE, Script, WORKERS, is_down};
use crate::tally::Tally;
use crate::traffic::Random;

const DOCUMENT: &[u8] = br#"{"kty":"OKP","crv":"Ed25519","status":"disabled"}"#;
const ETAG: &str = "\"1\"";
/// The timer of the filter (`TICK_MILLISECONDS`).
const TICK: Duration = Duration::from_millis(10);
/// The host's monotonic clock at the start of the run.
const START: Duration = Duration::from_secs(1000);

/// A proxy and the callouts that it has under way.
pub struct Proxy {
    script: Script,
    config: Rc<Config>,
    seeds: Random,
    workers: Vec<Worker>,
    shared: HashMap<String, Vec<u8>>,
    callouts: BinaryHeap<Reverse<(Duration, u64)>>,
    requests: HashMap<u64, Callout>,
    next: u64,
    pub tally: Tally,
}

struct Worker {
    resolver: Resolver,
    parked: HashMap<WaiterId, (Kid, Duration)>,
    tick_at: Option<Duration>,
    next_waiter: u32,
}

struct Callout {
    worker: usize,
    request: KeyRequest,
    status: u16,
}

impl Proxy {
    /// `number` sets the seeds of its workers.
    pub fn new(script: Script, config: Rc<Config>, number: usize) -> Proxy {
        let mut proxy = Proxy {
            script,
            config,
            seeds: Random::new(number as u64 + (1 << 40)),
            workers: Vec::new(),
            shared: HashMap::new(),
            callouts: BinaryHeap::new(),
            requests: HashMap::new(),
            next: 0,
            tally: Tally::new(),
        };
        proxy.restart();
        proxy
    }

    /// The process ends, and with it what it holds; another one takes its place. Clients that waited count as lost.
    pub fn restart(&mut self) {
        for (_, since) in self.workers.iter().flat_map(|worker| worker.parked.values()) {
            self.tally.lost(*since, *since);
        }
        let Proxy { config, seeds, .. } = self;
        let mut worker = || Worker {
            resolver: Resolver::new(Ring::Access, Rc::clone(&config.keys), None, Some(seeds.next())),
            parked: HashMap::new(),
            tick_at: None,
            next_waiter: 0,
        };
        self.workers = (0..WORKERS).map(|_| worker()).collect();
        self.shared.clear();
        self.callouts.clear();
        self.requests.clear();
    }

    /// A client asks one worker.
    pub fn request(&mut self, worker: usize, kid: &Kid, at: Duration) {
        self.tally.request(at);
        let waiter = WaiterId(self.workers[worker].next_waiter);
        self.workers[worker].next_waiter += 1;
        self.look_up(worker, kid, waiter, at, at);
        self.send(worker, at);
    }

    /// When something is due that no client causes.
    pub fn due_at(&self) -> Option<Duration> {
        let callout = self.callouts.peek().map(|Reverse((at, _))| *at);
        self.workers.iter().filter_map(|worker| worker.tick_at).chain(callout).min()
    }

    /// Does what is due at `at`.
    pub fn run_due(&mut self, at: Duration) {
        while let Some(Reverse((_, number))) = self.callouts.peek().copied().filter(|Reverse((due, _))| *due <= at) {
            self.callouts.pop();
            let callout = self.requests.remove(&number).unwrap();
            self.answer(&callout, at);
            self.send(callout.worker, at);
        }
        for number in 0..WORKERS {
            let worker = &mut self.workers[number];
            if worker.tick_at.is_some_and(|due| due <= at) {
                worker.tick_at = None;
                worker.resolver.on_tick();
                self.resume(number, at);
                self.send(number, at);
            }
        }
    }

    fn look_up(&mut self, number: usize, kid: &Kid, waiter: WaiterId, since: Duration, at: Duration) {
        let worker = &mut self.workers[number];
        match worker.resolver.resolve(kid, waiter, now(at)) {
            Resolution::Refused(Denial::AccessKey(KeyRefusal::Disabled)) => self.tally.served(since, at),
            Resolution::Refused(Denial::KeyServiceUnavailable { .. } | Denial::TooManyWaiting { .. }) => {
                self.tally.lost(since, at);
            }
            Resolution::Wait => drop(worker.parked.insert(waiter, (kid.clone(), since))),
            other => panic!("no such key at the key service: {other:?}"),
        }
    }

    fn resume(&mut self, worker: usize, at: Duration) {
        while let Some(progress) = self.workers[worker].resolver.poll(now(at)) {
            let Progress::Woken(waiter, wake) = progress else { continue };
            let (kid, since) = self.workers[worker].parked.remove(&waiter).expect("each waiter is named once");
            match wake {
                Wake::LookUp => self.look_up(worker, &kid, waiter, since, at),
                Wake::TurnedAway => self.tally.lost(since, at),
            }
        }
    }

    /// As the root context of the filter does after every callback.
    fn send(&mut self, number: usize, at: Duration) {
        while let Some(request) = self.workers[number].resolver.next_request(now(at)) {
            let resolver = &mut self.workers[number].resolver;
            match resolver.consult(request.id, view(self.script, &self.shared, &request), now(at)) {
                Consultation::Answered => self.resume(number, at),
                Consultation::Later => {}
                Consultation::Ask { note, conditional } => {
                    let place = place(self.script, &request.places.as_ref().unwrap().note, &request);
                    self.shared.insert(place, note);
                    let if_none_match = request.if_none_match.filter(|_| conditional);
                    self.call(number, KeyRequest { if_none_match, ..request }, at);
                }
            }
        }
        let worker = &mut self.workers[number];
        let needed = worker.resolver.needs_tick();
        worker.tick_at = if needed { worker.tick_at.or(Some(at + TICK)) } else { None };
    }

    fn call(&mut self, worker: usize, request: KeyRequest, at: Duration) {
        self.tally.fetch(at);
        let (status, answered_at) = match request.if_none_match.as_deref() {
            _ if is_down(at) => (503, at + self.script.failure_after()),
            Some(ETAG) => (304, at + LATENCY),
            _ => (200, at + LATENCY),
        };
        self.callouts.push(Reverse((answered_at, self.next)));
        self.requests.insert(self.next, Callout { worker, request, status });
        self.next += 1;
    }

    fn answer(&mut self, callout: &Callout, at: Duration) {
        let max_age = format!("max-age={}", MAX_AGE.as_secs());
        let answer = Answer {
            status: callout.status,
            cache_control: &[max_age.as_bytes()],
            age: None,
            etag: self.script.tags.then_some(ETAG.as_bytes()),
            body: Some(if callout.status == 200 { DOCUMENT } else { b"" }),
        };
        // Silence and 503 are the same to the store.
        let answer = (callout.status != 503).then_some(answer);
        let shared = view(self.script, &self.shared, &callout.request);
        let resolver = &mut self.workers[callout.worker].resolver;
        let writes = resolver.on_answer(callout.request.id, answer, shared, now(at));
        for Write { place, content } in writes {
            self.shared.insert(self::place(self.script, &place, &callout.request), content);
        }
        self.resume(callout.worker, at);
    }

    /// The counts; the clients that still wait at the end are left out.
    pub fn into_tally(mut self) -> Tally {
        mem::replace(&mut self.tally, Tally::new())
    }
}

fn now(at: Duration) -> Now {
    Now { unix: 1_764_000_000 + i64::try_from(at.as_secs()).unwrap(), monotonic: START + at }
}

fn place(script: Script, name: &str, request: &KeyRequest) -> String {
    if script.own_places { format!("{name} {}", request.path) } else { name.to_owned() }
}

fn view<'a>(script: Script, shared: &'a HashMap<String, Vec<u8>>, request: &KeyRequest) -> SharedView<'a> {
    let read = |name: &str| shared.get(&place(script, name, request)).map(|bytes| &bytes[..]);
    let places = request.places.as_ref().unwrap();
    SharedView {
        answer: read(&places.answer),
        refusal: places.refusal.as_deref().and_then(read),
        note: read(&places.note),
    }
}
