//! The keys of the event stories, and what their key services say.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::super::SECRET;

/// The owner of every key.
pub(super) const OWNER: &str = "an owner";
/// The audience of license requests.
pub(super) const LICENSE: &str = "urn:verimatrix:multidrm";
/// The audience of CPIX requests.
pub(super) const CPIX: &str = "urn:verimatrix:cpix";

/// Signs tokens, as the key `e`, and session tokens, as `s`.
pub(super) static SIGNING: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&SECRET));

/// Every document, by the path of a request for it alone.
static DOCUMENTS: LazyLock<Vec<(&'static str, Value)>> = LazyLock::new(|| {
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let fixtures: Value =
        serde_json::from_str(include_str!("../../../native/cpix/fixtures/keys.json")).expect("the fixtures are JSON");
    let owned = |mut document: Value, kid: &str| {
        for (name, value) in [("kid", json!(kid)), ("iss", json!(OWNER)), ("aud", json!([LICENSE, CPIX]))] {
            document[name] = value;
        }
        document
    };
    let ed25519 = json!({"kty": "OKP", "crv": "Ed25519", "x": base64(SIGNING.verifying_key().as_bytes())});
    let secret = json!({"kty": "oct", "alg": "HS256", "k": base64(&SECRET)});
    let mut disabled = owned(ed25519.clone(), "off");
    disabled["status"] = json!("disabled");
    let mut session = ed25519.clone();
    (session["kid"], session["d"]) = (json!("s"), json!(base64(&SECRET)));
    let master = json!({"kty": "oct", "kid": "m", "alg": "dir", "k": base64(&SECRET)});
    vec![
        ("/keys/e", owned(ed25519, "e")),
        ("/keys/h", owned(secret, "h")),
        ("/keys/off", disabled),
        ("/keys/p256", owned(fixtures["p256"].clone(), "p256")),
        ("/session-keys/s", session),
        ("/master-keys/m", master),
    ]
});

/// What stands at `path`: a document, or the set of all public keys.
pub(super) fn document(path: &str) -> Option<Value> {
    if path == "/set" {
        let public = ["/keys/e", "/keys/off", "/keys/p256"];
        let documents: Vec<&Value> =
            DOCUMENTS.iter().filter(|(at, _)| public.contains(at)).map(|(_, key)| key).collect();
        return Some(json!({"keys": documents}));
    }
    DOCUMENTS.iter().find(|(at, _)| *at == path).map(|(_, document)| document.clone())
}
