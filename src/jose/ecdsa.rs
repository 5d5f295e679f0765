//! ECDSA signatures (RFC 7518 section 3.4), verification only. Key, signature and message are public, so variable time is fine.

use std::borrow::Cow;

use jwt_compact::{Algorithm, AlgorithmSignature};
use p256::ecdsa::signature::Verifier as _;

use super::algorithm::NoSigningKey;
use super::der;
use super::native::{HostForm, NativeKey};

/// Declares an algorithm on the crate of its curve, which fixes the hash.
macro_rules! algorithm {
    ($alg:ident, $signature:ident, $name:literal, $crate_:ident, $curve:ident) => {
        #[doc = concat!("`", $name, "`, on the crate `", stringify!($crate_), "`.")]
        #[derive(Debug, Clone, Copy)]
        pub struct $alg;

        #[doc = concat!("r and s of ", $name, ", each as long as the curve's order.")]
        #[derive(Debug)]
        pub struct $signature($crate_::ecdsa::Signature);

        impl $alg {
            /// The key at an uncompressed point (SEC 1 section 2.3.3); none if it is not on the curve.
            pub(super) fn key(point: &[u8]) -> Option<NativeKey<$crate_::ecdsa::VerifyingKey>> {
                let in_vm = $crate_::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
                Some(NativeKey { in_vm, spki: der::ec_key(der::$curve, point).into() })
            }
        }

        impl AlgorithmSignature for $signature {
            fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
                $crate_::ecdsa::Signature::from_slice(bytes).map(Self).map_err(anyhow::Error::msg)
            }

            fn as_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.0.to_bytes().to_vec())
            }
        }

        impl HostForm for $signature {
            fn host_form(&self) -> Cow<'_, [u8]> {
                Cow::Owned(der::ecdsa_signature(&self.0.to_bytes()))
            }
        }

        impl Algorithm for $alg {
            type SigningKey = NoSigningKey;
            type VerifyingKey = $crate_::ecdsa::VerifyingKey;
            type Signature = $signature;

            fn name(&self) -> Cow<'static, str> {
                Cow::Borrowed($name)
            }

            fn sign(&self, key: &Self::SigningKey, _message: &[u8]) -> Self::Signature {
                match *key {}
            }

            fn verify_signature(&self, signature: &Self::Signature, key: &Self::VerifyingKey, message: &[u8]) -> bool {
                key.verify(message, &signature.0).is_ok()
            }
        }
    };
}

algorithm!(Es256, Es256Signature, "ES256", p256, P256);
algorithm!(Es384, Es384Signature, "ES384", p384, P384);
algorithm!(Es512, Es512Signature, "ES512", p521, P521);
