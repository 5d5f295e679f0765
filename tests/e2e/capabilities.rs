//! The capabilities that the reference configuration leaves the module: all that it uses, nothing more, and what a missing one would do.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use serde_json::json;

use crate::hardening::{LAST_MEMBER, ask, serving};
use crate::keys::{new_key, request};
use crate::module::{exports, module};
use crate::now;
use crate::support::client::{Connection, bytes_of};
use crate::support::envoy::Envoy;
use crate::support::h2_client;
use crate::support::key_service::Answer;
use crate::support::reference::{PROXY, Reference};
use crate::support::signer::Document;
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MasterKey, Tunnel};
use crate::support::wait;

/// What the reference configuration allows.
fn allowed() -> BTreeSet<String> {
    let reference = Reference::whole();
    let lines = reference.text().lines().skip_while(|line| line.trim() != "allowed_capabilities:").skip(1);
    let names = lines.map(str::trim).filter(|line| !line.starts_with('#'));
    names.map_while(|line| line.strip_suffix(": {}")).map(str::to_owned).collect()
}

/// What module and host called of each other, as the log tells at the level `trace`.
fn called(envoy: &Envoy) -> BTreeSet<String> {
    let log = envoy.log();
    let names = log.lines().filter_map(|line| {
        let (_, call) = line.split_once("[vm->host] ").or_else(|| line.split_once("[host->vm] "))?;
        let (name, _) = call.split_once('(')?;
        Some(name.rsplit('.').next().unwrap_or(name).to_owned())
    });
    names.collect()
}

#[test]
fn the_module_has_all_the_capabilities_that_it_uses_and_no_other() {
    let variable = r#""keys": { "cluster": "key_service", "headers": { "x-secret": "${SECRET}" } "#;
    let reference = Reference::whole()
        .with(r#""keys": { "cluster": "key_service", "path": "/keys/{kid}" "#, variable)
        .with(
            "vm_id: mdrm_authz",
            "vm_id: mdrm_authz\n                  environment_variables: { key_values: { SECRET: s } }",
        )
        .with(LAST_MEMBER, &format!(r#"{LAST_MEMBER}, "access_log": "all""#));
    let rig = reference.adjusted(|setup| setup.log_level = "trace".to_owned());
    let (key, master) = (new_key("k"), MasterKey::generate("m", KeyManagement::A256KW));
    rig.keys.register(&key);
    rig.keys.set("/session-keys/demo-session", Answer::document(&new_key("demo-session").private_jwk()));
    rig.keys.set("/master-keys/m", Answer::document(&master.jwk()));
    let tunnel = Tunnel::new(&master, Token::new(&key).compact(now())).body();
    let tunnel = Request::post("/license").content_type("application/jose").body(tunnel);
    // A body that takes its time: the root looks after it.
    let bytes = bytes_of(&tunnel, &[]);
    let (first, second) = bytes.split_at(bytes.len() - 10);
    let mut slow = Connection::open(rig.envoy.address(PROXY));
    slow.send(first).unwrap();
    thread::sleep(Duration::from_millis(300));
    slow.send(second).unwrap();
    assert_eq!(slow.answer("POST").unwrap().status, 200);
    for (request, code) in [
        (request(&key), None),
        (Request::post("/license"), Some(501)),
        (Request::post("/license?a=b&Authorization=x"), Some(502)),
    ] {
        assert_eq!(ask(&rig, &request).code(), code, "{request:?}");
    }
    let connection = h2_client::Connection::open(rig.envoy.address(PROXY));
    let mut trailers = HeaderMap::new();
    trailers.append("x-mdrm-session", HeaderValue::from_static("forged"));
    let (answered, _) = connection.exchange_with_trailers(&request(&key), &[], Some(trailers)).unwrap();
    assert_eq!(answered.status, 200);
    assert!(rig.keys.received().iter().any(|callout| callout.header("x-secret").as_deref() == Some("s")));

    // Counts and times are handed over once a second.
    wait::until_true("metrics are reported", || called(&rig.envoy).contains("proxy_record_metric"));
    let log = rig.envoy.log();
    let restricted: Vec<&str> = log.lines().filter(|line| line.contains("restricted")).collect();
    assert!(restricted.is_empty(), "{restricted:?}");
    let mut used = called(&rig.envoy);
    // Nothing restricts how memory is handed over, and when the module begins.
    let unrestricted = ["proxy_on_memory_allocate", "_initialize", "proxy_abi_version_0_2_1"];
    used.retain(|name| !unrestricted.contains(&name.as_str()));
    assert_eq!(allowed(), used);
    let callbacks = exports(&module()).into_iter().filter(|name| name.starts_with("proxy_on_"));
    let callbacks: BTreeSet<String> = callbacks.filter(|name| !unrestricted.contains(&name.as_str())).collect();
    let missing: Vec<&String> = callbacks.difference(&used).collect();
    assert!(missing.is_empty(), "never called back: {missing:?}");
}

#[test]
fn a_callback_that_is_missing_from_the_list_lets_requests_pass_unchecked() {
    let (rig, _) = serving(Reference::whole().without("proxy_on_request_headers: {}"));
    assert_eq!(ask(&rig, &Request::get("/license")).status, 200);

    // The body's arrival sets a request free that waits for its key.
    let (rig, _) = serving(Reference::whole().without("proxy_on_request_body: {}"));
    let disabled = new_key("disabled");
    rig.keys.set_for("disabled", Answer::document(&disabled.jwk().with("status", json!("disabled"))));
    assert_eq!(ask(&rig, &request(&disabled)).status, 200);
    assert_eq!(rig.upstream.count(), 1);
}

#[test]
fn a_call_that_is_missing_from_the_list_is_refused_and_logged_and_nothing_passes() {
    for call in ["proxy_get_header_map_pairs", "proxy_get_current_time_nanoseconds", "proxy_remove_header_map_value"] {
        let (rig, key) = serving(Reference::whole().without(&format!("{call}: {{}}")));
        assert_eq!((ask(&rig, &request(&key)).code(), rig.upstream.count()), (Some(500), 0), "{call}");
        let log = rig.envoy.log();
        assert!(log.contains(&format!("restricted proxy-wasm capability: {call}")), "{call}: {log}");
    }
}
