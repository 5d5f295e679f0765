//! The image of `make oci`: unpacked as Istio and Envoy Gateway unpack it, it is the module byte for byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::envoy::required;
use crate::support::packages::project;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn module() -> PathBuf {
    required("MDRM_WASM", "the finished module")
}

/// A layout of this file.
fn made_of(module: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .arg(project().join("envoy/oci.py"))
        .args([module.as_os_str(), VERSION.as_ref(), folder.path().as_os_str()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(digest(&SHA256, bytes).as_ref()))
}

/// The blob of a descriptor, of the size and with the digest that it names.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let name = descriptor["digest"].as_str().unwrap();
    let bytes = fs::read(layout.join("blobs").join(name.replace(':', "/"))).unwrap();
    assert_eq!((sha256(&bytes).as_str(), json!(bytes.len())), (name, descriptor["size"].clone()));
    bytes
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Every file of a folder, by its path in it.
fn all_files(folder: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                let below = all_files(&path).into_iter();
                let name = PathBuf::from(path.file_name().unwrap());
                below.map(|(below, bytes)| (name.join(below), bytes)).collect::<Vec<_>>()
            } else {
                vec![(path.file_name().unwrap().into(), fs::read(&path).unwrap())]
            }
        })
        .collect()
}

#[test]
fn the_image_unpacked_is_the_module_byte_for_byte() {
    let layout = made_of(&module());
    let layout = layout.path();
    assert_eq!(json_of(&fs::read(layout.join("oci-layout")).unwrap()), json!({"imageLayoutVersion": "1.0.0"}));
    let index = json_of(&fs::read(layout.join("index.json")).unwrap());
    let described = &index["manifests"][0];
    assert_eq!(described["annotations"]["org.opencontainers.image.ref.name"], VERSION);
    let manifest = json_of(&blob(layout, described));
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["mediaType"], described["mediaType"]);

    // The last layer, of this type, with a file of this name: what both platforms look for.
    let layer = manifest["layers"].as_array().unwrap().last().unwrap();
    assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let unpacked = tempfile::tempdir().unwrap();
    let packed = unpacked.path().join("layer.tar.gz");
    fs::write(&packed, blob(layout, layer)).unwrap();
    run("gunzip", &["--keep", packed.to_str().unwrap()]);
    let archive = unpacked.path().join("layer.tar");
    run("tar", &["--extract", "--directory", unpacked.path().to_str().unwrap(), "--file", archive.to_str().unwrap()]);
    let names: Vec<String> =
        all_files(unpacked.path()).into_iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(names, ["layer.tar", "layer.tar.gz", "plugin.wasm"]);
    assert!(fs::read(unpacked.path().join("plugin.wasm")).unwrap() == fs::read(module()).unwrap(), "not the module");

    let config = json_of(&blob(layout, &manifest["config"]));
    assert_eq!(config["rootfs"]["diff_ids"], json!([sha256(&fs::read(archive).unwrap())]));
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip1")));
    // Nothing else is in the folder.
    let blobs: BTreeSet<String> = [described, &manifest["config"], layer]
        .iter()
        .map(|descriptor| descriptor["digest"].as_str().unwrap().replace(':', "/"))
        .collect();
    let kept: BTreeSet<String> =
        all_files(&layout.join("blobs")).into_iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(kept, blobs);
}

#[test]
fn the_same_module_gives_the_same_image_and_another_module_another_one() {
    let (first, second) = (made_of(&module()), made_of(&module()));
    assert!(all_files(first.path()) == all_files(second.path()), "two images of one module differ");
    let other = tempfile::NamedTempFile::new().unwrap();
    fs::write(other.path(), b"\0asm\x01\0\0\0").unwrap();
    assert_ne!(
        fs::read(first.path().join("index.json")).unwrap(),
        fs::read(made_of(other.path()).path().join("index.json")).unwrap()
    );
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
