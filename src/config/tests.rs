//! The configuration from the outside: every default, every bound, every refusal with the path that it names.

mod bounds;
mod defaults;
mod fuzz;
mod members;
mod routes;
mod schema;
mod secrets;
mod sources;
mod upstream;

use serde_json::{Value, json};

use super::{Config, ConfigError};

/// The smallest configuration.
fn minimal() -> Value {
    json!({"keys": {"cluster": "keys"}})
}

/// The smallest configuration with one member besides: names separated by dots. What the part that it belongs to cannot do
/// without is there as well.
fn with(path: &str, value: Value) -> Value {
    let mut configuration = minimal();
    if path.starts_with("session.") {
        configuration["session"] = session();
    }
    if path.starts_with("trust_tunnel.keys.") {
        configuration["trust_tunnel"] = json!({"keys": {"cluster": "master-keys"}});
    }
    *path.split('.').fold(&mut configuration, |at, name| &mut at[name]) = value;
    configuration
}

/// The smallest `session`.
fn session() -> Value {
    json!({"keys": {"cluster": "session-keys"}, "issuer": "me", "audience": "license-server"})
}

/// The smallest configuration with these routes.
fn with_routes(routes: Value) -> Value {
    with("routes", routes)
}

/// The variables of the VM.
fn environment(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some("from-the-vm".to_owned()),
        "EMPTY" => Some(String::new()),
        // Some hosts have such a variable; `${}` names none all the same.
        "" => Some("nameless".to_owned()),
        "LINES" => Some("from-the-vm\r\nx: y".to_owned()),
        "NESTED" => Some("${TOKEN}".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, ConfigError> {
    let read = Config::from_json(text.as_bytes(), &environment);
    schema::agrees(text.as_bytes(), read.as_ref());
    read
}

fn accepted(configuration: &Value) -> Config {
    read(&configuration.to_string()).unwrap_or_else(|refusal| panic!("{configuration}: {refusal}"))
}

/// The path and the line of a refusal.
fn refused(configuration: &Value) -> (String, String) {
    refused_text(&configuration.to_string())
}

fn refused_text(text: &str) -> (String, String) {
    match read(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(refusal) => (refusal.path().to_owned(), refusal.to_string()),
    }
}

/// Refused under this path, in one line that names it.
fn refuses(path: &str, configuration: &Value) -> String {
    let (named, line) = refused(configuration);
    assert_eq!(named, path, "{configuration}: {line}");
    assert!(line.starts_with(&format!("configuration refused: {path}: ")), "{line}");
    assert!(!line.contains('\n'), "{line}");
    line
}
