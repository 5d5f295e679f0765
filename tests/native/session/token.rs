//! What a session token says, and when it ends.

use std::time::Duration;

use mdrm_authz::denial::Denial;
use mdrm_authz::jose::json::Object;
use mdrm_authz::jose::token::UntrustedToken;
use mdrm_authz::session::{Claims, client_token_end, expiry, sign, unregistered};
use serde_json::{Value, json};

use super::material::{eddsa, es256, read, verifies};
use crate::support::signer::from_base64url;

const NOW: i64 = 1_764_000_000;

const CLAIMS: Claims<'_> = Claims {
    issuer: "https://drm.example.com",
    audience: "license-server",
    subject: "movie-1",
    now: NOW,
    expires: NOW + 60,
    jti: "5d2c1f0e",
    owner: "company1",
    access_kid: "k-1",
    service: "license",
    drm: Some("widevine"),
    drm_protocol: Some("REST"),
    claims: r#"{"subscriber":"Test Sub"}"#,
};

fn signed(claims: &Claims<'_>) -> String {
    let key = read(&eddsa()).unwrap();
    sign("session-eddsa", key.pair().unwrap(), claims).unwrap()
}

/// The text of a part.
fn part(token: &str, at: usize) -> String {
    String::from_utf8(from_base64url(token.split('.').nth(at).unwrap())).unwrap()
}

fn payload(claims: &Claims<'_>) -> Value {
    serde_json::from_str(&part(&signed(claims), 1)).unwrap()
}

