//! Every code that a plain license or CPIX request can get, each the plain way, and every algorithm allowed.

use super::keyring::{Keyring, keyring};
use super::{Case, Plugin, Request};
use crate::support::signer::{Alg, CPIX};
use crate::support::token::Token;
use serde_json::json;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let keys = keyring();
    let mut cases = every_code(keys, now);
    cases.extend(every_algorithm(keys, now));
    cases.extend(tunnel_requests(keys, now));
    cases
}

fn every_code(keys: &Keyring, now: i64) -> Vec<Case> {
    let token = || Token::new(keys.main());
    let license = |name: &str, token: Token| {
        Case::new(name, Plugin::Reference, Request::post("/widevine").token(token.compact(now)))
    };
    let of_key = |name: &str, kid: &str| license(name, token().header("kid", json!(kid)));
    let cpix =
        |name: &str, token: Token| Case::new(name, Plugin::Reference, Request::post("/cpix").token(token.compact(now)));
    let without_routes = |name: &str, plugin| Case::new(name, plugin, Request::post("/").token(token().compact(now)));
    vec![
        license("a valid license token is allowed", token()).allowed(),
        cpix("a valid CPIX token is allowed", token().audience(CPIX)).allowed(),
        cpix("a CPIX token of 29 minutes is allowed", token().audience(CPIX).aged(1740)).allowed(),
        cpix("a CPIX token of 31 minutes is 508", token().audience(CPIX).aged(1860)).denied(508),
        license("a license token of one minute is allowed", token().aged(60)).allowed(),
        of_key("a key that the service fails on is 500", "fails-500").denied(500),
        of_key("a key that the service fails on with 503 is 500", "fails-503").denied(500),
        of_key("an unexpected redirect of the key service is 500", "redirected").denied(500),
        of_key("an HTML page instead of a key is 500", "html").denied(500),
        of_key("an empty answer instead of a key is 500", "empty").denied(500),
        of_key("a cut key document is 500", "cut").denied(500),
        without_routes("a key service that nobody listens for is 500", Plugin::DeadKeyService).denied(500),
        without_routes("a cluster that does not exist is 500", Plugin::MissingCluster).denied(500),
        Case::new("no token is 501", Plugin::Reference, Request::post("/widevine")).denied(501),
        Case::new("no token on a CPIX route is 501", Plugin::Reference, Request::post("/cpix")).denied(501),
        Case::new("no token without routes is 501", Plugin::NoRoutes, Request::post("/anything")).denied(501),
        Case::new("something that is no token is 502", Plugin::Reference, Request::post("/widevine").token("token"))
            .denied(502),
        license("a license token for CPIX only is 503", token().audience(CPIX)).denied(503),
        cpix("a CPIX token for licenses only is 503", token()).denied(503),
        of_key("an unknown kid is 504", "nobody").denied(504),
        license("a token of another signer is 505", token().signed_by(keys.stranger())).denied(505),
        license("a license token of two minutes is 508", token().aged(120)).denied(508),
        license("a token past its exp is 508", token().claim_from_now("exp", -30)).denied(508),
        license("a token without iat is 509", token().without("iat")).denied(509),
        license("a token of tomorrow is 510", token().claim_from_now("iat", 86400)).denied(510),
        license("a token not valid before tomorrow is 511", token().claim_from_now("nbf", 86400)).denied(511),
        of_key("a key that the service says is gone is 512", "gone").denied(512),
        of_key("a key with status deleted is 512", "deleted").denied(512),
        of_key("a key with status disabled is 513", "disabled").denied(513),
        of_key("a key past its own exp is 513", "expired").denied(513),
        license("a token for the other protocol is 521", token().claim("drm_protocol", json!("Trust Tunnel")))
            .denied(521),
    ]
}

fn every_algorithm(keys: &Keyring, now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for alg in Alg::ALL {
        let key = keys.of_alg(alg);
        let request = |token: String| Request::post("/").token(token);
        let forged = Token::new(key).with_signature(now, |right| right.iter().map(|byte| !byte).collect());
        let changed = Token::new(key).compact(now);
        let (message, signature) = changed.rsplit_once('.').unwrap();
        let other = Token::new(key).claim("sub", json!("content-2")).compact(now);
        let (other, _) = other.rsplit_once('.').unwrap();
        assert_ne!(message, other);
        let plugin = Plugin::SlowAlgorithms;
        cases.extend([
            Case::new(format!("{alg:?}: signed is allowed"), plugin, request(changed.clone())).allowed(),
            Case::new(format!("{alg:?}: another signature is 505"), plugin, request(forged)).denied(505),
            Case::new(
                format!("{alg:?}: the signature of another payload is 505"),
                plugin,
                request(format!("{other}.{signature}")),
            )
            .denied(505),
        ]);
    }
    cases
}

fn tunnel_requests(keys: &Keyring, now: i64) -> Vec<Case> {
    let token = Token::new(keys.main()).compact(now);
    let tunnel = |name: &str, path: &str, content_type: &[u8]| {
        Case::new(name, Plugin::Reference, Request::post(path).content_type(content_type).token(&token))
    };
    vec![
        tunnel("a Trust Tunnel request without master keys is 518", "/widevine", b"application/jose").denied(518),
        tunnel("a Trust Tunnel request in any case is 518", "/widevine", b"Application/JOSE").denied(518),
        tunnel("parameters of the media type are ignored", "/widevine", b"application/jose; charset=utf-8").denied(518),
        tunnel("parameters right behind the media type are ignored", "/widevine", b"application/jose;v=1").denied(518),
        tunnel("another media type is no Trust Tunnel request", "/widevine", b"application/jose+json").allowed(),
        tunnel("a longer media type is no Trust Tunnel request", "/widevine", b"application/josey").allowed(),
        tunnel("application/jose on a CPIX route is an ordinary CPIX request", "/cpix", b"application/jose")
            .denied(503),
        tunnel("a media type that is not UTF-8 is no Trust Tunnel request", "/widevine", b"application/jose\xff")
            .allowed(),
        Case::new(
            "a Trust Tunnel request without master keys is 518 before a missing token is 501",
            Plugin::Reference,
            Request::post("/widevine").content_type("application/jose"),
        )
        .denied(518),
        Case::new(
            "a Trust Tunnel request without master keys is 518 before a malformed token is 502",
            Plugin::Reference,
            Request::post("/widevine").content_type("application/jose").token("a b c"),
        )
        .denied(518),
        Case::new(
            "an open route takes application/jose",
            Plugin::Reference,
            Request::post("/healthz").content_type("application/jose"),
        )
        .passed(),
    ]
}
