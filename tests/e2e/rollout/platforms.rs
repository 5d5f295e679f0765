//! Istio and Envoy Gateway do not run here. What they make of the manifests does: the filter is put into Envoy as each of them puts it,
//! with the configuration, the clusters and the environment that its manifests name.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::keys::new_key;
use crate::now;
use crate::support::client;
use crate::support::envoy::{Envoy, Setup, required};
use crate::support::key_service::{Answer, KeyService};
use crate::support::manifests::{self, filters};
use crate::support::packages::project;
use crate::support::signer::SigningKey;
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, LICENSE_REQUEST, MEDIA_TYPE, MasterKey, Tunnel};
use crate::support::upstream::Upstream;

const FILTER: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const CREDENTIAL: (&str, &str) = ("KEY_SERVICE_CREDENTIAL", "s3cret");

/// An Envoy as a platform configures it, a key service that knows one key of each kind, and a license server.
struct Platform {
    envoy: Envoy,
    keys: KeyService,
    upstream: Upstream,
    access: SigningKey,
    master: MasterKey,
    _files: TempDir,
}

impl Platform {
    /// `listener` writes the listener `main`; files of it go to the folder. The cluster is the one that the manifests name.
    fn start(cluster: &str, listener: impl FnOnce(&Path) -> Value) -> Platform {
        let (upstream, keys, files) = (Upstream::start(), KeyService::start(), tempfile::tempdir().unwrap());
        let (access, master) = (new_key("k1"), MasterKey::generate("m1", KeyManagement::A256KW));
        keys.register(&access);
        keys.set("/session-keys/session-1", Answer::document(&new_key("session-1").private_jwk()));
        keys.set("/master-keys/m1", Answer::document(&master.jwk()));
        let mut setup = Setup::new(upstream.address()).cluster(cluster, keys.address());
        setup.raw_listeners.push(listener(files.path()));
        setup.environment.push((CREDENTIAL.0.to_owned(), CREDENTIAL.1.to_owned()));
        Platform { envoy: Envoy::start(setup), keys, upstream, access, master, _files: files }
    }

    fn code(&self, request: &Request) -> Option<u16> {
        let answered = client::exchange(self.envoy.address("main"), request, &[]).unwrap();
        assert!(answered.status == 200 || answered.code().is_some(), "{request:?} got {answered:?}");
        answered.code()
    }

    fn license(&self, path: &str) -> Request {
        Request::post(path).token(Token::new(&self.access).compact(now()))
    }

    /// What every platform does: a token passes, its absence and a path that no route names do not.
    fn check(&self) {
        assert_eq!(self.code(&self.license("/license/widevine")), None);
        assert!(self.upstream.received()[0].header("authorization").is_none());
        assert_eq!(self.code(&self.license("/elsewhere")), Some(503));
        assert_eq!(self.code(&Request::get("/healthz")), None);
        assert_eq!(self.code(&Request::post("/license/widevine")), Some(501));
        for asked in self.keys.received() {
            assert_eq!(asked.header("authorization").as_deref(), Some("Bearer s3cret"), "{asked:?}");
        }
        self.envoy.assert_healthy();
    }

    /// What a platform does that hands over bodies: tunnels are opened, and the license server gets a session token.
    fn check_with_bodies(&self) {
        assert_eq!(self.code(&self.tunnel()), None);
        let received = self.upstream.received().pop().unwrap();
        assert_eq!(received.body, LICENSE_REQUEST);
        assert!(received.header("x-mdrm-session").is_some(), "{received:?}");
    }

    fn tunnel(&self) -> Request {
        let tunnel = Tunnel::new(&self.master, Token::new(&self.access).compact(now()));
        Request::post("/license/widevine").content_type(MEDIA_TYPE).body(tunnel.body())
    }
}

/// A listener with these filters before its router. It answers on a free port.
fn listener(filters: &[Value], route: Value) -> Value {
    let mut filters = filters.to_vec();
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    filters.push(json!({"name": "envoy.filters.http.router", "typed_config": {"@type": router}}));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [merged(
            json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}),
            &route,
        )]}]},
        "http_filters": filters,
    });
    json!({
        "name": "main",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
        }]}],
    })
}

/// Objects member by member, the rest replaced: as Istio merges, but for its lists, which no patch here has.
fn merged(mut into: Value, patch: &Value) -> Value {
    match (&mut into, patch) {
        (Value::Object(members), Value::Object(patches)) => {
            for (name, patch) in patches {
                let old = members.remove(name).unwrap_or(Value::Null);
                members.insert(name.clone(), merged(old, patch));
            }
            into
        }
        _ => patch.clone(),
    }
}

/// What Istio's agent makes of remote code.
fn local_code() -> Value {
    json!({"local": {"filename": required("MDRM_WASM", "the finished module")}})
}

/// The patches of the EnvoyFilter, by what they apply to.
fn istio_patch(filter: &Value, apply_to: &str) -> Value {
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    let mut found = patches.iter().filter(|patch| patch["applyTo"] == apply_to);
    let patch = found.next().unwrap_or_else(|| panic!("no patch of {apply_to}"))["patch"]["value"].clone();
    assert!(found.next().is_none(), "two patches of {apply_to}");
    patch
}

