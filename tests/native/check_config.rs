//! `mdrm check-config`: says what the filter would say, and shows every member as the filter uses it.

mod broken;

use std::io::Write;
use std::process::{Command, Output};

use mdrm_authz::config::Config;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::documents;
use crate::support::signer::Document;
use crate::support::table::Plugin;

fn check(configuration: &str) -> Output {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(configuration.as_bytes()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_mdrm")).arg("check-config").arg(file.path()).output().unwrap()
}

fn effective(configuration: &Value) -> (Value, String) {
    let Output { status, stdout, stderr } = check(&configuration.to_string());
    let notes = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{configuration}: {notes}");
    (serde_json::from_slice(&stdout).unwrap(), notes)
}

#[test]
fn every_configuration_of_the_table_is_shown_as_one_that_means_the_same() {
    for plugin in Plugin::ALL {
        let configuration = plugin.configuration();
        let (shown, _) = effective(&configuration);
        // What is not shown cannot be read back.
        let again = if shown["keys"]["inline"].is_null() { effective(&shown).0 } else { shown.clone() };
        assert_eq!(again, shown, "{plugin:?}");
        let forwards = configuration["upstream"]["forward_token"].as_bool().unwrap_or(false);
        assert_eq!(shown["upstream"]["forward_token"], forwards, "{plugin:?}");
        assert_eq!(shown["session"].is_null(), configuration["session"].is_null(), "{plugin:?}");
    }
}

#[test]
fn defaults_are_written_out() {
    let (shown, notes) = effective(&json!({"keys": {"cluster": "keys"}}));
    assert_eq!(shown["keys"]["path"], "/keys/{kid}");
    assert_eq!(shown["keys"]["timeout"], "2s");
    assert_eq!(shown["services"]["license"]["audiences"], json!(["urn:verimatrix:multidrm"]));
    assert_eq!((&shown["session"], &shown["trust_tunnel"]["mode"]), (&Value::Null, &json!("permissive")));
    assert!(notes.contains("MDRM-518"), "{notes}");
}

#[test]
fn what_envoy_must_be_told_besides_is_said() {
    let configuration = Plugin::SmallBodies.configuration().with("report_only", json!(true));
    let (_, notes) = effective(&configuration);
    for said in
        ["allow_on_headers_stop_iteration: true", "per_connection_buffer_limit_bytes", "66560", "nothing is denied"]
    {
        assert!(notes.contains(said), "{said} is not in {notes}");
    }
}

#[test]
fn options_of_envoy_are_asked_for_where_a_route_names_a_host() {
    let notes = |routes: Value| effective(&json!({"keys": {"cluster": "keys"}, "routes": routes})).1;
    let (port, dot) = ("ignore_port_in_host_matching: true", "strip_trailing_host_dot: true");
    let hostless = json!({"path_prefix": "/", "service": "license"});
    let named = json!({"path": "/a", "host": "*.A.example", "service": "license"});
    let with_port = json!({"path": "/b", "host": "a.example:8443", "service": "license"});
    for (routes, asked) in [
        (json!([hostless]), [false, false]),
        (json!([named, hostless]), [true, true]),
        (json!([named, with_port, hostless]), [false, true]),
    ] {
        let notes = notes(routes.clone());
        assert_eq!([port, dot].map(|option| notes.contains(option)), asked, "{routes}: {notes}");
    }
}

#[test]
fn a_refusal_is_that_of_the_filter_and_shows_no_secret() {
    let configuration = json!({"keys": {"cluster": "keys", "headers": {"authorization": "topsecret\n"}}});
    let Output { status, stdout, stderr } = check(&configuration.to_string());
    let line = String::from_utf8(stderr).unwrap();
    assert!(!status.success() && stdout.is_empty());
    assert!(line.contains("configuration refused: keys.headers.authorization: found <redacted>"), "{line}");
    assert!(!line.contains("topsecret"), "{line}");
    let (shown, _) = effective(&json!({"keys": {"cluster": "keys", "headers": {"authorization": "topsecret"}}}));
    assert_eq!(shown["keys"]["headers"], json!({"authorization": "<redacted>"}));
    assert!(!check("{").status.success());
}

#[test]
fn every_example_of_the_documents_is_accepted_by_tool_and_schema() {
    let schema = jsonschema::validator_for(&Config::schema()).unwrap();
    let mut examples = 0;
    for document in documents::guides().into_iter().chain(["envoy/envoy.yaml".into()]) {
        for configuration in documents::plugin_configurations(&documents::read(&document)) {
            let Output { status, stderr, .. } = check(&configuration.to_string());
            let refusal = String::from_utf8_lossy(&stderr);
            assert!(status.success(), "{}: {configuration}: {refusal}", document.display());
            let fault = schema.validate(&configuration).err();
            assert!(fault.is_none(), "{}: {configuration}: {fault:?}", document.display());
            examples += 1;
        }
    }
    assert!(examples >= 4, "the documents have lost examples: {examples}");
}

#[test]
fn the_schema_accepts_every_configuration_of_the_table() {
    let schema = jsonschema::validator_for(&Config::schema()).unwrap();
    for plugin in Plugin::ALL {
        let fault = schema.validate(&plugin.configuration()).err().map(|fault| fault.to_string());
        assert_eq!(fault, None, "{plugin:?}");
    }
}

#[test]
fn the_table_of_members_in_the_reference_says_what_the_schema_says() {
    let reference = documents::read("envoy/README.md");
    let schema = Config::schema();
    let mut rows = 0;
    for (path, member) in members(&schema, "") {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", &path));
        // `session.keys` and `trust_tunnel.keys` have one row each for all their members.
        if parent.ends_with(".keys") {
            assert!(reference.contains(&format!("`{name}`")), "{path} is not in the reference");
            continue;
        }
        // A row names its members in its first cell, `.name` for a further one of the same parent.
        let line = reference.lines().filter(|line| line.starts_with("| `")).find(|line| {
            let cell = line.split(" | ").next().unwrap();
            let further = cell.contains(&format!("`{parent}.")) && cell.contains(&format!("`.{name}`"));
            cell.contains(&format!("`{path}`")) || cell.contains(&format!("`{path}[]`")) || further
        });
        let line = line.unwrap_or_else(|| panic!("no row for {path}"));
        rows += 1;
        let default = match &member["default"] {
            Value::String(text) => format!("`{text}`"),
            Value::Null => continue,
            other => format!("`{other}`"),
        };
        assert!(line.contains(&default), "{path}: {default} is not in {line}");
        let range =
            member["description"].as_str().unwrap().rsplit_once("From ").map(|(_, range)| range.trim_end_matches('.'));
        let Some((low, high)) = range.and_then(|range| range.split_once(" to ")) else { continue };
        let spaced = |text: &str| {
            let unit = text.find(|c: char| c.is_ascii_alphabetic());
            let (number, unit) = unit.map_or((text, ""), |at| text.split_at(at));
            let unit = if unit == "m" { "min" } else { unit };
            format!("{number} {unit}").trim().to_owned()
        };
        // People write what is easiest to read: 1 KiB for 1024.
        let written = |text: &str| match text {
            "1024" => "1 KiB".to_owned(),
            "1048576" => "1 MiB".to_owned(),
            "1073741824" => "1 GiB".to_owned(),
            "8388608" => "8 MiB".to_owned(),
            "0s" => "0".to_owned(),
            other => spaced(other),
        };
        for end in [low, high] {
            assert!(line.contains(&written(end)), "{path}: {end} is not in {line}");
        }
    }
    assert!(rows > 25, "{rows} rows are too few");
}

/// Every member of the configuration by its path, those of objects and lists included.
fn members(schema: &Value, at: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        if member["properties"].is_object() && path != "keys.inline" {
            found.extend(members(member, &path));
        } else {
            found.push((path, member.clone()));
        }
    }
    found
}
