//! Tokens that come again: what is remembered of them, and what is checked each time.

use std::time::Duration;

use mdrm_authz::metrics::{Counter, Event};
use serde_json::{Value, json};

use crate::proxy::{Outcome, Proxy};
use crate::support::signer::{Alg, Document, SigningKey};
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;

const NOW: i64 = 1_764_000_000;

/// What a proxy says to a token at a path.
fn say(proxy: &mut Proxy, path: &str, token: &str) -> String {
    match proxy.run(Request::post(path).token(token).as_a_filter_sees_it(), false) {
        Outcome::Forwarded { .. } => "ok".to_owned(),
        Outcome::Denied(denial) => denial.code().name().to_owned(),
    }
}

/// A proxy whose key service answers with this document for one second.
fn proxy(document: &Value) -> Proxy {
    let mut proxy = Proxy::new(&Plugin::NoRoutes.configuration(), NOW);
    serve(&mut proxy, document);
    proxy
}

/// From now on the key service says this.
fn serve(proxy: &mut Proxy, document: &Value) {
    proxy.instead = Some((document.to_string(), "max-age=1".to_owned()));
}

fn pass(proxy: &mut Proxy, seconds: u64) {
    proxy.now.unix += i64::try_from(seconds).unwrap();
    proxy.now.monotonic += Duration::from_secs(seconds);
}

#[test]
fn a_remembered_token_ends_when_it_ends() {
    let key = SigningKey::generate("k", Alg::ES256);
    let token = Token::new(&key).claim("exp", json!(NOW + 10)).compact(NOW);
    let mut proxy = proxy(&key.jwk());
    for _ in 0..2 {
        assert_eq!(say(&mut proxy, "/", &token), "ok");
        pass(&mut proxy, 15);
    }
    assert_eq!(say(&mut proxy, "/", &token), "MDRM-508");
    proxy.now.unix = NOW - 6;
    assert_eq!(say(&mut proxy, "/", &token), "MDRM-510", "and follows a clock that is set back");
    proxy.now.unix = NOW;
    assert_eq!(say(&mut proxy, "/", &token), "ok");
}

#[test]
fn the_state_of_the_key_counts_at_every_request() {
    let key = SigningKey::generate("k", Alg::ES256);
    let token = Token::new(&key).compact(NOW);
    for (document, code) in [
        (key.jwk().with("status", json!("disabled")), "MDRM-513"),
        (key.jwk().with("status", json!("deleted")), "MDRM-512"),
        (key.jwk().with("exp", json!(NOW - 1)), "MDRM-513"),
        (key.jwk().with("use", json!("enc")), "MDRM-504"),
        (key.jwk().with("iss", json!("another")), "MDRM-505"),
        (key.jwk().with("aud", json!(["urn:verimatrix:cpix"])), "MDRM-503"),
        (SigningKey::generate("k", Alg::ES256).jwk(), "MDRM-505"),
        (SigningKey::generate("k", Alg::EdDSA).jwk(), "MDRM-505"),
    ] {
        let mut proxy = proxy(&key.jwk());
        assert_eq!(say(&mut proxy, "/", &token), "ok");
        serve(&mut proxy, &document);
        pass(&mut proxy, 1);
        assert_eq!(say(&mut proxy, "/", &token), code, "{document}");
        serve(&mut proxy, &key.jwk());
        pass(&mut proxy, 60);
        assert_eq!(say(&mut proxy, "/", &token), "ok", "and back");
    }
}

#[test]
fn a_remembered_token_ends_with_its_key_though_another_one_is_held_under_the_name() {
    let (key, next) = (SigningKey::generate("k", Alg::ES256), SigningKey::generate("k", Alg::ES256));
    let [token, of_next] = [&key, &next].map(|key| Token::new(key).compact(NOW));
    let mut proxy = proxy(&key.jwk());
    assert_eq!(say(&mut proxy, "/", &token), "ok");
    serve(&mut proxy, &next.jwk());
    pass(&mut proxy, 1);
    assert_eq!(say(&mut proxy, "/", &of_next), "ok", "the new key is fetched");
    assert_eq!(say(&mut proxy, "/", &token), "MDRM-505");
    assert_eq!(say(&mut proxy, "/", &of_next), "ok");
}

#[test]
fn the_rules_of_the_route_count_at_every_request() {
    let mut proxy = Proxy::new(&Plugin::Reference.configuration(), NOW);
    let key = SigningKey::generate("k", Alg::ES256);
    serve(&mut proxy, &key.jwk());
    let token = Token::new(&key).compact(NOW);
    assert_eq!(say(&mut proxy, "/widevine", &token), "ok");
    assert_eq!(say(&mut proxy, "/cpix", &token), "MDRM-503");
    assert_eq!(say(&mut proxy, "/elsewhere", &token), "MDRM-503");
    assert_eq!(say(&mut proxy, "/widevine", &token), "ok");
}

#[test]
fn attack_34_a_token_is_recognised_by_its_whole_text() {
    let key = SigningKey::generate("k", Alg::ES256);
    let good = Token::new(&key).compact(NOW);
    let other = Token::new(&key).claim("sub", json!("other")).compact(NOW);
    let mut proxy = proxy(&key.jwk());
    assert_eq!(say(&mut proxy, "/", &good), "ok");
    let (claims, _) = other.rsplit_once('.').unwrap();
    let (_, signature) = good.rsplit_once('.').unwrap();
    assert_eq!(say(&mut proxy, "/", &format!("{claims}.{signature}")), "MDRM-505");
    for at in 0..good.len() {
        let changed = if good.as_bytes()[at] == b'A' { "B" } else { "A" };
        let bad = [&good[..at], changed, &good[at + 1..]].concat();
        assert_ne!(say(&mut proxy, "/", &bad), "ok", "byte {at}");
    }
    assert_eq!(say(&mut proxy, "/", &good), "ok");
}

#[test]
fn attack_81_a_token_whose_signature_was_right_is_verified_once_whatever_else_is_wrong_with_it() {
    let key = SigningKey::generate("k", Alg::ES256);
    let right = Token::new(&key);
    for (token, code) in [
        (right.clone().aged(3600), "MDRM-508"),
        (right.clone().claim("exp", json!(NOW - 3600)), "MDRM-508"),
        (right.clone().claim("nbf", json!(NOW + 3600)), "MDRM-511"),
        (right.audience("urn:other"), "MDRM-503"),
    ] {
        let mut proxy = proxy(&key.jwk());
        serve_for_an_hour(&mut proxy, &key.jwk());
        let token = token.compact(NOW);
        for _ in 0..5 {
            assert_eq!(say(&mut proxy, "/", &token), code);
        }
        assert_eq!(proxy.take_counters().get(Counter::Event(Event::VerifiedInVm)), 1, "{code}");
    }
}

fn serve_for_an_hour(proxy: &mut Proxy, document: &Value) {
    proxy.instead = Some((document.to_string(), "max-age=3600".to_owned()));
}
