//! The context of one request.

use std::cell::Cell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, MapType};

use super::host::{self, HeaderMap};
use super::plugin::{Phase, Plugin, Stream};
use crate::authorizer::{Decision, Removals, client_copies};
use crate::denial::Denial;
use crate::request::RequestHead;

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

    /// Reads the head, removes what must go, and returns the decision unless a key is awaited.
    fn decide(&mut self, end_of_stream: bool) -> Option<Decision> {
        let denied = Some(Decision::Deny(Denial::HeadersUnreadable));
        let (Some(plugin), Some(map), Some(now)) =
            (self.plugin.clone(), HeaderMap::read(MapType::HttpRequestHeaders), host::now())
        else {
            return denied;
        };
        let pairs = map.pairs();
        let head = RequestHead::new(&pairs, end_of_stream);
        self.stream.request_id = head.first("x-request-id").map(Rc::from);
        let Some((removals, decision)) = plugin.on_request(head, &self.stream, now) else {
            return denied;
        };
        if !remove(&removals) {
            plugin.forget(self.stream.id);
            return denied;
        }
        if !plugin.has_requests(now) {
            return decision;
        }
        // A key must be fetched, for this request or in the background.
        plugin.nested.set(true);
        host::tick(self.root, self.stream.id);
        plugin.nested.set(false);
        // What became due for others stays for the root's next tick: to answer another stream in the middle of this one's
        // callback makes Envoy hold this one, whatever the callback returns.
        decision.or_else(|| plugin.take_due_of(self.stream.id))
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
            self.stream.conclude(decision);
        }
        self.hold_unless_passed()
    }

    // With `allow_on_headers_stop_iteration` body and trailers arrive while the headers are held, and would let the
    // request go if they were not held as well.
    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        self.hold_unless_passed()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let map = MapType::HttpRequestTrailers;
        let Some(trailers) = HeaderMap::read(map) else {
            self.stream.refuse(&Denial::HeadersUnreadable);
            return Action::Pause;
        };
        for name in client_copies(trailers.pairs().into_iter().map(|(name, _)| name)) {
            host::remove(map, &name);
        }
        self.hold_unless_passed()
    }

    fn on_log(&mut self) {
        if let Some(plugin) = &self.plugin {
            plugin.forget(self.stream.id);
        }
    }
}
