//! Configurations that are refused, pushed to a running Envoy: one line names the member, no line holds a secret, and the proxy goes on with
//! what it had.

use serde_json::{Value, json};

use crate::now;
use crate::support::envoy::{Envoy, Listener, Setup};
use crate::support::exchange::Gate;
use crate::support::key_service::Answer;
use crate::support::rig::Rig;
use crate::support::signer::{Alg, Document, SigningKey};
use crate::support::table::keyring::keyring;
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;
use crate::support::upstream::Upstream;
use crate::support::{client, wait};

/// Stands in every configuration below, as the value of a header, and must never be seen.
const SECRET: &str = "topsecret-0123456789";

/// A right configuration with a secret, and this member of it, given by its path, set to something else.
fn with(path: &str, value: Value) -> String {
    let mut plugin = json!({"keys": {"cluster": "keys", "headers": {"authorization": SECRET}}});
    let mut place = &mut plugin;
    for member in path.split('.') {
        place = &mut place[member];
    }
    *place = value;
    plugin.to_string()
}

/// A right `session` with this member besides.
fn session(name: &str, value: Value) -> Value {
    json!({"keys": {"cluster": "keys", "headers": {"x": SECRET}}, "issuer": "a", "audience": "b"}).with(name, value)
}

/// Configurations and the member that the log has to name.
fn refused() -> Vec<(String, &'static str)> {
    let mut refused: Vec<(String, &str)> = [
        ("kyes", json!({})),
        ("keys", json!("keys")),
        ("keys.clutser", json!("keys")),
        ("keys.cluster", json!(7)),
        ("keys.cluster", json!("")),
        ("keys.authority", json!(7)),
        ("keys.path", json!("keys/{kid}")),
        ("keys.path", json!("")),
        ("keys.headers", json!([SECRET])),
        ("keys.headers.x-number", json!(7)),
        ("keys.headers.x-unset", json!("${NOT_SET_ANYWHERE}")),
        ("keys.timeout", json!(2)),
        ("keys.timeout", json!("2")),
        ("keys.timeout", json!("2 s")),
        ("keys.timeout", json!("-1s")),
        ("keys.timeout", json!("0s")),
        ("keys.timeout", json!("61s")),
        ("keys.timeout", json!("99999999999999999999s")),
        ("keys.max_age", json!("0.5s")),
        ("keys.max_age", json!("25h")),
        ("keys.max_age_limit", json!("0s")),
        ("keys.min_age", json!("0.9s")),
        ("keys.min_age", json!("61m")),
        ("keys.stale_if_error", json!("25h")),
        ("keys.negative_max_age", json!("0s")),
        ("keys.negative_max_age", json!("61m")),
        ("keys.refetch_interval", json!("0.9s")),
        ("keys.max_entries", json!(0)),
        ("keys.max_entries", json!(100_001)),
        ("keys.max_entries", json!(1.5)),
        ("keys.max_entries", json!("10")),
        ("keys.max_waiting", json!(-1)),
        ("keys.max_waiting", json!(100_001)),
        ("keys.issuer", json!(7)),
        ("keys.audiences", json!("urn:example")),
        ("keys.inline", json!(7)),
        ("keys.inline", json!({"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "iss": "a", "k": "c2hvcnQ"}]})),
        ("routes", json!({})),
        ("routes[0].pth", json!([{"pth": "/x", "service": "open"}])),
        ("routes[0]", json!([{"path": "/x", "path_prefix": "/x", "service": "open"}])),
        ("routes[0]", json!([{"service": "open"}])),
        ("routes[1].path", json!([{"path": "/x", "service": "open"}, {"path": "x", "service": "open"}])),
        ("routes[0].path_prefix", json!([{"path_prefix": 7, "service": "open"}])),
        ("routes[0].service", json!([{"path": "/x", "service": "closed"}])),
        ("routes[0]", json!([{"path": "/x"}])),
        ("routes[0].drm", json!([{"path": "/x", "service": "license", "drm": "clearkey"}])),
        ("routes[0].host", json!([{"path": "/x", "service": "license", "host": 7}])),
        ("routes[0].host", json!([{"path": "/x", "service": "license", "host": "*"}])),
        ("routes[0].host", json!([{"path": "/x", "service": "license", "host": "https://x"}])),
        ("routes[0].host", json!([{"path": "/x", "service": "license", "host": "a b"}])),
        ("routes[0].path", json!([{"path": "/a//../b", "service": "license"}])),
        (
            "routes[1]: found path",
            json!([{"path_prefix": "/", "service": "cpix"}, {"path": "/license", "service": "license"}]),
        ),
        ("default_service", json!("open")),
        ("services.licence", json!({})),
        ("services.license.audiences", json!([])),
        ("services.license.audiences", json!("urn:example")),
        ("services.license.max_age", json!("0s")),
        ("services.license.max_age", json!("25h")),
        ("services.license.versions", json!([])),
        ("services.license.versions", json!(["1"])),
        ("services.cpix.audiences", json!([])),
        ("services.signed_cpix.max_age", json!("1s")),
        ("services.open", json!({})),
        ("allow_slow_algorithms", json!("yes")),
        ("access_log", json!("some")),
        ("clock_skew", json!("6m")),
        ("clock_skew", json!("-5s")),
        ("max_token_bytes", json!(255)),
        ("max_token_bytes", json!(65_537)),
        ("max_body_bytes", json!(1023)),
        ("max_body_bytes", json!(8_388_609)),
        ("max_held_bytes", json!(1_048_575)),
        ("max_held_bytes", json!(1_073_741_825)),
        ("body_timeout", json!("0.5s")),
        ("body_timeout", json!("61s")),
        ("upstream", json!([])),
        ("upstream.forward_token", json!("yes")),
        ("upstream.forward_tokens", json!(true)),
        ("trust_tunnel.mode", json!("strict")),
        ("report_only", json!("no")),
        ("session", json!({"keys": {"cluster": "keys", "headers": {"x": SECRET}}, "issuer": "a"})),
        ("trust_tunnel.keys", json!({"headers": {"x": SECRET}})),
        ("upstream.payload_header", json!("x-request-id")),
        ("upstream.claim_headers", json!({"host": 7})),
        ("services.cpix.bind_content", json!("yes")),
        ("routes[0].service", json!([{"path": "/cpix", "service": "signed"}])),
    ]
    .into_iter()
    .map(|(path, value)| (with(path.split('[').next().unwrap(), value), path))
    .collect();
    for (name, value) in [
        ("lifetime", json!("2h")),
        ("header", json!("content-type")),
        ("kid", json!("..")),
        ("keys", json!({"cluster": "keys", "path": "/keys", "headers": {"x": SECRET}})),
    ] {
        refused.push((with("session", session(name, value)), "session"));
    }
    refused.push((with("upstream", json!({"claim_headers": {"Host": "sub"}})), "upstream.claim_headers.Host"));
    refused.push(("{}".into(), "keys"));
    refused.push((json!({"keys": {"headers": {"x": SECRET}}}).to_string(), "keys.cluster"));
    refused
        .push((format!(r#"{{"keys": {{"cluster": "a", "cluster": "b", "headers": {{"x": "{SECRET}"}}}}}}"#), "keys"));
    refused
}

/// A dynamic Envoy that serves with the reference configuration.
fn dynamic() -> Rig {
    let rig = Rig::adjusted(&Plugin::Reference.configuration(), |setup| setup.dynamic = true);
    rig.keys.register(keyring().main());
    rig
}

fn listener(plugin: &str) -> Vec<Listener> {
    let mut listener = Listener::new("main", &Value::Null);
    plugin.clone_into(&mut listener.plugin);
    vec![listener]
}

/// Pushes a configuration that must be refused, and gives the one line that the module wrote about it.
fn refusal(rig: &mut Rig, plugin: &str) -> Result<String, String> {
    let before = rig.envoy.log().len();
    if rig.envoy.push(listener(plugin)) {
        return Err("it was accepted".into());
    }
    let lines = wait::until("a line about the refusal", || {
        let log = rig.envoy.log();
        let lines: Vec<String> =
            log[before..].lines().filter(|line| line.contains("wasm log")).map(str::to_owned).collect();
        (!lines.is_empty()).then_some(lines)
    });
    let [line] = &lines[..] else { return Err(format!("not one line but {lines:#?}")) };
    Ok(line.clone())
}

fn still_serves(rig: &Rig) {
    let right = Request::post("/widevine").token(Token::new(keyring().main()).compact(now()));
    assert_eq!((rig.code(&right), rig.code(&Request::post("/widevine"))), (None, Some(501)));
}

#[test]
fn a_refused_configuration_is_named_by_its_member_and_changes_nothing() {
    let mut rig = dynamic();
    still_serves(&rig);
    let mut failures = Vec::new();
    for (plugin, member) in refused() {
        match refusal(&mut rig, &plugin) {
            Ok(line) if line.contains(member) => {}
            Ok(line) => failures.push(format!("{plugin}\n    {member} is not in {line}")),
            Err(problem) => failures.push(format!("{plugin}\n    {member}: {problem}")),
        }
    }
    for malformed in
        ["", "{", "null", "[]", "7", "\"keys\"", "{\"keys\":{\"cluster\":\"keys\"}}}", "\u{feff}{}", "{'keys':{}}"]
    {
        if let Err(problem) = refusal(&mut rig, malformed) {
            failures.push(format!("{malformed:?}: {problem}"));
        }
    }
    assert!(failures.is_empty(), "{} configurations:\n{}", failures.len(), failures.join("\n"));
    still_serves(&rig);
    assert!(!rig.envoy.log().contains(SECRET), "the log holds a secret");
    rig.envoy.assert_healthy();
}

#[test]
fn members_at_the_ends_of_their_ranges_and_defaults_spelled_out_are_accepted() {
    let mut rig = dynamic();
    let mut failures = Vec::new();
    for (path, value) in [
        ("keys.timeout", json!("0.001s")),
        ("keys.timeout", json!("60s")),
        ("keys.timeout", json!("1m")),
        ("keys.max_age", json!("1s")),
        ("keys.max_age", json!("24h")),
        ("keys.max_age_limit", json!("86400s")),
        ("keys.min_age", json!("1h")),
        ("keys.stale_if_error", json!("0s")),
        ("keys.negative_max_age", json!("1h")),
        ("keys.refetch_interval", json!("1s")),
        ("keys.max_entries", json!(1)),
        ("keys.max_entries", json!(100_000)),
        ("keys.max_waiting", json!(0)),
        ("keys.headers", json!({})),
        ("keys.path", json!("/jwks.json")),
        ("routes", json!([])),
        ("routes", json!([{"path": "/x", "service": "open", "host": "*.Keys.example:8443"}])),
        ("default_service", json!("license")),
        (
            "services",
            json!({"license": {"max_age": "90s", "versions": [1]}, "cpix": {"max_age": "30m", "bind_content": false}}),
        ),
        ("services.signed_cpix.audiences", json!(["urn:verimatrix:cpix"])),
        ("allow_slow_algorithms", json!(false)),
        ("access_log", json!("denied")),
        ("access_log", json!("off")),
        ("clock_skew", json!("0s")),
        ("clock_skew", json!("5m")),
        ("max_token_bytes", json!(256)),
        ("max_token_bytes", json!(65_536)),
        ("max_body_bytes", json!(8_388_608)),
        ("max_held_bytes", json!(1_048_576)),
        ("body_timeout", json!("1s")),
        ("upstream", json!({"forward_token": false, "claim_headers": {}})),
        ("trust_tunnel", json!({"mode": "permissive"})),
        ("trust_tunnel", json!({"mode": "off"})),
        ("trust_tunnel", json!({"mode": "enforcing", "keys": {"cluster": "keys", "headers": {"x": SECRET}}})),
        ("session", session("lifetime", json!("1h"))),
        ("session", session("header", json!("Authorization"))),
        ("upstream", json!({"payload_header": "x-jwt-payload", "claim_headers": {"x-sub": "sub"}})),
        ("services", json!({"cpix": {"bind_content": true}})),
        ("routes", json!([{"path": "/cpix", "service": "signed_cpix"}])),
        ("report_only", json!(false)),
        ("report_only", json!(true)),
    ] {
        let plugin = with(path, value);
        if !rig.envoy.push(listener(&plugin)) {
            let log = rig.envoy.log();
            failures.push(format!(
                "{plugin}\n    {}",
                log.lines().rfind(|line| line.contains("wasm log")).unwrap_or_default()
            ));
        }
    }
    assert!(failures.is_empty(), "{} configurations were refused:\n{}", failures.len(), failures.join("\n"));
    assert!(!rig.envoy.log().contains(SECRET), "the log holds a secret");
    rig.envoy.assert_healthy();
}

#[test]
fn a_secret_key_in_the_configuration_is_never_shown() {
    let mut rig = dynamic();
    let secret = SigningKey::generate("hs", Alg::HS256).jwk();
    let value = secret["k"].as_str().unwrap().to_owned();
    let private = keyring().main().jwk().with("d", json!(value));
    for (plugin, member) in [
        (
            json!({"keys": {"cluster": "keys", "inline": {"keys": [secret.clone().with("use", json!("enc"))]}}}),
            "keys.inline",
        ),
        (json!({"keys": {"cluster": "keys", "inline": {"keys": [secret.clone().without("iss")]}}}), "keys.inline"),
        (json!({"keys": {"cluster": "keys", "inline": {"keys": [private]}}}), "keys.inline"),
        (json!({"keys": {"cluster": "keys", "inline": {"keys": [secret]}, "max_age": "0s"}}), "keys.max_age"),
        (json!({"keys": {"cluster": "keys", "inline": {"keys": value}}}), "keys.inline"),
        (json!({"keys": {"cluster": "keys", "inline": {"k": value}}}), "keys.inline"),
    ] {
        let line = refusal(&mut rig, &plugin.to_string()).unwrap_or_else(|problem| panic!("{plugin}: {problem}"));
        assert!(line.contains(member), "{member} is not in {line}");
    }
    assert!(!rig.envoy.log().contains(&value), "the log holds a secret");
    still_serves(&rig);
    rig.envoy.assert_healthy();
}

#[test]
fn a_configuration_that_comes_as_a_struct_is_refused_with_what_to_write() {
    let mut rig = dynamic();
    let long = json!({"keys": {"cluster": "keys", "path": format!("/{}", "k".repeat(300))}, "report_only": false});
    for configuration in [Plugin::Reference.configuration(), json!({"keys": {"cluster": "keys"}}), long] {
        let before = rig.envoy.log().len();
        let mut as_struct = listener(&configuration.to_string());
        as_struct[0].plugin_as_struct = true;
        assert!(!rig.envoy.push(as_struct), "{configuration} is accepted");
        let line = wait::until("a line about the refusal", || {
            rig.envoy.log()[before..].lines().find(|line| line.contains("wasm log")).map(str::to_owned)
        });
        assert!(line.contains("Struct") && line.contains("google.protobuf.StringValue"), "{line}");
    }
    still_serves(&rig);
    rig.envoy.assert_healthy();
}

#[test]
fn an_envoy_whose_first_configuration_is_refused_does_not_start() {
    let upstream = Upstream::start();
    let setup = Setup::new(upstream.address());
    let Err(refusal) = Envoy::try_start(setup.listener(Listener::new("main", &json!({"keys": {"cluster": 7}})))) else {
        panic!("Envoy started")
    };
    assert!(!refusal.status.success());
    assert!(refusal.log.contains("keys.cluster"), "{}", refusal.log);
}

#[test]
fn a_new_configuration_takes_effect_while_requests_of_the_old_one_wait() {
    let mut rig = dynamic();
    let gate = Gate::closed();
    let key = keyring().main().under_kid("slow");
    rig.keys.set_for("slow", Answer::document(&key.jwk()).held_by(&gate));
    let request = Request::post("/widevine").token(Token::new(&key).compact(now()));
    let mut waiting = client::Connection::open(rig.envoy.only());
    waiting.send(&client::bytes_of(&request, &[])).unwrap();
    rig.envoy.await_active_requests(1);
    assert!(rig.envoy.push(listener(&json!({"keys": {"cluster": "keys"}, "default_service": "deny"}).to_string())));
    assert_eq!(rig.code(&Request::post("/widevine").token(Token::new(keyring().main()).compact(now()))), Some(503));
    gate.open();
    assert_eq!(waiting.answer("POST").unwrap().status, 200, "decided under the configuration it came in with");
    rig.envoy.assert_healthy();
}
