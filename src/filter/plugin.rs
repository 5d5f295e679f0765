//! What all requests of one configuration in one worker share: the requests that are held, and their streams.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use log::{info, warn};

use super::clock::Turn;
use super::host::{self, BufferType, MapType, Shared, Written};
use super::metrics::{self, Share};
use crate::authorizer::{Authorizer, Decision, Edits, Facts, Outcome, Removals};
use crate::clock::Now;
use crate::config::{AccessLog, KeySource};
use crate::denial::Denial;
use crate::keys::answer::Answer;
use crate::keys::{Consultation, FetchId, KeyRequest, Places, SharedView, WaiterId, Write};
use crate::log_limit::LogLimit;
use crate::reply::Reply;
use crate::request::RequestHead;
use crate::requests::{Due, Requests};
use crate::upstream::WOULD_DENY;

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
    /// The host has handed over a piece of the body, which is held, and the rest is to come.
    pub(super) mid_body: Rc<Cell<bool>>,
    pub(super) request_id: Option<Rc<[u8]>>,
}

pub(super) struct Plugin {
    /// The bytes that it was made from.
    pub(super) configuration: Vec<u8>,
    /// The root's tick runs in the middle of a stream's callback: nothing is carried out on other streams.
    pub(super) nested: Cell<bool>,
    /// The host knows [`HeadAction::PauseAll`](super::exports::HeadAction::PauseAll).
    pub(super) can_pause_all: bool,
    max_body_bytes: usize,
    access_log: AccessLog,
    state: RefCell<State>,
    share: Share,
}

/// How often counts are handed to the host: they cost a request nothing, and nobody looks more often.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

struct State {
    requests: Requests,
    /// Of the requests that are held.
    streams: HashMap<WaiterId, Stream>,
    warned_of_cluster: bool,
    log_limit: LogLimit,
    /// When something last happened, monotonic.
    last: Duration,
    /// When counts were last reported, monotonic.
    reported: Duration,
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
    pub(super) fn new(configuration: Vec<u8>, authorizer: Authorizer, can_pause_all: bool) -> Self {
        let (max_body_bytes, access_log) = (authorizer.config().max_body_bytes, authorizer.config().access_log);
        let requests = Requests::new(authorizer);
        let state = State {
            requests,
            streams: HashMap::new(),
            warned_of_cluster: false,
            log_limit: LogLimit::default(),
            last: Duration::ZERO,
            reported: Duration::ZERO,
        };
        Self {
            configuration,
            nested: Cell::new(false),
            can_pause_all,
            max_body_bytes,
            access_log,
            state: RefCell::new(state),
            share: Share::default(),
        }
    }

