//! The signature algorithms of this filter (RFC 7518 section 3, RFC 8037), and the two that jwt-compact lacks.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use jwt_compact::{Algorithm, AlgorithmSignature};
use p384::ecdsa::signature::Verifier as _;

/// Declares [`Alg`] with the spelling of each algorithm.
macro_rules! algs {
    ($($alg:ident = $name:literal),*) => {
        /// A supported value of `alg`. Anything else, `none` above all, has no value here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Alg { $(#[doc = $name] $alg),* }

        impl Alg {
            /// Every supported algorithm.
            pub const ALL: &'static [Self] = &[$(Self::$alg),*];

            /// The spelling in JOSE headers and keys.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$alg => $name),* }
            }

            /// The algorithm of this exact spelling.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$alg),)* _ => None }
            }
        }
    };
}

algs! {
    Rs256 = "RS256", Rs384 = "RS384", Rs512 = "RS512",
    Ps256 = "PS256", Ps384 = "PS384", Ps512 = "PS512",
    Es256 = "ES256", Es384 = "ES384", Es512 = "ES512",
    EdDsa = "EdDSA",
    Hs256 = "HS256", Hs384 = "HS384", Hs512 = "HS512"
}

impl Alg {
    /// Whether a verification inside a wasm VM takes over 10 ms.
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::Es384 | Self::Es512)
    }
}

/// The signing key of an algorithm that only verifies: there is none.
#[derive(Debug, Clone, Copy)]
pub enum NoSigningKey {}

/// Declares an ECDSA [`Algorithm`] on a curve that jwt-compact has no implementation for.
macro_rules! ecdsa_algorithm {
    ($alg:ident, $signature:ident, $name:literal, $curve:ident, $len:literal) => {
        #[doc = concat!("`", $name, "` (RFC 7518 section 3.4), verification only, on the crate `", stringify!($curve), "`.")]
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $alg;

        #[doc = concat!("r and s of ", $name, ", each as long as the curve's order.")]
        #[derive(Debug)]
        pub struct $signature(pub(super) $curve::ecdsa::Signature);

        impl AlgorithmSignature for $signature {
            const LENGTH: Option<NonZeroUsize> = NonZeroUsize::new($len);

            fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
                $curve::ecdsa::Signature::from_slice(bytes).map(Self).map_err(anyhow::Error::msg)
            }

            fn as_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned(self.0.to_bytes().to_vec())
            }
        }

        impl Algorithm for $alg {
            type SigningKey = NoSigningKey;
            type VerifyingKey = $curve::ecdsa::VerifyingKey;
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

ecdsa_algorithm!(Es384, Es384Signature, "ES384", p384, 96);
ecdsa_algorithm!(Es512, Es512Signature, "ES512", p521, 132);
