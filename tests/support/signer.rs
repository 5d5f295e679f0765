//! Signs tokens with aws-lc-rs, which is not the library under test, and writes the public key documents to go with them.
//!
//! Headers and payloads are taken as bytes, so that malformed JSON and odd encodings can be signed correctly. The builder for
//! ordinary tokens is in [`super::token`].

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsBigEndian, AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The owner that a key document names unless told otherwise.
pub const OWNER: &str = "company1";
/// The audience of license requests.
pub const LICENSE: &str = "urn:verimatrix:multidrm";
/// The audience of CPIX requests.
pub const CPIX: &str = "urn:verimatrix:cpix";

/// The signature algorithms of RFC 7518 and RFC 8037 that the filter supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::upper_case_acronyms, missing_docs, reason = "the names of the registry")]
pub enum Alg {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    HS256,
    HS384,
    HS512,
}

impl Alg {
    /// Every supported algorithm.
    pub const ALL: [Alg; 13] = [
        Alg::RS256,
        Alg::RS384,
        Alg::RS512,
        Alg::PS256,
        Alg::PS384,
        Alg::PS512,
        Alg::ES256,
        Alg::ES384,
        Alg::ES512,
        Alg::EdDSA,
        Alg::HS256,
        Alg::HS384,
        Alg::HS512,
    ];

    /// The name as it stands in a token's header.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    fn rsa_encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Alg::RS256 => &signature::RSA_PKCS1_SHA256,
            Alg::RS384 => &signature::RSA_PKCS1_SHA384,
            Alg::RS512 => &signature::RSA_PKCS1_SHA512,
            Alg::PS256 => &signature::RSA_PSS_SHA256,
            Alg::PS384 => &signature::RSA_PSS_SHA384,
            Alg::PS512 => &signature::RSA_PSS_SHA512,
            other => panic!("{other:?} is no RSA algorithm"),
        }
    }

    fn ecdsa(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Alg::ES256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            Alg::ES384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            Alg::ES512 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            other => panic!("{other:?} is no ECDSA algorithm"),
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Alg::HS256 => hmac::HMAC_SHA256,
            Alg::HS384 => hmac::HMAC_SHA384,
            Alg::HS512 => hmac::HMAC_SHA512,
            other => panic!("{other:?} is no HMAC algorithm"),
        }
    }
}

/// A key to sign with. Cloning is cheap; the same key material can stand under several kids and algorithms.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    alg: Alg,
    material: Arc<Material>,
}

