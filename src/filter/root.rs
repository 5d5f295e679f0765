//! The root context: configuration, callouts to the key service, and the requests that wait for them.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use log::error;
use zeroize::Zeroize as _;

use super::clock::{self, Turn};
use super::exports::{HttpContext, RootContext};
use super::host::{self, BufferType, HeaderMap, MapType};
use super::http::Http;
use super::metrics;
use super::plugin::{Plugin, REPORT_INTERVAL};
use crate::authorizer::{Authorizer, Platform};
use crate::clock::Now;
use crate::config::{Config, KeySource};
use crate::keys::KeyRequest;
use crate::keys::answer::Answer;

/// How often to look whether another worker has got an answer, or a new name may be asked about.
const TICK_MILLISECONDS: u32 = 10;
/// How soon to go on with work that was left when a callback's turn was over.
const BUSY_TICK_MILLISECONDS: u32 = 1;
/// How often to report counts when there is nothing else to do.
const IDLE_TICK_MILLISECONDS: u32 = REPORT_INTERVAL.as_millis() as u32;

pub(super) struct Root {
    id: u32,
    /// The configurations of this root, the current one last. The host may configure a root again while requests of the
    /// former configuration are under way.
    plugins: Vec<Rc<Plugin>>,
    /// Callouts under way by the host's token.
    callouts: BTreeMap<u32, (Rc<Plugin>, KeyRequest)>,
    /// Workers share what they learn: the host can, and the VM has a name, so that no other plugin reads along.
    sharing: bool,
    tick_milliseconds: u32,
}

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self { id, plugins: Vec::new(), callouts: BTreeMap::new(), sharing: false, tick_milliseconds: 0 }
    }

    /// Sends what the resolvers have queued. Only ever runs where the root is the effective context: the host hands the answer
    /// to the context that sent the request, and drops it with that context.
    fn send_queued(&mut self, now: Now, turn: &Turn) {
        for plugin in &self.plugins {
            let callouts = &mut self.callouts;
            plugin.send_requests(now, self.sharing, turn, |source, request| {
                let Some(token) = dispatch(source, request) else { return false };
                callouts.insert(token, (Rc::clone(plugin), request.clone()));
                true
            });
        }
    }

    /// Has the host call again as soon as there will be something to do.
    fn set_tick_period(&mut self, now: Now) {
        let any = |needs: &dyn Fn(&Plugin) -> bool| self.plugins.iter().any(|plugin| needs(plugin));
        let milliseconds = if any(&|plugin| plugin.has_work(now)) {
            BUSY_TICK_MILLISECONDS
        } else if any(&Plugin::needs_tick) {
            TICK_MILLISECONDS
        } else {
            IDLE_TICK_MILLISECONDS
        };
        if milliseconds != self.tick_milliseconds {
            self.tick_milliseconds = milliseconds;
            host::set_tick_period(milliseconds);
        }
    }

    /// Takes an answer; whether the request ended before it was answered.
    fn answer(&mut self, token: u32, headers: usize, body_size: usize, now: Now) -> bool {
        let Some((plugin, request)) = self.callouts.remove(&token) else { return true };
        // The host tells of a callout without an answer by an answer without headers.
        let map = if headers == 0 { None } else { HeaderMap::read(MapType::CallResponseHeaders) };
        let pairs = map.as_ref().and_then(HeaderMap::pairs).unwrap_or_default();
        let values = |name: &[u8]| pairs.iter().filter(|(n, _)| *n == name).map(|(_, v)| *v).collect::<Vec<_>>();
        let first = |name: &[u8]| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let status = first(b":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        let mut body = match body_size {
            0 => Some(Vec::new()),
            size if size > request.max_body_bytes => None,
            size => host::buffer(BufferType::CallResponseBody, size),
        };
        let cache_control = values(b"cache-control");
        let answer = status.map(|status| Answer {
            status,
            cache_control: &cache_control,
            age: first(b"age"),
            etag: first(b"etag"),
            body: body.as_deref(),
        });
        let ended_early = answer.as_ref().is_none_or(Answer::ended_early);
        plugin.on_answer(&request, answer, self.sharing, now);
        if request.is_private() {
            body.zeroize();
        }
        ended_early
    }

    fn proceed(&mut self, now: Now) {
        let turn = Turn::begin();
        self.send_queued(now, &turn);
        self.conclude(now, &turn);
        // A request whose one key has come may need another one.
        self.send_queued(now, &turn);
        self.set_tick_period(now);
    }

    /// Carries out what is due, unless this is the middle of a stream's callback.
    fn conclude(&self, now: Now, turn: &Turn) {
        for plugin in self.plugins.iter().filter(|plugin| !plugin.nested.get()) {
            plugin.conclude_due(self.id, now, turn);
        }
    }
}

