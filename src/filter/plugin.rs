//! What all requests of one configuration in one worker share: the authorizer, and the requests that wait.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use log::{info, warn};
use proxy_wasm::types::MapType;

use super::host::{self, Shared, Written};
use crate::authorizer::{Authorizer, Decision, Removals, Step, Waiting};
use crate::clock::Now;
use crate::config::KeySource;
use crate::denial::Denial;
use crate::keys::answer::Answer;
use crate::keys::{Consultation, FetchId, KeyRequest, Places, SharedView, Ticked, WaiterId, Write};
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
    /// The root's tick runs in the middle of a stream's callback: nothing is carried out on other streams.
    pub(super) nested: Cell<bool>,
    state: RefCell<State>,
}

struct State {
    authorizer: Authorizer,
    parked: BTreeMap<WaiterId, (Stream, Waiting)>,
    due: Vec<Due>,
    warned_of_cluster: bool,
}

/// The shared data around one request to the key service.
pub(super) struct SharedPlaces {
    places: Places,
    answer: Shared,
    refusal: Shared,
    note: Shared,
}

impl SharedPlaces {
    /// Reads all places; none if the host has no shared data.
    ///
    /// The note first: whoever asked writes the answer and then takes the note back. So either the note is seen, or the
    /// answer is, or the note has changed by the time that this worker would write its own.
    fn read(places: Places) -> Option<Self> {
        let note = Shared::read(&places.note)?;
        let answer = Shared::read(&places.answer)?;
        let refusal = places.refusal.as_deref().map_or(Some(Shared::default()), Shared::read)?;
        Some(Self { places, answer, refusal, note })
    }

    fn view(&self) -> SharedView<'_> {
        SharedView {
            answer: self.answer.value.as_deref(),
            refusal: self.refusal.value.as_deref(),
            note: self.note.value.as_deref(),
        }
    }

    /// Leaves something for other workers, unless one of them was faster.
    fn write(&self, write: &Write) {
        let shared = if write.place == self.places.answer {
            &self.answer
        } else if write.place == self.places.note {
            &self.note
        } else {
            &self.refusal
        };
        shared.overwrite(&write.place, &write.content);
    }
}

impl Plugin {
    pub(super) fn new(configuration: Vec<u8>, authorizer: Authorizer) -> Self {
        let state = State { authorizer, parked: BTreeMap::new(), due: Vec::new(), warned_of_cluster: false };
        Self { configuration, nested: Cell::new(false), state: RefCell::new(state) }
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
    pub(super) fn has_requests(&self, now: Now) -> bool {
        self.with(|state| state.authorizer.keys().has_requests(now)).unwrap_or(false)
    }

    /// Whether requests to the key service, or decisions, wait for a later tick.
    pub(super) fn needs_tick(&self) -> bool {
        self.with(|state| state.authorizer.keys().needs_tick() || !state.due.is_empty()).unwrap_or(false)
    }

    /// Sends the requests that are due through `send`, which tells whether the host took them; `sharing`: after a look at
    /// what other workers have left. Decisions that become due are kept for [`Self::take_due`].
    pub(super) fn send_requests(&self, now: Now, sharing: bool, mut send: impl FnMut(&KeySource, &KeyRequest) -> bool) {
        self.with(|state| {
            while let Some(mut request) = state.authorizer.keys().next_request(now) {
                let shared = if sharing { SharedPlaces::read(request.places.clone()) } else { None };
                if state.may_ask(&mut request, shared.as_ref(), now) {
                    let sent = state.authorizer.keys().source().is_some_and(|source| send(source, &request));
                    if !sent {
                        state.warn_of_cluster();
                        state.answer(request.id, None, shared, now);
                    }
                }
            }
        });
    }

    /// Takes an answer of the key service. Decisions that become due are kept for [`Self::take_due`].
    pub(super) fn on_answer(&self, request: &KeyRequest, answer: Option<Answer<'_>>, sharing: bool, now: Now) {
        let shared = if sharing { SharedPlaces::read(request.places.clone()) } else { None };
        self.with(|state| state.answer(request.id, answer, shared, now));
    }

    /// Time has passed. Decisions that become due are kept for [`Self::take_due`].
    pub(super) fn on_tick(&self, now: Now) {
        self.with(|state| {
            let Ticked { ready, turned_away } = state.authorizer.keys().on_tick(now);
            state.resume(ready, now);
            for waiter in turned_away {
                if let Some((stream, _)) = state.parked.remove(&waiter) {
                    state.due.push((stream, Decision::Deny(Denial::TooManyWaiting { retry_after: 1 })));
                }
            }
        });
    }

    /// The decision that is due for this one request.
    pub(super) fn take_due_of(&self, stream: u32) -> Option<Decision> {
        self.with(|state| {
            let at = state.due.iter().position(|(due, _)| due.id == stream)?;
            Some(state.due.swap_remove(at).1)
        })
        .flatten()
    }

    /// The decisions that are due, for requests that waited.
    pub(super) fn take_due(&self) -> Vec<Due> {
        self.with(|state| std::mem::take(&mut state.due)).unwrap_or_default()
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

    /// Whether this worker is the one that asks; otherwise another one does, or has the answer.
    fn may_ask(&mut self, request: &mut KeyRequest, shared: Option<&SharedPlaces>, now: Now) -> bool {
        let view = shared.map(SharedPlaces::view).unwrap_or_default();
        match self.authorizer.keys().consult(request.id, view, now) {
            Consultation::Ask { note, conditional } => {
                let Some(shared) = shared else { return true };
                if shared.note.overwrite(&request.places.note, &note) == Written::Lost {
                    self.authorizer.keys().put_back(request.id);
                    return false;
                }
                request.if_none_match.take_if(|_| !conditional);
                true
            }
            Consultation::Later => false,
            Consultation::Answered(ready) => {
                self.resume(ready, now);
                false
            }
        }
    }

    fn answer(&mut self, fetch: FetchId, answer: Option<Answer<'_>>, shared: Option<SharedPlaces>, now: Now) {
        let view = shared.as_ref().map(SharedPlaces::view).unwrap_or_default();
        let (ready, writes) = self.authorizer.keys().on_answer(fetch, answer, view, now);
        if let Some(shared) = &shared {
            writes.iter().for_each(|write| shared.write(write));
        }
        self.resume(ready, now);
    }

    fn resume(&mut self, ready: Vec<WaiterId>, now: Now) {
        for waiter in ready {
            if let Some((stream, waiting)) = self.parked.remove(&waiter) {
                let step = self.authorizer.resume(waiting, now);
                if let Some(decision) = self.park(&stream, step) {
                    self.due.push((stream, decision));
                }
            }
        }
    }

    fn warn_of_cluster(&mut self) {
        if !self.warned_of_cluster {
            self.warned_of_cluster = true;
            let cluster = self.authorizer.keys().source().map(|source| source.cluster.clone()).unwrap_or_default();
            warn!("cannot send to cluster {cluster:?}: unknown, or without a healthy host");
        }
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