enum Material {
    Rsa(RsaKeyPair),
    /// PKCS#8 document of a key pair on the curve of the algorithm that it was made for.
    Ec(Vec<u8>),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl SigningKey {
    /// A new key; RSA keys of one process share one 2048-bit key pair, because making one takes up to a second.
    pub fn generate(kid: &str, alg: Alg) -> SigningKey {
        let material = match alg {
            Alg::RS256 | Alg::RS384 | Alg::RS512 | Alg::PS256 | Alg::PS384 | Alg::PS512 => the_rsa_key(),
            Alg::ES256 | Alg::ES384 | Alg::ES512 => {
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(alg.ecdsa(), &SystemRandom::new()).unwrap();
                Arc::new(Material::Ec(pkcs8.as_ref().to_vec()))
            }
            Alg::EdDSA => Arc::new(Material::Ed(Ed25519KeyPair::generate().unwrap())),
            Alg::HS256 | Alg::HS384 | Alg::HS512 => {
                let mut secret = vec![0; 64];
                rand::fill(&mut secret).unwrap();
                Arc::new(Material::Secret(secret))
            }
        };
        SigningKey { kid: kid.to_owned(), alg, material }
    }

    /// A symmetric key with the given bytes.
    pub fn from_secret(kid: &str, alg: Alg, secret: &[u8]) -> SigningKey {
        SigningKey { kid: kid.to_owned(), alg, material: Arc::new(Material::Secret(secret.to_vec())) }
    }

    /// The same key material under another kid.
    pub fn under_kid(&self, kid: &str) -> SigningKey {
        SigningKey { kid: kid.to_owned(), ..self.clone() }
    }

    /// The same key material signing with another algorithm of its key type.
    pub fn with_alg(&self, alg: Alg) -> SigningKey {
        SigningKey { alg, ..self.clone() }
    }

    /// The kid that tokens of this key name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm that this key signs with.
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// The public key document, enabled, of [`OWNER`], for both default audiences. For a symmetric key it holds the secret.
    /// Change its members with [`Document::with`] and [`Document::without`].
    pub fn jwk(&self) -> Value {
        let mut document = json!({
            "kid": self.kid, "alg": self.alg.name(), "iss": OWNER, "aud": [LICENSE, CPIX], "status": "enabled",
        });
        for (name, value) in self.public_members() {
            document[name] = value;
        }
        document
    }

    /// The private JWK of an EC or Ed25519 key: the session key document of its kid, enabled.
    pub fn private_jwk(&self) -> Value {
        let secret = match &*self.material {
            Material::Ec(_) => self.ec_pair().private_key().as_be_bytes().unwrap().as_ref().to_vec(),
            Material::Ed(pair) => pair.seed().unwrap().as_be_bytes().unwrap().as_ref().to_vec(),
            Material::Rsa(_) | Material::Secret(_) => panic!("{} is no session key", self.kid),
        };
        let mut document = json!({"kid": self.kid, "status": "enabled", "d": base64url(&secret)});
        for (name, value) in self.public_members() {
            document[name] = value;
        }
        document
    }

    /// Whether `signature` is this key's over `message`, by the library that signs here.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &*self.material {
            Material::Ec(_) => {
                let pair = self.ec_pair();
                let algorithm = &signature::ECDSA_P256_SHA256_FIXED;
                let key = signature::UnparsedPublicKey::new(algorithm, pair.public_key().as_ref());
                key.verify(message, signature).is_ok()
            }
            Material::Ed(pair) => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, pair.public_key().as_ref());
                key.verify(message, signature).is_ok()
            }
            Material::Rsa(_) | Material::Secret(_) => panic!("{} is no session key", self.kid),
        }
    }

    fn public_members(&self) -> Vec<(&'static str, Value)> {
        match &*self.material {
            Material::Rsa(pair) => vec![
                ("kty", json!("RSA")),
                ("n", json!(base64url(pair.public_key().modulus().big_endian_without_leading_zero()))),
                ("e", json!(base64url(pair.public_key().exponent().big_endian_without_leading_zero()))),
            ],
            Material::Ec(_) => {
                let pair = self.ec_pair();
                let coordinates = &pair.public_key().as_ref()[1..]; // after the mark of an uncompressed point
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let crv = match self.alg {
                    Alg::ES256 => "P-256",
                    Alg::ES384 => "P-384",
                    _ => "P-521",
                };
                vec![("kty", json!("EC")), ("crv", json!(crv)), ("x", json!(base64url(x))), ("y", json!(base64url(y)))]
            }
            Material::Ed(pair) => vec![
                ("kty", json!("OKP")),
                ("crv", json!("Ed25519")),
                ("x", json!(base64url(pair.public_key().as_ref()))),
            ],
            Material::Secret(secret) => vec![("kty", json!("oct")), ("k", json!(base64url(secret)))],
        }
    }

    fn ec_pair(&self) -> EcdsaKeyPair {
        let Material::Ec(pkcs8) = &*self.material else { panic!("{} is no EC key", self.kid) };
        EcdsaKeyPair::from_pkcs8(self.alg.ecdsa(), pkcs8).unwrap()
    }

    /// The public key as DER (SubjectPublicKeyInfo).
    pub fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match &*self.material {
            Material::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Material::Ec(_) => self.ec_pair().public_key().as_der().unwrap(),
            Material::Ed(pair) => pair.public_key().as_der().unwrap(),
            Material::Secret(_) => panic!("a secret has no public key"),
        };
        der.as_ref().to_vec()
    }

    /// The public key as PEM text.
    pub fn public_pem(&self) -> String {
        let text = STANDARD.encode(self.public_der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The signature over a message, in the form that JWS wants (RFC 7518 section 3).
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        match &*self.material {
            Material::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(self.alg.rsa_encoding(), &SystemRandom::new(), message, &mut out).unwrap();
                out
            }
            Material::Ec(_) => self.ec_pair().sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Material::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Material::Secret(secret) => hmac::sign(&hmac::Key::new(self.alg.hmac(), secret), message).as_ref().to_vec(),
        }
    }

    /// An ES256 signature as the ASN.1 sequence of two integers that X.509 uses and JWS does not.
    pub fn asn1_signature(&self, message: &[u8]) -> Vec<u8> {
        let Material::Ec(pkcs8) = &*self.material else { panic!("{} is no EC key", self.kid) };
        let pair = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8).unwrap();
        pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// A compact JWS over exactly these bytes.
    pub fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        self.sign_parts(&base64url(header), &base64url(payload))
    }

    /// A compact JWS over parts that are already encoded, rightly or not.
    pub fn sign_parts(&self, header: &str, payload: &str) -> String {
        let message = format!("{header}.{payload}");
        let signature = base64url(&self.signature(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

fn the_rsa_key() -> Arc<Material> {
    static KEY: OnceLock<Arc<Material>> = OnceLock::new();
    KEY.get_or_init(|| Arc::new(Material::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))).clone()
}

/// base64url without padding (RFC 7515 section 2).
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes that canonical base64url stands for.
pub fn from_base64url(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Changes to a JSON object, as a chain.
pub trait Document {
    /// The object with this member set.
    #[must_use]
    fn with(self, name: &str, value: Value) -> Self;
    /// The object without this member.
    #[must_use]
    fn without(self, name: &str) -> Self;
}

impl Document for Value {
    fn with(mut self, name: &str, value: Value) -> Value {
        self[name] = value;
        self
    }

    fn without(mut self, name: &str) -> Value {
        self.as_object_mut().unwrap().remove(name);
        self
    }
}