#[test]
fn says_what_the_filter_vouches_for_in_a_fixed_order() {
    for (document, alg) in [(es256(), "ES256"), (eddsa(), "EdDSA")] {
        let key = read(&document).unwrap();
        let token = sign("session-1", key.pair().unwrap(), &CLAIMS).unwrap();
        assert_eq!(part(&token, 0), format!(r#"{{"alg":"{alg}","kid":"session-1","typ":"mdrm-session+jwt"}}"#));
        assert_eq!(
            part(&token, 1),
            concat!(
                r#"{"iss":"https://drm.example.com","aud":"license-server","sub":"movie-1","iat":1764000000,"#,
                r#""exp":1764000060,"jti":"5d2c1f0e","ver":1,"org":"company1","access_kid":"k-1","service":"license","#,
                r#""drm":"widevine","drm_protocol":"REST","claims":{"subscriber":"Test Sub"}}"#
            )
        );
        let (message, signature) = token.rsplit_once('.').unwrap();
        assert!(verifies(&document, message.as_bytes(), &from_base64url(signature)), "{alg}");
        assert_eq!(sign("session-1", key.pair().unwrap(), &CLAIMS).unwrap(), token, "and again the same");
    }
}

#[test]
fn is_recognised_as_our_own_when_it_comes_back() {
    let token = UntrustedToken::parse(&signed(&CLAIMS), 8192).unwrap();
    assert!(token.header().is_session_token);
    assert_eq!(token.header().kid.as_ref().unwrap().as_str(), "session-eddsa");
}

#[test]
fn leaves_out_what_the_route_and_the_request_do_not_say() {
    let payload = payload(&Claims { drm: None, drm_protocol: None, claims: "{}", ..CLAIMS });
    assert!(payload.get("drm").is_none() && payload.get("drm_protocol").is_none());
    assert_eq!(payload["claims"], json!({}));
    assert_eq!(payload["ver"], json!(1));
    assert_eq!(payload.as_object().unwrap().len(), 11);
}

#[test]
fn attack_43_escapes_whatever_a_claim_holds() {
    let long = "ä\"\\".repeat(15_000);
    for text in
        ["\"", "\\", "\r\n", "\0", "\u{1b}[31m", "\u{7f}", "ä€😀", "\u{202e}", "\",\"sub\":\"other", "", "../..", &long]
    {
        let claims = Claims {
            issuer: text,
            audience: text,
            subject: text,
            jti: text,
            owner: text,
            access_kid: text,
            drm: Some(text),
            drm_protocol: Some(text),
            ..CLAIMS
        };
        let key = read(&eddsa()).unwrap();
        let token = sign(text, key.pair().unwrap(), &claims).unwrap();
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
        let header: Value = serde_json::from_str(&part(&token, 0)).unwrap();
        assert_eq!(header, json!({"alg": "EdDSA", "kid": text, "typ": "mdrm-session+jwt"}));
        let payload: Value = serde_json::from_str(&part(&token, 1)).unwrap();
        for name in ["iss", "aud", "sub", "jti", "org", "access_kid", "drm", "drm_protocol"] {
            assert_eq!(payload[name], json!(text), "{name}");
        }
        assert_eq!(payload.as_object().unwrap().len(), 13);
    }
}

#[test]
fn takes_the_clients_claims_as_one_object_only() {
    let key = read(&eddsa()).unwrap();
    for claims in ["", "[]", "null", "1", "\"\"", "{", "{}}", "{}{}", r#"{},"sub":"other""#, "{a:1}", " {}", "{} x"] {
        let refused = sign("k", key.pair().unwrap(), &Claims { claims, ..CLAIMS });
        assert_eq!(refused, Err(Denial::SessionNotSigned), "{claims}");
    }
}

#[test]
fn ends_with_its_lifetime_or_with_the_clients_token_but_not_at_once() {
    let seconds = Duration::from_secs;
    for (lifetime, client, expected) in [
        (seconds(60), None, 60),
        (seconds(60), Some(61), 60),
        (seconds(60), Some(60), 60),
        (seconds(60), Some(59), 59),
        (seconds(60), Some(2), 2),
        (seconds(60), Some(1), 1),
        (seconds(60), Some(0), 1),
        (seconds(60), Some(-3600), 1),
        (seconds(1), None, 1),
        (seconds(3600), Some(3600), 3600),
        (Duration::from_millis(1999), None, 1),
        (Duration::from_millis(999), None, 1),
    ] {
        assert_eq!(expiry(NOW, lifetime, client.map(|end| NOW + end)), NOW + expected, "{lifetime:?} {client:?}");
    }
}

#[test]
fn the_clients_token_ends_by_exp_or_by_age_with_the_skew() {
    let (age, skew) = (Duration::from_secs(90), Duration::from_secs(5));
    for (exp, iat, expected) in [
        (None, 0, 95),
        (Some(90), 0, 95),
        (Some(89), 0, 94),
        (Some(91), 0, 95),
        (Some(3600), -20, 75),
        (Some(-4), -20, 1),
        (Some(0), 5, 5),
    ] {
        assert_eq!(client_token_end(exp.map(|exp| NOW + exp), NOW + iat, age, skew), NOW + expected, "{exp:?} {iat}");
    }
    let millis = Duration::from_millis;
    for (exp, age, skew, expected) in [
        (None, 90_500, 500, 91),
        (None, 90_500, 499, 90),
        (Some(10), 90_000, 500, 10),
        (Some(10), 90_000, 1_999, 11),
        (Some(10), 90_000, 0, 10),
    ] {
        let end = client_token_end(exp.map(|exp| NOW + exp), NOW, millis(age), millis(skew));
        assert_eq!(end, NOW + expected, "{exp:?} {age} {skew}");
    }
}

#[test]
fn times_far_outside_of_any_clock_do_not_overflow() {
    for client in [None, Some(i64::MIN), Some(i64::MAX)] {
        assert_eq!(expiry(i64::MAX, Duration::MAX, client), i64::MAX);
        assert_eq!(expiry(i64::MIN, Duration::ZERO, client), i64::MIN + 1);
    }
    assert_eq!(client_token_end(Some(i64::MIN), i64::MAX, Duration::MAX, Duration::ZERO), i64::MIN);
    assert_eq!(client_token_end(None, i64::MIN, Duration::MAX, Duration::MAX), -1);
    assert_eq!(expiry(NOW, Duration::MAX, None), i64::MAX);
    assert_eq!(client_token_end(Some(i64::MAX), i64::MAX, Duration::MAX, Duration::MAX), i64::MAX);
}

#[test]
fn hands_on_every_other_claim_as_it_was_spelled() {
    for (claims, expected) in [
        ("{}", "{}"),
        (r#"{"iss":1,"sub":1,"aud":1,"exp":1,"nbf":1,"iat":1,"jti":1,"ver":1,"drm_protocol":1}"#, "{}"),
        (r#"{"\u0069ss":1,"Iss":2,"iss ":3}"#, r#"{"Iss":2,"iss ":3}"#),
        (r#"{"b":1.0,"a":1E400}"#, r#"{"a":1E400,"b":1.0}"#),
        (r#"{"n":12345678901234567890123.450,"ver":1}"#, r#"{"n":12345678901234567890123.450}"#),
        (r#"{"s":"\u00e4\/","t": [ 1 , {"a":1,"a":2} ] }"#, r#"{"s":"\u00e4\/","t":[ 1 , {"a":1,"a":2} ]}"#),
        (r#"{"org":"other","claims":{"sub":"x"}}"#, r#"{"claims":{"sub":"x"},"org":"other"}"#),
        (r#"{"\"\\\n\u0000ä":null}"#, r#"{"\"\\\n\u0000ä":null}"#),
        (r#"{"\",\"sub\":\"":1}"#, r#"{"\",\"sub\":\"":1}"#),
        (r#"{"":"","a":true}"#, r#"{"":"","a":true}"#),
    ] {
        let text = unregistered(&Object::parse(claims.as_bytes()).unwrap());
        assert_eq!(&*text, expected);
        assert!(part(&signed(&Claims { claims: &text, ..CLAIMS }), 1).ends_with(&format!(r#","claims":{expected}}}"#)));
    }
}
