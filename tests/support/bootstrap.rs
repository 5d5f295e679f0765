//! The configuration of an Envoy under test, written as JSON: listeners with the module in front of an upstream, each with a plugin
//! configuration of its own, all in one VM.

use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::envoy::required;
use super::sandbox::Host;
use super::server;

const TYPES: &str = "type.googleapis.com/envoy.extensions";
/// What the module with test switches leaves out, with commas between: as a variable of the VM, and of the tests for all their VMs.
const WITHOUT: &str = "MDRM_TEST_WITHOUT";

/// Whether all VMs of this run are without `what`: what is no decision may then be another.
pub fn runs_without(what: &str) -> bool {
    env::var(WITHOUT).is_ok_and(|all| all.split(',').any(|one| one == what))
}

/// What an Envoy is started with.
pub struct Setup {
    /// Worker threads.
    pub concurrency: u32,
    /// The listeners to start with.
    pub listeners: Vec<Listener>,
    /// Listeners besides, written out in full.
    pub raw_listeners: Vec<Value>,
    /// Clusters besides `upstream` and `dead`: name and address.
    pub clusters: Vec<(String, SocketAddr)>,
    /// Where allowed requests go.
    pub upstream: SocketAddr,
    /// Whether the upstream is spoken to in HTTP/2.
    pub upstream_http2: bool,
    /// Whether listeners, and the clusters besides `upstream` and `dead`, come from files that can be replaced, see
    /// [`super::envoy::Envoy::push`] and [`super::envoy::Envoy::push_clusters`].
    pub dynamic: bool,
    /// Variables of the VM's environment.
    pub vm_environment: Vec<(String, String)>,
    /// Variables of the environment of the process.
    pub environment: Vec<(String, String)>,
    /// The host that it runs on, if that is not the test's own.
    pub host: Option<Arc<Host>>,
    /// The name of the VM, which all listeners share.
    pub vm_id: String,
    /// The environment variable with the path of the module.
    pub module: &'static str,
    /// Runtime flags of Envoy that differ from what it does by itself.
    pub runtime: Vec<(String, Value)>,
    /// How much Envoy logs.
    pub log_level: String,
    /// The whole configuration in YAML, in place of what the rest above makes up, but for workers and log level.
    pub written_out: Option<String>,
    /// Whether another process may take over while it serves, see [`super::envoy::Envoy::restart`]. Its listeners need
    /// ports of their own.
    pub hot_restart: bool,
    /// How long connections to what was replaced may stay, listener or process; each is told to close with its next answer.
    /// Envoy's default is ten minutes.
    pub drain_seconds: u32,
}

/// A listener with the module in front of the upstream.
#[derive(Clone)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Its port; 0: one that is free.
    pub port: u16,
    /// The plugin configuration, as text so that it may be malformed.
    pub plugin: String,
    /// Whether the plugin may stop the headers and yet get the body.
    pub stop_iteration: bool,
    /// The largest request header in KiB; Envoy's default is 60.
    pub max_headers_kb: u32,
    /// Whether Envoy itself normalises paths first.
    pub normalize_path: bool,
    /// Whether websockets and CONNECT are passed on.
    pub upgrades: bool,
    /// Whether Envoy itself follows a redirect of the upstream.
    pub follow_redirects: bool,
    /// Whether Envoy's CORS filter stands in front, for `https://player.example.com`.
    pub cors: bool,
    /// Whether there is an access log.
    pub access_log: bool,
    /// A domain of the virtual hosts that goes to another cluster than all others.
    pub virtual_host: Option<(String, String)>,
    /// Whether virtual hosts are found without the port of a request's host.
    pub ignore_port_in_host_matching: bool,
    /// Whether Envoy takes off the final dot of a request's host.
    pub strip_trailing_host_dot: bool,
    /// Whether the plugin configuration is a protobuf `Struct`, and not a text.
    pub plugin_as_struct: bool,
    /// Another filter in the place of the module, its configuration with its type.
    pub other_filter: Option<Value>,
}

impl Setup {
    /// One worker, no listener yet.
    pub fn new(upstream: SocketAddr) -> Setup {
        Setup {
            concurrency: 1,
            listeners: Vec::new(),
            raw_listeners: Vec::new(),
            clusters: Vec::new(),
            upstream,
            upstream_http2: false,
            dynamic: false,
            vm_environment: env::var(WITHOUT).map(|what| (WITHOUT.to_owned(), what)).into_iter().collect(),
            environment: Vec::new(),
            host: None,
            vm_id: "mdrm".to_owned(),
            module: "MDRM_WASM",
            runtime: Vec::new(),
            log_level: "info".to_owned(),
            written_out: None,
            hot_restart: false,
            drain_seconds: 1,
        }
    }

