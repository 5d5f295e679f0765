//! Signatures of XML-DSig (RFC 4051 section 2.3) with the keys of JOSE.

use super::native::{Hash, Native};
use super::rsa::{Padding, Rsa};
use super::verify::{Material, VerifyingKey, verify};

/// A `SignatureMethod` that is allowed. HMAC and everything with SHA-1 have no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureMethod {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaSha512,
    /// ECDSA with SHA-256, here on P-256 alone.
    EcdsaSha256,
}

const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const RSA_SHA512: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512";
const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

impl SignatureMethod {
    /// The value of `Algorithm`.
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::RsaSha256 => RSA_SHA256,
            Self::RsaSha512 => RSA_SHA512,
            Self::EcdsaSha256 => ECDSA_SHA256,
        }
    }

    /// The method of this value of `Algorithm`.
    pub fn from_identifier(identifier: &str) -> Option<Self> {
        match identifier {
            RSA_SHA256 => Some(Self::RsaSha256),
            RSA_SHA512 => Some(Self::RsaSha512),
            ECDSA_SHA256 => Some(Self::EcdsaSha256),
            _ => None,
        }
    }
}

impl VerifyingKey {
    /// Whether `signature` is this key's signature over `message` by an XML-DSig method; none if keys of this type make
    /// no such signatures. ECDSA signatures are r and s as in JOSE (RFC 4051 section 2.3.6).
    ///
    /// The type counts, not [`VerifyingKey::alg`], which is for tokens: every RSA key verifies both RSA methods.
    pub fn verify_xml(&self, method: SignatureMethod, message: &[u8], signature: &[u8]) -> Option<bool> {
        let hash = match method {
            SignatureMethod::RsaSha256 => Hash::Sha256,
            SignatureMethod::RsaSha512 => Hash::Sha512,
            SignatureMethod::EcdsaSha256 => {
                return matches!(self.material, Material::Es256(_)).then(|| self.verify(message, signature));
            }
        };
        let (Material::Pkcs1(key) | Material::Pss(_, key)) = &self.material else { return None };
        let in_vm = Rsa { hash, padding: Padding::Pkcs1 };
        Some(verify(&Native { in_vm, hash, verify: key.0.verify }, &key.1, message, signature))
    }
}
