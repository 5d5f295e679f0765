//! The plugin configurations under which the rows of the table are decided.
//!
//! Key service: cluster `keys`, one key a request at `/keys/{kid}`, a set at `/jwks.json` and `/owned.json`. Cluster `dead` has nothing
//! that listens, cluster `missing` does not exist.

use serde_json::{Value, json};

use super::keyring;
use crate::support::signer::{Document, LICENSE, OWNER};

/// A named configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plugin {
    /// Routes for everything, the rest is denied. Defaults otherwise.
    Reference,
    /// No routes: every request is a license request. Defaults otherwise.
    NoRoutes,
    /// `upstream.forward_token`, otherwise as `Reference`.
    ForwardToken,
    /// Tokens of up to 64 KiB.
    LongTokens,
    /// Tokens of up to 256 bytes.
    ShortTokens,
    /// Audiences, ages, versions and skew other than the defaults.
    Adjusted,
    /// The slow algorithms allowed on any host.
    SlowAlgorithms,
    /// Keys from a JWK Set whose keys name their owner.
    KeySet,
    /// Keys from a JWK Set; keys that name no owner or scope get those of the configuration.
    OwnedKeySet,
    /// Keys in the configuration alone.
    Inline,
    /// Keys in the configuration beside a key service.
    InlineBesideService,
    /// A key service with nothing that listens.
    DeadKeyService,
    /// A cluster that does not exist.
    MissingCluster,
}

impl Plugin {
    /// Every configuration.
    pub const ALL: [Plugin; 13] = [
        Plugin::Reference,
        Plugin::NoRoutes,
        Plugin::ForwardToken,
        Plugin::LongTokens,
        Plugin::ShortTokens,
        Plugin::Adjusted,
        Plugin::SlowAlgorithms,
        Plugin::KeySet,
        Plugin::OwnedKeySet,
        Plugin::Inline,
        Plugin::InlineBesideService,
        Plugin::DeadKeyService,
        Plugin::MissingCluster,
    ];

    /// A name fit for a listener.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// The plugin configuration.
    pub fn configuration(self) -> Value {
        let one_key = json!({"keys": {"cluster": "keys"}});
        match self {
            Plugin::Reference => one_key.with("routes", routes()).with("default_service", json!("deny")),
            Plugin::NoRoutes => one_key,
            Plugin::ForwardToken => Plugin::Reference.configuration().with("upstream", json!({"forward_token": true})),
            Plugin::LongTokens => one_key.with("max_token_bytes", json!(65536)),
            Plugin::ShortTokens => one_key.with("max_token_bytes", json!(256)),
            Plugin::Adjusted => one_key
                .with("clock_skew", json!("2m"))
                .with(
                    "services",
                    json!({
                        "license": {"audiences": ["urn:example:a", "urn:example:b"], "max_age": "10m", "versions": [2, 3]},
                        "cpix": {"audiences": ["urn:example:c"], "max_age": "0.5h", "versions": [7]},
                    }),
                )
                .with("routes", json!([{"path_prefix": "/cpix", "service": "cpix"}])),
            Plugin::SlowAlgorithms => one_key.with("allow_slow_algorithms", json!(true)),
            Plugin::KeySet => json!({
                "keys": {"cluster": "keys", "path": "/jwks.json"}, "allow_slow_algorithms": true,
            }),
            Plugin::OwnedKeySet => json!({"keys": {
                "cluster": "keys", "path": "/owned.json", "issuer": OWNER, "audiences": [LICENSE],
            }}),
            Plugin::Inline => json!({"keys": {"inline": keyring::inline_set(), "issuer": OWNER, "audiences": [LICENSE]}}),
            Plugin::InlineBesideService => json!({"keys": {"cluster": "keys", "inline": keyring::shadowing_set()}}),
            Plugin::DeadKeyService => json!({"keys": {"cluster": "dead", "timeout": "1s"}}),
            Plugin::MissingCluster => json!({"keys": {"cluster": "missing"}}),
        }
    }
}

fn routes() -> Value {
    json!([
        {"path": "/healthz", "service": "open"},
        {"path_prefix": "/fairplay/certificate", "service": "open"},
        {"path_prefix": "/widevine", "service": "license", "drm": "widevine"},
        {"path_prefix": "/playready", "service": "license", "drm": "playready"},
        {"path_prefix": "/fairplay", "service": "license", "drm": "fairplay"},
        {"path_prefix": "/cpix", "service": "cpix"},
        {"path": "/first", "service": "open"},
        {"path_prefix": "/first", "service": "license"},
        {"path_prefix": "/second", "service": "license"},
        {"path": "/second/open", "service": "open"},
        {"path": "/exact", "service": "license"},
        {"path_prefix": "/tenant", "host": "tenant.example.com", "service": "license"},
        {"path": "/status", "host": "status.example.com", "service": "open"},
    ])
}
