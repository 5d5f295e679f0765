//! What is counted, and what the access log is told, request by request.

use std::collections::HashMap;
use std::time::Duration;

use mdrm_authz::authorizer::Platform;
use mdrm_authz::jose::native::Verify;
use mdrm_authz::metrics::{Counter, Counters, Event};
use serde_json::json;

use crate::proxy::{Outcome, Proxy};
use crate::support::signer::{Alg, Document};
use crate::support::table::keyring::keyring;
use crate::support::table::{Plugin, Request, table};
use crate::support::token::Token;

const NOW: i64 = 1_764_000_000;

fn proxy(plugin: Plugin) -> Proxy {
    Proxy::new(&plugin.configuration(), NOW)
}

fn send(proxy: &mut Proxy, request: &Request) -> Outcome {
    proxy.run_with(request.as_a_filter_sees_it(), request.has_body().then_some(&*request.body))
}

/// The counters that are not 0, by name.
fn counted(proxy: &mut Proxy) -> Vec<(String, u32)> {
    shown(&proxy.take_counters())
}

fn shown(counters: &Counters) -> Vec<(String, u32)> {
    let all = Counter::all().map(|counter| (counter.name(), counters.get(counter)));
    all.filter(|(_, count)| *count > 0).collect()
}

fn facts(proxy: &Proxy) -> Vec<(&'static str, String)> {
    proxy.facts.properties().collect()
}

