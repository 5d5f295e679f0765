//! The context of one request.

use std::cell::Cell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use super::host::{self, HeaderMap};
use super::plugin::{Phase, Plugin, Stream};
use crate::authorizer::{Decision, Removals};
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
        Self { root, plugin, stream: Stream { id, phase: Rc::new(Cell::new(Phase::Undecided)), request_id: None } }
    }

    /// Reads the head, removes what must go, and returns the decision unless the request is held.
    fn decide(&mut self, end_of_stream: bool) -> Option<Decision> {
        let denied = Some(Decision::Deny(Denial::HeadersUnreadable));
        let (Some(plugin), Some(map), Some(now)) =
            (self.plugin.clone(), HeaderMap::read(MapType::HttpRequestHeaders), host::now())
        else {
            return denied;
        };
        let Some(pairs) = map.pairs() else { return denied };
        let head = RequestHead::new(&pairs, end_of_stream);
        self.stream.request_id = head.first("x-request-id").map(Rc::from);
        let Some((removals, decision)) = plugin.on_head(head, &self.stream, now) else {
            return denied;
        };
        if !remove(&removals) {
            plugin.forget(self.stream.id);
            return denied;
        }
        if decision.is_none() || plugin.has_requests(now) {
            self.tick(&plugin);
        }
        decision.or_else(|| self.settle_due(&plugin, now))
    }

    /// What an event about the body has made due, up to the decision.
    fn on_body_due(&self, due: Option<Due>) {
        let (Some(plugin), Some(due)) = (&self.plugin, due) else { return };
        let Some(now) = host::now() else {
            // Held on; the root's tick decides when there is a clock again.
            return;
        };
        let decision = plugin.settle(WaiterId(self.stream.id), due, now).or_else(|| {
            self.tick(plugin);
            self.settle_due(plugin, now)
        });
        if let Some(decision) = decision {
            plugin.conclude(&self.stream, decision);
        }
    }

    /// What became due about this request while its keys were asked for. What became due about others stays for the
    /// root's next tick: to answer another stream in the middle of this one's callback makes Envoy hold this one,
    /// whatever the callback returns.
    fn settle_due(&self, plugin: &Plugin, now: Now) -> Option<Decision> {
        let due = plugin.take_due_of(self.stream.id)?;
        plugin.settle(WaiterId(self.stream.id), due, now)
    }

    /// Lets the root ask for keys, for this request or in the background, and watch over what is held.
    fn tick(&self, plugin: &Plugin) {
        plugin.nested.set(true);
        host::tick(self.root, self.stream.id);
        plugin.nested.set(false);
    }

    fn hold_unless_passed(&self) -> Action {
        if self.stream.phase.get() == Phase::Passed { Action::Continue } else { Action::Pause }
    }
}

fn remove(removals: &Removals) -> bool {
    let map = MapType::HttpRequestHeaders;
    let path = removals.path.as_ref().is_none_or(|path| host::replace(map, b":path", path));
    removals.headers.iter().fold(path, |done, name| host::remove(map, name) && done)
}

impl Context for Http {}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        if let Some(decision) = self.decide(end_of_stream) {
            match &self.plugin {
                Some(plugin) => drop(plugin.conclude(&self.stream, decision)),
                None => self.stream.refuse(&Denial::HeadersUnreadable),
            }
        }
        self.hold_unless_passed()
    }

    // With `allow_on_headers_stop_iteration` body and trailers arrive while the headers are held, and would let the
    // request go if they were not held as well. `size` counts all of the body that is held.
    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if self.stream.phase.get() == Phase::Undecided
            && let Some(plugin) = &self.plugin
        {
            self.on_body_due(plugin.on_body(self.stream.id, size, end_of_stream));
        }
        self.hold_unless_passed()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let map = MapType::HttpRequestTrailers;
        let trailers = HeaderMap::read(map);
        let pairs = trailers.as_ref().and_then(HeaderMap::pairs);
        let names = pairs.map(|pairs| pairs.into_iter().map(|(name, _)| name));
        let copies = names.and_then(|names| self.plugin.as_ref()?.client_copies(names));
        let Some(copies) = copies else {
            match &self.plugin {
                _ if self.stream.phase.get() == Phase::Refused => {}
                Some(plugin) => plugin.refuse(&self.stream, &Denial::HeadersUnreadable),
                None => self.stream.refuse(&Denial::HeadersUnreadable),
            }
            return Action::Pause;
        };
        for name in copies {
            host::remove(map, &name);
        }
        if self.stream.phase.get() == Phase::Undecided
            && let Some(plugin) = &self.plugin
        {
            self.on_body_due(plugin.on_trailers(self.stream.id));
        }
        self.hold_unless_passed()
    }

    fn on_log(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.forget(self.stream.id);
        }
    }
}