    /// The module with test switches, in whose VMs one thing is missing that no decision may depend on: `verify_signature`, the
    /// host's function, or `remembered_tokens`.
    #[must_use]
    pub fn without(mut self, what: &str) -> Setup {
        self.module = "MDRM_WASM_TEST_SWITCHES";
        self.vm_environment = vec![(WITHOUT.to_owned(), what.to_owned())];
        self
    }

    /// The module with test switches, which measures its longest callback.
    pub fn measure_callbacks(&mut self) {
        self.module = "MDRM_WASM_TEST_SWITCHES";
    }

    /// One listener more.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Setup {
        self.listeners.push(listener);
        self
    }

    /// One cluster more.
    #[must_use]
    pub fn cluster(mut self, name: &str, address: SocketAddr) -> Setup {
        self.clusters.push((name.to_owned(), address));
        self
    }

    /// So many workers.
    #[must_use]
    pub fn workers(mut self, concurrency: u32) -> Setup {
        self.concurrency = concurrency;
        self
    }

    /// Of the host that it runs on.
    fn address(&self) -> IpAddr {
        self.host.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), |host| host.address)
    }

    /// Writes Envoy's bootstrap configuration to this directory.
    pub(super) fn write_bootstrap(&self, directory: &Path) -> PathBuf {
        // Envoy goes by the end of the name.
        let (name, text) = match &self.written_out {
            Some(yaml) => ("bootstrap.yaml", yaml.clone()),
            None => ("bootstrap.json", self.bootstrap(directory).to_string()),
        };
        fs::write(directory.join(name), text).unwrap();
        directory.join(name)
    }

    /// Envoy's bootstrap configuration. Files go to this directory.
    fn bootstrap(&self, directory: &Path) -> Value {
        let mut clusters = if self.dynamic { Vec::new() } else { self.clusters_json() };
        clusters.push(cluster("upstream", self.upstream, self.upstream_http2));
        clusters.push(cluster("dead", server::nobody(), false));
        let mut bootstrap = json!({
            "admin": {"address": address(SocketAddr::new(self.address(), 0))},
            "node": {"id": "test", "cluster": "test"},
            "static_resources": {"clusters": clusters},
        });
        if !self.runtime.is_empty() {
            let flags: serde_json::Map<String, Value> = self.runtime.iter().cloned().collect();
            bootstrap["layered_runtime"] = json!({"layers": [{"name": "test", "static_layer": flags}]});
        }
        if self.dynamic {
            let source = |kind: &str| {
                json!({
                    "path_config_source": {
                        "path": directory.join(kind).join("current.json"),
                        "watched_directory": {"path": directory.join(kind)},
                    },
                    "resource_api_version": "V3",
                })
            };
            bootstrap["dynamic_resources"] =
                json!({"lds_config": source("listeners"), "cds_config": source("clusters")});
        } else {
            bootstrap["static_resources"]["listeners"] = self.listeners_json(directory).into();
        }
        bootstrap
    }

    /// Replaces the file of the listeners.
    pub(super) fn write_listeners(&self, directory: &Path) {
        self.write(directory, "listeners", "listener.v3.Listener", self.listeners_json(directory));
    }

    /// Replaces the file of the clusters.
    pub(super) fn write_clusters(&self, directory: &Path) {
        self.write(directory, "clusters", "cluster.v3.Cluster", self.clusters_json());
    }

    /// Replaces a file of resources in one step, as Envoy wants it.
    fn write(&self, directory: &Path, kind: &str, resource: &str, mut resources: Vec<Value>) {
        if self.dynamic {
            for one in &mut resources {
                one["@type"] = json!(format!("type.googleapis.com/envoy.config.{resource}"));
            }
            let directory = directory.join(kind);
            fs::create_dir_all(&directory).unwrap();
            let next = directory.join("next.json");
            fs::write(&next, json!({"resources": resources}).to_string()).unwrap();
            fs::rename(next, directory.join("current.json")).unwrap();
        }
    }

    fn clusters_json(&self) -> Vec<Value> {
        self.clusters.iter().map(|(name, address)| cluster(name, *address, false)).collect()
    }

    fn listeners_json(&self, directory: &Path) -> Vec<Value> {
        let with_module = self.listeners.iter().map(|listener| listener.json(directory, self));
        with_module.chain(self.raw_listeners.iter().cloned()).collect()
    }
}

