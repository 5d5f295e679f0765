//! Session keys: private JWKs (RFC 7518 section 6.2.2, RFC 8037 section 2) that sign what this filter tells an upstream.
//!
//! The private part never leaves this module: it is not printed, and wiped when it is dropped.

use std::fmt;

use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::algorithm::Alg;
use super::json::Object;
use super::jwk::{Ring, bytes, secret_bytes, text};
use super::native::Verify;
use super::unusable::{Flaw, Unusable};
use super::verify::{VerifyingKey, WeakKey};
use crate::denial::Denial;

/// Bytes of a P-256 scalar, and of an Ed25519 seed.
const SECRET_BYTES: usize = 32;

/// Bytes of a signature: ES256 (RFC 7518 section 3.4) and Ed25519 (RFC 8032 section 5.1.6) alike.
pub const SIGNATURE_BYTES: usize = 64;

/// A readable session key document: a key pair, or two parts that do not belong together.
#[derive(Debug)]
pub struct SessionKey {
    /// SHA-256 of the document: tells whether a newly fetched key is the one that signed a token.
    pub fingerprint: [u8; 32],
    /// None if the public part is not that of the private part.
    pair: Option<SigningPair>,
}

/// A private key together with its public part, which fixes the algorithm.
pub struct SigningPair {
    private: Private,
    public: VerifyingKey,
}

enum Private {
    Es256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

/// Does not compile unless both types wipe themselves when they are dropped.
const _: fn(&Private) = |private| {
    fn wipes_itself<T: ZeroizeOnDrop>(_: &T) {}
    match private {
        Private::Es256(key) => wipes_itself(key),
        Private::Ed25519(key) => wipes_itself(key),
    }
};

impl fmt::Debug for SigningPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningPair").field("private", &"<redacted>").field("public", &self.public).finish()
    }
}

impl SessionKey {
    /// Reads the private JWK `object`, whose text is `document`: ES256 on P-256, or EdDSA with Ed25519. Neither `kid` nor
    /// `status` is looked at. `native` checks what the key signs, if it is there and knows the algorithm.
    ///
    /// # Errors
    /// [`Unusable`]: another type or algorithm, `use` or `key_ops` that do not allow signing, a public part that is no
    /// point of the curve, a private part of the wrong length or outside 1 to n - 1. Parts that do not belong together
    /// are no error here: see [`Self::pair`].
    pub fn read(document: &[u8], object: &Object<'_>, native: Option<Verify>) -> Result<Self, Unusable> {
        Ring::Session.purpose().check(object)?;
        let kty = text(object, "kty")?.ok_or(Unusable::KeyType)?;
        let crv = text(object, "crv")?.ok_or(Unusable::KeyType)?;
        let pair = match (&*kty, &*crv) {
            ("EC", "P-256") => p256(object, native)?,
            ("OKP", "Ed25519") => ed25519(object)?,
            _ => return Err(Unusable::KeyType),
        };
        Ok(Self { fingerprint: Sha256::digest(document).into(), pair })
    }

    /// The key pair to sign with.
    ///
    /// # Errors
    /// [`Denial::SessionKeyMismatch`]: the registered public part is not that of the private part, so nobody could verify
    /// what it signs.
    pub fn pair(&self) -> Result<&SigningPair, Denial> {
        self.pair.as_ref().ok_or(Denial::SessionKeyMismatch)
    }
}

impl SigningPair {
    /// The algorithm of the signatures: ES256 or EdDSA.
    pub fn alg(&self) -> Alg {
        self.public.alg()
    }

    /// Signs `message`; the signature was verified with the public part. No randomness is needed: an ECDSA nonce is
    /// derived from key and message (RFC 6979), as an Ed25519 one always is. In a VM without native verification ES256
    /// takes some milliseconds.
    ///
    /// # Errors
    /// [`Denial::SessionNotSigned`]: the signature does not verify. A faulty one could give the private key away.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], Denial> {
        let signature: [u8; SIGNATURE_BYTES] = match &self.private {
            Private::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(message).map_err(|_| Denial::SessionNotSigned)?;
                signature.to_bytes().into()
            }
            Private::Ed25519(key) => key.try_sign(message).map_err(|_| Denial::SessionNotSigned)?.to_bytes(),
        };
        if self.public.verify(message, &signature) { Ok(signature) } else { Err(Denial::SessionNotSigned) }
    }
}

fn p256(object: &Object<'_>, native: Option<Verify>) -> Result<Option<SigningPair>, Unusable> {
    check_alg(object, Alg::Es256)?;
    let (x, y) = (bytes(object, "x")?, bytes(object, "y")?);
    let public = VerifyingKey::ecdsa(Alg::Es256, &x, &y, native).map_err(Unusable::Weak)?;
    let private = p256::ecdsa::SigningKey::from_slice(&*secret(object)?)
        .map_err(|_| Unusable::Member("d", Flaw::NotA("a number from 1 to n - 1")))?;
    let derived = private.verifying_key().to_sec1_point(false);
    let matches =
        derived.x().is_some_and(|derived| **derived == *x) && derived.y().is_some_and(|derived| **derived == *y);
    Ok(matches.then(|| SigningPair { private: Private::Es256(private), public }))
}

fn ed25519(object: &Object<'_>) -> Result<Option<SigningPair>, Unusable> {
    check_alg(object, Alg::EdDsa)?;
    let x = bytes(object, "x")?;
    let public = VerifyingKey::ed25519(Alg::EdDsa, &x).map_err(Unusable::Weak)?;
    let private = ed25519_dalek::SigningKey::from_bytes(&*secret(object)?);
    let matches = *private.verifying_key().as_bytes() == *x;
    Ok(matches.then(|| SigningPair { private: Private::Ed25519(private), public }))
}

/// `alg` is optional (RFC 7517 section 4.4); the type implies it.
fn check_alg(object: &Object<'_>, implied: Alg) -> Result<(), Unusable> {
    match text(object, "alg")? {
        None => Ok(()),
        Some(name) => match Alg::from_name(&name) {
            None => Err(Unusable::Algorithm),
            Some(alg) if alg == implied => Ok(()),
            Some(_) => Err(Unusable::Weak(WeakKey::WrongType)),
        },
    }
}

/// `d` in canonical base64url.
fn secret(object: &Object<'_>) -> Result<Zeroizing<[u8; SECRET_BYTES]>, Unusable> {
    let d = secret_bytes(object, "d")?;
    let octets = Flaw::Octets { found: d.len(), expected: SECRET_BYTES };
    let d = d.as_slice().try_into().map_err(|_| Unusable::Member("d", octets))?;
    Ok(Zeroizing::new(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037 appendix A.1.
    const KEY: &str = r#"{"kty":"OKP","crv":"Ed25519",
        "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    #[test]
    fn does_not_hand_out_a_signature_that_does_not_verify() {
        let object = Object::parse(KEY.as_bytes()).unwrap();
        let mut pair = SessionKey::read(KEY.as_bytes(), &object, None).unwrap().pair.unwrap();
        assert!(pair.sign(b"message").is_ok());
        let another = ed25519_dalek::SigningKey::from_bytes(&[7; SECRET_BYTES]);
        pair.private = Private::Ed25519(another);
        assert_eq!(pair.sign(b"message"), Err(Denial::SessionNotSigned));
    }
}
