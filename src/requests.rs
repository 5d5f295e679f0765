//! The requests that one worker holds: what each waits for, how far its body has come, and what has become due.
//!
//! The order of events is the host's: a key may come before the body or after it, the body in any number of pieces, and the
//! client may go away at any time. Each request gets one decision, or is forgotten.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::authorizer::{Authorizer, Awaits, Decision, Outcome, Removals, Step, Waiting};
use crate::clock::Now;
use crate::denial::{BodyFault, Denial};
use crate::keys::{Progress, WaiterId, Wake};
use crate::request::RequestHead;

/// The requests of one configuration in one worker.
///
/// After each event, [`Self::poll`] is called until it returns `None`, or goes on in a later callback: however many requests
/// wait, one call of any function does a bounded piece of work.
#[derive(Debug)]
pub struct Requests {
    authorizer: Authorizer,
    held: HashMap<WaiterId, Held>,
    /// When the bodies that are awaited are late, the first one first.
    body_deadlines: BTreeSet<(Duration, WaiterId)>,
    /// The copies of bodies that held requests wait with, in bytes.
    held_bytes: usize,
}

/// What is due about a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Due {
    /// The decision is made.
    Decision(Outcome),
    /// The body is complete and small enough: hand it to [`Requests::on_whole_body`].
    Body,
}

#[derive(Debug)]
struct Held {
    waiting: Box<Waiting>,
    body: Body,
    /// Monotonic; for a request that needs its body.
    body_due: Duration,
}

/// How far the body of a request has come.
#[derive(Debug, Clone, Copy)]
struct Body {
    bytes: usize,
    complete: bool,
}

impl Requests {
    /// Holds no requests yet.
    pub fn new(authorizer: Authorizer) -> Self {
        Self { authorizer, held: HashMap::new(), body_deadlines: BTreeSet::new(), held_bytes: 0 }
    }

    /// What decides.
    pub fn authorizer(&mut self) -> &mut Authorizer {
        &mut self.authorizer
    }

    /// How many requests are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many bytes of bodies the held requests wait with: at most `max_held_bytes`.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether the body of `id`, which is held, is looked at before it is decided; see [`Waiting::reads_body`].
    pub fn reads_body(&self, id: WaiterId) -> bool {
        self.held.get(&id).is_some_and(|held| held.waiting.reads_body())
    }

    /// A request has come: what to remove from it at once, and the decision unless it is held.
    pub fn on_head(&mut self, head: RequestHead<'_>, id: WaiterId, now: Now) -> (Removals, Option<Outcome>) {
        let (removals, step) = self.authorizer.on_request(head, id, now);
        let body = Body { bytes: 0, complete: head.end_of_stream() };
        let body_due = now.monotonic.saturating_add(self.authorizer.config().body_timeout);
        match self.hold(step, body, body_due) {
            // A request without a body is never held for it.
            None | Some(Due::Body) => (removals, None),
            Some(Due::Decision(outcome)) => (removals, Some(outcome)),
        }
    }

    /// So many bytes of the body of `id` have come so far.
    pub fn on_body(&mut self, id: WaiterId, bytes: usize, complete: bool) -> Option<Due> {
        let held = self.held.get_mut(&id)?;
        held.body = Body { bytes, complete };
        self.body_due(id)
    }

    /// The body of `id` has ended, with trailers.
    pub fn on_trailers(&mut self, id: WaiterId) -> Option<Due> {
        let held = self.held.get_mut(&id)?;
        held.body.complete = true;
        self.body_due(id)
    }

    /// The whole body of `id`, after [`Due::Body`]; none if the host has lost it. The decision unless it is held on.
    pub fn on_whole_body(&mut self, id: WaiterId, body: Option<&[u8]>, now: Now) -> Option<Outcome> {
        let Held { waiting, body: progress, body_due } = self.take(id)?;
        let Some(body) = body else { return Some(self.refused(&waiting, Denial::BodyUnreadable)) };
        let step = self.authorizer.on_body(*waiting, body, now);
        match self.hold(step, progress, body_due) {
            // One body is asked for once.
            None | Some(Due::Body) => None,
            Some(Due::Decision(outcome)) => Some(outcome),
        }
    }

    /// Time has passed: key requests that were put back may be sent.
    pub fn on_tick(&mut self) {
        self.authorizer.keys().on_tick();
    }

