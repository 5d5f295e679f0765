//! Times: their types, ranges and edges, and what the configuration says about them. Every token here is properly signed.

use serde_json::{Value, json};

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::CPIX;
use crate::support::token::Token;

/// The last second of the year 9999: the largest time that is one.
const LAST_SECOND: i64 = 253_402_300_799;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = types_of_times(now);
    cases.extend(ranges(now));
    cases.extend(times(now));
    cases.extend(adjusted(now));
    cases
}

fn token() -> Token {
    Token::new(keyring().main())
}

fn license(name: impl Into<String>, token: Token, now: i64) -> Case {
    Case::new(name, Plugin::Reference, Request::post("/widevine").token(token.compact(now)))
}

/// Attack 35: times that are no numbers.
fn types_of_times(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for claim in ["iat", "exp", "nbf"] {
        for value in [
            json!(now.to_string()),
            json!(""),
            json!(true),
            json!(false),
            json!([]),
            json!([now]),
            json!({}),
            json!("2026-01-01"),
        ] {
            cases.push(
                license(format!("attack 35: {claim} {}", shown(&value, now)), token().claim(claim, value), now)
                    .denied(505),
            );
        }
    }
    cases.push(license("attack 35: exp null is 505", token().claim("exp", json!(null)), now).denied(505));
    cases.push(license("attack 35: nbf null is 505", token().claim("nbf", json!(null)), now).denied(505));
    cases.push(license("iat null is missing: 509", token().claim("iat", json!(null)), now).denied(509));
    cases.push(license("a missing iat is 509", token().without("iat"), now).denied(509));
    cases.push(license("a missing exp is allowed", token().without("exp"), now).allowed());
    cases.push(license("an nbf of now is allowed", token().claim_from_now("nbf", 0), now).allowed());
    cases
}

/// The value in a row's name, without the time of the run in it.
fn shown(value: &Value, now: i64) -> String {
    format!("{} is 505", value.to_string().replace(&now.to_string(), "now"))
}

/// Attacks 36 and 37: numbers out of range, and fractions.
fn ranges(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for claim in ["iat", "exp", "nbf"] {
        for number in [
            "-1",
            "-0.5",
            "-1e-9",
            "-9223372036854775808",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1e20",
            "1e400",
            "-1e400",
            "253402300800",
            "253402300799.5",
            "1e308",
            "2.53402300800e11",
        ] {
            cases.push(
                license(format!("attack 36: {claim} {number} is 505"), token().raw_claim(claim, number), now)
                    .denied(505),
            );
        }
    }
    let raw = |name: &str, claim: &str, number: String| license(name, token().raw_claim(claim, &number), now);
    cases.extend([
        raw("the last second of the year 9999 is an exp", "exp", LAST_SECOND.to_string()).allowed(),
        raw("the last second of the year 9999 with a point is an exp", "exp", format!("{LAST_SECOND}.0")).allowed(),
        raw("the last second of the year 9999 as nbf is 511", "nbf", LAST_SECOND.to_string()).denied(511),
        raw("the last second of the year 9999 as iat is 510", "iat", LAST_SECOND.to_string()).denied(510),
        raw("0 as iat is 508", "iat", "0".into()).denied(508),
        raw("0 as exp is 508", "exp", "0".into()).denied(508),
        raw("-0.0 as exp is 508", "exp", "-0.0".into()).denied(508),
        raw("0 as nbf is allowed", "nbf", "0".into()).allowed(),
        raw("1e-400 as nbf is allowed", "nbf", "1e-400".into()).allowed(),
        raw("attack 37: a fraction of a second in iat is cut", "iat", format!("{now}.9")).allowed(),
        raw("attack 37: an old time with a fraction is old", "iat", "1541974706.9".into()).denied(508),
        raw("attack 37: a fraction in exp is cut", "exp", format!("{}.999999", now + 60)).allowed(),
        raw("attack 37: a time with an exponent is a time", "exp", format!("{}e-1", (now + 60) * 10)).allowed(),
        raw("attack 37: a time with many digits is a time", "exp", format!("{}.{}", now + 60, "3".repeat(400)))
            .allowed(),
        raw("attack 36: 1e400 in an unknown claim is ignored", "x", "1e400".into()).allowed(),
        raw("attack 36: 1e400 deeper down is ignored", "x", "[{\"exp\":-1e400}]".into()).allowed(),
        raw("attack 36: a number of a thousand digits in an unknown claim is ignored", "x", "9".repeat(1000)).allowed(),
        license("attack 36: 1e400 in an unknown header member is ignored", token().raw_header("x", "1e400"), now)
            .allowed(),
    ]);
    cases
}

