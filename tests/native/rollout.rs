//! The files that roll the filter out: each follows the published schema of its API, and configures the filter as it takes it.

mod compose;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use mdrm_authz::config::Config;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::manifests::{self, Manifest, Plugin, filters};
use crate::support::packages::project;

/// What the platform's own environment holds, by the name that the files give it.
fn environment(name: &str) -> Option<String> {
    (name == "KEY_SERVICE_CREDENTIAL").then(|| "credential".to_owned())
}

/// The objects of Kubernetes.
fn kubernetes() -> &'static [Manifest] {
    static READ: OnceLock<Vec<Manifest>> = OnceLock::new();
    READ.get_or_init(|| manifests::read(&[manifests::files("istio"), manifests::files("gateway")].concat()))
}

/// The files that Envoy itself reads, and the compose file.
fn others() -> &'static [Manifest] {
    static READ: OnceLock<Vec<Manifest>> = OnceLock::new();
    READ.get_or_init(|| {
        manifests::read(&[vec![project().join("envoy/envoy.yaml")], manifests::files("docker")].concat())
    })
}

fn plugins() -> Vec<Plugin> {
    kubernetes().iter().chain(others()).flat_map(Manifest::plugins).collect()
}

/// The only object of a kind.
fn object(kind: &str) -> &'static Value {
    let mut found = kubernetes().iter().filter(|manifest| manifest.kind() == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    &object.document
}

#[test]
fn every_manifest_follows_the_published_schema_of_its_api() {
    let manifests = kubernetes();
    for manifest in manifests {
        assert!(manifest.problems.is_empty(), "{}: {:#?}", manifest.file.display(), manifest.problems);
        println!("{} {}: {}", manifest.file_name(), manifest.kind(), manifest.schema.as_deref().unwrap());
    }
    let kinds: Vec<&str> = manifests.iter().map(Manifest::kind).collect();
    let istio = ["EnvoyFilter", "ServiceEntry", "DestinationRule", "WasmPlugin"];
    let gateway = ["Gateway", "HTTPRoute", "EnvoyExtensionPolicy", "ClientTrafficPolicy", "EnvoyPatchPolicy"];
    assert_eq!(kinds, [&istio[..], &gateway[..]].concat());
}

#[test]
fn what_a_schema_does_not_allow_is_found() {
    let wrong = [
        ("istio/wasm-plugin.yaml", "failStrategy: FAIL_RELOAD", "failStrategy: FAIL_SOFT"),
        ("istio/wasm-plugin.yaml", "imagePullPolicy:", "imagePullPolice:"),
        ("istio/wasm-plugin.yaml", "valueFrom: HOST", "valueOf: HOST"),
        ("istio/envoy-filter.yaml", "applyTo: LISTENER", "applyTo: LISTENERS"),
        ("istio/envoy-filter.yaml", "subFilter:", "subfilter:"),
        ("istio/key-service.yaml", "resolution: DNS", "resolution: MAYBE"),
        ("istio/key-service.yaml", "mode: SIMPLE", "mode: [SIMPLE]"),
        ("istio/key-service.yaml", "maxConnections: 32", "maxConnection: 32"),
        ("istio/key-service.yaml", "kind: DestinationRule", "kind: DestinationRules"),
        ("gateway/gateway.yaml", "failOpen: false", "failOpen: sometimes"),
        ("gateway/gateway.yaml", "hostKeys:", "hostKey:"),
        ("gateway/gateway.yaml", "bufferLimit:", "bufferLimits:"),
        ("gateway/gateway.yaml", "escapedSlashesAction: RejectRequest", "escapedSlashesAction: Reject"),
        ("gateway/gateway.yaml", "certificateRefs: [", "certificateRef: ["),
        ("gateway/patch-policy.yaml", "op: add", "op: put"),
        ("gateway/patch-policy.yaml", "jsonPath:", "jsonpath:"),
        ("gateway/patch-policy.yaml", "  type: JSONPatch\n", "  type: JSONPatch\n  type: JSONPatch\n"),
    ];
    let files: Vec<NamedTempFile> = wrong
        .iter()
        .map(|(path, from, to)| {
            let text = fs::read_to_string(project().join("envoy").join(path)).unwrap();
            assert!(text.contains(from), "{path} has no {from}");
            let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
            file.write_all(text.replacen(from, to, 1).as_bytes()).unwrap();
            file
        })
        .collect();
    let paths: Vec<PathBuf> = files.iter().map(|file| file.path().to_owned()).collect();
    let documents = manifests::read(&paths);
    for ((path, from, to), file) in wrong.iter().zip(&paths) {
        let problems: Vec<_> = documents
            .iter()
            .filter(|manifest| manifest.file == *file)
            .flat_map(|manifest| &manifest.problems)
            .collect();
        println!("{path}, {from} -> {to}: {problems:?}");
        assert!(!problems.is_empty(), "{path}: {to} in place of {from} was not found");
    }
}

#[test]
fn the_filter_takes_the_plugin_configuration_in_every_file() {
    let plugins = plugins();
    for plugin in &plugins {
        let taken = Config::from_json(plugin.configuration.to_string().as_bytes(), &environment);
        assert!(taken.is_ok(), "{}: {}", plugin.place, taken.unwrap_err());
    }
    // Istio's two, Envoy Gateway's, the container's, and the two of the reference.
    assert_eq!(plugins.len(), 6, "{plugins:#?}");
}

