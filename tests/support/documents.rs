//! What the project's own documents show: plugin configurations, and commands to type.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The root of the project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A document of the project, by its path from the root.
///
/// # Panics
///
/// If there is none.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The guides and READMEs that a user reads.
pub fn guides() -> Vec<PathBuf> {
    let mut guides = vec![PathBuf::from("README.md"), PathBuf::from("envoy/README.md")];
    let folder = std::fs::read_dir(root().join("envoy/guides")).unwrap();
    guides.extend(folder.map(|entry| entry.unwrap().path().strip_prefix(root()).unwrap().to_owned()));
    guides.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    guides.sort();
    guides
}

/// The plugin configurations of a text: whole ones in Envoy's YAML (`value: |`) and in JSON blocks of Markdown.
pub fn plugin_configurations(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let block: Vec<&str> = if line.trim() == "value: |" {
            let indent = |line: &str| line.len() - line.trim_start().len();
            lines[at + 1..].iter().copied().take_while(|next| indent(next) > indent(line)).collect()
        } else if line.trim() == "```json" {
            lines[at + 1..].iter().copied().take_while(|next| next.trim() != "```").collect()
        } else {
            continue;
        };
        if let Ok(value) = serde_json::from_str::<Value>(&block.join("\n"))
            && value.get("keys").is_some_and(Value::is_object)
        {
            found.push(value);
        }
    }
    found
}

/// The plugin configuration of the demo's proxy.
pub fn demo_plugin() -> Value {
    plugin_configurations(&read("envoy/envoy.yaml")).swap_remove(0)
}