impl Listener {
    /// A listener with this plugin configuration, set up as the reference configuration sets it up, but for larger headers.
    pub fn new(name: &str, plugin: &Value) -> Listener {
        Listener {
            name: name.to_owned(),
            port: 0,
            plugin: plugin.to_string(),
            stop_iteration: true,
            max_headers_kb: 8192,
            normalize_path: false,
            upgrades: false,
            follow_redirects: false,
            cors: false,
            access_log: true,
            virtual_host: None,
            ignore_port_in_host_matching: false,
            strip_trailing_host_dot: false,
            plugin_as_struct: false,
            other_filter: None,
        }
    }

    fn json(&self, directory: &Path, setup: &Setup) -> Value {
        let environment: serde_json::Map<String, Value> =
            setup.vm_environment.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let plugin = if self.plugin_as_struct {
            let value: Value = serde_json::from_str(&self.plugin).expect("a Struct is made of JSON");
            json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": value})
        } else {
            json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": self.plugin})
        };
        let wasm = json!({
            "@type": format!("{TYPES}.filters.http.wasm.v3.Wasm"),
            "config": {
                "name": "mdrm",
                "root_id": "mdrm",
                "failure_policy": "FAIL_RELOAD",
                "allow_on_headers_stop_iteration": self.stop_iteration,
                "configuration": plugin,
                "vm_config": {
                    "vm_id": setup.vm_id,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": required(setup.module, "the finished module")}},
                    "environment_variables": {"key_values": environment},
                },
            },
        });
        let mut manager = json!({
            "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "ingress",
            "codec_type": "AUTO",
            "generate_request_id": false,
            "preserve_external_request_id": true,
            "normalize_path": self.normalize_path,
            "strip_trailing_host_dot": self.strip_trailing_host_dot,
            "stream_idle_timeout": "15s",
            "max_request_headers_kb": self.max_headers_kb,
            "http_protocol_options": {"enable_trailers": true, "accept_http_10": true, "default_host_for_http_10": "license.example.com"},
            "access_log": [access_log(&directory.join("access.log"))],
            "route_config": {"ignore_port_in_host_matching": self.ignore_port_in_host_matching, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
                {"match": {"connect_matcher": {}}, "route": {"cluster": "upstream"}},
            ]}]},
            "http_filters": [
                {"name": "mdrm", "typed_config": self.other_filter.as_ref().unwrap_or(&wasm)},
                {"name": "router", "typed_config": {"@type": format!("{TYPES}.filters.http.router.v3.Router")}},
            ],
        });
        if let Some((domain, cluster)) = &self.virtual_host {
            let host = json!({"name": domain, "domains": [domain], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": cluster}},
            ]});
            manager["route_config"]["virtual_hosts"].as_array_mut().unwrap().push(host);
        }
        if self.cors {
            let policy = json!({
                "@type": format!("{TYPES}.filters.http.cors.v3.CorsPolicy"),
                "allow_origin_string_match": [{"exact": "https://player.example.com"}],
                "expose_headers": "x-mdrm-error-code",
            });
            let filter =
                json!({"name": "cors", "typed_config": {"@type": format!("{TYPES}.filters.http.cors.v3.Cors")}});
            manager["route_config"]["virtual_hosts"][0]["typed_per_filter_config"] = json!({"cors": policy});
            manager["http_filters"].as_array_mut().unwrap().insert(0, filter);
        }
        if self.follow_redirects {
            manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]["internal_redirect_policy"] =
                json!({"redirect_response_codes": [307]});
        }
        if self.upgrades {
            manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}]);
        }
        if !self.access_log {
            manager["access_log"] = json!([]);
        }
        json!({
            "name": self.name,
            "address": address(SocketAddr::new(setup.address(), self.port)),
            "connection_balance_config": {"exact_balance": {}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        })
    }
}

fn access_log(path: &Path) -> Value {
    json!({"name": "file", "typed_config": {
        "@type": format!("{TYPES}.access_loggers.file.v3.FileAccessLog"),
        "path": path,
        "log_format": {"json_format": {
            "status": "%RESPONSE_CODE%",
            "details": "%RESPONSE_CODE_DETAILS%",
            "code": "%FILTER_STATE(wasm.mdrm_code:PLAIN)%",
            "path": "%REQ(:PATH)%",
            "authorization": "%REQ(AUTHORIZATION)%",
            "case": "%REQ(X-CASE)%",
        }},
    }})
}

fn cluster(name: &str, at: SocketAddr, http2: bool) -> Value {
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(at)}}]}],
        },
    });
    let protocol = if http2 {
        json!({"http2_protocol_options": {}})
    } else {
        json!({"http_protocol_options": {"enable_trailers": true}})
    };
    let options = format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions");
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": options, "explicit_http_config": protocol},
    });
    cluster
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}