fn are(names: &[(&str, u32)]) -> Vec<(String, u32)> {
    names.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn license() -> Request {
    Request::post("/license").token(Token::new(keyring().main()).compact(NOW))
}

#[test]
fn a_token_is_a_miss_at_first_and_then_a_hit_with_its_key() {
    let mut proxy = proxy(Plugin::NoRoutes);
    assert!(matches!(send(&mut proxy, &license()), Outcome::Forwarded { .. }));
    let once = [("allowed", 1), ("keys.miss", 1), ("keys.fetch_success", 1), ("tokens.miss", 1), ("verify.in_vm", 1)];
    assert_eq!(counted(&mut proxy), are(&once));
    let kid = keyring().main().kid().to_owned();
    let who = |token: &str, key: &str| {
        [
            ("mdrm_kid", &*kid),
            ("mdrm_iss", "company1"),
            ("mdrm_sub", "content-1"),
            ("mdrm_token_cache", token),
            ("mdrm_key_cache", key),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    };
    assert_eq!(facts(&proxy), who("miss", "miss"));

    let again = license();
    send(&mut proxy, &again);
    assert_eq!(facts(&proxy), who("miss", "hit"), "another token, the same key");
    counted(&mut proxy);
    send(&mut proxy, &again);
    assert_eq!(counted(&mut proxy), are(&[("allowed", 1), ("keys.hit", 1), ("tokens.hit", 1)]));
    assert_eq!(facts(&proxy), who("hit", "hit"));
}

#[test]
fn a_key_past_its_freshness_is_a_stale_hit_while_the_key_service_fails() {
    let mut proxy = proxy(Plugin::NoRoutes);
    let document = keyring().main().jwk().to_string();
    proxy.instead = Some((document, "max-age=10".to_owned()));
    let first = license();
    send(&mut proxy, &first);
    proxy.instead = Some(("no JSON".to_owned(), String::new()));
    proxy.now.monotonic += Duration::from_secs(11);
    counted(&mut proxy);
    send(&mut proxy, &first);
    let waited = [("allowed", 1), ("keys.miss", 1), ("keys.fetch_failure", 1), ("tokens.hit", 1), ("verify.in_vm", 1)];
    assert_eq!(counted(&mut proxy), are(&waited), "who asks first waits");
    send(&mut proxy, &first);
    assert_eq!(counted(&mut proxy), are(&[("allowed", 1), ("keys.stale_hit", 1), ("tokens.hit", 1)]));
    assert!(facts(&proxy).contains(&("mdrm_key_cache", "stale".to_owned())));
}

#[test]
fn a_remembered_refusal_is_a_negative_hit() {
    let mut proxy = proxy(Plugin::NoRoutes);
    let unknown = Request::post("/license").token(Token::new(keyring().stranger()).compact(NOW));
    send(&mut proxy, &unknown);
    let miss = [("keys.miss", 1), ("keys.fetch_success", 1), ("tokens.miss", 1), ("denied.MDRM-504", 1)];
    assert_eq!(counted(&mut proxy), are(&miss));
    send(&mut proxy, &unknown);
    assert_eq!(counted(&mut proxy), are(&[("keys.negative_hit", 1), ("tokens.miss", 1), ("denied.MDRM-504", 1)]));
    let known = [("mdrm_kid", "stranger"), ("mdrm_token_cache", "miss"), ("mdrm_key_cache", "hit")];
    assert_eq!(facts(&proxy), known.map(|(name, value)| (name, value.to_owned())), "nothing of an unverified claim");
}

#[test]
fn a_key_that_no_answer_is_held_of_is_a_miss_and_says_nothing_of_the_claims() {
    let mut proxy = proxy(Plugin::DeadKeyService);
    for _ in 0..2 {
        send(&mut proxy, &license());
    }
    let twice = [("keys.miss", 2), ("keys.fetch_failure", 1), ("tokens.miss", 2), ("denied.MDRM-500", 2)];
    assert_eq!(counted(&mut proxy), are(&twice));
    assert!(facts(&proxy).contains(&("mdrm_key_cache", "miss".to_owned())));
}

#[test]
fn claims_are_told_only_after_the_signature_verified() {
    let mut proxy = proxy(Plugin::NoRoutes);
    let forged = Token::new(&keyring().stranger().under_kid(keyring().main().kid())).compact(NOW);
    send(&mut proxy, &Request::post("/license").token(forged));
    let told: Vec<&str> = facts(&proxy).iter().map(|(name, _)| *name).collect();
    assert_eq!(told, ["mdrm_kid", "mdrm_token_cache", "mdrm_key_cache"]);
    assert_eq!(proxy.take_counters().get(Counter::Event(Event::VerifiedInVm)), 1);

    // A right signature with an old token: the operator sees whose.
    let old = Token::new(keyring().main()).claim("iat", json!(NOW - 1000)).without("exp").compact(NOW);
    assert!(matches!(send(&mut proxy, &Request::post("/license").token(old)), Outcome::Denied(_)));
    assert!(facts(&proxy).contains(&("mdrm_sub", "content-1".to_owned())));
}

#[test]
fn texts_of_strangers_are_escaped_and_cut() {
    let mut proxy = proxy(Plugin::NoRoutes);
    let kid = "k\r\n\"\u{202e}".repeat(8);
    let token = Token::new(&keyring().main().under_kid(&kid)).compact(NOW);
    send(&mut proxy, &Request::post("/license").token(token));
    let (name, value) = facts(&proxy).remove(0);
    assert_eq!((name, value.len()), ("mdrm_kid", 64));
    assert!(value.starts_with(r#"k\r\n\"\u{202e}k\r\n"#), "{value}");

    let token = Token::new(keyring().main()).claim("sub", json!("é\n".repeat(1000))).compact(NOW);
    send(&mut proxy, &Request::post("/license").token(token));
    let (_, subject) = facts(&proxy).into_iter().find(|(name, _)| *name == "mdrm_sub").unwrap();
    assert!(subject.len() == 256 && subject.starts_with(r"\u{e9}\n"), "{subject}");
}

#[test]
fn open_routes_and_preflights_pass_and_show_nothing() {
    let mut proxy = proxy(Plugin::Reference);
    send(&mut proxy, &Request::get("/healthz").token("not.a.token"));
    assert_eq!(counted(&mut proxy), are(&[("passed", 1)]));
    assert_eq!(facts(&proxy), []);
}

#[test]
fn what_is_reported_only_is_counted_apart() {
    let plugin = Plugin::NoRoutes.configuration().with("report_only", json!(true));
    let mut proxy = Proxy::new(&plugin, NOW);
    send(&mut proxy, &Request::post("/license"));
    assert_eq!(counted(&mut proxy), are(&[("would_deny.MDRM-501", 1)]));
}

#[test]
fn signatures_are_counted_by_who_checks_them() {
    let verify: Verify = |_| Some(true);
    let platform = Platform { verify: Some(verify), ..Platform::default() };
    let cases = [(Alg::ES256, 1, 0), (Alg::RS256, 1, 0), (Alg::PS256, 0, 1), (Alg::EdDSA, 0, 1), (Alg::HS256, 0, 1)];
    for (alg, by_host, in_vm) in cases {
        let mut proxy = Proxy::on(&Plugin::NoRoutes.configuration(), NOW, platform);
        let token = Token::new(keyring().of_alg(alg)).compact(NOW);
        assert!(
            matches!(send(&mut proxy, &Request::post("/license").token(token)), Outcome::Forwarded { .. }),
            "{alg:?}"
        );
        let counters = proxy.take_counters();
        let checks = [Event::VerifiedByHost, Event::VerifiedInVm].map(|event| counters.get(Counter::Event(event)));
        assert_eq!(checks, [by_host, in_vm], "{alg:?}");
    }
    // Another algorithm than the key's: no signature is looked at.
    let mut proxy = proxy(Plugin::NoRoutes);
    let token = Token::new(keyring().main()).header("alg", json!("HS256")).compact(NOW);
    send(&mut proxy, &Request::post("/license").token(token));
    let checks = [Event::VerifiedByHost, Event::VerifiedInVm];
    let counters = proxy.take_counters();
    assert!(checks.iter().all(|event| counters.get(Counter::Event(*event)) == 0));
}

#[test]
fn every_row_of_the_table_is_counted_once_as_what_it_became() {
    let decides = |counter: &Counter| match counter {
        Counter::Event(event) => matches!(event, Event::Allowed | Event::Passed),
        Counter::Denied(_) | Counter::WouldDeny(_) => true,
    };
    let mut proxies: HashMap<Plugin, Proxy> = HashMap::new();
    for case in table(NOW) {
        let proxy = proxies.entry(case.plugin).or_insert_with(|| proxy(case.plugin));
        let expected = match send(proxy, &case.request) {
            Outcome::Denied(denial) => Counter::Denied(denial.code()),
            Outcome::Forwarded { allowed: true, .. } => Counter::Event(Event::Allowed),
            Outcome::Forwarded { allowed: false, .. } => Counter::Event(Event::Passed),
        };
        let counters = proxy.take_counters();
        let counts = Counter::all().filter(decides).map(|counter| (counter, counters.get(counter)));
        let counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [(expected, 1)], "{}", case.name);
    }
}
