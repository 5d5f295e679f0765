//! What is compared: a listener for each, alike but for its filters.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::signer::{LICENSE, OWNER};

const TYPES: &str = "type.googleapis.com/envoy.extensions.filters";

/// A listener, by its name, which is also the name in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lane(pub &'static str);

impl Lane {
    /// No filter whose cost is asked for.
    pub const NONE: Lane = Lane("no filter");
    /// Envoy's own filter.
    pub const JWT_AUTHN: Lane = Lane("jwt_authn");
    /// The filter under test.
    pub const FILTER: Lane = Lane("mdrm-authz");

    /// The listener, with these filters before the router.
    pub fn listener(self, filters: &[Value]) -> Value {
        let router = filter("router", "router.v3.Router", json!({}));
        let filters: Vec<Value> = filters.iter().cloned().chain([router]).collect();
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
            "name": self.0,
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        })
    }
}

/// A plugin configuration: the defaults, but that tokens and keys may be as old as the run is long.
pub fn plugin() -> Value {
    let long = json!({"max_age": "24h"});
    json!({
        "keys": {"cluster": "keys", "max_age": "24h", "max_age_limit": "24h"},
        "routes": [
            {"path_prefix": "/license/widevine", "service": "license", "drm": "widevine"},
            {"path_prefix": "/cpix", "service": "cpix"},
            {"path_prefix": "/signed", "service": "signed_cpix"},
            {"path_prefix": "/open", "service": "open"},
        ],
        "default_service": "deny",
        "services": {"license": long, "cpix": long},
        "access_log": "denied",
    })
}

/// A wasm filter in a VM of its own: those with the same `id` would share its memory.
pub fn wasm(id: &str, module: &Path, plugin: &Value) -> Value {
    filter(
        "wasm",
        "wasm.v3.Wasm",
        json!({"config": {
            "name": id,
            "root_id": id,
            "failure_policy": "FAIL_CLOSED",
            "allow_on_headers_stop_iteration": true,
            "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin.to_string()},
            "vm_config": {"vm_id": id, "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
        }}),
    )
}

/// The same checks at the same places as ours, as far as `jwt_authn` has them. `jwks` is a JWK Set.
pub fn jwt_authn(jwks: &Value, cached_tokens: Option<u32>) -> Value {
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
    let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "company"}});
    filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", json!({"providers": {"company": provider}, "rules": [rule]}))
}

/// Holds every request until its body is complete. Without it, Envoy would answer by `direct_response` before the body
/// came, and close the connection.
pub fn buffer() -> Value {
    filter("buffer", "buffer.v3.Buffer", json!({"max_request_bytes": 1 << 20}))
}

fn filter(name: &str, kind: &str, mut configuration: Value) -> Value {
    configuration["@type"] = json!(format!("{TYPES}.http.{kind}"));
    json!({"name": name, "typed_config": configuration})
}