/// Without a clock nobody who waits may pass: at the beginning of time every token is from the future.
fn now() -> Now {
    clock::exactly_now().unwrap_or(Now { unix: i64::MIN, monotonic: Duration::ZERO })
}

/// Whether workers can tell each other what they learn. Plugins whose VM has no name would all share one memory.
fn can_share() -> bool {
    let named = host::property("plugin_vm_id").is_some_and(|name| !name.is_empty());
    named && host::Shared::read("mdrm_authz.probe").is_some()
}

/// Something that differs from proxy to proxy and from worker to worker.
fn seed() -> Option<u64> {
    Some(RandomState::new().build_hasher().finish())
}

/// Sends one request; none if the host does not know the cluster or has no healthy host for it.
fn dispatch(source: &KeySource, request: &KeyRequest) -> Option<u32> {
    let mut headers = vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":path", request.path.as_str()),
        (":authority", &*source.authority),
    ];
    if let Some(etag) = &request.if_none_match {
        headers.push(("if-none-match", etag));
    }
    headers.extend(source.headers.iter().map(|(name, value)| (&**name, &**value)));
    host::send(&source.cluster, &headers, request.timeout)
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let configuration = host::buffer(BufferType::PluginConfiguration, size).unwrap_or_default();
        if self.plugins.last().is_some_and(|plugin| plugin.configuration == configuration) {
            // Another listener with the same configuration: the keys that are held serve both.
            return true;
        }
        // Hash maps need a seed, or whoever chooses their keys makes them slow.
        if host::random().is_none() {
            error!("the host gives no random numbers (random_get)");
            return false;
        }
        match Config::from_json(&configuration, &|name| std::env::var(name).ok()) {
            Ok(config) => {
                metrics::define();
                host::set_tick_period(IDLE_TICK_MILLISECONDS);
                self.tick_milliseconds = IDLE_TICK_MILLISECONDS;
                self.sharing = can_share();
                let platform = Platform {
                    verify: super::verify::probed(),
                    seed: seed(),
                    remember_tokens: true,
                    random: Some(host::random),
                };
                #[cfg(feature = "test-switches")]
                let platform = super::test_switches::restrict(platform);
                let authorizer = Authorizer::new(config, platform);
                // ABI 0.2.1 has no such answer, and a host that does not know it might let the request go. Envoy is known
                // by the one function that no other host has.
                let can_pause_all = super::verify::probed().is_some();
                self.plugins.retain(|plugin| Rc::strong_count(plugin) > 1);
                self.plugins.push(Rc::new(Plugin::new(configuration, authorizer, can_pause_all)));
                true
            }
            Err(refusal) => {
                error!("{refusal}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        #[cfg(feature = "test-switches")]
        let _timed = super::test_switches::Timed::begin();
        let now = now();
        for plugin in self.plugins.iter().filter(|plugin| !plugin.nested.get()) {
            plugin.on_tick(now);
            plugin.report(now);
        }
        self.proceed(now);
    }

    fn on_http_call_response(&mut self, token: u32, headers: usize, body_size: usize) {
        #[cfg(feature = "test-switches")]
        let _timed = super::test_switches::Timed::begin();
        let now = now();
        if self.answer(token, headers, body_size, now) {
            // Envoy says so as well while it removes a cluster, and must not be asked for another callout in the middle of that.
            self.conclude(now, &Turn::begin());
            self.set_tick_period(now);
        } else {
            self.proceed(now);
        }
    }

    fn create_http_context(&self, id: u32) -> Box<dyn HttpContext> {
        Box::new(Http::new(id, self.id, self.plugins.last().cloned()))
    }
}
