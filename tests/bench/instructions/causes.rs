//! The causes of MDRM-519: what somebody who can only watch could tell apart.

use std::fmt::Write as _;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use aes_kw::KwAes256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mdrm_authz::denial::Denial;
use mdrm_authz::jose::json::Object;
use mdrm_authz::jose::jwe::UntrustedJwe;
use mdrm_authz::jose::master_key::MasterKey;

const SECRET: [u8; 32] = [7; 32];
const CONTENT_KEY: [u8; 32] = [8; 32];
/// Bytes of the plaintext.
const PLAINTEXT: usize = 4096;

/// The parts of a body before they are encoded, and the `alg` of the key.
struct Body {
    key: &'static str,
    header: String,
    encrypted_key: Vec<u8>,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

/// A body that opens.
fn right(key: &'static str) -> Body {
    let header = format!(r#"{{"alg":"{key}","enc":"A256GCM","kid":"m1"}}"#);
    let (content_key, encrypted_key) = if key == "dir" {
        (SECRET, Vec::new())
    } else {
        let mut wrapped = [0; 40];
        KwAes256::new(&SECRET.into()).wrap_key(&CONTENT_KEY, &mut wrapped).unwrap();
        (CONTENT_KEY, wrapped.to_vec())
    };
    let mut ciphertext = vec![b'x'; PLAINTEXT];
    let aad = URL_SAFE_NO_PAD.encode(&header);
    let cipher = Aes256Gcm::new(&content_key.into());
    let tag = cipher.encrypt_inout_detached(&Nonce::default(), aad.as_bytes(), (&mut *ciphertext).into()).unwrap();
    Body { key, header, encrypted_key, iv: vec![0; 12], ciphertext, tag: tag.to_vec() }
}

/// Every cause: what it is, and the body. The first of each key is right.
fn causes() -> Vec<(String, Body)> {
    let mut causes: Vec<(String, Body)> = Vec::new();
    for key in ["A256KW", "dir"] {
        let mut add = |name: &str, change: &dyn Fn(&mut Body)| {
            let mut body = right(key);
            change(&mut body);
            causes.push((format!("{key}: {name}"), body));
        };
        add("right", &|_| {});
        add("the tag changed", &|body| body.tag[3] ^= 1);
        add("the ciphertext changed", &|body| body.ciphertext[3] ^= 1);
        add("the IV changed", &|body| body.iv[3] ^= 1);
        add("an IV of 11 bytes", &|body| body.iv.truncate(11));
        add("an IV of 13 bytes", &|body| body.iv.push(0));
        add("no IV", &|body| body.iv.clear());
        add("a tag of 15 bytes", &|body| body.tag.truncate(15));
        add("a tag of 17 bytes", &|body| body.tag.push(0));
        add("the header's alg is not the key's", &|body| {
            let (other, encrypted_key) = if key == "dir" { ("A256KW", vec![0; 40]) } else { ("dir", Vec::new()) };
            body.header = body.header.replace(key, other);
            body.encrypted_key = encrypted_key;
        });
        if key == "A256KW" {
            add("the wrapped key changed", &|body| body.encrypted_key[3] ^= 1);
            add("a wrapped key of 39 bytes", &|body| body.encrypted_key.truncate(39));
            add("a wrapped key of 48 bytes", &|body| body.encrypted_key.extend([0; 8]));
            add("another key, wrapped", &|body| {
                let mut wrapped = [0; 40];
                KwAes256::new(&SECRET.into()).wrap_key(&[9; 32], &mut wrapped).unwrap();
                body.encrypted_key = wrapped.to_vec();
            });
        }
    }
    causes
}

/// Reads the body of a cause, and opens it if it is told to.
pub fn run(open: bool, cause: usize) {
    let (name, body) = &causes()[cause];
    let parts = [body.header.as_bytes(), &body.encrypted_key, &body.iv, &body.ciphertext, &body.tag];
    let text = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let jwk = format!(r#"{{"kty":"oct","alg":"{}","k":"{}"}}"#, body.key, URL_SAFE_NO_PAD.encode(SECRET));
    let key = MasterKey::read(&Object::parse(jwk.as_bytes()).unwrap()).unwrap();
    let jwe = UntrustedJwe::parse(text.as_bytes()).unwrap();
    if open {
        let opened = jwe.decrypt(&key).map(|_| ());
        assert_eq!(opened, if name.ends_with("right") { Ok(()) } else { Err(Denial::TunnelUndecryptable) }, "{name}");
    }
}

/// Instructions from a body that was read to the answer, by cause.
pub fn report(count: fn(&[Vec<String>]) -> Vec<u64>) -> String {
    let names: Vec<String> = causes().into_iter().map(|(name, _)| name).collect();
    let counts = count(&(0..names.len()).map(|number| vec![number.to_string()]).collect::<Vec<_>>());
    let mut text = format!(
        "## MDRM-519\n\nInstructions from a body that was read, with {PLAINTEXT} bytes of plaintext, to the answer, for each key and each cause; \
         and how many more than the least cause of that key has.\n\n| key: cause | instructions | more |\n| --- | ---: | ---: |\n"
    );
    for key in ["A256KW", "dir"] {
        let of_key = || names.iter().zip(&counts).filter(|(name, _)| name.starts_with(&format!("{key}: ")));
        let least = *of_key().filter(|(name, _)| !name.ends_with("right")).map(|(_, count)| count).min().unwrap();
        for (name, count) in of_key() {
            let more = *count as f64 / least as f64 - 1.0;
            writeln!(text, "| {name} | {count} | {:.2} % |", more * 100.0).unwrap();
            assert!(more < 0.005 || name.ends_with("right"), "{name} differs by {more}");
        }
    }
    text
}
