//! Signature checks by the host at native speed, as an [`Algorithm`] around the one that runs in the VM.
//!
//! Envoy's foreign function `verify_signature` checks RSA PKCS#1 v1.5 and ECDSA. Where the host has no such function, or
//! fails, the algorithm inside decides; both give the same verdict on every input.

use std::borrow::Cow;

use jwt_compact::{Algorithm, AlgorithmSignature};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The digest that a signature is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The length of a digest.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of these pieces, one after the other.
    pub fn digest(self, pieces: &[&[u8]]) -> Vec<u8> {
        fn digest<D: Digest>(pieces: &[&[u8]]) -> Vec<u8> {
            let mut digest = D::new();
            pieces.iter().for_each(|piece| digest.update(piece));
            digest.finalize().to_vec()
        }
        match self {
            Self::Sha256 => digest::<Sha256>(pieces),
            Self::Sha384 => digest::<Sha384>(pieces),
            Self::Sha512 => digest::<Sha512>(pieces),
        }
    }
}

/// What the host is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The digest of the message.
    pub hash: Hash,
    /// The public key: DER of a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    pub spki: &'a [u8],
    /// RSA: as it is. ECDSA: DER of an `Ecdsa-Sig-Value` (RFC 3279 section 2.2.3).
    pub signature: &'a [u8],
    /// What was signed.
    pub message: &'a [u8],
}

/// Asks the host whether a signature is right; none if the host could not tell. Pure: it depends on the question alone.
pub type Verify = fn(Question<'_>) -> Option<bool>;

/// A signature that can be written as the host reads it.
pub trait HostForm: AlgorithmSignature {
    /// See [`Question::signature`].
    fn host_form(&self) -> Cow<'_, [u8]>;
}

/// `A`, by the host where it can.
#[derive(Debug, Clone, Copy)]
pub struct Native<A> {
    /// The algorithm in the VM.
    pub in_vm: A,
    /// The digest of `A`.
    pub hash: Hash,
    /// The host's function, if it has one that works.
    pub verify: Option<Verify>,
}

/// A public key in both forms. The one for the host is made once, when the key arrives.
#[derive(Debug, Clone)]
pub struct NativeKey<K> {
    /// The key for the algorithm in the VM.
    pub in_vm: K,
    /// See [`Question::spki`].
    pub spki: Box<[u8]>,
}

impl<A: Algorithm<Signature: HostForm>> Algorithm for Native<A> {
    type SigningKey = A::SigningKey;
    type VerifyingKey = NativeKey<A::VerifyingKey>;
    type Signature = A::Signature;

    fn name(&self) -> Cow<'static, str> {
        self.in_vm.name()
    }

    fn sign(&self, key: &Self::SigningKey, message: &[u8]) -> Self::Signature {
        self.in_vm.sign(key, message)
    }

    fn verify_signature(&self, signature: &Self::Signature, key: &Self::VerifyingKey, message: &[u8]) -> bool {
        let host = self.verify.and_then(|verify| {
            let signature = signature.host_form();
            verify(Question { hash: self.hash, spki: &key.spki, signature: &signature, message })
        });
        host.unwrap_or_else(|| self.in_vm.verify_signature(signature, &key.in_vm, message))
    }
}
