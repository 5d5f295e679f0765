//! Envoy's own validation of every file that it reads, and of every part of a manifest that it would be given.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::envoy::required;
use crate::support::manifests;
use crate::support::packages::project;

/// What `envoy --mode validate` says, run where the paths of the file begin.
fn validate(configuration: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("envoy.yaml");
    fs::write(&file, configuration).unwrap();
    let output = Command::new(required("ENVOY", "the Envoy binary"))
        .args(["--mode", "validate", "--log-level", "warning", "-c"])
        .arg(&file)
        .current_dir(project())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) }
}

/// A file under `envoy` with the paths of this machine.
fn local(path: &str) -> String {
    let module = required("MDRM_WASM", "the finished module");
    let keys = project().join("envoy/keys");
    let text = fs::read_to_string(project().join("envoy").join(path)).unwrap();
    text.replace("filename: target/mdrm_authz.wasm", &format!("filename: {}", module.display()))
        .replace("/etc/envoy/mdrm_authz.wasm", module.to_str().unwrap())
        .replace("/etc/envoy/keys", keys.to_str().unwrap())
}

#[test]
fn envoy_takes_every_file_that_is_written_for_it() {
    for path in ["envoy.yaml", "docker/proxy.yaml", "docker/backends.yaml"] {
        validate(&local(path)).unwrap_or_else(|said| panic!("{path}: {said}"));
    }
}

#[test]
fn envoys_validation_finds_what_is_wrong_with_a_file_and_with_the_plugin_configuration_in_it() {
    for (from, to) in [
        ("stream_idle_timeout:", "stream_idle_timeouts:"),
        ("\"default_service\": \"deny\"", "\"default_service\": \"allow\""),
    ] {
        let text = local("docker/proxy.yaml");
        assert!(text.contains(from), "no {from}");
        let said = validate(&text.replace(from, to)).expect_err(to);
        assert!(
            said.contains(if from.starts_with('"') { "default_service" } else { "stream_idle_timeouts" }),
            "{said}"
        );
    }
}

#[test]
fn envoy_takes_the_cluster_that_envoy_gateway_is_told_to_add() {
    let policy = manifests::only("gateway/patch-policy.yaml").document;
    let cluster = |cluster: &Value| validate(&json!({"static_resources": {"clusters": [cluster]}}).to_string());
    let added = &policy["spec"]["jsonPatches"][0]["operation"]["value"];
    cluster(added).unwrap();
    let mut wrong = added.clone();
    wrong["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]["trusted_cas"] = json!({});
    assert!(cluster(&wrong).unwrap_err().contains("trusted_cas"));
}
