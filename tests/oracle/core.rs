//! The core behind one function: a request goes in, what was decided comes out. All of the crate that the oracle's test knows.

use std::collections::BTreeMap;
use std::time::Duration;

use mdrm_authz::authorizer::{Authorizer, Awaits, Decision, Platform, Step};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, SharedView, WaiterId};
use mdrm_authz::request::RequestHead;
use serde_json::Value;

/// Names and values.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// Status and body of an answer of the key service by path; anything else is 404.
pub type Answers = BTreeMap<String, (u16, Vec<u8>)>;

/// One worker with one configuration, and its key service.
pub struct Core {
    authorizer: Authorizer,
    answers: Answers,
    monotonic: Duration,
    next_stream: u32,
}

impl Core {
    pub fn new(configuration: &Value, answers: Answers) -> Core {
        let config = Config::from_json(configuration.to_string().as_bytes(), &|_| None).unwrap();
        let platform = Platform { remember_tokens: true, ..Platform::default() };
        Core { authorizer: Authorizer::new(config, platform), answers, monotonic: Duration::ZERO, next_stream: 0 }
    }

    /// The code of a denial, `ok` for an authorised request, `pass` for an unchecked one. `body`: `none`, `some`, or `empty`,
    /// announced and not there.
    pub fn decide(&mut self, headers: &Headers, body: &str, unix: i64) -> String {
        self.run(headers, body == "none", None, body == "some", unix)
    }

    /// As [`Core::decide`], of a request with a body, which may be looked at.
    pub fn decide_with_body(&mut self, headers: &Headers, body: Option<&[u8]>, unix: i64) -> String {
        self.run(headers, body.is_none(), body, body.is_some_and(|body| !body.is_empty()), unix)
    }

    fn run(&mut self, headers: &Headers, end_of_stream: bool, body: Option<&[u8]>, comes: bool, unix: i64) -> String {
        self.next_stream += 1;
        // Long enough for the next token of the bucket that holds back names which nobody has asked for before.
        self.monotonic += Duration::from_millis(20);
        let now = Now { unix, monotonic: self.monotonic };
        let waiter = WaiterId(self.next_stream);
        let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let (_, mut step) = self.authorizer.on_request(RequestHead::new(&pairs, end_of_stream), waiter, now);
        for _ in 0..4 {
            self.answer_all(now);
            match step {
                Step::Done(outcome) => {
                    return match outcome.decision {
                        Decision::Deny(denial) => denial.code().name().to_owned(),
                        Decision::Report(denial) => panic!("reported: {denial}"),
                        Decision::Pass(_) => "pass".to_owned(),
                        Decision::Allow(..) => "ok".to_owned(),
                    };
                }
                Step::Wait(waiting) => {
                    step = match (waiting.awaits(), body) {
                        (Awaits::End, _) => self.authorizer.on_end(*waiting, comes),
                        (Awaits::Body, Some(body)) => self.authorizer.on_body(*waiting, body, now),
                        _ => self.authorizer.resume(*waiting, now),
                    }
                }
            }
        }
        panic!("a request waits on and on")
    }

    fn answer_all(&mut self, now: Now) {
        while let Some(request) = self.authorizer.keys().next_request(now) {
            let store = self.authorizer.keys().of(request.id).unwrap();
            let asked = store.consult(request.id, SharedView::default(), now);
            assert!(matches!(asked, Consultation::Ask { .. }), "{asked:?}");
            let (status, body) =
                self.answers.get(&request.path).map_or((404, &[][..]), |(status, body)| (*status, body));
            let answer = Answer { status, cache_control: &[], age: None, etag: None, body: Some(body) };
            store.on_answer(request.id, Some(answer), SharedView::default(), now);
        }
        while self.authorizer.keys().poll(now).is_some() {}
    }
}
