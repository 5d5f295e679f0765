//! The names of the signature algorithms of this filter (RFC 7518 section 3, RFC 8037).

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
    /// Whether a verification inside a wasm VM takes several milliseconds.
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::Es384 | Self::Es512)
    }
}

/// The signing key of an algorithm that only verifies: there is none.
#[derive(Debug, Clone, Copy)]
pub enum NoSigningKey {}
