//! The plugin configurations under which the rows of the table are decided.
//!
//! Key service: cluster `keys`, one key a request at `/keys/{kid}`, a set at `/jwks.json` and `/owned.json`. Cluster `dead` has nothing
//! that listens, cluster `missing` does not exist.

use serde_json::{Value, json};

use super::keyring;
use crate::support::session;
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
    /// Session tokens, signed with `s-es256` unless the access key names another key.
    Session,
    /// Session tokens for access keys that name a session key.
    SessionByKey,
    /// Session tokens in `authorization`, and claims and the payload in headers.
    SessionAsAuthorization,
    /// Session tokens, and the client's token as well.
    SessionAndToken,
    /// Session keys from a key service with nothing that listens.
    DeadSessionKeys,
    /// The payload and claims in headers, and no session token.
    Claims,
    /// Both license requests and Trust Tunnel requests.
    TunnelPermissive,
    /// Trust Tunnel requests alone.
    TunnelEnforcing,
    /// No Trust Tunnel requests.
    TunnelOff,
    /// Trust Tunnel requests, the token inside goes on, session tokens and claims.
    TunnelForward,
    /// Master keys from a key service with nothing that listens.
    DeadMasterKeys,
    /// Documents are bound to the subject of the token.
    BindContent,
    /// The same with session tokens.
    CpixSession,
    /// Bodies of up to 1024 bytes: Trust Tunnel, documents that are bound and signed.
    SmallBodies,
    /// Another audience for signed documents.
    SignedForB,
    /// Routes that name hosts, and license requests on all others.
    Hosts,
}

impl Plugin {
    /// Every configuration.
    pub const ALL: [Plugin; 29] = [
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
        Plugin::Session,
        Plugin::SessionByKey,
        Plugin::SessionAsAuthorization,
        Plugin::SessionAndToken,
        Plugin::DeadSessionKeys,
        Plugin::Claims,
        Plugin::TunnelPermissive,
        Plugin::TunnelEnforcing,
        Plugin::TunnelOff,
        Plugin::TunnelForward,
        Plugin::DeadMasterKeys,
        Plugin::BindContent,
        Plugin::CpixSession,
        Plugin::SmallBodies,
        Plugin::SignedForB,
        Plugin::Hosts,
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
                .with("routes", json!([{"path_prefix": "/cpix", "service": "cpix"}]))
                .with("default_service", json!("license")),
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
            Plugin::Session => Plugin::Reference.configuration().with("session", session().with("kid", json!("s-es256"))),
            Plugin::SessionByKey => Plugin::Reference.configuration().with("session", session()),
            Plugin::SessionAsAuthorization => Plugin::Session
                .configuration()
                .with("session", session().with("kid", json!("s-es256")).with("header", json!("Authorization")))
                .with("upstream", claims()),
            Plugin::SessionAndToken => Plugin::Session.configuration().with("upstream", json!({"forward_token": true})),
            Plugin::DeadSessionKeys => {
                let keys = json!({"cluster": "dead", "timeout": "1s"});
                let session = session().with("kid", json!("s-es256")).with("keys", keys);
                Plugin::Reference.configuration().with("session", session)
            }
            Plugin::TunnelPermissive => Plugin::Reference.configuration().with("trust_tunnel", tunnel("permissive")),
            Plugin::TunnelEnforcing => Plugin::Reference.configuration().with("trust_tunnel", tunnel("enforcing")),
            Plugin::TunnelOff => Plugin::Reference.configuration().with("trust_tunnel", tunnel("off")),
            Plugin::TunnelForward => Plugin::Session
                .configuration()
                .with("trust_tunnel", tunnel("permissive"))
                .with("upstream", claims().with("forward_token", json!(true))),
            Plugin::DeadMasterKeys => {
                let tunnel = json!({"keys": {"cluster": "dead", "timeout": "1s"}});
                Plugin::Reference.configuration().with("trust_tunnel", tunnel)
            }
            Plugin::BindContent => {
                Plugin::Reference.configuration().with("services", json!({"cpix": {"bind_content": true}}))
            }
            Plugin::CpixSession => {
                Plugin::Session.configuration().with("services", json!({"cpix": {"bind_content": true}}))
            }
            Plugin::SmallBodies => Plugin::BindContent
                .configuration()
                .with("max_body_bytes", json!(1024))
                .with("trust_tunnel", tunnel("permissive")),
            Plugin::SignedForB => Plugin::Reference
                .configuration()
                .with("services", json!({"signed_cpix": {"audiences": ["urn:example:b"]}})),
            Plugin::Hosts => one_key.with(
                "routes",
                json!([
                    {"path_prefix": "/", "host": "public.example", "service": "open"},
                    {"path_prefix": "/", "host": "admin.example:8443", "service": "open"},
                    {"path_prefix": "/", "host": "*.keys.example", "service": "cpix"},
                    {"path_prefix": "/", "host": "Tenant.example:8443", "service": "cpix"},
                    {"path_prefix": "/", "host": "[::1]", "service": "cpix"},
                    {"path_prefix": "/", "service": "license"},
                ]),
            ),
            Plugin::Claims => Plugin::Reference.configuration().with("upstream", claims()),
        }
    }
}

fn session() -> Value {
    json!({"keys": {"cluster": "keys"}, "issuer": session::ISSUER, "audience": session::AUDIENCE})
}

fn tunnel(mode: &str) -> Value {
    json!({"mode": mode, "keys": {"cluster": "keys"}})
}

fn claims() -> Value {
    json!({
        "payload_header": "X-Jwt-Payload",
        "claim_headers": {
            "x-sub": "sub", "X-Subscriber": "subscriber", "x-level": "level", "x-hd": "hd", "x-absent": "no such claim",
            "cookie": "cookie",
        },
    })
}

fn routes() -> Value {
    json!([
        {"path": "/healthz", "service": "open"},
        {"path_prefix": "/fairplay/certificate", "service": "open"},
        {"path_prefix": "/widevine", "service": "license", "drm": "widevine"},
        {"path_prefix": "/playready", "service": "license", "drm": "playready"},
        {"path_prefix": "/fairplay", "service": "license", "drm": "fairplay"},
        {"path_prefix": "/cpix", "service": "cpix"},
        {"path_prefix": "/signed", "service": "signed_cpix"},
        {"path": "/first", "service": "open"},
        {"path_prefix": "/first", "service": "license"},
        {"path": "/second/protected", "service": "license"},
        {"path_prefix": "/second", "service": "open"},
        {"path": "/exact", "service": "license"},
        {"path_prefix": "/tenant", "host": "tenant.example.com", "service": "license"},
        {"path": "/status", "host": "status.example.com", "service": "open"},
    ])
}