    /// No call in here calls back into the module, so the state is never borrowed twice. If that were ever wrong, the
    /// request is denied; a panic would deny all of them.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> Option<R> {
        self.state.try_borrow_mut().ok().map(|mut state| work(&mut state))
    }

    /// Takes the head of a request: what to remove, and the decision unless it has to wait.
    pub(super) fn on_head(
        &self,
        head: RequestHead<'_>,
        stream: &Stream,
        now: Now,
    ) -> Option<(Removals, Option<Outcome>)> {
        self.with(|state| {
            state.last = now.monotonic;
            let id = WaiterId(stream.id);
            let (removals, outcome) = state.requests.on_head(head, id, now);
            if outcome.is_none() {
                state.streams.insert(id, stream.clone());
            }
            (removals, outcome)
        })
    }

    /// Whether the body of `stream`, which is held, is looked at before it is decided.
    pub(super) fn reads_body(&self, stream: u32) -> bool {
        self.with(|state| state.requests.reads_body(WaiterId(stream))).unwrap_or(true)
    }

    /// The names among `names` that a client must not send.
    pub(super) fn client_copies<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Vec<u8>>> {
        self.with(|state| state.requests.authorizer().our_headers().among(names))
    }

    /// So many bytes of the body of `stream` have come.
    pub(super) fn on_body(&self, stream: u32, bytes: usize, complete: bool) -> Option<Due> {
        self.with(|state| state.requests.on_body(WaiterId(stream), bytes, complete)).flatten()
    }

    /// The body of `stream` has ended with trailers.
    pub(super) fn on_trailers(&self, stream: u32) -> Option<Due> {
        self.with(|state| state.requests.on_trailers(WaiterId(stream))).flatten()
    }

    /// The decision that is due about the request of the effective context, whose body is read if it is needed. None if
    /// the request is held on.
    pub(super) fn settle(&self, id: WaiterId, due: Due, now: Now) -> Option<Outcome> {
        match due {
            Due::Decision(outcome) => Some(outcome),
            Due::Body => {
                // One byte more than allowed: a body that has grown meanwhile is not taken for a smaller one.
                let body = host::buffer(BufferType::RequestBody, self.max_body_bytes.saturating_add(1));
                self.with(|state| state.requests.on_whole_body(id, body.as_deref(), now)).flatten()
            }
        }
    }

    /// Whether requests to the key service are to be sent.
    pub(super) fn has_requests(&self, now: Now) -> bool {
        self.with(|state| state.requests.authorizer().keys().has_requests(now)).unwrap_or(false)
    }

    /// Whether requests to the key service, or decisions, wait for a later tick.
    pub(super) fn needs_tick(&self) -> bool {
        self.with(|state| state.requests.needs_tick()).unwrap_or(false)
    }

    /// Whether this callback's turn was over before its work was.
    pub(super) fn has_work(&self, now: Now) -> bool {
        self.with(|state| state.requests.has_work() || state.requests.authorizer().keys().has_requests(now))
            .unwrap_or(false)
    }

    /// Sends the requests that are due through `send`, which tells whether the host took them; `sharing`: after a look at
    /// what other workers have left. What is left when the turn is over waits for a later tick.
    pub(super) fn send_requests(
        &self,
        now: Now,
        sharing: bool,
        turn: &Turn,
        mut send: impl FnMut(&KeySource, &KeyRequest) -> bool,
    ) {
        self.with(|state| {
            while let Some(mut request) = state.requests.authorizer().keys().next_request(now) {
                let places = request.places.clone().filter(|_| sharing);
                let shared = places.and_then(SharedPlaces::read);
                if state.may_ask(&mut request, shared.as_ref(), now) {
                    let store = state.requests.authorizer().keys().of(request.id);
                    let sent = store.and_then(|store| store.source().map(|source| send(source, &request)));
                    if sent != Some(true) {
                        state.warn_of_cluster(request.id);
                        // Read once more: this worker's note has been written meanwhile.
                        let places = request.places.filter(|_| sharing);
                        state.answer(request.id, None, places.and_then(SharedPlaces::read), now);
                    }
                }
                if turn.is_over() {
                    return;
                }
            }
        });
    }

    /// Takes the answer to `request`, none if there was none.
    pub(super) fn on_answer(&self, request: &KeyRequest, answer: Option<Answer<'_>>, sharing: bool, now: Now) {
        self.with(|state| {
            let places = request.places.clone().filter(|_| sharing);
            state.answer(request.id, answer, places.and_then(SharedPlaces::read), now);
        });
    }

    /// Time has passed.
    pub(super) fn on_tick(&self, now: Now) {
        self.with(|state| {
            state.last = now.monotonic;
            state.requests.on_tick();
        });
    }

    /// What other requests have made due about `stream`.
    pub(super) fn poll_one(&self, stream: u32, now: Now) -> Option<Due> {
        self.with(|state| state.requests.poll_one(WaiterId(stream), now)).flatten()
    }

    /// Carries out what is due about requests that were held, until the turn is over, and returns to `context`.
    pub(super) fn conclude_due(&self, context: u32, now: Now, turn: &Turn) {
        let mut entered = false;
        while let Some(polled) = self.with(|state| state.requests.poll(now)).flatten() {
            if let Some((id, due)) = polled
                && let Some(stream) = self.with(|state| state.streams.get(&id).cloned()).flatten()
                // A request that is gone needs no decision.
                && host::enter(stream.id)
            {
                entered = true;
                turn.decided();
                if let Some(outcome) = self.settle(id, due, now)
                    && self.conclude(&stream, outcome)
                    && !stream.mid_body.get()
                {
                    host::continue_request();
                }
            }
            if turn.is_over() {
                break;
            }
        }
        if entered {
            host::enter(context);
        }
    }

    /// Carries out a decision on the effective context, whose stream is `stream`, up to the call that lets the request go:
    /// returns whether it may. A denied request is answered here.
    pub(super) fn conclude(&self, stream: &Stream, Outcome { decision, facts }: Outcome) -> bool {
        let decision = match decision {
            Decision::Allow(edits) | Decision::Pass(edits) if !apply(&edits) => self.refusal(Denial::HeadersUnreadable),
            decision => decision,
        };
        self.with(|state| state.requests.authorizer().count(&decision));
        self.tell_access_log(&decision, &facts);
        match decision {
            Decision::Pass(_) | Decision::Allow(_) => stream.phase.set(Phase::Passed),
            Decision::Deny(denial) => {
                self.log("denied", &denial);
                stream.refuse(&denial);
            }
            Decision::Report(denial) => {
                self.log("would deny", &denial);
                host::replace(MapType::RequestHeaders, WOULD_DENY.as_bytes(), denial.code().name().as_bytes());
                stream.phase.set(Phase::Passed);
            }
        }
        stream.phase.get() == Phase::Passed
    }

    /// Sets what the access log can print about the request of the effective context.
    fn tell_access_log(&self, decision: &Decision, facts: &Facts) {
        let code = match decision {
            Decision::Deny(denial) | Decision::Report(denial) => Some(denial.code()),
            Decision::Pass(_) | Decision::Allow(_) => None,
        };
        match self.access_log {
            AccessLog::Off => return,
            AccessLog::Denied if code.is_none() => return,
            AccessLog::Denied | AccessLog::All => {}
        }
        if let Some(code) = code {
            host::set_property("mdrm_code", code.name());
        }
        for (name, value) in facts.properties() {
            host::set_property(name, &value);
        }
    }

    fn refusal(&self, denial: Denial) -> Decision {
        self.with(|state| state.requests.authorizer().refuse(denial.clone())).unwrap_or(Decision::Deny(denial))
    }

    /// What becomes of a request that the filter itself cannot serve.
    pub(super) fn refused(&self, denial: Denial) -> Outcome {
        Outcome { decision: self.refusal(denial), facts: Facts::default() }
    }

    /// Hands counts to the host, at most every [`REPORT_INTERVAL`].
    pub(super) fn report(&self, now: Now) {
        self.with(|state| {
            if now.monotonic.saturating_sub(state.reported) >= REPORT_INTERVAL {
                state.reported = now.monotonic;
                metrics::report(&mut state.requests.authorizer().take_counters());
                self.share.set(state.requests.authorizer().keys().entries(), state.requests.held());
            }
        });
    }

    fn log(&self, done: &str, denial: &Denial) {
        match self.with(|state| state.log_limit.admit(denial.code(), state.last)).flatten() {
            None => {}
            Some(0) => info!("{done} {}: {denial}", denial.code()),
            Some(left_out) => info!("{done} {}: {denial} ({left_out} more were not logged)", denial.code()),
        }
    }

    /// The request is over, however it ended.
    pub(super) fn forget(&self, stream: u32) {
        self.with(|state| {
            state.streams.remove(&WaiterId(stream));
            state.requests.forget(WaiterId(stream));
        });
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.with(|state| metrics::report(&mut state.requests.authorizer().take_counters()));
    }
}

