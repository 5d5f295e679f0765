//! `mdrm check-config`: says what the filter would say, and shows every member as the filter uses it.

use std::io::Write;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

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
