//! The key fixes the algorithm, the header only has to agree; what else a header may say is ignored or refused.

use serde_json::{Value, json};

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::{Alg, SigningKey, base64url};
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = algorithms(now);
    cases.extend(confusion(now));
    cases.extend(critical(now));
    cases.extend(embedded_keys(now));
    cases.extend(own_tokens(now));
    cases
}

fn token() -> Token {
    Token::new(keyring().main())
}

fn case(name: impl Into<String>, compact: String) -> Case {
    Case::new(name, Plugin::SlowAlgorithms, Request::post("/").token(compact))
}

/// Attacks 21 and 23: the algorithm that the header names.
fn algorithms(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    let spellings = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(" none"),
        json!("none "),
        json!(""),
        json!("none\0"),
        json!(null),
        json!(0),
        json!(256),
        json!(true),
        json!([]),
        json!(["ES256"]),
        json!({"alg": "ES256"}),
        json!("es256"),
        json!("ES256 "),
        json!("ES256K"),
        json!("HS1"),
        json!("RS1"),
        json!("A256KW"),
        json!("dir"),
    ];
    for alg in spellings {
        let with = token().header("alg", alg.clone());
        let unsigned = with.with_signature(now, |_| Vec::new());
        cases.push(case(format!("attack 21: alg {alg} with a right signature is 505"), with.compact(now)).denied(505));
        cases.push(case(format!("attack 21: alg {alg} without a signature is 505"), unsigned).denied(505));
    }
    cases.push(case("attack 21: a missing alg is 505", token().without_header("alg").compact(now)).denied(505));
    cases.push(
        case("attack 21: alg none and an empty signature for an RSA key is 505", {
            Token::new(keyring().of_alg(Alg::RS256)).header("alg", json!("none")).with_signature(now, |_| Vec::new())
        })
        .denied(505),
    );
    for (of, other) in [
        (Alg::RS256, Alg::RS384),
        (Alg::RS256, Alg::RS512),
        (Alg::RS256, Alg::PS256),
        (Alg::PS256, Alg::RS256),
        (Alg::PS256, Alg::PS384),
        (Alg::RS512, Alg::RS256),
        (Alg::HS256, Alg::HS512),
        (Alg::HS512, Alg::HS256),
        (Alg::HS384, Alg::HS256),
    ] {
        let key = keyring().of_alg(of);
        let signed_otherwise = Token::new(&key.with_alg(other)).compact(now);
        let only_said = Token::new(key).header("alg", json!(other.name())).compact(now);
        cases.push(case(format!("attack 23: a {of:?} key used with {other:?} is 505"), signed_otherwise).denied(505));
        cases.push(case(format!("attack 23: a {of:?} signature that says {other:?} is 505"), only_said).denied(505));
    }
    for other in ["ES384", "ES512", "RS256", "PS256", "HS256", "EdDSA", "Ed25519"] {
        let name = format!("attack 23: an ES256 signature that says {other} is 505");
        cases.push(case(name, token().header("alg", json!(other)).compact(now)).denied(505));
    }
    cases
}

/// Attack 22: the public key, which everybody has, as the secret of an HMAC.
fn confusion(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for alg in [Alg::RS256, Alg::ES256, Alg::EdDSA] {
        let key = keyring().of_alg(alg);
        let pem = key.public_pem();
        let x = key.jwk().get("n").or(key.jwk().get("x")).and_then(Value::as_str).unwrap().to_owned();
        for (form, secret) in [
            ("PEM", pem.clone().into_bytes()),
            ("PEM without its last line break", pem.trim_end().as_bytes().to_vec()),
            ("DER", key.public_der()),
            ("JWK", key.jwk().to_string().into_bytes()),
            ("base64url number", x.into_bytes()),
            ("nothing", Vec::new()),
        ] {
            let forger = SigningKey::from_secret(key.kid(), Alg::HS256, &secret);
            let name = format!("attack 22: HS256 keyed with the {alg:?} public key as {form} is 505");
            cases.push(case(name, Token::new(&forger).compact(now)).denied(505));
            let name = format!("attack 22: HS256 keyed with the {alg:?} public key as {form} that says {alg:?} is 505");
            cases.push(case(name, Token::new(&forger).header("alg", json!(alg.name())).compact(now)).denied(505));
        }
    }
    cases
}

