//! Public and shared keys that verify signatures: one type that fixes algorithm and key together.

use std::fmt;

use jwt_compact::{Algorithm, AlgorithmSignature};
use zeroize::Zeroizing;

use super::algorithm::Alg;
use super::der;
use super::ecdsa::{Es256, Es384, Es512};
use super::ed25519::Ed25519;
use super::hmac::Hs;
use super::native::{Hash, Native, NativeKey, Verify};
use super::rsa::{Padding, Rsa, RsaPublicKey};

/// A key together with the one algorithm that it verifies. The token has no say in the choice.
pub struct VerifyingKey {
    alg: Alg,
    pub(super) material: Material,
}

pub(super) enum Material {
    /// RS*.
    Pkcs1(Bound<Native<Rsa>>),
    /// PS*: no host checks RSASSA-PSS. The second is for XML-DSig, which has PKCS#1 v1.5 with any RSA key.
    Pss(Rsa, Bound<Native<Rsa>>),
    Es256(Bound<Native<Es256>>),
    Es384(Bound<Native<Es384>>),
    Es512(Bound<Native<Es512>>),
    Ed25519(Bound<Ed25519>),
    Hmac(Bound<Hs>),
}

/// An algorithm and its key.
pub(super) struct Bound<A: Algorithm>(pub(super) A, pub(super) A::VerifyingKey);

impl<A: Algorithm> Bound<A> {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        verify(&self.0, &self.1, message, signature)
    }
}

/// Whether `signature` is right. One of the wrong length is not.
pub(super) fn verify<A: Algorithm>(algorithm: &A, key: &A::VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    let signature = A::Signature::try_from_slice(signature);
    signature.is_ok_and(|signature| algorithm.verify_signature(&signature, key, message))
}

/// Why key material was refused, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakKey {
    /// The modulus is not an odd number of 2048 to 4096 bits.
    RsaModulus,
    /// The modulus has the fingerprint of a generator whose keys can be factored (CVE-2017-15361).
    RsaFactorable,
    /// The public exponent is neither 3 nor 65537.
    RsaExponent,
    /// A coordinate has not the length of the curve's field.
    Coordinate {
        /// `x` or `y`.
        name: &'static str,
        /// How many octets there are.
        found: usize,
        /// How many octets the curve takes.
        expected: usize,
    },
    /// The point is not on the curve.
    NotAPoint,
    /// The Ed25519 point has small order: it would accept signatures of nobody.
    SmallOrder,
    /// The secret is shorter than the hash.
    ShortSecret,
    /// The algorithm belongs to another type of key.
    WrongType,
}

impl fmt::Display for WeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Coordinate { name, found, expected } => {
                return write!(f, "{name} has {found} octets, the curve takes {expected}");
            }
            Self::RsaModulus => "n is not an odd number of 2048 to 4096 bits",
            Self::RsaFactorable => "n can be factored (CVE-2017-15361)",
            Self::RsaExponent => "e is neither 3 nor 65537",
            Self::NotAPoint => "x and y are not a point of the curve",
            Self::SmallOrder => "x is a point of small order",
            Self::ShortSecret => "k is shorter than the hash",
            Self::WrongType => "alg does not fit kty and crv",
        })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("alg", &self.alg.name()).finish_non_exhaustive()
    }
}

impl VerifyingKey {
    /// An RSA key for `alg` (RS* or PS*); `n` and `e` are big-endian. `native` checks RS* signatures if it is there.
    ///
    /// # Errors
    /// [`WeakKey`]: modulus, exponent, or an algorithm of another type.
    pub fn rsa(alg: Alg, n: &[u8], e: &[u8], native: Option<Verify>) -> Result<Self, WeakKey> {
        let (hash, padding) = match alg {
            Alg::Rs256 => (Hash::Sha256, Padding::Pkcs1),
            Alg::Rs384 => (Hash::Sha384, Padding::Pkcs1),
            Alg::Rs512 => (Hash::Sha512, Padding::Pkcs1),
            Alg::Ps256 => (Hash::Sha256, Padding::Pss),
            Alg::Ps384 => (Hash::Sha384, Padding::Pss),
            Alg::Ps512 => (Hash::Sha512, Padding::Pss),
            _ => return Err(WeakKey::WrongType),
        };
        let key = NativeKey { in_vm: RsaPublicKey::new(n, e)?, spki: der::rsa_key(n, e).into() };
        let pkcs1 = Rsa { hash, padding: Padding::Pkcs1 };
        let bound = Bound(Native { in_vm: pkcs1, hash, verify: native }, key);
        let material = match padding {
            Padding::Pkcs1 => Material::Pkcs1(bound),
            Padding::Pss => Material::Pss(Rsa { hash, padding }, bound),
        };
        Ok(Self { alg, material })
    }

