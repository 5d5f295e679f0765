//! The table of requests and decisions by the tool: the third runner beside the core and Envoy.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::explain;
use crate::support::key_service::KeyService;
use crate::support::table::{Case, Outcome, Plugin, Request, table};

/// A moment of the past: `--at` says so.
const NOW: i64 = 1_764_000_000;

#[test]
fn explains_every_row_of_the_table_as_it_is_decided() {
    let keys = KeyService::of_the_table();
    // The only cluster in which something answers, as in the other runners.
    let key_service = format!("keys=http://{}", keys.address());
    let folder = tempfile::tempdir().unwrap();
    let files: HashMap<Plugin, PathBuf> = Plugin::ALL
        .into_iter()
        .map(|plugin| {
            let file = folder.path().join(plugin.name());
            std::fs::write(&file, patient(plugin.configuration()).to_string()).unwrap();
            (plugin, file)
        })
        .collect();
    let rows = table(NOW);
    let (next, checked, failures) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some(wire) = on_the_wire(&case.request) else { continue };
                    checked.fetch_add(1, Ordering::Relaxed);
                    let now = NOW.to_string();
                    let config = files[&case.plugin].to_str().unwrap();
                    let options =
                        ["--request", "-", "--json", "--at", &now, "--key-service", &key_service, "--config", config];
                    if let Err(problem) = judge(case, &explain(options, &wire)) {
                        let Case { name, plugin, request, .. } = case;
                        failures.lock().unwrap().push(format!("{name} [{plugin:?}]\n    {problem}\n    {request:?}"));
                    }
                }
            });
        }
    });
    let (checked, failures) = (checked.into_inner(), failures.into_inner().unwrap());
    assert!(failures.is_empty(), "{} of {checked} rows failed:\n{}", failures.len(), failures.join("\n"));
    assert!(checked + 20 > rows.len(), "only {checked} of {} rows can be written as HTTP/1.1", rows.len());
}

/// The same with more time for the key service: a busy machine is no outage.
fn patient(mut configuration: Value) -> Value {
    for keys in ["/keys", "/session/keys", "/trust_tunnel/keys"] {
        if let Some(keys) = configuration.pointer_mut(keys)
            && keys["cluster"] == "keys"
        {
            keys["timeout"] = "60s".into();
        }
    }
    configuration
}

fn judge(case: &Case, output: &std::process::Output) -> Result<(), String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {errors}"))?;
    let failed =
        |outcome: &str| report["steps"].as_array().unwrap().iter().filter(|row| row["outcome"] == outcome).count();
    let (decision, status, code, failures) = match case.expect.outcome {
        Outcome::Allowed => ("allowed", 0, Value::Null, 0),
        Outcome::Passed => ("passed", 0, Value::Null, 0),
        Outcome::Denied(code) => ("denied", 1, format!("MDRM-{code}").into(), 1),
    };
    if report["decision"] != decision || report["code"] != code || output.status.code() != Some(status) {
        return Err(format!("expected {:?}, got {:?}: {report:#}", case.expect.outcome, output.status));
    }
    // The step that failed is one of the steps of such a request, and carries the code.
    let marked = report["steps"].as_array().unwrap().iter().find(|row| row["outcome"] == "failed");
    if failed("failed") != failures || marked.is_some_and(|row| row["code"] != code) {
        return Err(format!("no step stands for {code}: {report:#}"));
    }
    let said = report.to_string();
    match signatures(&case.request).into_iter().find(|signature| said.contains(signature)) {
        Some(signature) => Err(format!("a token is shown: {signature}")),
        None => Ok(()),
    }
}

/// The request as HTTP/1.1 writes it; none if it cannot.
fn on_the_wire(request: &Request) -> Option<Vec<u8>> {
    let mut wire =
        [request.method.as_bytes(), b" ", &*request.path, b" HTTP/1.1\r\nHost: ", request.host.as_bytes()].concat();
    for (name, value) in request.headers.iter().cloned().chain(request.framing_header()) {
        if value.contains(&b'\n') || name.is_empty() {
            return None;
        }
        wire.extend([b"\r\n", name.as_bytes(), b": ", &*value].concat());
    }
    wire.extend(b"\r\n\r\n");
    wire.extend(&request.body);
    Some(wire)
}

/// The ends of whatever looks like a token.
fn signatures(request: &Request) -> Vec<String> {
    let places = request.headers.iter().map(|(_, value)| value).chain([&request.path, &request.body]);
    let texts = places.filter_map(|place| String::from_utf8(place.clone()).ok());
    texts
        .filter(|text| text.split('.').count() >= 3)
        .filter_map(|text| text.rsplit('.').next().map(str::to_owned))
        .filter(|end| end.len() >= 60 && !end.contains(['&', ' ', '<']))
        .collect()
}
