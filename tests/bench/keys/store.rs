//! The real store of one worker, in virtual time, and the key service in its simplest form.

use std::collections::VecDeque;
use std::time::Duration;

use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::jose::jwk::Ring;
use mdrm_authz::jose::token::Kid;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, KeyRequest, Progress, Resolution, Resolver, SharedView, WaiterId};

/// How long the key service takes for an answer.
const LATENCY: Duration = Duration::from_millis(20);
/// The bucket of the store lets a new name through so often.
const NEWCOMER: Duration = Duration::from_millis(20);

/// A worker without others.
pub struct Store {
    pub resolver: Resolver,
    pub at: Duration,
    callouts: VecDeque<(Duration, KeyRequest)>,
    /// Requests to the key service so far.
    pub sent: u64,
}

impl Store {
    /// `members` of `keys` besides the cluster, as JSON.
    pub fn new(members: &str) -> Store {
        let members = members.trim_matches(['{', '}']);
        let comma = if members.is_empty() { "" } else { "," };
        let config = format!(r#"{{"keys": {{"cluster": "keys"{comma}{members}}}}}"#);
        let config = Config::from_json(config.as_bytes(), &|_| None).expect("a configuration");
        let resolver = Resolver::new(Ring::Access, config.keys, None, Some(1));
        Store { resolver, at: Duration::from_secs(1000), callouts: VecDeque::new(), sent: 0 }
    }

    /// Holds so many EC keys, fresh for a day less a tenth.
    pub fn with_keys(keys: usize) -> Store {
        let mut store = Store::new(r#"{"max_age": "24h", "max_age_limit": "24h"}"#);
        (0..keys).for_each(|number| store.learn(&good(number)));
        store
    }

    /// Holds one more.
    pub fn learn(&mut self, kid: &Kid) {
        self.at += NEWCOMER;
        assert!(matches!(self.resolve(kid, 0), Resolution::Wait));
        let request = self.resolver.next_request(self.now()).expect("one in 20 ms is let through");
        let body = document(kid);
        self.sent += 1;
        let answer = Answer { status: 200, cache_control: &[], age: None, etag: Some(b"\"v1\""), body: Some(&body) };
        self.resolver.on_answer(request.id, Some(answer), SharedView::default(), self.now());
        assert_eq!(self.woken(), [WaiterId(0)]);
        assert!(self.has_key(kid));
    }

    pub fn now(&self) -> Now {
        Now { unix: 1_764_000_000 + i64::try_from(self.at.as_secs()).unwrap(), monotonic: self.at }
    }

    pub fn resolve(&mut self, kid: &Kid, waiter: u32) -> Resolution {
        self.resolver.resolve(kid, WaiterId(waiter), self.now())
    }

    pub fn has_key(&mut self, kid: &Kid) -> bool {
        matches!(self.resolve(kid, 0), Resolution::Key(_))
    }

    /// Sends what may be sent to a key service that knows no key.
    pub fn send(&mut self) {
        while let Some(request) = self.resolver.next_request(self.now()) {
            let asked = self.resolver.consult(request.id, SharedView::default(), self.now());
            if matches!(asked, Consultation::Ask { .. }) {
                self.sent += 1;
                self.callouts.push_back((self.at + LATENCY, request));
            }
        }
    }

    /// So much time passes at once: the timer rings, and what is due by then is answered with 404. Returns those who
    /// waited.
    pub fn pass(&mut self, time: Duration) -> Vec<WaiterId> {
        self.at += time;
        self.resolver.on_tick();
        let mut ready = self.woken();
        while let Some((due, request)) = self.callouts.pop_front() {
            if self.at < due {
                self.callouts.push_front((due, request));
                break;
            }
            let answer = Answer { status: 404, cache_control: &[], age: None, etag: None, body: Some(b"") };
            self.resolver.on_answer(request.id, Some(answer), SharedView::default(), self.now());
            ready.extend(self.woken());
        }
        self.send();
        ready
    }

    fn woken(&mut self) -> Vec<WaiterId> {
        let mut woken = Vec::new();
        while let Some(progress) = self.resolver.poll(self.now()) {
            if let Progress::Woken(waiter, _) = progress {
                woken.push(waiter);
            }
        }
        woken
    }
}

/// The name of a key that the key service knows; as long as a UUID.
pub fn good(number: usize) -> Kid {
    Kid::new(&format!("5f0c6a1e-7d1b-4c58-9a53-{number:012}")).expect("a name")
}

/// The base point of P-256 stands for every key: each is parsed, checked and held for itself.
fn document(kid: &Kid) -> Vec<u8> {
    let kid = kid.as_str();
    format!(
        r#"{{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"{kid}","iss":"company1","aud":["urn:verimatrix:multidrm"],
        "x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}}"#
    )
    .into_bytes()
}
