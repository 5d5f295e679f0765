//! Claims but times and audiences. Every token here is properly signed.

use serde_json::json;

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::CPIX;
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = required(now);
    cases.extend(versions(now));
    cases.extend(protocol(now));
    cases.extend(odd_claims(now));
    cases
}

fn token() -> Token {
    Token::new(keyring().main())
}

fn license(name: impl Into<String>, token: Token, now: i64) -> Case {
    Case::new(name, Plugin::Reference, Request::post("/widevine").token(token.compact(now)))
}

/// Attack 40 and its like: claims that must be there, and be strings.
fn required(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for claim in ["iss", "sub", "jti"] {
        cases.push(license(format!("a missing {claim} is 505"), token().without(claim), now).denied(505));
        for value in [json!(""), json!(null), json!(7), json!(true), json!([]), json!(["company1"]), json!({})] {
            cases.push(license(format!("{claim} {value} is 505"), token().claim(claim, value), now).denied(505));
        }
    }
    for iss in [
        "Company1",
        "COMPANY1",
        "company1/",
        "company1 ",
        " company1",
        "company",
        "company11",
        "http://company1",
        "company2",
    ] {
        cases
            .push(license(format!("attack 40: iss {iss:?} is 505"), token().claim("iss", json!(iss)), now).denied(505));
    }
    let owned = Token::new(&keyring().main().under_kid("owned"));
    cases.push(
        license("the owner of the key decides the issuer", owned.clone().claim("iss", json!("company2")), now)
            .allowed(),
    );
    cases.push(license("an issuer that does not own the key is 505", owned, now).denied(505));
    cases.push(
        license(
            "a payload without claims is 505",
            {
                ["ver", "iss", "sub", "iat", "exp", "jti", "subscriber", "aud"]
                    .into_iter()
                    .fold(token(), Token::without)
            },
            now,
        )
        .denied(505),
    );
    cases
}

fn versions(now: i64) -> Vec<Case> {
    let mut cases: Vec<Case> = ["1", "1.0", "1e0", "10e-1", "0.1e1"]
        .into_iter()
        .map(|ver| license(format!("ver {ver} is allowed"), token().raw_claim("ver", ver), now).allowed())
        .collect();
    for ver in ["\"1\"", "2", "0", "-1", "1.5", "true", "null", "[1]", "{}", "\"\"", "1e400", "1.0000000001"] {
        cases.push(license(format!("ver {ver} is 505"), token().raw_claim("ver", ver), now).denied(505));
    }
    cases.push(license("a missing ver is 505", token().without("ver"), now).denied(505));
    cases
}

/// `drm_protocol`.
fn protocol(now: i64) -> Vec<Case> {
    let mut cases =
        vec![license("drm_protocol REST is allowed", token().claim("drm_protocol", json!("REST")), now).allowed()];
    for value in [
        json!("Trust Tunnel"),
        json!("rest"),
        json!("Rest"),
        json!("REST "),
        json!(""),
        json!(null),
        json!(7),
        json!(["REST"]),
        json!({}),
    ] {
        cases.push(
            license(format!("drm_protocol {value} is 521"), token().claim("drm_protocol", value), now).denied(521),
        );
    }
    for value in [json!("Trust Tunnel"), json!(null)] {
        let compact = token().audience(CPIX).claim("drm_protocol", value.clone()).compact(now);
        let name = format!("drm_protocol {value} is no matter for CPIX");
        cases.push(Case::new(name, Plugin::Reference, Request::post("/cpix").token(compact)).allowed());
    }
    cases
}

/// Attack 43 and other claims that may hold anything.
fn odd_claims(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, text) in [
        ("CR LF", "a\r\nX-Injected: 1\r\n\r\n"),
        ("quotes", "\"'\\"),
        ("NUL", "a\0b"),
        ("an escape sequence", "\u{1b}[2J"),
        ("a format string", "%REQ(AUTHORIZATION)% {} %s"),
        ("HTML", "<script>alert(1)</script>"),
    ] {
        for claim in ["sub", "jti", "subscriber"] {
            let odd = token().claim(claim, json!(text));
            cases
                .push(license(format!("attack 43: {what} in {claim} is allowed and goes nowhere"), odd, now).allowed());
        }
        let name = format!("attack 43: {what} in iss is 505 and goes nowhere");
        cases.push(license(name, token().claim("iss", json!(text)), now).denied(505));
    }
    cases.push(
        license(
            "unknown claims of every type are ignored",
            {
                token()
                    .claim("a", json!(null))
                    .claim("b", json!([1, {"c": "d"}]))
                    .claim("e", json!({"f": 1.5}))
                    .claim("g", json!(false))
            },
            now,
        )
        .allowed(),
    );
    cases.push(license("the same jti again is allowed", token(), now).allowed());
    cases.push(license("a long subject is allowed", token().claim("sub", json!("s".repeat(2000))), now).allowed());
    cases
}
