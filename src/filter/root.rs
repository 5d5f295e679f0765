//! The root context: configuration, callouts to the key service, and the requests that wait for them.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use log::error;
use proxy_wasm::hostcalls::dispatch_http_call;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, MapType};

use super::host::{self, HeaderMap};
use super::http::Http;
use super::plugin::{self, Due, Plugin};
use crate::authorizer::{Authorizer, Platform};
use crate::clock::Now;
use crate::config::{Config, KeySource};
use crate::keys::answer::Answer;
use crate::keys::{FetchId, KeyRequest};

pub(super) struct Root {
    id: u32,
    /// The configurations of this root, the current one last. The host may configure a root again while requests of the
    /// former configuration are under way.
    plugins: Vec<Rc<Plugin>>,
    /// Callouts under way by the host's token.
    callouts: HashMap<u32, Callout>,
}

struct Callout {
    plugin: Rc<Plugin>,
    fetch: FetchId,
    max_body_bytes: usize,
}

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self { id, plugins: Vec::new(), callouts: HashMap::new() }
    }

    /// Sends what the resolvers have queued. Only ever runs in a callback of the root: the SDK hands the answer to the
    /// context that was active when the callout was sent.
    fn send_queued(&mut self) {
        for plugin in self.plugins.clone() {
            while let Some(request) = plugin.next_request() {
                if let Some(token) = plugin.send(&request, dispatch) {
                    let (fetch, max_body_bytes) = (request.id, request.max_body_bytes);
                    self.callouts.insert(token, Callout { plugin: Rc::clone(&plugin), fetch, max_body_bytes });
                }
            }
        }
    }

    fn answer(&mut self, token: u32, headers: usize, body_size: usize) -> Vec<Due> {
        let Some(callout) = self.callouts.remove(&token) else {
            return Vec::new();
        };
        // Without a clock nobody who waits may pass: at the beginning of time every token is from the future.
        let now = host::now().unwrap_or(Now { unix: i64::MIN, monotonic: Duration::ZERO });
        // The host tells of a callout without an answer by an answer without headers.
        let map = if headers == 0 { None } else { HeaderMap::read(MapType::HttpCallResponseHeaders) };
        let pairs = map.as_ref().map(HeaderMap::pairs).unwrap_or_default();
        let values = |name: &[u8]| pairs.iter().filter(|(n, _)| *n == name).map(|(_, v)| *v).collect::<Vec<_>>();
        let status = values(b":status").first().and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        let body = match body_size {
            0 => Some(Vec::new()),
            size if size > callout.max_body_bytes => None,
            size => host::buffer(BufferType::HttpCallResponseBody, size),
        };
        let cache_control = values(b"cache-control");
        let age = values(b"age").first().copied();
        let answer = status.map(|status| Answer { status, cache_control: &cache_control, age, body: body.as_deref() });
        let mut due = callout.plugin.on_answer(callout.fetch, answer, now);
        self.send_queued();
        due.extend(callout.plugin.settle_unsent(now));
        due
    }
}

/// Sends one request; none if the host does not know the cluster or has no healthy host for it.
fn dispatch(source: &KeySource, request: &KeyRequest) -> Option<u32> {
    let mut headers = vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":path", request.path.as_str()),
        (":authority", &*source.authority),
    ];
    if !source.headers.iter().any(|(name, _)| **name == *"accept") {
        headers.push(("accept", "application/json"));
    }
    headers.extend(source.headers.iter().map(|(name, value)| (&**name, &**value)));
    dispatch_http_call(&source.cluster, headers, None, Vec::new(), source.timeout).ok()
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_size: usize, _trailers: usize) {
        let due = self.answer(token, headers, body_size);
        plugin::conclude(due, self.id);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = host::buffer(BufferType::PluginConfiguration, size).unwrap_or_default();
        if self.plugins.last().is_some_and(|plugin| plugin.configuration == configuration) {
            // Another listener with the same configuration: the keys that are held serve both.
            return true;
        }
        match Config::from_json(&configuration, &|name| std::env::var(name).ok()) {
            Ok(config) => {
                let authorizer = Authorizer::new(config, Platform { verify: super::verify::probed() });
                self.plugins.retain(|plugin| Rc::strong_count(plugin) > 1);
                self.plugins.push(Rc::new(Plugin::new(configuration, authorizer)));
                true
            }
            Err(refusal) => {
                error!("{refusal}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.send_queued();
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(id, self.id, self.plugins.last().cloned())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
