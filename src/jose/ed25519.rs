//! Ed25519 signatures (RFC 8032, RFC 8037), verification only. Key, signature and message are public, so variable time is fine.

use std::borrow::Cow;

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use jwt_compact::{Algorithm, AlgorithmSignature};

use super::algorithm::NoSigningKey;

/// `EdDSA` with Ed25519.
#[derive(Debug, Clone, Copy)]
pub struct Ed25519;

/// R and S.
#[derive(Debug)]
pub struct Ed25519Signature(Signature);

impl AlgorithmSignature for Ed25519Signature {
    fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
        Signature::from_slice(bytes).map(Self).map_err(anyhow::Error::msg)
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.to_bytes().into())
    }
}

impl Algorithm for Ed25519 {
    type SigningKey = NoSigningKey;
    type VerifyingKey = VerifyingKey;
    type Signature = Ed25519Signature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed("EdDSA")
    }

    fn sign(&self, key: &Self::SigningKey, _message: &[u8]) -> Self::Signature {
        match *key {}
    }

    fn verify_signature(&self, signature: &Self::Signature, key: &Self::VerifyingKey, message: &[u8]) -> bool {
        key.verify(message, &signature.0).is_ok()
    }
}
