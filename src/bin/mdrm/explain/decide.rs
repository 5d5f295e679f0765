//! Drives the core as the filter does, with answers at hand: the decision, and what it was made of.

use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use log::{LevelFilter, Log, Metadata, Record};
use mdrm_authz::authorizer::{Authorizer, Decision, Platform};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::jose::jwk::Ring;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, SharedView, WaiterId};
use mdrm_authz::request::RequestHead;
use mdrm_authz::requests::{Due, Requests};
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use super::keys::{Answered, KeyAnswers};
use super::request::Request;

/// How a request ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With a decision.
    Decided(Decision),
    /// With a question that nobody answers here.
    NobodyToAsk,
}

/// One question to a key service.
pub(super) struct Question {
    pub(super) ring: Ring,
    pub(super) cluster: String,
    pub(super) path: String,
    /// The status, or why there is none; none if nobody was asked.
    pub(super) answer: Option<Result<u16, String>>,
    /// The body of the answer.
    pub(super) document: Zeroizing<Vec<u8>>,
    /// What the filter logged about the answer.
    pub(super) remarks: Vec<String>,
}

/// A request that was decided.
pub(super) struct Course {
    pub(super) ending: Ending,
    /// In the order in which they were asked.
    pub(super) questions: Vec<Question>,
}

const ID: WaiterId = WaiterId(1);

/// Decides `request` at `unix` seconds.
pub(super) fn decide(config: Config, request: &Request, keys: &KeyAnswers, unix: i64) -> Result<Course> {
    log::set_logger(&REMARKS).map_err(|_| anyhow::anyhow!("the log is taken"))?;
    log::set_max_level(LevelFilter::Info);
    let platform = Platform {
        // As in Envoy, where no algorithm is too slow; that the host cannot tell leaves each check to the code here.
        verify: Some(|_| None),
        random: Some(random),
        ..Platform::default()
    };
    let mut worker = Worker {
        requests: Requests::new(Authorizer::new(config, platform)),
        now: Now { unix, monotonic: Duration::ZERO },
        questions: Vec::new(),
    };
    let pairs = request.pairs();
    let head = RequestHead::new(&pairs, request.body().is_none());
    let (_, decision) = worker.requests.on_head(head, ID, worker.now);
    let ending = match decision {
        Some(outcome) => Ending::Decided(outcome.decision),
        None => worker.go_on(request.body().unwrap_or_default(), keys)?,
    };
    Ok(Course { ending, questions: worker.questions })
}

fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).ok().map(|()| bytes)
}

struct Worker {
    requests: Requests,
    now: Now,
    questions: Vec<Question>,
}

impl Worker {
    /// Keys as soon as they are asked for, then the whole body.
    fn go_on(&mut self, body: &[u8], keys: &KeyAnswers) -> Result<Ending> {
        let mut body_came = false;
        loop {
            match self.answer_next(keys)? {
                Some(Answered::NobodyToAsk) => return Ok(Ending::NobodyToAsk),
                Some(_) => {}
                None if !body_came => {
                    body_came = true;
                    if let Some(due) = self.requests.on_body(ID, body.len(), true)
                        && let Some(decision) = self.settle(due, body)
                    {
                        return Ok(Ending::Decided(decision));
                    }
                }
                None => bail!("the request waits on and on"),
            }
            if let Some(due) = self.requests.poll_one(ID, self.now)
                && let Some(decision) = self.settle(due, body)
            {
                return Ok(Ending::Decided(decision));
            }
        }
    }

    fn settle(&mut self, due: Due, body: &[u8]) -> Option<Decision> {
        match due {
            Due::Decision(outcome) => Some(outcome.decision),
            Due::Body => Some(self.requests.on_whole_body(ID, Some(body), self.now)?.decision),
        }
    }

    /// Answers the next question to a key service, if there is one.
    fn answer_next(&mut self, keys: &KeyAnswers) -> Result<Option<Answered>> {
        let now = self.now;
        let Some(request) = self.requests.authorizer().keys().next_request(now) else { return Ok(None) };
        let ring = request.ring();
        let store = self.requests.authorizer().keys().of(request.id).context("a question of no store")?;
        match store.consult(request.id, SharedView::default(), now) {
            Consultation::Ask { .. } => {}
            other => bail!("not to be asked now: {other:?}"),
        }
        let source = store.source().context("a question to no key service")?;
        let cluster = source.cluster.to_string();
        let answered = keys.answer(ring, source, &request.path);
        let said = match &answered {
            Answered::NobodyToAsk => None,
            Answered::Silence(why) => {
                store.on_answer(request.id, None, SharedView::default(), now);
                Some(Err(why.clone()))
            }
            Answered::Answer(fetched) => {
                let values = |name: &str| {
                    let values = fetched.headers.iter().filter(|(other, _)| other == name);
                    values.map(|(_, value)| &**value).collect::<Vec<&[u8]>>()
                };
                let fits = fetched.body.len() <= request.max_body_bytes;
                let answer = Answer {
                    status: fetched.status,
                    cache_control: &values("cache-control"),
                    age: values("age").first().copied(),
                    etag: values("etag").first().copied(),
                    body: fits.then_some(&**fetched.body),
                };
                store.on_answer(request.id, Some(answer), SharedView::default(), now);
                Some(Ok(fetched.status))
            }
        };
        let document = match &answered {
            Answered::Answer(fetched) => fetched.body.clone(),
            Answered::Silence(_) | Answered::NobodyToAsk => Zeroizing::default(),
        };
        let remarks = REMARKS.take();
        // A request that ended early is sent once more; the second answer is the one that counts.
        self.questions.pop_if(|former| former.ring == ring && former.path == request.path);
        self.questions.push(Question { ring, cluster, path: request.path, answer: said, document, remarks });
        Ok(Some(answered))
    }
}

/// The lines that the core logs: why a key cannot be used, and how a key service failed.
struct Remarks(Mutex<Vec<String>>);

static REMARKS: Remarks = Remarks(Mutex::new(Vec::new()));

impl Remarks {
    fn take(&self) -> Vec<String> {
        self.0.lock().map(|mut lines| std::mem::take(&mut *lines)).unwrap_or_default()
    }
}

impl Log for Remarks {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if let Ok(mut lines) = self.0.lock() {
            lines.push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}
