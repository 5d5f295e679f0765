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
use crate::support::client::{Connection, bytes_of, chunk, head_of};
use crate::support::envoy::Envoy;
use crate::support::exchange::Gate;
use crate::support::h2_client;
use crate::support::key_service::Answer;
use crate::support::reference::{PROXY, Reference};
use crate::support::rig::Rig;
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

    // The body's arrival sets a request free whose body is read.
    let (rig, _) = serving(Reference::whole().without("proxy_on_request_body: {}"));
    let tunnel = Request::post("/license").content_type("application/jose").body("no tunnel");
    assert_eq!((ask(&rig, &tunnel).status, rig.upstream.count()), (200, 1));
    // One whose body is not read is held whole.
    let disabled = new_key("disabled");
    rig.keys.set_for("disabled", Answer::document(&disabled.jwk().with("status", json!("disabled"))));
    assert_eq!((ask(&rig, &request(&disabled)).code(), rig.upstream.count()), (Some(513), 1));
}

#[test]
fn a_call_that_is_missing_from_the_list_is_refused_and_logged_and_nothing_passes() {
    for call in ["proxy_get_header_map_pairs", "proxy_get_current_time_nanoseconds", "proxy_remove_header_map_value"] {
        let (rig, key) = serving(Reference::whole().without(&format!("{call}: {{}}")));
        assert_eq!((ask(&rig, &request(&key)).code(), rig.upstream.count()), (Some(500), 0), "{call}");
        assert_restricted(&rig, call);
    }
}

#[test]
fn without_proxy_send_local_response_a_refused_request_gets_no_answer_and_does_not_pass() {
    let (rig, key) = serving(Reference::whole().without("proxy_send_local_response: {}"));
    let mut connection = Connection::open(rig.envoy.address(PROXY));
    connection.set_patience(Duration::from_secs(2));
    connection.send(&bytes_of(&Request::post("/license"), &[])).unwrap();
    assert!(connection.answer("POST").is_err(), "it is answered");
    assert_eq!(rig.upstream.count(), 0);
    assert_restricted(&rig, "proxy_send_local_response");
    assert_eq!(ask(&rig, &request(&key)).status, 200);
}

#[test]
fn without_random_get_envoy_does_not_start() {
    let Err(refusal) = Reference::whole().without("random_get: {}").try_start() else { panic!("it starts") };
    assert!(refusal.log.contains("the host gives no random numbers (random_get)"), "{}", refusal.log);
}

#[test]
fn without_the_foreign_function_a_body_that_waits_arrives_whole_up_to_envoys_buffer() {
    let (rig, _) = serving(Reference::whole().without("proxy_call_foreign_function: {}"));
    let (key, gate) = (new_key("late"), Gate::closed());
    rig.keys.set_for("late", Answer::document(&key.jwk()).held_by(&gate));
    let sent = request(&key).chunked();
    let mut connection = Connection::open(rig.envoy.address(PROXY));
    connection.send(&head_of(&sent, &[])).unwrap();
    rig.keys.await_count_for("late", 1);
    connection.send(&chunk(b"one ")).unwrap();
    thread::sleep(Duration::from_millis(100));
    gate.open();
    thread::sleep(Duration::from_millis(100));
    connection.send(&[chunk(b"two "), chunk(b"three"), b"0\r\n\r\n".to_vec()].concat()).unwrap();
    assert_eq!(connection.answer("POST").unwrap().status, 200);
    assert_eq!(rig.upstream.received()[0].body, b"one two three");
    assert_eq!(ask(&rig, &request(&key).body(vec![b'x'; 400_000])).status, 200, "the key is there");
    rig.keys.set_for("never", Answer::never());
    assert_eq!(ask(&rig, &request(&new_key("never")).body(vec![b'x'; 400_000])).status, 413);
}

/// The list in the place that Envoy 1.40 has for it: with the VM.
fn successor() -> Reference {
    let whole = Reference::whole();
    let start = whole.text().find("                capability_restriction_config: &capabilities\n").expect("the list");
    let vm = "                vm_config: &vm\n";
    let end = start + whole.text()[start..].find(vm).expect("the VM behind the list");
    let list = whole.text()[start..end].to_owned();
    let inner: String = list.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    let inner = inner.replace(" &capabilities", "");
    let again = "                capability_restriction_config: *capabilities\n";
    whole.with(&[&list, vm].concat(), &[vm, &inner].concat()).with(again, "")
}

#[test]
fn the_list_restricts_alike_in_the_place_that_envoy_1_40_has_for_it() {
    let (rig, key) = serving(successor());
    assert_eq!((ask(&rig, &request(&key)).code(), ask(&rig, &Request::post("/license")).code()), (None, Some(501)));
    assert!(!rig.envoy.log().contains("deprecated option"), "{}", rig.envoy.log());
    let (rig, key) = serving(successor().without("proxy_get_header_map_pairs: {}"));
    assert_eq!((ask(&rig, &request(&key)).code(), rig.upstream.count()), (Some(500), 0));
    assert_restricted(&rig, "proxy_get_header_map_pairs");
}

fn assert_restricted(rig: &Rig, call: &str) {
    let log = rig.envoy.log();
    assert!(log.contains(&format!("restricted proxy-wasm capability: {call}")), "{call}: {log}");
}
