//! What must not be seen anywhere: tokens, secrets, and characters that a log or a terminal would obey.

use serde_json::{Value, json};

use crate::now;
use crate::support::client;
use crate::support::envoy::{Envoy, Listener, Setup};
use crate::support::key_service::KeyService;
use crate::support::signer::{Alg, Document};
use crate::support::table::keyring::{keyring, master_key, session_key};
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;
use crate::support::tunnel::{KeyManagement, MasterKey, Tunnel};
use crate::support::upstream::Upstream;

/// Texts that would end a line, colour a terminal, close a string, or turn the direction of writing.
const HOSTILE: [&str; 6] =
    ["a\r\nb: c", "\u{1b}[31mred", "\u{0}", "\",\"code\":\"x", "\u{202e}gnp.exe", "${jndi:ldap://x}\t"];
const HEADER_SECRET: &str = "topsecret-0123456789";

/// Requests with such texts in every place that a client can write to, right and wrong ones.
fn requests() -> Vec<Request> {
    let (key, now) = (keyring().main(), now());
    let mut requests = Vec::new();
    for text in HOSTILE {
        for name in ["kid", "alg", "typ", "unknown"] {
            requests.push(Token::new(key).header(name, json!(text)).compact(now));
        }
        for name in ["iss", "sub", "jti", "aud", "drm_protocol", "subscriber", "exp"] {
            requests.push(Token::new(key).claim(name, json!(text)).compact(now));
        }
        requests.push(Token::new(key).signed_by(keyring().stranger()).claim("sub", json!(text)).compact(now));
    }
    requests.push(Token::new(keyring().of_alg(Alg::HS256)).compact(now));
    requests.push(Token::new(keyring().of_alg(Alg::HS256)).aged(1000).compact(now));
    let mut requests: Vec<Request> = requests
        .iter()
        .flat_map(|token| {
            let tunnel = |key: &MasterKey| Tunnel::new(key, token.clone()).body();
            let sealed = tunnel(master_key(KeyManagement::A256KW));
            let strange = tunnel(&MasterKey::generate("m-A256KW", KeyManagement::A256KW));
            let jose = |body: String| Request::post("/widevine").content_type("application/jose").body(body);
            [
                Request::post("/widevine").token(token),
                Request::post(format!("/widevine?Authorization={token}&x=%0d%0a")),
                jose(sealed),
                jose(strange),
            ]
        })
        .collect();
    requests.extend([b"\x1b[31m".as_slice(), b"\xff\xfe", b"\"x\"", b"a b"].map(|id| {
        Request::post("/widevine").header("x-request-id", id).token(Token::new(key).aged(1000).compact(now))
    }));
    requests
}

/// The end of every token, which nobody else knows.
fn signatures(requests: &[Request]) -> Vec<String> {
    let texts = requests.iter().flat_map(|request| {
        let header = request.headers.iter().find(|(name, _)| name == "Authorization").map(|(_, value)| value.clone());
        [header.unwrap_or_default(), request.path.clone(), request.body.clone()]
    });
    let ends = texts.filter_map(|text| {
        let text = String::from_utf8_lossy(&text).replace("&x=%0d%0a", "");
        text.rsplit_once('.').map(|(_, end)| end.to_owned())
    });
    ends.filter(|end| end.len() > 20).collect()
}

#[test]
fn attack_67_log_and_answers_hold_no_token_no_secret_and_no_control_character() {
    let (upstream, keys) = (Upstream::start(), KeyService::of_the_table());
    let mut plugin = Plugin::TunnelForward.configuration();
    plugin["keys"]["headers"] = json!({"x-api-key": HEADER_SECRET});
    let plugin = plugin.with("access_log", json!("all"));
    let listener = Listener::new("main", &plugin);
    let envoy = Envoy::start(Setup::new(upstream.address()).cluster("keys", keys.address()).listener(listener));

    let requests = requests();
    let mut answers = String::new();
    let mut denied = 0;
    for request in &requests {
        let answered = client::exchange(envoy.only(), request, &[]).unwrap();
        denied += usize::from(answered.code().is_some());
        for (name, value) in &answered.headers {
            answers += &format!("{name}: {}\n", String::from_utf8_lossy(value));
        }
        answers += &format!("{}\n", String::from_utf8_lossy(&answered.body));
    }
    assert!(denied > requests.len() / 2 && denied < requests.len(), "{denied} of {}", requests.len());

    let member = |document: Value, name: &str| document[name].as_str().unwrap().to_owned();
    let mut secrets = signatures(&requests);
    assert!(secrets.len() > requests.len() / 2, "{} signatures of {} requests", secrets.len(), requests.len());
    secrets.push(HEADER_SECRET.to_owned());
    secrets.push(member(keyring().of_alg(Alg::HS256).jwk(), "k"));
    secrets.push(member(master_key(KeyManagement::A256KW).jwk(), "k"));
    secrets.push(member(session_key("s-es256").private_jwk(), "d"));
    let sessions: Vec<Vec<u8>> =
        upstream.received().iter().filter_map(|request| Some(request.header("x-mdrm-session")?.into_bytes())).collect();
    assert!(!sessions.is_empty(), "no session token reached the upstream");
    secrets.extend(sessions.iter().map(|token| String::from_utf8_lossy(token).rsplit_once('.').unwrap().1.to_owned()));

    let log = envoy.log();
    assert!(log.matches("denied MDRM-").count() > 20, "{log}");
    for (place, text) in [("the log", &log), ("an answer", &answers)] {
        let leaked = secrets.iter().find(|secret| text.contains(secret.as_str()));
        assert!(leaked.is_none(), "{place} holds {leaked:?}");
        let odd = text.chars().find(|letter| letter.is_control() && *letter != '\n' || !letter.is_ascii());
        assert!(odd.is_none(), "{place} holds {odd:?}");
    }
    envoy.assert_healthy();
}
