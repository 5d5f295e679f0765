//! An Envoy with four workers and one filter before the license server, and a key service.

use serde_json::{Value, json};

use crate::support::envoy::{Envoy, Listener, Setup};
use crate::support::key_service::{Answer, KeyService};
use crate::support::signer::{Alg, LICENSE, OWNER, SigningKey};
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::upstream::Upstream;

/// How long a key is fresh, in seconds: short, so that it ends within every fault.
const FRESHNESS: u32 = 2;

/// What stands before the license server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// This one.
    MdrmAuthz,
    /// Envoy's own, with its keys from the same key service.
    JwtAuthn {
        /// Whether it fetches its keys ahead (`async_fetch`) or when a request needs them.
        ahead: bool,
    },
}

impl Filter {
    /// All that are compared.
    pub const ALL: [Filter; 3] =
        [Filter::MdrmAuthz, Filter::JwtAuthn { ahead: false }, Filter::JwtAuthn { ahead: true }];

    /// The name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Filter::MdrmAuthz => "mdrm-authz",
            Filter::JwtAuthn { ahead: false } => "jwt_authn",
            Filter::JwtAuthn { ahead: true } => "jwt_authn, async_fetch",
        }
    }

    /// The listener in its `version`th configuration: each is new, and all decide alike.
    fn listener(self, version: usize, port: u16) -> Listener {
        let limit = format!("{}s", 3600 + version);
        let plugin = json!({"keys": {"cluster": "keys", "timeout": "0.5s", "max_age_limit": limit}});
        let other_filter = match self {
            Filter::MdrmAuthz => None,
            Filter::JwtAuthn { ahead } => Some(jwt_authn(ahead, version)),
        };
        Listener { port, access_log: false, other_filter, ..Listener::new("main", &plugin) }
    }
}

/// The same checks as far as `jwt_authn` has them, with keys that are fresh for as long and a callout that may take as long.
fn jwt_authn(ahead: bool, version: usize) -> Value {
    let mut keys = json!({
        "http_uri": {"uri": "http://keys.example.com/jwks.json", "cluster": "keys", "timeout": "0.5s"},
        "cache_duration": format!("{FRESHNESS}s"),
    });
    if ahead {
        keys["async_fetch"] = json!({});
    }
    let provider = json!({
        "issuer": OWNER,
        "audiences": [LICENSE],
        "remote_jwks": keys,
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "clock_skew_seconds": 5,
        "payload_in_metadata": format!("version-{version}"),
    });
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"company": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "company"}}],
    })
}

/// The rig of a scenario.
pub struct Stand {
    /// The proxy; its listener is called `main`.
    pub envoy: Envoy,
    /// The license server.
    pub upstream: Upstream,
    /// The key service, cluster `keys`.
    pub keys: KeyService,
    /// What is probed.
    pub filter: Filter,
    /// A key that is registered.
    pub key: SigningKey,
    port: u16,
    versions: usize,
}

impl Stand {
    /// Four workers.
    pub fn start(filter: Filter) -> Stand {
        Stand::adjusted(filter, 0, |_| ())
    }

    /// With a port of its own (0: any) and changes to the set-up.
    pub fn adjusted(filter: Filter, port: u16, adjust: impl FnOnce(&mut Setup)) -> Stand {
        let (upstream, keys) = (Upstream::start(), KeyService::start());
        let key = SigningKey::generate("known", Alg::ES256);
        let mut setup = Setup::new(upstream.address()).cluster("keys", keys.address()).workers(4);
        setup.dynamic = true;
        setup.drain_seconds = 5;
        setup.log_level = "warning".to_owned();
        setup.listeners.push(filter.listener(0, port));
        adjust(&mut setup);
        let stand = Stand { envoy: Envoy::start(setup), upstream, keys, filter, key, port, versions: 0 };
        stand.register(&stand.key.clone(), |answer| answer);
        stand
    }

    /// Has the key service know this key, for each filter where it looks.
    pub fn register(&self, key: &SigningKey, change: impl Fn(Answer) -> Answer) {
        let fresh = |answer: Answer| change(answer.header("cache-control", &format!("max-age={FRESHNESS}")));
        self.keys.set_for(key.kid(), fresh(Answer::document(&key.jwk())));
        self.keys.set("/jwks.json", fresh(Answer::set(&[key.jwk()])));
    }

    /// Requests for this filter's keys so far.
    pub fn callouts(&self, key: &SigningKey) -> usize {
        match self.filter {
            Filter::MdrmAuthz => self.keys.count_for(key.kid()),
            Filter::JwtAuthn { .. } => self.keys.count("/jwks.json"),
        }
    }

    /// The next configuration of the filter is pushed.
    ///
    /// # Panics
    ///
    /// If Envoy does not take it.
    pub fn push(&mut self) {
        self.versions += 1;
        let listener = self.filter.listener(self.versions, self.port);
        assert!(self.envoy.push(vec![listener]), "a configuration is taken:\n{}", self.envoy.log());
    }

    /// The cluster of the key service goes, or comes back.
    ///
    /// # Panics
    ///
    /// If Envoy does not take it.
    pub fn set_cluster(&mut self, there: bool) {
        let clusters = if there { vec![("keys".to_owned(), self.keys.address())] } else { Vec::new() };
        assert!(self.envoy.push_clusters(clusters), "clusters are taken:\n{}", self.envoy.log());
    }
}

/// A license request with this token.
pub fn license(token: &Token, now: i64) -> Request {
    Request::get("/license").token(format!("Bearer {}", token.compact(now)))
}