impl Stream {
    /// Answers the request of the effective context.
    pub(super) fn refuse(&self, denial: &Denial) {
        self.phase.set(Phase::Refused);
        host::reply(&Reply::new(denial, self.request_id.as_deref()), denial.code().name());
    }
}

impl State {
    /// Whether this worker is the one that asks; otherwise another one does, or has the answer.
    fn may_ask(&mut self, request: &mut KeyRequest, shared: Option<&SharedPlaces>, now: Now) -> bool {
        let view = shared.map(SharedPlaces::view).unwrap_or_default();
        let Some(store) = self.requests.authorizer().keys().of(request.id) else { return false };
        match store.consult(request.id, view, now) {
            Consultation::Ask { note, conditional } => {
                let Some(shared) = shared else { return true };
                if shared.note.overwrite(&shared.places.note, &note) == Written::Lost {
                    store.put_back(request.id);
                    return false;
                }
                request.if_none_match.take_if(|_| !conditional);
                true
            }
            Consultation::Later | Consultation::Answered => false,
        }
    }

    fn answer(&mut self, fetch: FetchId, answer: Option<Answer<'_>>, shared: Option<SharedPlaces>, now: Now) {
        let view = shared.as_ref().map(SharedPlaces::view).unwrap_or_default();
        let Some(store) = self.requests.authorizer().keys().of(fetch) else { return };
        let writes = store.on_answer(fetch, answer, view, now);
        if let Some(shared) = &shared {
            writes.iter().for_each(|write| shared.write(write));
        }
    }

    fn warn_of_cluster(&mut self, fetch: FetchId) {
        if !self.warned_of_cluster {
            self.warned_of_cluster = true;
            let store = self.requests.authorizer().keys().of(fetch);
            let cluster = store.and_then(|store| store.source().map(|source| source.cluster.clone()));
            warn!("cannot send to cluster {:?}: unknown, or without a healthy host", cluster.unwrap_or_default());
        }
    }
}

/// Changes the request of the effective context; false if the host would not have it.
fn apply(edits: &Edits) -> bool {
    let map = MapType::RequestHeaders;
    let Edits { remove, set, body } = edits;
    for name in remove {
        host::remove(map, name.as_bytes());
    }
    let done = set.iter().all(|(name, value)| host::replace(map, name.as_bytes(), value));
    done && body.as_ref().is_none_or(|body| host::replace_body(body))
}
