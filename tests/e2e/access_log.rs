//! What the access log of the reference configuration tells about a request, and what it does not.

use std::time::Duration;

use serde_json::{Value, json};

use crate::hardening::{LAST_MEMBER, ask, serving};
use crate::keys::{new_key, request};
use crate::now;
use crate::support::exchange::Answered;
use crate::support::key_service::Answer;
use crate::support::reference::Reference;
use crate::support::rig::Rig;
use crate::support::signer::{OWNER, SigningKey};
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::wait;

/// What the filter adds to a line.
const OF_THE_FILTER: [&str; 6] = ["code", "kid", "iss", "sub", "token_cache", "key_cache"];

/// The reference configuration with these members besides.
fn with_members(members: &str) -> Reference {
    Reference::whole().with(LAST_MEMBER, &format!("{LAST_MEMBER}, {members}"))
}

/// The line about the request that was answered so: the request's ID leads there.
fn line_of(rig: &Rig, answered: &Answered) -> Value {
    let id = answered.header("x-request-id").expect("every answer has the request's ID");
    wait::until("a line in the access log", || {
        let output = rig.envoy.output();
        let mut lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["request_id"] == *id)
    })
}

fn sent(rig: &Rig, request: &Request) -> (Answered, Value) {
    let answered = ask(rig, request);
    let line = line_of(rig, &answered);
    (answered, line)
}

/// What the filter has added to a line.
fn facts(line: &Value) -> Value {
    let known = OF_THE_FILTER.iter().filter_map(|name| Some((*name, line.get(name)?.clone())));
    Value::Object(known.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn token_of(key: &SigningKey, sub: &str) -> Token {
    Token::new(key).claim("sub", json!(sub))
}

fn license(token: &Token) -> Request {
    Request::post("/license/widevine?asset=7").token(token.compact(now()))
}

#[test]
fn a_refused_request_is_found_by_its_id_with_the_code_and_all_that_is_proven() {
    let (rig, key) = serving(Reference::whole());
    let (answered, line) = sent(&rig, &license(&token_of(&key, "movie-1").aged(600)));
    let body: Value = serde_json::from_slice(&answered.body).unwrap();
    assert_eq!(body["request_id"], line["request_id"], "a player can report what it was told");
    assert_eq!(
        facts(&line),
        json!({"code": "MDRM-508", "kid": "k", "iss": OWNER, "sub": "movie-1", "token_cache": "miss", "key_cache": "miss"})
    );
    let rest = ["status", "details", "method", "host", "path", "client"].map(|name| line[name].clone());
    let expected = json!([401, "MDRM-508", "POST", "license.example.com", "/license/widevine", "127.0.0.1"]);
    assert_eq!(json!(rest), expected);
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    assert!(line["milliseconds"].is_number(), "{line}");
}

#[test]
fn of_a_token_whose_signature_is_wrong_only_the_name_of_the_key_is_told() {
    let (rig, key) = serving(Reference::whole());
    let (_, line) = sent(&rig, &license(&token_of(&key, "movie-1").signed_by(&new_key("another"))));
    assert_eq!(facts(&line), json!({"code": "MDRM-505", "kid": "k", "token_cache": "miss", "key_cache": "miss"}));
    let (_, line) = sent(&rig, &Request::post("/license").token("rubbish"));
    assert_eq!(facts(&line), json!({"code": "MDRM-502", "token_cache": "miss"}));
    let (_, line) = sent(&rig, &Request::post("/license"));
    assert_eq!(facts(&line), json!({"code": "MDRM-501"}));
}

#[test]
fn access_log_says_for_which_requests_facts_are_written() {
    let all =
        |cache: &str| json!({"kid": "k", "iss": OWNER, "sub": "movie-1", "token_cache": cache, "key_cache": cache});
    for (access_log, allowed, denied) in [
        ("off", [json!({}), json!({})], json!({})),
        ("denied", [json!({}), json!({})], json!({"code": "MDRM-501"})),
        ("all", [all("miss"), all("hit")], json!({"code": "MDRM-501"})),
    ] {
        let (rig, key) = serving(with_members(&format!(r#""access_log": "{access_log}""#)));
        let request = license(&token_of(&key, "movie-1"));
        for expected in allowed {
            let (answered, line) = sent(&rig, &request);
            assert_eq!((answered.status, facts(&line)), (200, expected), "{access_log}: {line}");
            assert_eq!(line["details"], "via_upstream");
        }
        let (_, line) = sent(&rig, &Request::post("/license"));
        assert_eq!((facts(&line), &line["details"]), (denied, &json!("MDRM-501")), "{access_log}");
        let (_, line) = sent(&rig, &Request::get("/healthz"));
        assert_eq!(facts(&line), json!({}), "{access_log}: an open route has no token");
    }
}

#[test]
fn a_key_that_serves_past_its_freshness_is_told_as_stale() {
    let (rig, _) = serving(with_members(r#""access_log": "all""#));
    let key = new_key("ageing");
    rig.keys.set_for("ageing", Answer::document(&key.jwk()).header("cache-control", "max-age=1"));
    assert_eq!(sent(&rig, &license(&token_of(&key, "movie-1"))).1["key_cache"], "miss");
    rig.keys.set_for("ageing", Answer::new(503, "down"));
    wait::until_true("the key is stale", || {
        // Another token each time: for one that was verified before, the key is looked up as well.
        sent(&rig, &license(&token_of(&key, "movie-2"))).1["key_cache"] == "stale"
    });
}

#[test]
fn names_that_strangers_choose_are_escaped_and_cut() {
    let (rig, key) = serving(with_members(r#""access_log": "all""#));
    let (_, line) = sent(&rig, &request(&key.under_kid("a\"b\\c\n\u{202e}é")));
    assert_eq!(line["kid"], r#"a\"b\\c\n\u{202e}\u{e9}"#);
    let (_, line) = sent(&rig, &request(&key.under_kid(&"k".repeat(200))));
    assert_eq!(line["kid"], "k".repeat(64));
    let (_, line) = sent(&rig, &license(&token_of(&key, "film\r\nx: y")));
    assert_eq!((&line["sub"], &line["status"]), (&json!(r"film\r\nx: y"), &json!(200)));
    assert!(rig.envoy.output().is_ascii(), "the log is ASCII");
}

#[test]
fn report_only_tells_the_code_of_requests_that_go_on() {
    let (rig, key) = serving(with_members(r#""report_only": true"#));
    let (answered, line) = sent(&rig, &license(&token_of(&key, "movie-1").aged(600)));
    assert_eq!((answered.status, &line["code"], &line["details"]), (200, &json!("MDRM-508"), &json!("via_upstream")));
    assert_eq!(rig.upstream.received()[0].header("x-mdrm-would-deny").as_deref(), Some("MDRM-508"));
}

#[test]
fn a_request_that_waits_for_its_key_is_told_with_the_time_that_it_took() {
    let (rig, _) = serving(Reference::whole());
    let key = new_key("slow");
    rig.keys.set_for("slow", Answer::document(&key.jwk()).delayed(Duration::from_millis(300)));
    let (_, line) = sent(&rig, &license(&token_of(&key, "movie-1").aged(600)));
    assert_eq!((&line["code"], &line["key_cache"]), (&json!("MDRM-508"), &json!("miss")));
    assert!(line["milliseconds"].as_u64() >= Some(300), "{line}");
}
