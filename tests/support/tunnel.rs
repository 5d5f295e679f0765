//! Seals Trust Tunnel bodies with aws-lc-rs, which is not the library under test, and writes the master key documents to go
//! with them.
//!
//! [`Tunnel`] is right in every respect unless told otherwise, up to the moment of sealing: whatever header and plaintext it
//! was given are sealed correctly. [`Sealed`] is what came out, to be damaged part by part.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::signer::base64url;

/// Media type of a Trust Tunnel request.
pub const MEDIA_TYPE: &str = "application/jose";

/// The license request inside a tunnel unless told otherwise. Its base64 has padding and characters of the standard alphabet alone.
pub const LICENSE_REQUEST: &[u8] = b"\xfb\xff\x00 a license request \xff";

/// The values of `alg` that a master key can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the registry")]
pub enum KeyManagement {
    A256KW,
    Dir,
}

impl KeyManagement {
    /// Both.
    pub const ALL: [KeyManagement; 2] = [KeyManagement::A256KW, KeyManagement::Dir];

    /// The name as it stands in a header.
    pub fn name(self) -> &'static str {
        match self {
            KeyManagement::A256KW => "A256KW",
            KeyManagement::Dir => "dir",
        }
    }
}

/// A key to seal with.
#[derive(Clone)]
pub struct MasterKey {
    kid: String,
    alg: KeyManagement,
    secret: [u8; 32],
}

impl MasterKey {
    /// A new key.
    pub fn generate(kid: &str, alg: KeyManagement) -> MasterKey {
        MasterKey::from_secret(kid, alg, random())
    }

    /// A key with the given bytes.
    pub fn from_secret(kid: &str, alg: KeyManagement, secret: [u8; 32]) -> MasterKey {
        MasterKey { kid: kid.to_owned(), alg, secret }
    }

    /// The same key material under another kid.
    pub fn under_kid(&self, kid: &str) -> MasterKey {
        MasterKey { kid: kid.to_owned(), ..self.clone() }
    }

    /// The same key material for another `alg`.
    pub fn with_alg(&self, alg: KeyManagement) -> MasterKey {
        MasterKey { alg, ..self.clone() }
    }

    /// The kid that bodies of this key name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// How this key seals.
    pub fn alg(&self) -> KeyManagement {
        self.alg
    }

    /// The key itself.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The key document, enabled. Change its members with [`super::signer::Document`].
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "oct", "kid": self.kid, "alg": self.alg.name(), "k": base64url(&self.secret), "status": "enabled",
        })
    }

    /// Wraps a content key of any length that is a multiple of 8 (RFC 3394).
    pub fn wrap(&self, content_key: &[u8]) -> Vec<u8> {
        let mut wrapped = vec![0; content_key.len() + 8];
        let kek = AesKek::new(&AES_256, &self.secret).unwrap();
        kek.wrap(content_key, &mut wrapped).unwrap().to_vec()
    }
}

/// A tunnel body to be sealed.
#[derive(Clone)]
pub struct Tunnel {
    key: MasterKey,
    header: Map<String, Value>,
    header_text: Option<Vec<u8>>,
    payload: Map<String, Value>,
    plaintext: Option<Vec<u8>>,
    aad: Option<Vec<u8>>,
    content_key: [u8; 32],
    iv: [u8; 12],
}

impl Tunnel {
    /// Carries `jwt` and [`LICENSE_REQUEST`], sealed with `key`.
    pub fn new(key: &MasterKey, jwt: impl Into<String>) -> Tunnel {
        let tunnel = Tunnel {
            key: key.clone(),
            header: Map::new(),
            header_text: None,
            payload: Map::new(),
            plaintext: None,
            aad: None,
            content_key: random(),
            iv: random(),
        };
        tunnel
            .header("alg", json!(key.alg.name()))
            .header("enc", json!("A256GCM"))
            .header("kid", json!(key.kid))
            .license_request(LICENSE_REQUEST)
            .member("jwt", json!(jwt.into()))
    }

    /// Sets a header member. The body is sealed as the key says, whatever stands here.
    #[must_use]
    pub fn header(mut self, name: &str, value: Value) -> Tunnel {
        self.header.insert(name.to_owned(), value);
        self
    }

