//! The SBOM says what the module is made of: what Cargo says, with the checksums of the lock file, and nothing of the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;
use sha2::{Digest, Sha256};

const TOP: &str = env!("CARGO_MANIFEST_DIR");

fn module() -> PathBuf {
    env::var_os("MDRM_WASM").expect("MDRM_WASM names the module").into()
}

/// The document that `make sbom` leaves beside the module.
fn sbom() -> Value {
    let path = module().with_file_name("mdrm_authz.cdx.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}: make sbom", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Names and versions that `cargo tree` lists for the module, itself apart.
fn tree(edges: &str) -> BTreeSet<String> {
    let arguments =
        ["tree", "--locked", "--target", "wasm32-wasip1", "--prefix", "none", "--format", "{p}", "--edges", edges];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(TOP).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let crates = lines.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    crates.filter(|line| !line.starts_with("mdrm-authz ")).collect()
}

/// The components in this scope, but for the standard library.
fn crates(sbom: &Value, scopes: &[&str]) -> BTreeSet<String> {
    let components = sbom["components"].as_array().unwrap().iter();
    let components = components.filter(|component| scopes.iter().any(|scope| component["scope"] == *scope));
    let named = components.map(|of| format!("{} v{}", of["name"].as_str().unwrap(), of["version"].as_str().unwrap()));
    named.filter(|name| !name.starts_with("rust-std ")).collect()
}

#[test]
fn the_components_are_the_crates_of_the_modules_tree() {
    let sbom = sbom();
    assert_eq!(crates(&sbom, &["required", "excluded"]), tree("normal"));
    assert_eq!(crates(&sbom, &["required"]), tree("normal,no-proc-macro"));
    let standard = sbom["components"].as_array().unwrap().iter().filter(|of| of["name"] == "rust-std");
    assert_eq!(standard.count(), 1);
}

#[test]
fn each_component_has_the_checksum_of_the_lock_file_and_a_licence() {
    let lock = fs::read_to_string(format!("{TOP}/Cargo.lock")).unwrap();
    let value = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")))?;
        Some(line.trim_matches('"').to_owned())
    };
    let locked: BTreeMap<(String, String), String> = lock
        .split("[[package]]")
        .filter_map(|block| Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?)))
        .collect();
    for component in sbom()["components"].as_array().unwrap().iter().filter(|of| of["name"] != "rust-std") {
        let text = |name: &str| component[name].as_str().unwrap().to_owned();
        assert_eq!(component["hashes"][0]["content"], locked[&(text("name"), text("version"))], "{component}");
        assert_eq!(text("purl"), format!("pkg:cargo/{}@{}", text("name"), text("version")));
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
}

#[test]
fn the_document_is_about_this_module_and_every_edge_leads_to_a_component() {
    let sbom = sbom();
    let digest: String = Sha256::digest(fs::read(module()).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sbom["metadata"]["component"]["hashes"][0]["content"], digest, "older than the module: make sbom");

    let mut known: BTreeSet<&str> =
        sbom["components"].as_array().unwrap().iter().map(|of| of["bom-ref"].as_str().unwrap()).collect();
    let own = sbom["metadata"]["component"]["bom-ref"].as_str().unwrap();
    let dependencies = sbom["dependencies"].as_array().unwrap();
    let mut reached = BTreeSet::from([own]);
    for dependency in dependencies {
        reached.extend(dependency["dependsOn"].as_array().unwrap().iter().map(|to| to.as_str().unwrap()));
    }
    known.insert(own);
    assert_eq!(reached, known);
    assert_eq!(
        dependencies.len(),
        known.len() - 1,
        "each crate says what it depends on, the standard library does not"
    );
}

#[test]
fn nothing_of_the_machine_is_in_it() {
    let text = sbom().to_string();
    assert!(!text.contains(TOP) && !text.contains("/.cargo/"), "a path is named");
    assert!(!text.contains("timestamp") && !text.contains("serialNumber"), "two builds have different documents");
}