#[test]
fn the_json_schema_accepts_the_plugin_configuration_in_every_file() {
    let schema = fs::read(project().join("envoy/mdrm-authz.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap();
    for plugin in plugins() {
        let problems: Vec<String> =
            validator.iter_errors(&plugin.configuration).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", plugin.place);
    }
}

#[test]
fn a_configuration_that_needs_bodies_stands_only_where_they_arrive() {
    for plugin in plugins() {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(plugin.configuration.to_string().as_bytes()).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_mdrm"))
            .arg("check-config")
            .arg(file.path())
            .env("KEY_SERVICE_CREDENTIAL", "credential")
            .output()
            .unwrap();
        let notes = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{}: {notes}", plugin.place);
        let needs_bodies = notes.contains("allow_on_headers_stop_iteration");
        assert_eq!(needs_bodies, plugin.gets_bodies, "{}: {notes}", plugin.place);
    }
}

#[test]
fn every_cluster_that_a_plugin_asks_is_one_that_its_platform_makes() {
    let entry = &object("ServiceEntry")["spec"];
    let of_istio = format!("outbound|{}||{}", entry["ports"][0]["number"], entry["hosts"][0].as_str().unwrap());
    assert_eq!(object("DestinationRule")["spec"]["host"], entry["hosts"][0]);
    let of_gateway = &object("EnvoyPatchPolicy")["spec"]["jsonPatches"][0]["operation"]["value"]["name"];
    for plugin in plugins() {
        let members = ["/keys/cluster", "/session/keys/cluster", "/trust_tunnel/keys/cluster"];
        let asked: BTreeSet<&str> =
            members.iter().filter_map(|member| plugin.configuration.pointer(member)?.as_str()).collect();
        let expected = if plugin.place.contains("/istio/") {
            of_istio.as_str()
        } else if plugin.place.contains("/gateway/") {
            of_gateway.as_str().unwrap()
        } else {
            "key_service"
        };
        assert_eq!(asked, BTreeSet::from([expected]), "{}", plugin.place);
    }
}

#[test]
fn the_patches_of_envoy_gateway_are_for_the_filter_and_the_listener_of_the_other_file() {
    let (gateway, policy) = (object("Gateway"), object("EnvoyExtensionPolicy"));
    let (namespace, name) = (&policy["metadata"]["namespace"], &policy["metadata"]["name"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    // The names that Envoy Gateway gives to what it makes of the two.
    let filter = format!("envoy.filters.http.wasm/envoyextensionpolicy/{}/{}/wasm/0", text(namespace), text(name));
    let listener =
        [namespace, &gateway["metadata"]["name"], &gateway["spec"]["listeners"][0]["name"]].map(text).join("/");
    assert_eq!(policy["spec"]["wasm"].as_array().unwrap().len(), 1);
    assert_eq!(gateway["spec"]["listeners"].as_array().unwrap().len(), 1);
    let patches = &object("EnvoyPatchPolicy")["spec"]["jsonPatches"].as_array().unwrap()[1..];
    let of_filter = format!("$..http_filters[?(@.name=='{filter}')].typed_config.config");
    let of_manager = "$..filters[?(@.name=='envoy.filters.network.http_connection_manager')].typed_config".to_owned();
    let set: Vec<Value> = patches
        .iter()
        .map(|patch| {
            assert_eq!(patch["name"], listener);
            let operation = &patch["operation"];
            json!([operation["jsonPath"], operation["path"], operation["value"]])
        })
        .collect();
    let expected = [
        (&of_filter, "/allow_on_headers_stop_iteration", json!(true)),
        (&of_filter, "/failure_policy", json!("FAIL_RELOAD")),
        (&of_manager, "/strip_trailing_host_dot", json!(true)),
    ];
    assert_eq!(set, expected.map(|(place, path, value)| json!([place, path, value])));
}

#[test]
fn no_file_lets_requests_pass_unchecked_when_a_vm_dies() {
    for manifest in kubernetes().iter().chain(others()) {
        for filter in filters(&manifest.document) {
            assert_eq!(filter["config"]["failure_policy"], "FAIL_RELOAD", "{}", manifest.file.display());
        }
    }
    assert_eq!(object("WasmPlugin")["spec"]["failStrategy"], "FAIL_RELOAD");
    assert_eq!(object("EnvoyExtensionPolicy")["spec"]["wasm"][0]["failOpen"], false);
}

#[test]
fn every_image_of_the_filter_has_the_version_of_this_crate() {
    let image = concat!("registry.example.com/drm/mdrm-authz:", env!("CARGO_PKG_VERSION"));
    assert_eq!(object("WasmPlugin")["spec"]["url"], format!("oci://{image}"));
    assert_eq!(object("EnvoyExtensionPolicy")["spec"]["wasm"][0]["code"]["image"]["url"], image);
    let code = &filters(object("EnvoyFilter"))[0]["config"]["vm_config"]["code"];
    assert_eq!(code["remote"]["http_uri"]["uri"], format!("oci://{image}"));
}
