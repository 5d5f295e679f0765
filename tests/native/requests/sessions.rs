//! Which session token goes on: sent again to the second, made anew for everything that differs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::proxy::{Outcome, Proxy};
use crate::support::signer::{Alg, CPIX, Document, LICENSE, SigningKey, from_base64url};
use crate::support::table::keyring::{self, keyring};
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MEDIA_TYPE, Tunnel};

const NOW: i64 = 1_764_000_000;

fn plugin(lifetime: &str) -> Value {
    let mut plugin = Plugin::TunnelForward.configuration();
    plugin["session"]["lifetime"] = json!(lifetime);
    plugin
}

/// The session token that the upstream gets at this second.
fn session_token(proxy: &mut Proxy, request: &Request, unix: i64) -> String {
    proxy.now.unix = unix;
    let body = request.has_body().then_some(&*request.body);
    match proxy.run_with(request.as_a_filter_sees_it(), body) {
        Outcome::Forwarded { headers, allowed: true, .. } => {
            let (_, token) = headers.into_iter().find(|(name, _)| name == "x-mdrm-session").unwrap();
            String::from_utf8(token).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&from_base64url(token.split('.').nth(1).unwrap())).unwrap()
}

fn issued_at(token: &str) -> i64 {
    claims(token)["iat"].as_i64().unwrap()
}

fn license(token: &Token) -> Request {
    Request::post("/widevine").token(token.compact(NOW))
}

fn main_token() -> Token {
    Token::new(keyring().main())
}

#[test]
fn a_session_token_is_sent_again_until_half_of_its_life_is_over_to_the_second() {
    for (lifetime, half) in [("60s", 30), ("5s", 2), ("2s", 1), ("4.9s", 2)] {
        let mut proxy = Proxy::new(&plugin(lifetime), NOW);
        let request = license(&main_token());
        let first = session_token(&mut proxy, &request, NOW);
        for second in 0..half {
            assert_eq!(session_token(&mut proxy, &request, NOW + second), first, "{lifetime}, second {second}");
        }
        let second = session_token(&mut proxy, &request, NOW + half);
        assert_eq!(issued_at(&second), NOW + half, "{lifetime}");
        assert_eq!(session_token(&mut proxy, &request, NOW + 2 * half - 1), second, "{lifetime}");
        assert_eq!(issued_at(&session_token(&mut proxy, &request, NOW + 2 * half)), NOW + 2 * half, "{lifetime}");
    }
}

#[test]
fn a_session_token_of_one_second_is_never_sent_in_another_one() {
    let mut proxy = Proxy::new(&plugin("1s"), NOW);
    let request = license(&main_token());
    for second in 0..5 {
        assert_eq!(issued_at(&session_token(&mut proxy, &request, NOW + second)), NOW + second);
    }
}

#[test]
fn half_of_the_life_counts_that_the_clients_token_leaves() {
    // 90 s of age and 5 s of leeway, less 85 s: 10 s are left, 5 s of which are the first half.
    let mut proxy = Proxy::new(&plugin("60s"), NOW);
    let request = license(&main_token().aged(85));
    let first = session_token(&mut proxy, &request, NOW);
    assert_eq!(claims(&first)["exp"], NOW + 10);
    assert_eq!(session_token(&mut proxy, &request, NOW + 4), first);
    let second = session_token(&mut proxy, &request, NOW + 5);
    assert_eq!((issued_at(&second), &claims(&second)["exp"]), (NOW + 5, &json!(NOW + 10)));
    // In its last second the client's token passes, and what is made of it lives for one more.
    let last = session_token(&mut proxy, &request, NOW + 10);
    assert_eq!((issued_at(&last), &claims(&last)["exp"]), (NOW + 10, &json!(NOW + 11)));
}

#[test]
fn attack_39_after_the_clock_was_set_back_a_new_token_is_made() {
    let mut proxy = Proxy::new(&plugin("60s"), NOW);
    let request = license(&main_token().aged(3));
    let first = session_token(&mut proxy, &request, NOW);
    let back = session_token(&mut proxy, &request, NOW - 1);
    assert_eq!(issued_at(&back), NOW - 1, "a token from the future is not sent");
    assert_eq!(session_token(&mut proxy, &request, NOW), back, "the last one counts");
    assert_ne!(first, back);
    assert_eq!(issued_at(&session_token(&mut proxy, &request, NOW + 60)), NOW + 60);
}

#[test]
fn one_client_token_gets_another_session_token_for_each_service_drm_and_protocol() {
    let token = main_token().claim("aud", json!([LICENSE, CPIX])).compact(NOW);
    let master = keyring::master_key(KeyManagement::Dir);
    let tunnel = Request::post("/widevine").content_type(MEDIA_TYPE).body(Tunnel::new(master, &*token).body());
    let at = |path: &str| Request::post(path).token(&token);
    let requests = [at("/widevine"), at("/playready"), at("/exact"), at("/cpix"), tunnel];
    let mut proxy = Proxy::new(&plugin("60s"), NOW);
    // In turn, so that each finds the token of another one remembered.
    for round in 0..3 {
        let tokens = requests.each_ref().map(|request| session_token(&mut proxy, request, NOW + round));
        let members = tokens.each_ref().map(|token| {
            let claims = claims(token);
            ["service", "drm", "drm_protocol"].map(|name| claims[name].as_str().unwrap_or("none").to_owned())
        });
        let expected = [
            ["license", "widevine", "REST"],
            ["license", "playready", "REST"],
            ["license", "none", "REST"],
            ["cpix", "none", "REST"],
            ["license", "widevine", "Trust Tunnel"],
        ];
        assert_eq!(members, expected.map(|row| row.map(str::to_owned)));
    }
}

#[test]
fn two_routes_alike_share_a_session_token() {
    let token = main_token().compact(NOW);
    let mut proxy = Proxy::new(&plugin("60s"), NOW);
    let first = session_token(&mut proxy, &Request::post("/exact").token(&token), NOW);
    assert_eq!(session_token(&mut proxy, &Request::post("/first/x").token(&token), NOW + 1), first);
    assert_eq!(session_token(&mut proxy, &Request::post("/exact").token(&token), NOW + 2), first);
}

#[test]
fn two_client_tokens_never_share_a_session_token() {
    let mut proxy = Proxy::new(&plugin("60s"), NOW);
    let [one, other] = ["one", "other"].map(|id| license(&main_token().claim("jti", json!(id))));
    for second in 0..3 {
        assert_eq!(claims(&session_token(&mut proxy, &one, NOW + second))["jti"], "one");
        assert_eq!(claims(&session_token(&mut proxy, &other, NOW + second))["jti"], "other");
    }
}

#[test]
fn a_session_token_of_a_key_that_was_replaced_is_not_sent_again() {
    let [old, new] = ["s", "s"].map(|kid| SigningKey::generate(kid, Alg::ES256));
    let inline = json!({"keys": [keyring().main().jwk()]});
    let session = plugin("60s")["session"].clone().with("kid", json!("s"));
    let plugin = json!({"keys": {"cluster": "keys", "inline": inline}, "session": session});
    let mut proxy = Proxy::new(&plugin, NOW);
    let request = license(&main_token());
    let document = |key: &SigningKey| Some((key.private_jwk().to_string(), "max-age=10".to_owned()));
    let signed_by = |token: &str, key: &SigningKey| {
        let (message, signature) = token.rsplit_once('.').unwrap();
        key.verifies(message.as_bytes(), &from_base64url(signature))
    };
    proxy.instead = document(&old);
    let first = session_token(&mut proxy, &request, NOW);
    proxy.instead = document(&new);
    assert_eq!(session_token(&mut proxy, &request, NOW + 1), first, "the old key is fresh");
    proxy.now.monotonic += Duration::from_secs(11);
    let second = session_token(&mut proxy, &request, NOW + 2);
    assert!(signed_by(&first, &old) && signed_by(&second, &new) && !signed_by(&second, &old));
    // Renewed with the same document, the key is the same.
    proxy.now.monotonic += Duration::from_secs(11);
    assert_eq!(session_token(&mut proxy, &request, NOW + 3), second);
    assert!(proxy.asked.len() >= 3, "{:?}", proxy.asked);
    // Disabled, it signs nothing any more, and what it signed does not go on.
    proxy.instead = Some((new.private_jwk().with("status", json!("disabled")).to_string(), String::new()));
    proxy.now.monotonic += Duration::from_secs(11);
    match proxy.run_with(request.as_a_filter_sees_it(), Some(&request.body)) {
        Outcome::Denied(denial) => assert_eq!(denial.code().name(), "MDRM-506"),
        other => panic!("{other:?}"),
    }
}
