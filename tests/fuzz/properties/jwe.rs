//! The body of a Trust Tunnel request. Input: `d`, a JWE's header, a line end and a plaintext, to be sealed with the master key
//! itself (`dir`); `w` and the same, to be sealed with a wrapped key (`A256KW`); or anything else, which is the body.

use std::sync::LazyLock;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use aes_kw::KwAes256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use mdrm_authz::denial::{Code, Denial};
use mdrm_authz::jose::json::Object;
use mdrm_authz::jose::jwe::{Plaintext, UntrustedJwe};
use mdrm_authz::jose::master_key::MasterKey;
use mdrm_authz::tunnel::{CONTENT_TYPES, TunnelRequest};
use serde_json::Value;

use super::{SECRET, log};

/// The content key that is wrapped.
const CONTENT_KEY: [u8; 32] = *b"a content key that gets wrapped.";
const IV: [u8; 12] = *b"twelve bytes";

static DIR: LazyLock<MasterKey> = LazyLock::new(|| master_key("dir"));
static WRAPS: LazyLock<MasterKey> = LazyLock::new(|| master_key("A256KW"));

fn master_key(alg: &str) -> MasterKey {
    let document = format!(r#"{{"kty":"oct","alg":"{alg}","k":"{}"}}"#, URL_SAFE_NO_PAD.encode(SECRET));
    let object = Object::parse(document.as_bytes()).expect("a document");
    MasterKey::read(&object).expect("a master key")
}

/// Nothing opens but what was sealed with the key, and what opens is the one spelling of it. Gives whether a license request is inside.
pub fn check(input: &[u8]) -> bool {
    let sealed = |text: &[u8], content_key: &[u8; 32], wrapped: &[u8]| {
        let at = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        let (header, plaintext) = text.split_at(at);
        seal(header, plaintext.get(1..).unwrap_or_default(), content_key, wrapped)
    };
    let body = match input {
        [b'd', text @ ..] => sealed(text, &SECRET, &[]),
        [b'w', text @ ..] => sealed(text, &CONTENT_KEY, &wrap(&CONTENT_KEY)),
        body => body.to_vec(),
    };
    let mut opens = false;
    for (key, alg) in [(&*DIR, "dir"), (&*WRAPS, "A256KW")] {
        match UntrustedJwe::parse(&body) {
            Err(denial) => {
                log::check_refusal(&denial);
                assert!(matches!(denial.code(), Code::Mdrm517 | Code::Mdrm518), "{denial:?}");
            }
            Ok(jwe) => opens |= check_parsed(&body, jwe, key, alg),
        }
    }
    opens
}

fn wrap(content_key: &[u8; 32]) -> Vec<u8> {
    let mut wrapped = vec![0; 40];
    KwAes256::new(&SECRET.into()).wrap_key(content_key, &mut wrapped).expect("a key of this length is wrapped");
    wrapped
}

fn seal(header: &[u8], plaintext: &[u8], content_key: &[u8; 32], wrapped: &[u8]) -> Vec<u8> {
    let protected = URL_SAFE_NO_PAD.encode(header);
    let mut ciphertext = plaintext.to_vec();
    let cipher = Aes256Gcm::new(content_key.into());
    let tag = cipher.encrypt_inout_detached(&Nonce::from(IV), protected.as_bytes(), (&mut *ciphertext).into());
    let tag = tag.expect("a short text is sealed");
    let parts = [wrapped, &IV, &ciphertext, &tag].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{protected}.{}", parts.join(".")).into_bytes()
}

fn check_parsed(body: &[u8], jwe: UntrustedJwe, key: &MasterKey, alg: &str) -> bool {
    let text = std::str::from_utf8(body).expect("a JWE is ASCII");
    let parts: Vec<Vec<u8>> = text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
    let respelled: Vec<String> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    assert_eq!(respelled.join("."), text, "a second spelling");
    let [header, encrypted_key, iv, ciphertext, tag] = &*parts else { panic!("{} parts", parts.len()) };
    let protected = text.split('.').next().unwrap_or_default();
    let Ok(header) = serde_json::from_slice::<Value>(header) else { return false }; // A number that is no double, somewhere.
    assert_eq!(header["kid"].as_str(), Some(jwe.kid().as_str()));
    assert!(header.get("zip").is_none() && header.get("crit").is_none() && header["enc"] == "A256GCM");

    // The right answer by hand: AES-GCM is its own inverse, so what was sealed is sealed to the same bytes again.
    let content_key: Option<[u8; 32]> = match alg {
        "dir" => encrypted_key.is_empty().then_some(SECRET),
        _ => (encrypted_key.len() == 40).then_some(()).and_then(|()| {
            let mut content_key = [0; 32];
            KwAes256::new(&SECRET.into()).unwrap_key(encrypted_key, &mut content_key).ok()?;
            Some(content_key)
        }),
    };
    match jwe.decrypt(key) {
        Err(denial) => {
            assert_eq!(denial, Denial::TunnelUndecryptable);
            let content_key = content_key.filter(|_| header["alg"] == alg && iv.len() == 12 && tag.len() == 16);
            let Some(content_key) = content_key else { return false };
            let (mut opened, tag) =
                (ciphertext.clone(), <[u8; 16]>::try_from(&**tag).expect("its length was looked at"));
            let holds = Aes256Gcm::new(&content_key.into()).decrypt_inout_detached(
                &nonce(iv),
                protected.as_bytes(),
                (&mut *opened).into(),
                &tag.into(),
            );
            assert!(holds.is_err(), "what was sealed is not opened");
            false
        }
        Ok(plaintext) => {
            assert_eq!(header["alg"], alg, "the key's algorithm counts");
            let content_key = content_key.expect("a content key");
            let mut again = plaintext.as_bytes().to_vec();
            let cipher = Aes256Gcm::new(&content_key.into());
            let again_tag = cipher.encrypt_inout_detached(&nonce(iv), protected.as_bytes(), (&mut *again).into());
            assert_eq!(&again_tag.expect("a short text is sealed")[..], &tag[..], "what nobody has sealed is opened");
            assert_eq!(&again, ciphertext);
            check_payload(&plaintext)
        }
    }
}

fn nonce(iv: &[u8]) -> Nonce<aes_gcm::aead::consts::U12> {
    <[u8; 12]>::try_from(iv).expect("an IV of another length opens nothing").into()
}

fn check_payload(plaintext: &Plaintext) -> bool {
    assert!(format!("{plaintext:?}").len() < 40, "a plaintext is shown");
    match TunnelRequest::parse(plaintext) {
        Err(denial) => {
            log::check_refusal(&denial);
            assert_eq!(denial.code(), Code::Mdrm517);
            false
        }
        Ok(TunnelRequest { license_request, jwt, content_type }) => {
            let Ok(payload) = serde_json::from_slice::<Value>(plaintext.as_bytes()) else {
                return true; // A number that is no double, somewhere.
            };
            let text = payload["license_request"].as_str().expect("license_request is a string");
            let spellings = [
                STANDARD.encode(&license_request),
                STANDARD_NO_PAD.encode(&license_request),
                URL_SAFE.encode(&license_request),
                URL_SAFE_NO_PAD.encode(&license_request),
            ];
            assert!(!license_request.is_empty() && spellings.iter().any(|spelling| spelling == text), "{text}");
            assert_eq!(payload["jwt"].as_str(), Some(&*jwt));
            let named = payload.get("content_type").map_or(Some(CONTENT_TYPES[0]), Value::as_str);
            assert!(!jwt.is_empty() && named == Some(content_type) && CONTENT_TYPES.contains(&content_type));
            true
        }
    }
}
