//! What all requests of one configuration in one worker share: the authorizer, and the requests that wait.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use log::{info, warn};
use proxy_wasm::types::MapType;

use super::host;
use crate::authorizer::{Authorizer, Decision, Removals, Step, Waiting};
use crate::clock::Now;
use crate::denial::Denial;
use crate::keys::answer::Answer;
use crate::keys::{FetchId, KeyRequest, WaiterId};
use crate::reply::Reply;
use crate::request::RequestHead;

/// Where a request stands. Its body and trailers move only after it passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Undecided,
    Passed,
    Refused,
}

/// A request as its own callbacks and the root see it.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) phase: Rc<Cell<Phase>>,
    pub(super) request_id: Option<Rc<[u8]>>,
}

/// A decision that is due, for a request that waited.
pub(super) type Due = (Stream, Decision);

pub(super) struct Plugin {
    /// The bytes that it was made from.
    pub(super) configuration: Vec<u8>,
    state: RefCell<State>,
}

struct State {
    authorizer: Authorizer,
    parked: BTreeMap<WaiterId, (Stream, Waiting)>,
    /// Requests to the key service that could not be sent.
    unsent: Vec<FetchId>,
    warned_of_cluster: bool,
}

impl Plugin {
    pub(super) fn new(configuration: Vec<u8>, authorizer: Authorizer) -> Self {
        let state = State { authorizer, parked: BTreeMap::new(), unsent: Vec::new(), warned_of_cluster: false };
        Self { configuration, state: RefCell::new(state) }
    }

    /// No call in here calls back into the module, so the state is never borrowed twice. If that were ever wrong, the
    /// request is denied; a panic would deny all of them.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.state.try_borrow_mut().ok().map(|mut state| work(&mut state))
    }

    /// Takes the head of a request: what to remove, and the decision unless it has to wait.
    pub(super) fn on_request(
        &self,
        request: RequestHead<'_>,
        stream: &Stream,
        now: Now,
    ) -> Option<(Removals, Option<Decision>)> {
        self.with(|state| {
            let waiter = WaiterId(stream.id);
            let (removals, step) = state.authorizer.on_request(request, waiter, now);
            (removals, state.park(stream, step))
        })
    }

    /// Whether requests to the key service are to be sent.
    pub(super) fn has_requests(&self) -> bool {
        self.with(|state| state.authorizer.keys().has_requests()).unwrap_or(false)
    }

    /// The next request for the key service.
    pub(super) fn next_request(&self) -> Option<KeyRequest> {
        self.with(|state| state.authorizer.keys().next_request()).flatten()
    }

    /// Sends through `send`, which gets cluster, headers and time-out and tells whether the host took the request.
    pub(super) fn send<T>(
        &self,
        request: &KeyRequest,
        send: impl FnOnce(&crate::config::KeySource, &KeyRequest) -> Option<T>,
    ) -> Option<T> {
        self.with(|state| {
            let sent = state.authorizer.keys().source().and_then(|source| send(source, request));
            if sent.is_none() {
                state.unsent.push(request.id);
                if !state.warned_of_cluster {
                    state.warned_of_cluster = true;
                    let cluster = state.authorizer.keys().source().map(|source| source.cluster.clone());
                    warn!(
                        "cannot send to cluster {:?}: unknown, or without a healthy host",
                        cluster.unwrap_or_default()
                    );
                }
            }
            sent
        })
        .flatten()
    }

    /// The decisions that became due because requests to the key service could not be sent.
    pub(super) fn settle_unsent(&self, now: Now) -> Vec<Due> {
        self.with(|state| {
            let unsent = std::mem::take(&mut state.unsent);
            unsent.into_iter().flat_map(|fetch| state.answer(fetch, None, now)).collect()
        })
        .unwrap_or_default()
    }

    /// Takes an answer of the key service; returns the decisions that are due.
    pub(super) fn on_answer(&self, fetch: FetchId, answer: Option<Answer<'_>>, now: Now) -> Vec<Due> {
        self.with(|state| state.answer(fetch, answer, now)).unwrap_or_default()
    }

    /// The request is over, however it ended.
    pub(super) fn forget(&self, stream: u32) {
        self.with(|state| {
            state.parked.remove(&WaiterId(stream));
            state.authorizer.keys().forget(WaiterId(stream));
        });
    }
}

impl State {
    fn park(&mut self, stream: &Stream, step: Step) -> Option<Decision> {
        match step {
            Step::Done(decision) => Some(decision),
            Step::Wait(waiting) => {
                self.parked.insert(waiting.waiter(), (stream.clone(), waiting));
                None
            }
        }
    }

    fn answer(&mut self, fetch: FetchId, answer: Option<Answer<'_>>, now: Now) -> Vec<Due> {
        let ready = self.authorizer.keys().on_answer(fetch, answer, now);
        let mut due = Vec::with_capacity(ready.len());
        for waiter in ready {
            if let Some((stream, waiting)) = self.parked.remove(&waiter) {
                let step = self.authorizer.resume(waiting, now);
                if let Some(decision) = self.park(&stream, step) {
                    due.push((stream, decision));
                }
            }
        }
        due
    }
}

impl Stream {
    /// Carries out `decision` on the effective context, up to the call that lets the request go: returns whether it
    /// may. A denied request is answered here.
    pub(super) fn conclude(&self, decision: Decision) -> bool {
        let restoration = match decision {
            Decision::Pass => None,
            Decision::Allow(_, restoration) => Some(restoration),
            Decision::Deny(denial) => {
                self.refuse(&denial);
                return false;
            }
        };
        if let Some(restoration) = restoration {
            let edits = [(&b"authorization"[..], restoration.authorization), (b":path", restoration.path)];
            for (name, value) in edits {
                let done = value.is_none_or(|value| host::replace(MapType::HttpRequestHeaders, name, &value));
                if !done {
                    self.refuse(&Denial::HeadersUnreadable);
                    return false;
                }
            }
        }
        self.phase.set(Phase::Passed);
        true
    }

    /// Answers the request of the effective context.
    pub(super) fn refuse(&self, denial: &Denial) {
        self.phase.set(Phase::Refused);
        let reply = Reply::new(denial, self.request_id.as_deref());
        info!("denied {}: {denial}", denial.code());
        host::reply(&reply, denial.code().name());
    }
}

/// Carries out decisions on requests that are held, and returns to `context`.
pub(super) fn conclude(due: Vec<Due>, context: u32) {
    for (stream, decision) in due {
        // A request that is gone needs no decision.
        if host::enter(stream.id) && stream.conclude(decision) {
            host::continue_request();
        }
    }
    host::enter(context);
}
