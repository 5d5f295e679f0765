//! The exact seconds at which decisions change. Both edges are inclusive.

use serde_json::{Value, json};

use crate::proxy::{Outcome, Proxy};
use crate::support::signer::{CPIX, Document};
use crate::support::table::keyring::keyring;
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;

const ISSUED: i64 = 1_764_000_000;

/// What the filter says at `now` to a token issued at [`ISSUED`] with these claims besides.
fn answer(plugin: &Value, path: &str, claims: &[(&str, Value)], now: i64) -> String {
    let mut token = Token::new(keyring().main()).without("exp");
    for (name, value) in claims {
        token = token.claim(name, value.clone());
    }
    let request = Request::post(path).token(token.compact(ISSUED));
    match Proxy::new(plugin, now).run(request.as_a_filter_sees_it(), false) {
        Outcome::Forwarded { .. } => "ok".to_owned(),
        Outcome::Denied(denial) => denial.code().name().to_owned(),
    }
}

fn plain(claims: &[(&str, Value)], now: i64) -> String {
    answer(&Plugin::NoRoutes.configuration(), "/", claims, now)
}

#[test]
fn a_license_token_is_good_for_90_seconds_and_the_skew() {
    assert_eq!(plain(&[], ISSUED + 95), "ok");
    assert_eq!(plain(&[], ISSUED + 96), "MDRM-508");
}

#[test]
fn a_token_from_the_future_is_good_within_the_skew() {
    assert_eq!(plain(&[], ISSUED - 5), "ok");
    assert_eq!(plain(&[], ISSUED - 6), "MDRM-510");
}

#[test]
fn a_cpix_token_is_good_for_30_minutes_and_the_skew() {
    let plugin = Plugin::Reference.configuration();
    let at = |now| answer(&plugin, "/cpix", &[("aud", json!(CPIX))], now);
    assert_eq!(at(ISSUED + 1805), "ok");
    assert_eq!(at(ISSUED + 1806), "MDRM-508");
}

#[test]
fn exp_is_inclusive_with_the_skew() {
    assert_eq!(plain(&[("exp", json!(ISSUED + 10))], ISSUED + 15), "ok");
    assert_eq!(plain(&[("exp", json!(ISSUED + 10))], ISSUED + 16), "MDRM-508");
}

#[test]
fn nbf_is_inclusive_with_the_skew() {
    assert_eq!(plain(&[("nbf", json!(ISSUED + 10))], ISSUED + 5), "ok");
    assert_eq!(plain(&[("nbf", json!(ISSUED + 10))], ISSUED + 4), "MDRM-511");
}

#[test]
fn a_fraction_of_a_claim_is_cut_off() {
    assert_eq!(plain(&[("exp", json!(10.9 + ISSUED as f64))], ISSUED + 15), "ok");
    assert_eq!(plain(&[("exp", json!(10.9 + ISSUED as f64))], ISSUED + 16), "MDRM-508");
    assert_eq!(plain(&[("nbf", json!(10.9 + ISSUED as f64))], ISSUED + 5), "ok");
}

#[test]
fn the_last_second_of_the_year_9999_is_a_time_and_the_next_is_not() {
    assert_eq!(plain(&[("exp", json!(253_402_300_799_i64))], ISSUED), "ok");
    assert_eq!(plain(&[("exp", json!(253_402_300_800_i64))], ISSUED), "MDRM-505");
    assert_eq!(plain(&[("exp", json!(253_402_300_799.5))], ISSUED), "MDRM-505");
    assert_eq!(plain(&[("nbf", json!(0))], ISSUED), "ok");
    assert_eq!(plain(&[("nbf", json!(-0.5))], ISSUED), "MDRM-505");
}

#[test]
fn the_configured_skew_and_ages_count() {
    let plugin = |skew: &str, max_age: &str| {
        json!({
            "keys": {"cluster": "keys"}, "clock_skew": skew,
            "services": {"license": {"max_age": max_age}},
        })
    };
    let at = |skew: &str, max_age: &str, now| answer(&plugin(skew, max_age), "/", &[], now);
    assert_eq!(at("0s", "1s", ISSUED + 1), "ok");
    assert_eq!(at("0s", "1s", ISSUED + 2), "MDRM-508");
    assert_eq!(at("0s", "1s", ISSUED - 1), "MDRM-510");
    assert_eq!(at("5m", "24h", ISSUED + 86_700), "ok");
    assert_eq!(at("5m", "24h", ISSUED + 86_701), "MDRM-508");
}

#[test]
fn a_clock_far_off_refuses_and_does_not_panic() {
    for now in [i64::MIN, -1, 0, i64::MAX] {
        let code = plain(&[("exp", json!(253_402_300_799_i64)), ("nbf", json!(0))], now);
        assert!(["MDRM-508", "MDRM-510"].contains(&&*code), "{now}: {code}");
    }
}

#[test]
fn the_end_of_a_key_is_inclusive_and_has_no_skew() {
    let key = keyring().main().under_kid("k");
    let request = Request::post("/").token(Token::new(&key).compact(ISSUED));
    let answer = |now| {
        let mut proxy = Proxy::new(&Plugin::NoRoutes.configuration(), now);
        proxy.instead = Some((key.jwk().with("exp", json!(ISSUED + 20)).to_string(), String::new()));
        match proxy.run(request.as_a_filter_sees_it(), false) {
            Outcome::Forwarded { .. } => "ok".to_owned(),
            Outcome::Denied(denial) => denial.code().name().to_owned(),
        }
    };
    assert_eq!([20, 21, 25].map(|after| answer(ISSUED + after)), ["ok", "MDRM-513", "MDRM-513"]);
}

#[test]
fn attack_39_decisions_follow_a_clock_that_steps_an_hour_back_and_forth() {
    let mut proxy = Proxy::new(&Plugin::NoRoutes.configuration(), ISSUED);
    let request = Request::post("/").token(Token::new(keyring().main()).compact(ISSUED)).as_a_filter_sees_it();
    for (now, expected) in [
        (ISSUED, None),
        (ISSUED - 3600, Some("MDRM-510")),
        (ISSUED, None),
        (ISSUED + 3600, Some("MDRM-508")),
        (ISSUED, None),
    ] {
        proxy.now.unix = now;
        let code = match proxy.run(request.clone(), false) {
            Outcome::Forwarded { .. } => None,
            Outcome::Denied(denial) => Some(denial.code().name()),
        };
        assert_eq!(code, expected, "at {now}");
    }
    assert_eq!(proxy.asked.len(), 1, "and the key is held all the while");
}
