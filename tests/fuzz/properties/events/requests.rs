//! The requests of the event stories, right and wrong ones.

use std::sync::LazyLock;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::Signer as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::{NOW, SECRET};
use super::keys::{CPIX, LICENSE, OWNER, SIGNING};

/// A request as the filter sees it.
pub(super) struct Request {
    pub(super) name: &'static str,
    /// Must never be allowed, whatever the configuration.
    pub(super) is_bad: bool,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// None: the head ends the request.
    pub(super) body: Option<Vec<u8>>,
}

/// Every request, by number.
pub(super) static REQUESTS: LazyLock<Vec<Request>> = LazyLock::new(|| {
    let by_e = |changes| token("e", claims(LICENSE, changes));
    let by_h = token("h", claims(LICENSE, json!({})));
    let plain = |token: &str| post("/license", Some(token), b"a license request");
    let tunnel = |body: Vec<u8>| {
        let (mut headers, _) = post("/license", None, b"");
        headers.push(("content-type".to_owned(), b"application/jose".to_vec()));
        (headers, Some(body))
    };
    let document = |content: &str| format!("<CPIX xmlns=\"urn:dashif:org:cpix\" contentId=\"{content}\"/>");
    let bound = |content: &str| {
        let token = token("e", claims(CPIX, json!({"sub": "content-1"})));
        post("/cpix", Some(&token), document(content).as_bytes())
    };
    let signed = signed_document();
    let signed_path = format!("/signed?kid=p256&sub=content-1&iss={}", OWNER.replace(' ', "%20"));
    let mut changed = by_e(json!({}));
    changed.replace_range(changed.len() - 4.., "AAAA");
    let mut preflight = post("/license", None, b"").0;
    preflight[0].1 = b"OPTIONS".to_vec();
    for name in ["origin", "access-control-request-method"] {
        preflight.push((name.to_owned(), b"x".to_vec()));
    }
    let query = post(&format!("/license?a=1&Authorization={by_h}"), None, b"a license request");

    let mut all = Vec::new();
    let mut add = |name, is_bad, (headers, body)| all.push(Request { name, is_bad, headers, body });
    add("a token", false, plain(&by_e(json!({}))));
    add("another token", false, plain(&by_e(json!({"jti": "2"}))));
    add("an HMAC token", false, plain(&by_h));
    add("a token in the query", false, query);
    add("another signature", true, plain(&changed));
    add("a key that nobody knows", true, plain(&token("nobody", claims(LICENSE, json!({})))));
    add("a disabled key", true, plain(&token("off", claims(LICENSE, json!({})))));
    add("no token", true, post("/license", None, b"a license request"));
    add("an old token", true, plain(&by_e(json!({"iat": NOW - 100}))));
    add("a token for another service", true, plain(&by_e(json!({"aud": CPIX}))));
    add("a tunnel", false, tunnel(seal(&by_h)));
    add("a tunnel with another token", false, tunnel(seal(&by_e(json!({})))));
    add("a tunnel with a wrong token", true, tunnel(seal(&changed)));
    add("a tunnel that is none", true, tunnel(b"a.b.c.d.e".to_vec()));
    add("a tunnel without a body", true, (tunnel(Vec::new()).0, None));
    add("a bound document", false, bound("content-1"));
    add("a document about something else", true, bound("content-2"));
    add("a signed document", false, post(&signed_path, None, signed.as_bytes()));
    add("a changed document", true, post(&signed_path, None, signed.replace("<a/>", "<b/>").as_bytes()));
    add("an open path", false, post("/open", Some("anything"), b""));
    add("a preflight", false, (preflight, None));
    add("an unknown path", true, post("/elsewhere", Some(&by_h), b""));
    all
});

/// Headers, and the body if there is one.
type Message = (Vec<(String, Vec<u8>)>, Option<Vec<u8>>);

fn post(path: &str, token: Option<&str>, body: &[u8]) -> Message {
    let pairs = [(":method", "POST"), (":path", path), (":authority", "license.example.com")];
    let pairs = pairs.into_iter().chain(token.map(|token| ("authorization", token)));
    (pairs.map(|(name, value)| (name.to_owned(), value.into())).collect(), Some(body.to_vec()))
}

fn claims(audience: &str, changes: Value) -> Value {
    let mut claims = json!({"iss": OWNER, "sub": "a film", "jti": "1", "ver": 1, "iat": NOW, "aud": audience});
    for (name, value) in changes.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    claims
}

fn token(kid: &str, claims: Value) -> String {
    let alg = if kid == "h" { "HS256" } else { "EdDSA" };
    let parts = [json!({"alg": alg, "kid": kid}), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = parts.join(".");
    let signature = match alg {
        "HS256" => hmac(message.as_bytes()).to_vec(),
        _ => SIGNING.sign(message.as_bytes()).to_bytes().to_vec(),
    };
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// RFC 2104 with SHA-256 and [`SECRET`].
fn hmac(message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..SECRET.len()].copy_from_slice(&SECRET);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

/// A Trust Tunnel body for the master key `m`.
fn seal(token: &str) -> Vec<u8> {
    let protected = URL_SAFE_NO_PAD.encode(json!({"alg": "dir", "enc": "A256GCM", "kid": "m"}).to_string());
    let mut text = json!({"license_request": "CAQ=", "jwt": token}).to_string().into_bytes();
    let iv = *b"twelve bytes";
    let cipher = Aes256Gcm::new(&SECRET.into());
    let tag = cipher
        .encrypt_inout_detached(&Nonce::from(iv), protected.as_bytes(), text.as_mut_slice().into())
        .expect("seals");
    let parts = [&iv[..], &text, &tag].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{protected}..{}", parts.join(".")).into_bytes()
}

/// A document that the fixtures' key `p256` has signed.
fn signed_document() -> String {
    let signed: Value =
        serde_json::from_str(include_str!("../../../native/cpix/fixtures/signed.json")).expect("fixtures");
    let entry = signed.as_array().into_iter().flatten().find(|entry| entry["name"] == "KeyInfo");
    entry.and_then(|entry| entry["document"].as_str()).expect("a signed document").to_owned()
}