    /// An ECDSA key for `alg` (ES*) at the affine point `x`, `y`, both big-endian and exactly as long as the field.
    /// `native` checks its signatures if it is there.
    ///
    /// # Errors
    /// [`WeakKey`]: a wrong length, a point off the curve, or an algorithm of another type.
    pub fn ecdsa(alg: Alg, x: &[u8], y: &[u8], native: Option<Verify>) -> Result<Self, WeakKey> {
        let field_bytes = match alg {
            Alg::Es256 => 32,
            Alg::Es384 => 48,
            Alg::Es512 => 66,
            _ => return Err(WeakKey::WrongType),
        };
        for (name, found) in [("x", x.len()), ("y", y.len())] {
            if found != field_bytes {
                return Err(WeakKey::Coordinate { name, found, expected: field_bytes });
            }
        }
        // SEC 1 section 2.3.3, uncompressed.
        let point = [&[4], x, y].concat();
        let material = match alg {
            Alg::Es384 => Es384::key(&point).map(|key| {
                let algorithm = Native { in_vm: Es384, hash: Hash::Sha384, verify: native };
                Material::Es384(Bound(algorithm, key))
            }),
            Alg::Es512 => Es512::key(&point).map(|key| {
                let algorithm = Native { in_vm: Es512, hash: Hash::Sha512, verify: native };
                Material::Es512(Bound(algorithm, key))
            }),
            _ => Es256::key(&point).map(|key| {
                let algorithm = Native { in_vm: Es256, hash: Hash::Sha256, verify: native };
                Material::Es256(Bound(algorithm, key))
            }),
        };
        Ok(Self { alg, material: material.ok_or(WeakKey::NotAPoint)? })
    }

    /// An Ed25519 key (RFC 8037); `x` is the encoded point.
    ///
    /// # Errors
    /// [`WeakKey`]: a wrong length, no point, a point of small order, or an algorithm of another type.
    pub fn ed25519(alg: Alg, x: &[u8]) -> Result<Self, WeakKey> {
        if alg != Alg::EdDsa {
            return Err(WeakKey::WrongType);
        }
        let length = WeakKey::Coordinate { name: "x", found: x.len(), expected: ed25519_dalek::PUBLIC_KEY_LENGTH };
        let x = x.try_into().map_err(|_| length)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(x).map_err(|_| WeakKey::NotAPoint)?;
        if key.is_weak() {
            return Err(WeakKey::SmallOrder);
        }
        Ok(Self { alg, material: Material::Ed25519(Bound(Ed25519, key)) })
    }

    /// An HMAC key for `alg` (HS*), at least as long as the hash (RFC 7518 section 3.2). Wiped when dropped.
    ///
    /// # Errors
    /// [`WeakKey`]: too short, or an algorithm of another type.
    pub fn hmac(alg: Alg, k: &[u8]) -> Result<Self, WeakKey> {
        let hash = match alg {
            Alg::Hs256 => Hash::Sha256,
            Alg::Hs384 => Hash::Sha384,
            Alg::Hs512 => Hash::Sha512,
            _ => return Err(WeakKey::WrongType),
        };
        if k.len() < hash.bytes() {
            return Err(WeakKey::ShortSecret);
        }
        Ok(Self { alg, material: Material::Hmac(Bound(Hs(hash), Zeroizing::new(k.into()))) })
    }

    /// The algorithm that a token must name to be verified with this key.
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// Whether who knows this key can sign with it: an HMAC key.
    pub fn is_secret(&self) -> bool {
        matches!(self.alg, Alg::Hs256 | Alg::Hs384 | Alg::Hs512)
    }

    /// Whether the host checks this key's signatures of tokens.
    pub fn by_host(&self) -> bool {
        !matches!(self.material, Material::Pss(..)) && self.xml_by_host()
    }

    /// Whether the host checks this key's signatures of documents.
    pub fn xml_by_host(&self) -> bool {
        match &self.material {
            Material::Pkcs1(key) | Material::Pss(_, key) => key.0.verify,
            Material::Es256(key) => key.0.verify,
            Material::Es384(key) => key.0.verify,
            Material::Es512(key) => key.0.verify,
            Material::Ed25519(_) | Material::Hmac(_) => None,
        }
        .is_some()
    }

    /// Whether `signature` is this key's signature over `message`. A signature of the wrong length is not.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Pkcs1(key) => key.verify(message, signature),
            Material::Pss(pss, key) => verify(pss, &key.1.in_vm, message, signature),
            Material::Es256(key) => key.verify(message, signature),
            Material::Es384(key) => key.verify(message, signature),
            Material::Es512(key) => key.verify(message, signature),
            Material::Ed25519(key) => key.verify(message, signature),
            Material::Hmac(key) => key.verify(message, signature),
        }
    }
}
