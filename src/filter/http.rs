//! The context of one request.

use std::cell::Cell;
use std::rc::Rc;

use super::clock;
use super::exports::{self, Action, HeadAction, HttpContext};
use super::host::{self, HeaderMap, MapType};
use super::plugin::{Phase, Plugin, Stream};
use crate::authorizer::{Outcome, Removals};
use crate::clock::Now;
use crate::denial::Denial;
use crate::keys::WaiterId;
use crate::request::RequestHead;
use crate::requests::Due;

pub(super) struct Http {
    root: u32,
    /// None only if the host serves requests without ever having configured the root.
    plugin: Option<Rc<Plugin>>,
    stream: Stream,
}

impl Http {
    pub(super) fn new(id: u32, root: u32, plugin: Option<Rc<Plugin>>) -> Self {
        let (phase, mid_body) = (Rc::new(Cell::new(Phase::Undecided)), Rc::default());
        Self { root, plugin, stream: Stream { id, phase, mid_body, request_id: None } }
    }

    /// Reads the head, removes what must go, and returns the decision unless the request is held. None of it was done if
    /// the host does not hand over or change the head.
    fn decide(&mut self, plugin: &Plugin, end_of_stream: bool) -> Result<Option<Outcome>, Denial> {
        let map = HeaderMap::read(MapType::RequestHeaders).ok_or(Denial::HeadersUnreadable)?;
        let pairs = map.pairs().ok_or(Denial::HeadersUnreadable)?;
        let now = clock::now().ok_or(Denial::HeadersUnreadable)?;
        let head = RequestHead::new(&pairs, end_of_stream);
        #[cfg(feature = "test-switches")]
        super::test_switches::obey(&head);
        self.stream.request_id = head.first("x-request-id").map(Rc::from);
        let (removals, outcome) = plugin.on_head(head, &self.stream, now).ok_or(Denial::HeadersUnreadable)?;
        if !remove(&removals) {
            plugin.forget(self.stream.id);
            return Err(Denial::HeadersUnreadable);
        }
        if outcome.is_none() || plugin.has_requests(now) {
            self.tick(plugin);
        }
        Ok(outcome.or_else(|| self.settle_due(plugin, now)))
    }

    /// Removes what a client must not send; none if the host does not hand over the trailers.
    fn strip_trailers(&self, plugin: &Plugin) -> Option<()> {
        let map = MapType::RequestTrailers;
        let trailers = HeaderMap::read(map)?;
        for name in plugin.client_copies(trailers.pairs()?.into_iter().map(|(name, _)| name))? {
            host::remove(map, &name);
        }
        Some(())
    }

    /// What an event about the body has made due, up to the decision.
    fn on_body_due(&self, due: Option<Due>) {
        let (Some(plugin), Some(due)) = (&self.plugin, due) else { return };
        let Some(now) = clock::now() else {
            // What was due is taken out of what is held, so nobody would come back to it: as for a head without a clock.
            plugin.forget(self.stream.id);
            plugin.conclude(&self.stream, plugin.refused(Denial::HeadersUnreadable));
            return;
        };
        let outcome = plugin.settle(WaiterId(self.stream.id), due, now).or_else(|| {
            self.tick(plugin);
            self.settle_due(plugin, now)
        });
        if let Some(outcome) = outcome {
            plugin.conclude(&self.stream, outcome);
        }
    }

    /// What became due about this request while its keys were asked for. What became due about others stays for the
    /// root's next tick: to answer another stream in the middle of this one's callback makes Envoy hold this one,
    /// whatever the callback returns.
    fn settle_due(&self, plugin: &Plugin, now: Now) -> Option<Outcome> {
        let due = plugin.poll_one(self.stream.id, now)?;
        plugin.settle(WaiterId(self.stream.id), due, now)
    }

    /// Lets the root ask for keys, for this request or in the background, and watch over what is held.
    ///
    /// A key is for all who wait, so the request for it must be the root's: the host drops what a stream has sent when that
    /// stream ends.
    fn tick(&self, plugin: &Plugin) {
        if host::enter(self.root) {
            plugin.nested.set(true);
            exports::tick(self.root);
            plugin.nested.set(false);
            host::enter(self.stream.id);
        }
    }

    fn hold_unless_passed(&self) -> Action {
        if self.stream.phase.get() == Phase::Passed { Action::Continue } else { Action::Pause }
    }
}

fn remove(removals: &Removals) -> bool {
    let map = MapType::RequestHeaders;
    let path = removals.path.as_ref().is_none_or(|path| host::replace(map, b":path", path));
    removals.headers.iter().fold(path, |done, name| host::remove(map, name) && done)
}

impl HttpContext for Http {
    fn on_request_headers(&mut self, end_of_stream: bool) -> HeadAction {
        #[cfg(feature = "test-switches")]
        let _timed = super::test_switches::Timed::begin();
        let Some(plugin) = self.plugin.clone() else {
            self.stream.refuse(&Denial::HeadersUnreadable);
            return HeadAction::Pause;
        };
        let outcome = self.decide(&plugin, end_of_stream).unwrap_or_else(|denial| Some(plugin.refused(denial)));
        if let Some(outcome) = outcome {
            plugin.conclude(&self.stream, outcome);
        }
        match self.stream.phase.get() {
            Phase::Passed => HeadAction::Continue,
            // A body that nobody looks at stays with the client, however large it is.
            Phase::Undecided if plugin.can_pause_all && !plugin.reads_body(self.stream.id) => HeadAction::PauseAll,
            Phase::Undecided | Phase::Refused => HeadAction::Pause,
        }
    }

    // After `HeadAction::Pause` body and trailers arrive while the head is held, and would let the request go if they were
    // not held as well. `size` counts all of the body that is held.
    fn on_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.stream.phase.get() == Phase::Undecided
            && let Some(plugin) = &self.plugin
        {
            self.on_body_due(plugin.on_body(self.stream.id, size, end_of_stream));
        }
        // Envoy up to 1.39.0 loses the next piece of a body that was held and is let go from elsewhere: it puts that piece to
        // what was held by then, and goes on with an empty one. So what is let go in the middle of its body goes with the next
        // piece.
        self.stream.mid_body.set(!end_of_stream);
        self.hold_unless_passed()
    }

    fn on_request_trailers(&mut self) -> Action {
        self.stream.mid_body.set(false);
        let Some(plugin) = &self.plugin else { return self.hold_unless_passed() };
        match self.strip_trailers(plugin) {
            // Of a request that passed, the upstream has the rest already: what is left is to end it.
            None if self.stream.phase.get() != Phase::Refused => {
                let outcome = plugin.refused(Denial::HeadersUnreadable);
                plugin.conclude(&self.stream, outcome);
            }
            Some(()) if self.stream.phase.get() == Phase::Undecided => {
                self.on_body_due(plugin.on_trailers(self.stream.id));
            }
            _ => {}
        }
        self.hold_unless_passed()
    }
}

/// The host deletes the context when the request is over, however it ended. `on_log` would say the same a host call earlier,
/// and cost every request one.
impl Drop for Http {
    fn drop(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.forget(self.stream.id);
        }
    }
}
