//! A proxy around the core, without a network: carries out what the core says on plain data.

use std::time::Duration;

use mdrm_authz::authorizer::{Authorizer, Decision, Platform, Removals, Step};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::denial::Denial;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, SharedView, WaiterId};
use mdrm_authz::request::RequestHead;
use serde_json::Value;

use crate::support::table::keyring::{self, KeyAnswer};

/// A header as the filter gets it and as the upstream gets it.
pub type Header = (String, Vec<u8>);

/// Clusters of the table's configurations in which nothing answers.
const SILENT: [&str; 2] = ["dead", "missing"];

/// One worker with one configuration, and the table's key service.
pub struct Proxy {
    authorizer: Authorizer,
    pub now: Now,
    next_stream: u32,
    /// Document and `cache-control` with which the key service answers everything, in place of the table's.
    pub instead: Option<(String, String)>,
    /// Paths that the key service was asked for.
    pub asked: Vec<String>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Reached the upstream with these headers, authorised or unchecked.
    Forwarded { headers: Vec<Header>, allowed: bool },
    /// Was answered.
    Denied(Denial),
}

impl Proxy {
    /// As in Envoy, with tokens remembered.
    pub fn new(configuration: &Value, unix: i64) -> Proxy {
        Proxy::on(configuration, unix, Platform { remember_tokens: true, ..Platform::default() })
    }

    /// On a platform of the test's choice.
    pub fn on(configuration: &Value, unix: i64, platform: Platform) -> Proxy {
        let config = Config::from_json(configuration.to_string().as_bytes(), &|_| None).unwrap();
        let authorizer = Authorizer::new(config, platform);
        Proxy {
            authorizer,
            now: Now { unix, monotonic: Duration::ZERO },
            next_stream: 0,
            instead: None,
            asked: Vec::new(),
        }
    }

    /// Runs one request to its end; the key service of the table answers whatever is asked.
    pub fn run(&mut self, mut headers: Vec<Header>, end_of_stream: bool) -> Outcome {
        self.next_stream += 1;
        // Long enough for the next token of the bucket that holds back names which nobody has asked for before.
        self.now.monotonic += Duration::from_millis(20);
        let waiter = WaiterId(self.next_stream);
        let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
        let (removals, mut step) =
            self.authorizer.on_request(RequestHead::new(&pairs, end_of_stream), waiter, self.now);
        apply(&mut headers, &removals);
        for _ in 0..3 {
            match step {
                Step::Done(decision) => return outcome(headers, decision),
                Step::Wait(waiting) => {
                    assert_eq!(self.answer_all(), [waiter], "the one who waits is named once");
                    step = self.authorizer.resume(waiting, self.now);
                }
            }
        }
        panic!("a request waits on and on")
    }

    fn answer_all(&mut self) -> Vec<WaiterId> {
        let mut ready = Vec::new();
        while let Some(request) = self.authorizer.keys().next_request(self.now) {
            let asked = self.authorizer.keys().consult(request.id, SharedView::default(), self.now);
            assert!(matches!(asked, Consultation::Ask { .. }), "{asked:?}");
            let silent = SILENT.contains(&&*self.authorizer.keys().source().unwrap().cluster);
            let KeyAnswer { status, headers, body } = match &self.instead {
                None => keyring::answer(&request.path),
                Some((document, cache_control)) => KeyAnswer {
                    status: 200,
                    headers: vec![("cache-control".to_owned(), cache_control.clone())],
                    body: document.clone().into_bytes(),
                },
            };
            self.asked.push(request.path);
            let values = headers.iter().filter(|(name, _)| name == "cache-control");
            let cache_control: Vec<&[u8]> = values.map(|(_, value)| value.as_bytes()).collect();
            let answer = Answer { status, cache_control: &cache_control, age: None, etag: None, body: Some(&body) };
            let answer = (!silent).then_some(answer);
            let (woken, _) = self.authorizer.keys().on_answer(request.id, answer, SharedView::default(), self.now);
            ready.extend(woken);
        }
        ready
    }
}

fn apply(headers: &mut Vec<Header>, removals: &Removals) {
    headers.retain(|(name, _)| !removals.headers.iter().any(|removed| removed == name.as_bytes()));
    if let Some(path) = &removals.path {
        replace(headers, ":path", path);
    }
}

fn replace(headers: &mut Vec<Header>, name: &str, value: &[u8]) {
    headers.retain(|(n, _)| n != name);
    headers.push((name.to_owned(), value.to_vec()));
}

fn outcome(mut headers: Vec<Header>, decision: Decision) -> Outcome {
    match decision {
        Decision::Deny(denial) => Outcome::Denied(denial),
        Decision::Pass => Outcome::Forwarded { headers, allowed: false },
        Decision::Allow(_, restoration) => {
            if let Some(value) = restoration.authorization {
                replace(&mut headers, "authorization", &value);
            }
            if let Some(value) = restoration.path {
                replace(&mut headers, ":path", &value);
            }
            Outcome::Forwarded { headers, allowed: true }
        }
    }
}