    /// Does one piece of work that other requests or the time have made due. `None` if there is none at `now`; else the
    /// request that it was about, if it was about one, and what is due about that.
    pub fn poll(&mut self, now: Now) -> Option<Option<(WaiterId, Due)>> {
        match self.authorizer.keys().poll(now) {
            Some(Progress::Woken(id, wake)) => return Some(self.woken(id, wake, now).map(|due| (id, due))),
            Some(Progress::Expired) => return Some(None),
            None => {}
        }
        let (_, id) = *self.body_deadlines.first().filter(|(due, _)| now.monotonic >= *due)?;
        let Held { waiting, body, body_due } = self.take(id)?;
        if waiting.awaits() == Awaits::End {
            // Whoever announces more for so long has more to send than a preflight.
            let step = self.authorizer.on_end(*waiting, true);
            return Some(self.hold(step, body, body_due).map(|due| (id, due)));
        }
        let denial = waiting.body_denial(BodyFault::Timeout);
        Some(Some((id, Due::Decision(self.refused(&waiting, denial)))))
    }

    /// The same about `id` alone, ahead of all others: what other requests have made due about it.
    pub fn poll_one(&mut self, id: WaiterId, now: Now) -> Option<Due> {
        let wake = self.authorizer.keys().wake(id)?;
        self.woken(id, wake, now)
    }

    /// Whether [`Self::poll`] has work that does not depend on the time.
    pub fn has_work(&mut self) -> bool {
        self.authorizer.keys().has_woken()
    }

    /// Whether [`Self::on_tick`] and [`Self::poll`] have something to wait for.
    pub fn needs_tick(&mut self) -> bool {
        !self.body_deadlines.is_empty() || self.authorizer.keys().needs_tick()
    }

    /// The request is over, however it ended.
    pub fn forget(&mut self, id: WaiterId) {
        self.take(id);
        self.authorizer.keys().forget(id);
    }

    /// Goes on with a request whose wait for a key is over.
    fn woken(&mut self, id: WaiterId, wake: Wake, now: Now) -> Option<Due> {
        let Held { waiting, body, body_due } = self.take(id)?;
        match wake {
            Wake::LookUp => {
                let step = self.authorizer.resume(*waiting, now);
                self.hold(step, body, body_due)
            }
            Wake::TurnedAway => {
                let denial = Denial::TooManyWaiting { retry_after: 1 };
                Some(Due::Decision(self.refused(&waiting, denial)))
            }
        }
    }

    /// Holds a request that waits; what is due about it otherwise.
    fn hold(&mut self, step: Step, body: Body, body_due: Duration) -> Option<Due> {
        let waiting = match step {
            Step::Done(outcome) => return Some(self.decided(outcome)),
            Step::Wait(waiting) => waiting,
        };
        let id = waiting.waiter();
        let held_bytes = self.held_bytes.saturating_add(waiting.held_bytes());
        if held_bytes > self.authorizer.config().max_held_bytes {
            self.authorizer.keys().forget(id);
            return Some(Due::Decision(self.refused(&waiting, Denial::TooManyHeldBytes)));
        }
        self.held_bytes = held_bytes;
        let held = Held { waiting, body, body_due };
        if held.needs_body() {
            self.body_deadlines.insert((body_due, id));
        }
        self.held.insert(id, held);
        self.body_due(id)
    }

    /// Takes a request out of those that are held.
    fn take(&mut self, id: WaiterId) -> Option<Held> {
        let held = self.held.remove(&id)?;
        self.held_bytes = self.held_bytes.saturating_sub(held.waiting.held_bytes());
        self.body_deadlines.remove(&(held.body_due, id));
        Some(held)
    }

    fn decided(&self, Outcome { decision, facts }: Outcome) -> Due {
        let decision = match decision {
            Decision::Deny(denial) => self.authorizer.refuse(denial),
            other => other,
        };
        Due::Decision(Outcome { decision, facts })
    }

    fn refused(&self, waiting: &Waiting, denial: Denial) -> Outcome {
        Outcome { decision: self.authorizer.refuse(denial), facts: waiting.facts().clone() }
    }

    /// What is due about the body of a request that is held.
    fn body_due(&mut self, id: WaiterId) -> Option<Due> {
        let held = self.held.get(&id)?;
        match held.waiting.awaits() {
            Awaits::Key => return None,
            Awaits::End if held.body.bytes == 0 && !held.body.complete => return None,
            Awaits::End => {
                let Held { waiting, body, body_due } = self.take(id)?;
                let step = self.authorizer.on_end(*waiting, body.bytes > 0);
                return self.hold(step, body, body_due);
            }
            Awaits::Body => {}
        }
        let fault = match self.authorizer.body_fault(held.body.bytes) {
            // Too large already, whatever is still to come.
            Some(BodyFault::TooLarge) => BodyFault::TooLarge,
            _ if !held.body.complete => return None,
            Some(fault) => fault,
            None => {
                self.body_deadlines.remove(&(held.body_due, id));
                return Some(Due::Body);
            }
        };
        let Held { waiting, .. } = self.take(id)?;
        Some(Due::Decision(self.refused(&waiting, waiting.body_denial(fault))))
    }
}

impl Held {
    /// The body, or its first byte, is awaited and not complete.
    fn needs_body(&self) -> bool {
        self.waiting.awaits() != Awaits::Key && !self.body.complete
    }
}
