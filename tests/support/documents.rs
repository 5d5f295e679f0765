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

/// A block of commands in a document.
#[derive(Debug)]
pub struct Block {
    /// The number of its first line.
    pub line: usize,
    /// Each command with the lines that are shown below it. In those `…` stands for anything.
    pub commands: Vec<(String, Vec<String>)>,
    /// Why it cannot be run here: what `<!-- not run: … -->` above it says.
    pub not_run: Option<String>,
}

/// The blocks of commands (` ```console `) of a document.
pub fn console_blocks(markdown: &str) -> Vec<Block> {
    let lines: Vec<&str> = markdown.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| line.trim() == "```console");
    let block = |at: usize| {
        let mut commands: Vec<(String, Vec<String>)> = Vec::new();
        for line in lines[at + 1..].iter().take_while(|line| line.trim() != "```") {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
                (None, Some((command, _))) if command.ends_with('\\') => {
                    command.push('\n');
                    command.push_str(line);
                }
                (None, Some((_, shown))) => shown.push((*line).to_owned()),
                (None, None) => panic!("line {}: a block of commands starts with one: {line}", at + 2),
            }
        }
        let marker = at.checked_sub(1).and_then(|above| lines[above].strip_prefix("<!-- not run: "));
        let not_run = marker.and_then(|marker| marker.strip_suffix(" -->")).map(str::to_owned);
        Block { line: at + 1, commands, not_run }
    };
    starts.map(|(at, _)| block(at)).collect()
}

/// Whether some line of `output` is what a document shows as `line`.
pub fn is_shown(line: &str, output: &str) -> bool {
    output.lines().any(|given| {
        let mut rest = Some(given);
        for piece in line.trim().split('…') {
            rest = rest.and_then(|rest| rest.split_once(piece)).map(|(_, after)| after);
        }
        rest.is_some()
    })
}
