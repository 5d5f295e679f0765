//! A proxy around the core, without a network: carries out what the core says on plain data.

use std::time::Duration;

use mdrm_authz::authorizer::{self, Authorizer, Decision, Edits, Facts, Platform, Removals};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::denial::Denial;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, SharedView, WaiterId};
use mdrm_authz::metrics::Counters;
use mdrm_authz::request::RequestHead;
use mdrm_authz::requests::{Due, Requests};
use mdrm_authz::upstream::WOULD_DENY;
use serde_json::Value;

use crate::support::table::keyring::{self, KeyAnswer};

/// A header as the filter gets it and as the upstream gets it.
pub type Header = (String, Vec<u8>);

/// Clusters of the table's configurations in which nothing answers.
const SILENT: [&str; 2] = ["dead", "missing"];

/// One worker with one configuration, and the table's key service.
pub struct Proxy {
    requests: Requests,
    pub now: Now,
    next_stream: u32,
    /// Document and `cache-control` with which the key service answers everything, in place of the table's.
    pub instead: Option<(String, String)>,
    /// Paths that the key service was asked for.
    pub asked: Vec<String>,
    /// What was known about the last request.
    pub facts: Facts,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Reached the upstream with these headers and this body, authorised or unchecked.
    Forwarded { headers: Vec<Header>, body: Vec<u8>, allowed: bool },
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
        let platform = Platform { random: Some(|| Some(*b"sixteen bytes ..")), ..platform };
        Proxy {
            requests: Requests::new(Authorizer::new(config, platform)),
            now: Now { unix, monotonic: Duration::ZERO },
            next_stream: 0,
            instead: None,
            asked: Vec::new(),
            facts: Facts::default(),
        }
    }

    /// Runs one request to its end, with some body unless the head ends it.
    pub fn run(&mut self, headers: Vec<Header>, end_of_stream: bool) -> Outcome {
        self.run_with(headers, (!end_of_stream).then_some(b"challenge"))
    }

    /// Runs one request to its end; the key service of the table answers whatever is asked. The body comes in two pieces
    /// after the keys that the head needs.
    pub fn run_with(&mut self, mut headers: Vec<Header>, body: Option<&[u8]>) -> Outcome {
        self.next_stream += 1;
        // Long enough for the next token of the bucket that holds back names which nobody has asked for before.
        self.now.monotonic += Duration::from_millis(20);
        let id = WaiterId(self.next_stream);
        let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(name, value)| (name.as_bytes(), &value[..])).collect();
        let (removals, decided) = self.requests.on_head(RequestHead::new(&pairs, body.is_none()), id, self.now);
        apply(&mut headers, &removals);
        let body = body.unwrap_or_default();
        let decided = decided.or_else(|| self.keys_come(id, body)).or_else(|| {
            [(body.len() / 2, false), (body.len(), true)].into_iter().find_map(|(bytes, complete)| {
                let due = self.requests.on_body(id, bytes, complete)?;
                assert!(complete || matches!(due, Due::Decision(_)), "half a body was asked for");
                self.settle(id, due, body).or_else(|| self.keys_come(id, body))
            })
        });
        let authorizer::Outcome { decision, facts } = decided.expect("a request waits on and on");
        self.requests.authorizer().count(&decision);
        self.facts = facts;
        assert_eq!(self.requests.held(), 0);
        outcome(headers, body, decision)
    }

    /// What was counted since this was last called.
    pub fn take_counters(&mut self) -> Counters {
        self.requests.authorizer().take_counters()
    }

    /// The key service answers until nothing is asked for any more.
    fn keys_come(&mut self, id: WaiterId, body: &[u8]) -> Option<authorizer::Outcome> {
        while self.answer_all() {
            if let Some(due) = self.requests.poll_one(id, self.now)
                && let Some(outcome) = self.settle(id, due, body)
            {
                return Some(outcome);
            }
        }
        None
    }

    fn settle(&mut self, id: WaiterId, due: Due, body: &[u8]) -> Option<authorizer::Outcome> {
        match due {
            Due::Decision(outcome) => Some(outcome),
            Due::Body => self.requests.on_whole_body(id, Some(body), self.now),
        }
    }

    /// Answers every request to the key service; whether there was one.
    fn answer_all(&mut self) -> bool {
        let mut any = false;
        while let Some(request) = self.requests.authorizer().keys().next_request(self.now) {
            any = true;
            let store = self.requests.authorizer().keys().of(request.id).unwrap();
            let asked = store.consult(request.id, SharedView::default(), self.now);
            assert!(matches!(asked, Consultation::Ask { .. }), "{asked:?}");
            let silent = SILENT.contains(&&*store.source().unwrap().cluster);
            let KeyAnswer { status, headers, body } = match &self.instead {
                None => keyring::answer(&request.path),
                Some((document, cache_control)) => KeyAnswer {
                    status: 200,
                    headers: vec![("cache-control".to_owned(), cache_control.clone())],
                    body: document.clone().into_bytes(),
                },
            };
            let values = headers.iter().filter(|(name, _)| name == "cache-control");
            let cache_control: Vec<&[u8]> = values.map(|(_, value)| value.as_bytes()).collect();
            let answer = Answer { status, cache_control: &cache_control, age: None, etag: None, body: Some(&body) };
            let answer = (!silent).then_some(answer);
            store.on_answer(request.id, answer, SharedView::default(), self.now);
            self.asked.push(request.path);
        }
        any
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

fn outcome(mut headers: Vec<Header>, body: &[u8], decision: Decision) -> Outcome {
    let (Edits { remove, set, body: new }, allowed) = match decision {
        Decision::Deny(denial) => return Outcome::Denied(denial),
        Decision::Report(denial) => {
            replace(&mut headers, WOULD_DENY, denial.code().name().as_bytes());
            (Edits::default(), false)
        }
        Decision::Pass(edits) => (edits, false),
        Decision::Allow(edits) => (edits, true),
    };
    headers.retain(|(name, _)| !remove.contains(&&**name));
    for (name, value) in set {
        replace(&mut headers, &name, &value);
    }
    Outcome::Forwarded { headers, body: new.unwrap_or_else(|| body.to_vec()), allowed }
}