    /// Takes a header member away.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Tunnel {
        self.header.remove(name);
        self
    }

    /// The whole header as bytes, JSON or not.
    #[must_use]
    pub fn header_text(mut self, text: impl AsRef<[u8]>) -> Tunnel {
        self.header_text = Some(text.as_ref().to_vec());
        self
    }

    /// The license request, which the payload carries as padded base64.
    #[must_use]
    pub fn license_request(self, request: impl AsRef<[u8]>) -> Tunnel {
        self.member("license_request", json!(STANDARD.encode(request)))
    }

    /// The media type of the license request.
    #[must_use]
    pub fn content_type(self, content_type: &str) -> Tunnel {
        self.member("content_type", json!(content_type))
    }

    /// Sets a member of the payload.
    #[must_use]
    pub fn member(mut self, name: &str, value: Value) -> Tunnel {
        self.payload.insert(name.to_owned(), value);
        self
    }

    /// Takes a member of the payload away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Tunnel {
        self.payload.remove(name);
        self
    }

    /// The whole plaintext as bytes, JSON or not.
    #[must_use]
    pub fn plaintext(mut self, plaintext: impl AsRef<[u8]>) -> Tunnel {
        self.plaintext = Some(plaintext.as_ref().to_vec());
        self
    }

    /// Authenticates these bytes in place of the header's base64url.
    #[must_use]
    pub fn aad(mut self, aad: impl AsRef<[u8]>) -> Tunnel {
        self.aad = Some(aad.as_ref().to_vec());
        self
    }

    /// The bytes that are encrypted.
    pub fn plaintext_bytes(&self) -> Vec<u8> {
        self.plaintext.clone().unwrap_or_else(|| Value::Object(self.payload.clone()).to_string().into_bytes())
    }

    /// Seals it.
    pub fn seal(&self) -> Sealed {
        let header =
            self.header_text.clone().unwrap_or_else(|| Value::Object(self.header.clone()).to_string().into_bytes());
        let aad = self.aad.clone().unwrap_or_else(|| base64url(&header).into_bytes());
        let (content_key, encrypted_key) = match self.key.alg {
            KeyManagement::A256KW => (self.content_key, self.key.wrap(&self.content_key)),
            KeyManagement::Dir => (self.key.secret, Vec::new()),
        };
        let mut ciphertext = self.plaintext_bytes();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &content_key).unwrap());
        let nonce = Nonce::assume_unique_for_key(self.iv);
        let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut ciphertext).unwrap();
        Sealed([header, encrypted_key, self.iv.to_vec(), ciphertext, tag.as_ref().to_vec()])
    }

    /// The body of the request.
    pub fn body(&self) -> String {
        self.seal().body()
    }
}

/// A part of a JWE in compact serialization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of RFC 7516")]
pub enum Part {
    Header,
    EncryptedKey,
    Iv,
    Ciphertext,
    Tag,
}

impl Part {
    /// All five, in their order.
    pub const ALL: [Part; 5] = [Part::Header, Part::EncryptedKey, Part::Iv, Part::Ciphertext, Part::Tag];
}

/// The five parts of a sealed body, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed([Vec<u8>; 5]);

impl Sealed {
    /// A part.
    pub fn part(&self, part: Part) -> &[u8] {
        &self.0[part as usize]
    }

    /// With other bytes as this part.
    #[must_use]
    pub fn with(self, part: Part, bytes: impl AsRef<[u8]>) -> Sealed {
        self.change(part, |old| *old = bytes.as_ref().to_vec())
    }

    /// With this part changed.
    #[must_use]
    pub fn change(mut self, part: Part, change: impl FnOnce(&mut Vec<u8>)) -> Sealed {
        change(&mut self.0[part as usize]);
        self
    }

    /// With one bit of this part flipped, in the byte `at`.
    #[must_use]
    pub fn flip(self, part: Part, at: usize) -> Sealed {
        self.change(part, |bytes| bytes[at] ^= 1)
    }

    /// With this part cut, or made longer with zeros.
    #[must_use]
    pub fn resize(self, part: Part, length: usize) -> Sealed {
        self.change(part, |bytes| bytes.resize(length, 0))
    }

    /// The body.
    pub fn body(&self) -> String {
        self.texts().join(".")
    }

    /// The body with this text, base64url or not, as one part.
    pub fn body_with(&self, part: Part, text: &str) -> String {
        let mut texts = self.texts();
        text.clone_into(&mut texts[part as usize]);
        texts.join(".")
    }

    /// The parts as they stand in the body.
    pub fn texts(&self) -> [String; 5] {
        self.0.each_ref().map(|part| base64url(part))
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).unwrap();
    bytes
}
