//! Envoy with one listener, an upstream and a key service: what most tests need.

use serde_json::Value;

use super::client;
use super::envoy::{Envoy, Listener, Setup};
use super::exchange::Answered;
use super::key_service::KeyService;
use super::table::Request;
use super::upstream::Upstream;

/// The three, running.
pub struct Rig {
    /// The proxy; its only listener is called `main`.
    pub envoy: Envoy,
    /// The license server.
    pub upstream: Upstream,
    /// The key service, cluster `keys`. It knows no key until a test registers one.
    pub keys: KeyService,
}

impl Rig {
    /// One worker, and this plugin configuration.
    pub fn start(plugin: &Value) -> Rig {
        Rig::adjusted(plugin, |_| ())
    }

    /// The same with changes to the set-up before Envoy starts.
    pub fn adjusted(plugin: &Value, adjust: impl FnOnce(&mut Setup)) -> Rig {
        let (upstream, keys) = (Upstream::start(), KeyService::start());
        let mut setup = Setup::new(upstream.address()).cluster("keys", keys.address());
        setup.listeners.push(Listener::new("main", plugin));
        adjust(&mut setup);
        Rig { envoy: Envoy::start(setup), upstream, keys }
    }

    /// The answer to a request over HTTP/1.1 on a connection of its own.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn exchange(&self, request: &Request) -> Answered {
        let answered = client::exchange(self.envoy.address("main"), request, &[]);
        answered.unwrap_or_else(|error| panic!("no answer to {request:?}: {error}"))
    }

    /// The code with which a request is denied, or nothing if the upstream answered it.
    ///
    /// # Panics
    ///
    /// If the answer is neither.
    pub fn code(&self, request: &Request) -> Option<u16> {
        let answered = self.exchange(request);
        assert!(answered.status == 200 || answered.code().is_some(), "{request:?} got {answered:?}");
        answered.code()
    }
}
