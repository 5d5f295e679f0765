//! Audiences: the token's, the service's and the key's have to meet.

use serde_json::{Value, json};

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::{CPIX, LICENSE};
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    let token = || Token::new(keyring().main());
    let license = |name: String, token: Token| {
        Case::new(name, Plugin::Reference, Request::post("/widevine").token(token.compact(now)))
    };
    for aud in [json!([LICENSE]), json!([LICENSE, CPIX]), json!(["x", LICENSE, ""]), json!([LICENSE, LICENSE])] {
        cases.push(license(format!("aud {aud} is allowed"), token().claim("aud", aud)).allowed());
    }
    let wrong: Vec<Value> = vec![
        json!(""),
        json!(null),
        json!(7),
        json!(true),
        json!({}),
        json!([]),
        json!([[LICENSE]]),
        json!([LICENSE, 7]),
        json!([7, LICENSE]),
        json!([LICENSE, null]),
        json!([LICENSE, [LICENSE]]),
        json!({"aud": LICENSE}),
        json!("urn:verimatrix:multidrm "),
        json!(" urn:verimatrix:multidrm"),
        json!("URN:verimatrix:multidrm"),
        json!("urn:verimatrix:multidr"),
        json!("urn:verimatrix:multidrmx"),
        json!("urn:verimatrix:multidrm,urn:verimatrix:cpix"),
        json!("urn:verimatrix:*"),
        json!("*"),
        json!("urn:verimatrix:multidrm\0"),
        json!("urn:verimatrix:m\u{fc}ltidrm"),
        json!(["urn:verimatrix:multidrm/"]),
        json!([CPIX]),
        json!(CPIX),
    ];
    for aud in wrong {
        cases.push(license(format!("attack 41: aud {aud} is 503"), token().claim("aud", aud)).denied(503));
    }
    cases.push(license("attack 41: a missing aud is 503".into(), token().without("aud")).denied(503));
    let many = |last: &str| {
        let mut aud = vec![json!("a"); 9_999];
        aud.push(json!(last));
        Request::post("/").token(token().claim("aud", json!(aud)).compact(now))
    };
    cases.extend([
        Case::new("attack 41: 10 000 audiences and none that matches is 503", Plugin::LongTokens, many("b"))
            .denied(503),
        Case::new("attack 41: the last of 10 000 audiences matches: allowed", Plugin::LongTokens, many(LICENSE))
            .allowed(),
        Case::new(
            "attack 41: 10 000 audiences are longer than a token may be by default",
            Plugin::NoRoutes,
            many(LICENSE),
        )
        .denied(502),
    ]);
    cases.extend(scopes(now));
    cases
}

/// What the key was registered for.
fn scopes(now: i64) -> Vec<Case> {
    let of = |kid: &str| Token::new(&keyring().main().under_kid(kid));
    let request = |path: &str, token: Token| Request::post(path).token(token.compact(now));
    let case = |name: &str, path: &str, token: Token| Case::new(name, Plugin::Reference, request(path, token));
    vec![
        case("a key for licenses serves license requests", "/widevine", of("for-licenses")).allowed(),
        case("a key for CPIX serves CPIX requests", "/cpix", of("for-cpix").audience(CPIX)).allowed(),
        case("a key for CPIX alone is 503 on a license request", "/widevine", of("for-cpix")).denied(503),
        case("a key for licenses alone is 503 on a CPIX request", "/cpix", of("for-licenses").audience(CPIX))
            .denied(503),
        case(
            "a key for CPIX is 503 for a token with both audiences on a license request",
            "/widevine",
            of("for-cpix").claim("aud", json!([LICENSE, CPIX])),
        )
        .denied(503),
        case("a key for nothing is 503", "/widevine", of("for-nothing")).denied(503),
        case("a key that names no purpose is 503", "/widevine", of("unscoped")).denied(503),
    ]
}