#[test]
fn the_envoy_filter_of_istio_serves_licenses_and_opens_tunnels() {
    let filter = manifests::only("istio/envoy-filter.yaml").document;
    let platform = Platform::start("outbound|80||keys.example.com", |files| {
        let mut extension = istio_patch(&filter, "EXTENSION_CONFIG");
        extension["@type"] = json!("type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig");
        extension["typed_config"]["config"]["vm_config"]["code"] = local_code();
        let path = files.join("extension.json");
        fs::write(&path, json!({"resources": [extension]}).to_string()).unwrap();
        let mut http_filter = istio_patch(&filter, "HTTP_FILTER");
        assert_eq!(http_filter["name"], extension["name"]);
        // A file in place of the agent's stream.
        let source = &mut http_filter["config_discovery"]["config_source"];
        source.as_object_mut().unwrap().remove("ads").expect("the agent's stream");
        source["path_config_source"] = json!({"path": path});
        let mut listener = listener(&[http_filter], json!({}));
        let manager = &mut listener["filter_chains"][0]["filters"][0];
        *manager = merged(manager.take(), &istio_patch(&filter, "NETWORK_FILTER"));
        let routes = &mut manager["typed_config"]["route_config"];
        *routes = merged(routes.take(), &istio_patch(&filter, "ROUTE_CONFIGURATION"));
        merged(listener, &istio_patch(&filter, "LISTENER"))
    });
    platform.check();
    platform.check_with_bodies();
    // What the patch of the connection manager is for.
    let escaped = client::exchange(platform.envoy.address("main"), &Request::post("/license%2Fwidevine"), &[]).unwrap();
    assert_eq!((escaped.status, escaped.code()), (400, None));
}

#[test]
fn the_wasm_plugin_of_istio_serves_licenses_and_refuses_tunnels_at_once() {
    let spec = &manifests::only("istio/wasm-plugin.yaml").document["spec"];
    let platform = Platform::start("outbound|80||keys.example.com", |_| {
        let hosts: Vec<&Value> = spec["vmConfig"]["env"].as_array().unwrap().iter().map(|env| &env["name"]).collect();
        let wasm = json!({
            "@type": FILTER,
            "config": {
                "name": "istio-ingress.mdrm-authz",
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": spec["pluginConfig"].to_string(),
                },
                "failure_policy": spec["failStrategy"],
                "vm_config": {
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": local_code(),
                    "environment_variables": {"host_env_keys": hosts},
                },
            },
        });
        listener(&[json!({"name": "istio-ingress.mdrm-authz", "typed_config": wasm})], json!({}))
    });
    platform.check();
    assert_eq!(platform.code(&platform.tunnel()), Some(520));
    assert_eq!(platform.code(&platform.license("/cpix")), Some(503));
}

/// The filter as Envoy Gateway writes it into a listener, and what turns it on for a route.
fn envoy_gateway(patched: bool) -> Platform {
    let read = |name: &str| manifests::read(&[project().join("envoy/gateway").join(name)]);
    let policy = read("gateway.yaml").into_iter().find(|manifest| manifest.kind() == "EnvoyExtensionPolicy").unwrap();
    let patches = read("patch-policy.yaml").remove(0).document;
    let name = "envoyextensionpolicy/drm/mdrm-authz/wasm/0";
    let wasm = &policy.document["spec"]["wasm"][0];
    Platform::start("key_service", |_| {
        let mut filter = json!({
            "name": format!("envoy.filters.http.wasm/{name}"),
            "disabled": true,
            "typed_config": {
                "@type": FILTER,
                "config": {
                    "name": wasm["name"],
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue", "value": wasm["config"].to_string(),
                    },
                    "vm_config": {
                        "vm_id": name,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": local_code(),
                        "environment_variables": {"host_env_keys": wasm["env"]["hostKeys"]},
                    },
                },
            },
        });
        let patches = &patches["spec"]["jsonPatches"].as_array().unwrap()[1..];
        let of = |place: &str| {
            let patches = patches.iter().map(|patch| &patch["operation"]).filter(move |_| patched);
            let place = place.to_owned();
            patches.filter(move |operation| operation["jsonPath"].as_str().unwrap().starts_with(&place)).map(
                |operation| {
                    let member = operation["path"].as_str().unwrap().strip_prefix('/').unwrap();
                    (member.to_owned(), operation["value"].clone())
                },
            )
        };
        for (member, value) in of("$..http_filters[") {
            filter["typed_config"]["config"][member] = value;
        }
        assert_eq!(filters(&filter).len(), 1);
        let enabled = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}});
        let enabled = json!({"typed_per_filter_config": {format!("envoy.filters.http.wasm/{name}"): enabled}});
        let mut listener = listener(&[filter], enabled);
        for (member, value) in of("$..filters[") {
            listener["filter_chains"][0]["filters"][0]["typed_config"][member] = value;
        }
        listener
    })
}

#[test]
fn the_extension_policy_of_envoy_gateway_serves_licenses_and_opens_tunnels() {
    let platform = envoy_gateway(true);
    platform.check();
    platform.check_with_bodies();
}

#[test]
fn without_its_patch_envoy_gateway_serves_licenses_but_no_tunnels() {
    let platform = envoy_gateway(false);
    platform.check();
    // Envoy holds the body back: the filter gives up after body_timeout.
    assert_eq!(platform.code(&platform.tunnel()), Some(517));
}
