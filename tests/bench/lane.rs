//! What is compared: a listener for each, alike but for the filter.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::signer::{LICENSE, OWNER};

const TYPES: &str = "type.googleapis.com/envoy.extensions.filters";

/// A listener and the filter in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// No filter.
    None,
    /// A wasm filter that lets every request pass.
    Empty,
    /// A wasm filter that answers every request with a refusal of the same size as ours.
    EmptyReply,
    /// Envoy's own filter.
    JwtAuthn,
    /// Envoy's own filter with its token cache.
    JwtAuthnCached,
    /// The filter under test, with one key a request of the key service.
    Filter,
}

/// Files that the listeners name, and the keys.
pub struct Parts<'a> {
    /// The module under test.
    pub module: &'a Path,
    /// [`crate::empty::passing`].
    pub empty: &'a Path,
    /// [`crate::empty::answering`].
    pub empty_reply: &'a Path,
    /// The keys for `jwt_authn`: a JWK Set. Under test they come from the cluster `keys`.
    pub jwks: &'a Value,
}

impl Lane {
    /// All of them.
    pub const ALL: [Lane; 6] =
        [Lane::None, Lane::Empty, Lane::EmptyReply, Lane::JwtAuthn, Lane::JwtAuthnCached, Lane::Filter];

    /// The name in the report and of the listener.
    pub fn name(self) -> &'static str {
        match self {
            Lane::None => "no filter",
            Lane::Empty => "empty wasm filter",
            Lane::EmptyReply => "empty wasm filter that refuses",
            Lane::JwtAuthn => "jwt_authn",
            Lane::JwtAuthnCached => "jwt_authn, token cache",
            Lane::Filter => "mdrm-authz",
        }
    }

    /// The listener.
    pub fn listener(self, parts: &Parts<'_>) -> Value {
        let router = json!({"name": "router", "typed_config": {"@type": format!("{TYPES}.http.router.v3.Router")}});
        let filters: Vec<Value> = self.filter(parts).into_iter().chain([router]).collect();
        let manager = json!({
            "@type": format!("{TYPES}.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "ingress",
            "codec_type": "HTTP1",
            "generate_request_id": false,
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "license"}}},
            ]}]},
            "http_filters": filters,
        });
        json!({
            "name": self.name(),
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        })
    }

    fn filter(self, parts: &Parts<'_>) -> Option<Value> {
        match self {
            Lane::None => None,
            Lane::Empty => Some(wasm("empty", parts.empty, &json!({}))),
            Lane::EmptyReply => Some(wasm("empty-reply", parts.empty_reply, &json!({}))),
            Lane::JwtAuthn => Some(jwt_authn(parts.jwks, None)),
            // More than the tokens that are repeated; what else comes between their turns pushes them out, and the
            // lead-in brings them back.
            Lane::JwtAuthnCached => Some(jwt_authn(parts.jwks, Some(1000))),
            Lane::Filter => Some(wasm("mdrm", parts.module, &plugin())),
        }
    }
}

/// The plugin's configuration: the defaults, but that tokens may be as old as the run is long.
fn plugin() -> Value {
    json!({
        "keys": {"cluster": "keys", "max_age": "1h"},
        "routes": [{"path_prefix": "/license/widevine", "service": "license", "drm": "widevine"}],
        "default_service": "deny",
        "services": {"license": {"max_age": "24h"}},
        "access_log": "denied",
    })
}

fn wasm(id: &str, module: &Path, plugin: &Value) -> Value {
    json!({"name": id, "typed_config": {
        "@type": format!("{TYPES}.http.wasm.v3.Wasm"),
        "config": {
            "name": id,
            "root_id": id,
            "failure_policy": "FAIL_CLOSED",
            "allow_on_headers_stop_iteration": true,
            "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin.to_string()},
            // One VM for each: lanes with the same would share its memory.
            "vm_config": {"vm_id": id, "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
        },
    }})
}

/// The same checks at the same places as ours, as far as `jwt_authn` has them.
fn jwt_authn(jwks: &Value, cached_tokens: Option<u32>) -> Value {
    let mut provider = json!({
        "issuer": OWNER,
        "audiences": [LICENSE],
        "local_jwks": {"inline_string": jwks.to_string()},
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "from_params": ["Authorization"],
        "clock_skew_seconds": 5,
    });
    if let Some(size) = cached_tokens {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": size});
    }
    json!({"name": "jwt_authn", "typed_config": {
        "@type": format!("{TYPES}.http.jwt_authn.v3.JwtAuthentication"),
        "providers": {"company": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "company"}}],
    }})
}