/// Attacks 15 and 24: `crit` and `b64`.
fn critical(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for crit in [
        json!(["exp"]),
        json!([]),
        json!(["b64"]),
        json!(["alg"]),
        json!(["http://example.com/x"]),
        json!("exp"),
        json!(""),
        json!(null),
        json!({}),
        json!(false),
        json!(7),
        json!([null]),
    ] {
        let name = format!("attack 24: crit {crit} is 505");
        cases.push(
            case(name, token().header("crit", crit).header("http://example.com/x", json!(1)).compact(now)).denied(505),
        );
    }
    for b64 in [json!(false), json!(true), json!(null), json!("false")] {
        let name = format!("attack 15: b64 {b64} is 505");
        cases.push(case(name, token().header("b64", b64.clone()).compact(now)).denied(505));
        let name = format!("attack 15: b64 {b64} that is critical is 505");
        cases.push(case(name, token().header("b64", b64).header("crit", json!(["b64"])).compact(now)).denied(505));
    }
    cases.push(
        case(
            "attack 24: crit spelled with an escape is 505",
            token().append_header(r#""cr\u0069t":["exp"]"#).compact(now),
        )
        .denied(505),
    );
    cases.push(case("crit among the claims is a claim", token().claim("crit", json!(["exp"])).compact(now)).allowed());
    cases.push(case("Crit is another member", token().header("Crit", json!(["exp"])).compact(now)).allowed());
    cases
}

/// Attack 25: keys and addresses of keys that the token brings along, and other members that say nothing here.
fn embedded_keys(now: i64) -> Vec<Case> {
    let stranger = keyring().stranger();
    let mut cases = Vec::new();
    for (member, value) in [
        ("jwk", stranger.jwk()),
        ("jku", json!("http://127.0.0.1/attacker/jwks.json")),
        ("x5u", json!("http://127.0.0.1/attacker/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!(7)),
        ("jku", json!(7)),
        ("cty", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("typ", json!(null)),
        ("typ", json!(7)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("nonce", json!([1, {"a": null}])),
    ] {
        let with = |token: Token| token.header(member, value.clone()).compact(now);
        let cut: String = value.to_string().chars().take(40).collect();
        cases.push(case(format!("attack 25: {member} {cut} in the header is ignored"), with(token())).allowed());
        let name = format!("attack 25: {member} {cut} in the header makes no other signer right");
        cases.push(case(name, with(token().signed_by(stranger))).denied(505));
    }
    cases.push(
        case(
            "attack 25: a jwk and its own kid is 504",
            Token::new(stranger).header("jwk", stranger.jwk()).compact(now),
        )
        .denied(504),
    );
    cases.push(case("a header without typ is allowed", token().without_header("typ").compact(now)).allowed());
    cases
}

/// Attack 42: tokens of the type that this filter itself makes.
fn own_tokens(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for typ in ["mdrm-session+jwt", "MDRM-Session+JWT", "application/mdrm-session+jwt", "Application/Mdrm-Session+Jwt"]
    {
        let own = token().header("typ", json!(typ));
        cases.push(case(format!("attack 42: our own token, typ {typ}, is 505"), own.compact(now)).denied(505));
        let unknown = own.header("kid", json!("session-key-that-nobody-knows"));
        cases.push(
            case(
                format!("attack 42: our own token, typ {typ}, is 505 before its kid is looked up"),
                unknown.compact(now),
            )
            .denied(505),
        );
    }
    cases.push(
        case(
            "a type that only resembles our own is ignored",
            token().header("typ", json!("mdrm-session")).compact(now),
        )
        .allowed(),
    );
    cases.push(
        case("our own type among the claims is a claim", token().claim("typ", json!("mdrm-session+jwt")).compact(now))
            .allowed(),
    );
    let header = base64url(br#"{"alg":"ES256","typ":"mdrm\u002dsession+jwt","kid":"k-ES256"}"#);
    let payload = base64url(token().payload_json(now).as_bytes());
    cases.push(
        case("attack 42: our own token, typ with an escape, is 505", keyring().main().sign_parts(&header, &payload))
            .denied(505),
    );
    cases
}