/// Attack 38 with slack; the edge seconds are checked natively.
fn times(now: i64) -> Vec<Case> {
    let cpix = |name: &str, token: Token| {
        Case::new(name, Plugin::Reference, Request::post("/cpix").token(token.audience(CPIX).compact(now)))
    };
    vec![
        license("attack 38: a license token of 80 s is allowed", token().aged(80), now).allowed(),
        license("attack 38: a license token of 96 s is 508", token().aged(96), now).denied(508),
        license("attack 38: a license token of a day is 508 although its exp is to come", token().aged(86_400), now)
            .denied(508),
        cpix("attack 38: a CPIX token of 1780 s is allowed", token().aged(1780)).allowed(),
        cpix("attack 38: a CPIX token of 1806 s is 508", token().aged(1806)).denied(508),
        license("attack 38: an iat within the skew is allowed", token().claim_from_now("iat", 5), now).allowed(),
        license("attack 38: an iat beyond the skew is 510", token().claim_from_now("iat", 60), now).denied(510),
        license("attack 38: an nbf within the skew is allowed", token().claim_from_now("nbf", 5), now).allowed(),
        license("attack 38: an nbf beyond the skew is 511", token().claim_from_now("nbf", 60), now).denied(511),
        license("attack 38: an exp beyond the skew is 508", token().claim_from_now("exp", -6), now).denied(508),
        license("attack 38: an exp before iat is 508", token().claim_from_now("exp", -60), now).denied(508),
        license(
            "an exp years ahead does not lengthen the age",
            token().aged(200).claim_from_now("exp", 1_000_000),
            now,
        )
        .denied(508),
    ]
}

/// Ages, versions, audiences and skew of the configuration.
fn adjusted(now: i64) -> Vec<Case> {
    let right = || token().claim("ver", json!(2)).audience("urn:example:a");
    let case = |name: &str, path: &str, token: Token| {
        Case::new(name, Plugin::Adjusted, Request::post(path).token(token.compact(now)))
    };
    let of = |kid: &str| right().header("kid", json!(kid)).claim("aud", json!(["urn:example:a", "urn:example:b"]));
    vec![
        case("a configured audience that the key is not for is 503", "/", right()).denied(503),
        case("one audience of two that match is in the key's scope: allowed", "/", of("for-b")).allowed(),
        case("configured versions are the only ones", "/", of("for-b").claim("ver", json!(1))).denied(505),
        case("each of the configured versions is allowed", "/", of("for-b").claim("ver", json!(3.0))).allowed(),
        case("the configured age is the limit: nine minutes", "/", of("for-b").aged(540)).allowed(),
        case("the configured age is the limit: fourteen minutes", "/", of("for-b").aged(840)).denied(508),
        case("the configured skew counts for iat", "/", of("for-b").claim_from_now("iat", 90)).allowed(),
        case("the configured skew counts for nbf", "/", of("for-b").claim_from_now("nbf", 90)).allowed(),
        case("the configured skew counts for exp", "/", of("for-b").claim_from_now("exp", -90)).allowed(),
        case("beyond the configured skew exp is 508", "/", of("for-b").claim_from_now("exp", -150)).denied(508),
        case("services are configured apart: CPIX", "/cpix", {
            token().header("kid", json!("for-c")).claim("ver", json!(7)).audience("urn:example:c").aged(1600)
        })
        .allowed(),
        case("services are configured apart: CPIX with the other's version", "/cpix", {
            token().header("kid", json!("for-c")).claim("ver", json!(2)).audience("urn:example:c")
        })
        .denied(505),
        case("a default audience is not taken where others are configured", "/", token().claim("ver", json!(2)))
            .denied(503),
    ]
}
