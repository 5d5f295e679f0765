//! HMAC tags (RFC 2104; RFC 7518 section 3.2), verification only. Comparing takes the same time for every tag of the right length.

use std::borrow::Cow;

use hmac::{EagerHash, Hmac, KeyInit as _, Mac as _};
use jwt_compact::{Algorithm, AlgorithmSignature};
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::algorithm::NoSigningKey;
use super::native::Hash;

/// HMAC with a hash: HS*.
#[derive(Debug, Clone, Copy)]
pub struct Hs(pub Hash);

/// A tag, of any length.
#[derive(Debug)]
pub struct HmacTag(Box<[u8]>);

impl AlgorithmSignature for HmacTag {
    fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(bytes.into()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl Algorithm for Hs {
    type SigningKey = NoSigningKey;
    /// Wiped on drop.
    type VerifyingKey = Zeroizing<Box<[u8]>>;
    type Signature = HmacTag;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.0 {
            Hash::Sha256 => "HS256",
            Hash::Sha384 => "HS384",
            Hash::Sha512 => "HS512",
        })
    }

    fn sign(&self, key: &Self::SigningKey, _message: &[u8]) -> Self::Signature {
        match *key {}
    }

    fn verify_signature(&self, tag: &Self::Signature, key: &Self::VerifyingKey, message: &[u8]) -> bool {
        fn verify<H: EagerHash>(key: &[u8], message: &[u8], tag: &[u8]) -> bool
        where
            Hmac<H>: hmac::KeyInit + hmac::Mac,
        {
            // A key may have any length.
            Hmac::<H>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(message).verify_slice(tag).is_ok())
        }
        match self.0 {
            Hash::Sha256 => verify::<Sha256>(key, message, &tag.0),
            Hash::Sha384 => verify::<Sha384>(key, message, &tag.0),
            Hash::Sha512 => verify::<Sha512>(key, message, &tag.0),
        }
    }
}
