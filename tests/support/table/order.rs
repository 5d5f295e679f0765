//! The order of decisions: a request with two faults gets the code of the earlier one. Every pair of faults that one token can have
//! is a row, neighbours or not.

use serde_json::json;

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::CPIX;
use crate::support::token::Token;

/// One fault of a token, with its place in the order.
struct Fault {
    /// What is wrong, to go into a row's name.
    name: &'static str,
    code: u16,
    /// Faults with the same mark exclude each other.
    about: &'static str,
    apply: fn(Token) -> Token,
}

/// The faults in the order in which they are decided.
const FAULTS: [Fault; 19] = [
    Fault {
        name: "a member twice in the header",
        code: 502,
        about: "form",
        apply: |t| t.append_header(r#""x":1,"x":1"#),
    },
    Fault { name: "a claim twice", code: 502, about: "form", apply: |t| t.append_claim(r#""x":1,"x":1"#) },
    Fault {
        name: "the type of our own tokens",
        code: 505,
        about: "typ",
        apply: |t| t.header("typ", json!("mdrm-session+jwt")),
    },
    Fault { name: "no kid", code: 504, about: "kid", apply: |t| t.without_header("kid") },
    Fault { name: "an unknown kid", code: 504, about: "kid", apply: |t| t.header("kid", json!("unknown-to-all")) },
    Fault { name: "a failing key service", code: 500, about: "kid", apply: |t| t.header("kid", json!("fails-500")) },
    Fault { name: "a deleted key", code: 512, about: "kid", apply: |t| t.header("kid", json!("deleted")) },
    Fault { name: "a disabled key", code: 513, about: "kid", apply: |t| t.header("kid", json!("disabled")) },
    Fault { name: "an expired key", code: 513, about: "kid", apply: |t| t.header("kid", json!("expired")) },
    Fault { name: "alg none", code: 505, about: "alg", apply: |t| t.header("alg", json!("none")) },
    Fault { name: "another signer", code: 505, about: "signer", apply: |t| t.signed_by(keyring().stranger()) },
    Fault { name: "another owner", code: 505, about: "iss", apply: |t| t.claim("iss", json!("company2")) },
    Fault { name: "another version", code: 505, about: "ver", apply: |t| t.claim("ver", json!(2)) },
    Fault { name: "no iat", code: 509, about: "iat", apply: |t| t.without("iat") },
    Fault { name: "an iat to come", code: 510, about: "iat", apply: |t| t.claim_from_now("iat", 600) },
    Fault { name: "an nbf to come", code: 511, about: "nbf", apply: |t| t.claim_from_now("nbf", 600) },
    Fault { name: "an exp gone by", code: 508, about: "exp", apply: |t| t.claim_from_now("exp", -600) },
    Fault { name: "another audience", code: 503, about: "aud", apply: |t| t.audience(CPIX) },
    Fault {
        name: "the other protocol",
        code: 521,
        about: "protocol",
        apply: |t| t.claim("drm_protocol", json!("Trust Tunnel")),
    },
];

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, first) in FAULTS.iter().enumerate() {
        for second in &FAULTS[place + 1..] {
            if first.about == second.about || first.code == second.code {
                continue;
            }
            let token = (second.apply)((first.apply)(Token::new(keyring().main()))).compact(now);
            let name = format!("order: {} ({}) before {} ({})", first.name, first.code, second.name, second.code);
            cases.push(Case::new(name, Plugin::Reference, Request::post("/widevine").token(token)).denied(first.code));
        }
    }
    cases.extend(states_of_one_key(now));
    cases.extend(denied_routes(now));
    cases
}

fn states_of_one_key(now: i64) -> Vec<Case> {
    let of = |kid: &str| Token::new(&keyring().main().under_kid(kid));
    let license = |name: &str, token: Token| {
        Case::new(name, Plugin::Reference, Request::post("/widevine").token(token.compact(now)))
    };
    vec![
        license("order: a key deleted (512) before it expired (513)", of("expired-and-deleted")).denied(512),
        license("order: a token for everything wrong at once is told about the first", {
            let token = of("deleted").signed_by(keyring().stranger()).claim("iss", json!("x")).without("iat");
            token.claim_from_now("exp", -600).audience(CPIX).claim("drm_protocol", json!(7))
        })
        .denied(512),
        license("order: the scope of the key (503) before the protocol (521)", {
            of("for-cpix").claim("drm_protocol", json!("Trust Tunnel"))
        })
        .denied(503),
        license("order: the age of the token (508) before the scope of the key (503)", of("for-cpix").aged(600))
            .denied(508),
    ]
}

/// A route that is denied asks for authentication first, like any other.
fn denied_routes(now: i64) -> Vec<Case> {
    let denied = |name: &str, request: Request| Case::new(name, Plugin::Reference, request);
    let token = |token: Token| Request::post("/nowhere").token(token.compact(now));
    let main = || Token::new(keyring().main());
    vec![
        denied("where no route leads, no token is 501", Request::post("/nowhere")).denied(501),
        denied("where no route leads, a malformed token is 502", Request::post("/nowhere").token("a.b")).denied(502),
        denied("where no route leads, an unknown kid is 504", token(main().header("kid", json!("nobody")))).denied(504),
        denied("where no route leads, a forged token is 505", token(main().signed_by(keyring().stranger())))
            .denied(505),
        denied("where no route leads, an old token is 508", token(main().aged(600))).denied(508),
        denied("where no route leads, a license token is 503", token(main())).denied(503),
        denied("where no route leads, a CPIX token is 503", token(main().audience(CPIX))).denied(503),
    ]
}
