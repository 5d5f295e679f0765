//! The requests that one worker holds: what each waits for, how far its body has come, and what has become due.
//!
//! The order of events is the host's: a key may come before the body or after it, the body in any number of pieces, and the
//! client may go away at any time. Each request gets one decision, or is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::authorizer::{Authorizer, Awaits, Decision, Outcome, Removals, Step, Waiting};
use crate::clock::Now;
use crate::denial::{BodyFault, Denial};
use crate::keys::{Ticked, WaiterId};
use crate::request::RequestHead;

/// The requests of one configuration in one worker.
#[derive(Debug)]
pub struct Requests {
    authorizer: Authorizer,
    held: BTreeMap<WaiterId, Held>,
    due: Vec<(WaiterId, Due)>,
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
        Self { authorizer, held: BTreeMap::new(), due: Vec::new() }
    }

    /// What decides.
    pub fn authorizer(&mut self) -> &mut Authorizer {
        &mut self.authorizer
    }

    /// How many requests are held.
    pub fn held(&self) -> usize {
        self.held.len()
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
        let Held { waiting, body: progress, body_due } = self.held.remove(&id)?;
        let Some(body) = body else { return Some(self.refused(&waiting, Denial::BodyUnreadable)) };
        let step = self.authorizer.on_body(*waiting, body, now);
        match self.hold(step, progress, body_due) {
            // One body is asked for once.
            None | Some(Due::Body) => None,
            Some(Due::Decision(outcome)) => Some(outcome),
        }
    }

    /// The keys of these requests may have come.
    pub fn on_keys(&mut self, ready: Vec<WaiterId>, now: Now) {
        for id in ready {
            if let Some(Held { waiting, body, body_due }) = self.held.remove(&id) {
                let step = self.authorizer.resume(*waiting, now);
                let due = self.hold(step, body, body_due);
                self.due.extend(due.map(|due| (id, due)));
            }
        }
    }

    /// Time has passed.
    pub fn on_tick(&mut self, now: Now) {
        let Ticked { ready, turned_away } = self.authorizer.keys().on_tick(now);
        self.on_keys(ready, now);
        for id in turned_away {
            if let Some(Held { waiting, .. }) = self.held.remove(&id) {
                let denial = Denial::TooManyWaiting { retry_after: 1 };
                self.due.push((id, Due::Decision(self.refused(&waiting, denial))));
            }
        }
        let late =
            |(id, held): (&WaiterId, &Held)| (held.needs_body() && now.monotonic >= held.body_due).then_some(*id);
        let late: Vec<WaiterId> = self.held.iter().filter_map(late).collect();
        for id in late {
            if let Some(Held { waiting, .. }) = self.held.remove(&id) {
                let denial = waiting.body_denial(BodyFault::Timeout);
                self.due.push((id, Due::Decision(self.refused(&waiting, denial))));
            }
        }
    }

    /// Whether [`Self::on_tick`] has something to wait for.
    pub fn needs_tick(&mut self) -> bool {
        !self.due.is_empty() || self.authorizer.keys().needs_tick() || self.held.values().any(Held::needs_body)
    }

    /// Everything that has become due while other requests were served.
    pub fn take_due(&mut self) -> Vec<(WaiterId, Due)> {
        std::mem::take(&mut self.due)
    }

    /// What has become due about `id`.
    pub fn take_due_of(&mut self, id: WaiterId) -> Option<Due> {
        let (_, due) = self.due.extract_if(.., |(of, _)| *of == id).next()?;
        Some(due)
    }

    /// The request is over, however it ended.
    pub fn forget(&mut self, id: WaiterId) {
        self.held.remove(&id);
        self.due.retain(|(of, _)| *of != id);
        self.authorizer.keys().forget(id);
    }

    /// Holds a request that waits; what is due about it otherwise.
    fn hold(&mut self, step: Step, body: Body, body_due: Duration) -> Option<Due> {
        match step {
            Step::Done(outcome) => Some(self.decided(outcome)),
            Step::Wait(waiting) => {
                let id = waiting.waiter();
                self.held.insert(id, Held { waiting, body, body_due });
                self.body_due(id)
            }
        }
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
        if held.waiting.awaits() != Awaits::Body {
            return None;
        }
        let fault = match self.authorizer.body_fault(held.body.bytes) {
            // Too large already, whatever is still to come.
            Some(BodyFault::TooLarge) => BodyFault::TooLarge,
            _ if !held.body.complete => return None,
            Some(fault) => fault,
            None => return Some(Due::Body),
        };
        let Held { waiting, .. } = self.held.remove(&id)?;
        Some(Due::Decision(self.refused(&waiting, waiting.body_denial(fault))))
    }
}

impl Held {
    /// The body is awaited and not complete.
    fn needs_body(&self) -> bool {
        self.waiting.awaits() == Awaits::Body && !self.body.complete
    }
}
