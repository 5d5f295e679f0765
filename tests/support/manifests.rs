//! The YAML files that roll the filter out, as JSON, and the plugin configurations in them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use super::packages::{installed, npm, project};

/// One document of a YAML file.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// The file.
    pub file: PathBuf,
    /// What it says.
    #[serde(default)]
    pub document: Value,
    /// The package whose schema it was held against.
    pub schema: Option<String>,
    /// What that schema, or YAML itself, has against it.
    pub problems: Vec<String>,
}

/// A plugin configuration, and where it was found.
#[derive(Debug)]
pub struct Plugin {
    /// File and kind.
    pub place: String,
    /// Whether its platform hands the filter a body before it lets the headers go.
    pub gets_bodies: bool,
    /// What the filter would read.
    pub configuration: Value,
}

impl Manifest {
    /// The file's name without its folder.
    pub fn file_name(&self) -> &str {
        self.file.file_name().unwrap().to_str().unwrap()
    }

    /// The kind of a Kubernetes object; nothing for other documents.
    pub fn kind(&self) -> &str {
        self.document["kind"].as_str().unwrap_or_default()
    }

    /// The plugin configurations in it.
    pub fn plugins(&self) -> Vec<Plugin> {
        let place = format!("{} {}", self.file.display(), self.kind());
        let spec = &self.document["spec"];
        let plugin = |configuration: &Value, gets_bodies| Plugin {
            place: place.clone(),
            gets_bodies,
            configuration: configuration.clone(),
        };
        match self.kind() {
            "WasmPlugin" => vec![plugin(&spec["pluginConfig"], false)],
            // With the patch that stands beside it.
            "EnvoyExtensionPolicy" => {
                spec["wasm"].as_array().unwrap().iter().map(|wasm| plugin(&wasm["config"], true)).collect()
            }
            _ => filters(&self.document)
                .iter()
                .map(|filter| {
                    let text = filter["config"]["configuration"]["value"].as_str().unwrap();
                    plugin(
                        &serde_json::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}")),
                        filter["config"]["allow_on_headers_stop_iteration"] == true,
                    )
                })
                .collect(),
        }
    }
}

/// The documents of these files, in their order.
pub fn read(files: &[PathBuf]) -> Vec<Manifest> {
    let sources = project().join("tests/rollout");
    let files_of_node = ["package.json", "package-lock.json", ".npmrc", "manifests.mjs"];
    let packages = installed("manifests", &sources, &files_of_node, npm);
    let output = Command::new("node").arg(packages.join("manifests.mjs")).args(files).output();
    let output = output.unwrap_or_else(|error| panic!("node: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The YAML files of a folder under `envoy`, by name.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(project().join("envoy").join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

/// The only document of one file under `envoy`.
pub fn only(path: &str) -> Manifest {
    let mut documents = read(&[project().join("envoy").join(path)]);
    assert_eq!(documents.len(), 1, "{path}");
    documents.remove(0)
}

/// Every configuration of Envoy's wasm filter within a value.
pub fn filters(value: &Value) -> Vec<&Value> {
    const FILTER: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
    match value {
        Value::Object(members) if members.get("@type").is_some_and(|name| name == FILTER) => vec![value],
        Value::Object(members) => members.values().flat_map(filters).collect(),
        Value::Array(items) => items.iter().flat_map(filters).collect(),
        _ => Vec::new(),
    }
}
