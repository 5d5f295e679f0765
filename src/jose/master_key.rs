//! Master keys of the Trust Tunnel: AES-256 keys that unwrap the content key of a JWE, or are it. Knows keys alone, no JWE.

use std::fmt;

use aes_kw::{KeyInit as _, KwAes256};
use sha2::{Digest, Sha256};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::json::Object;
use super::jwk::{Ring, secret_bytes, text};
use super::unusable::{Flaw, Unusable};

/// Bytes of master keys and content keys: AES-256.
pub const KEY_BYTES: usize = 32;

/// Bytes of a wrapped content key: RFC 3394 section 2.2.1 adds one 64-bit block.
const WRAPPED_BYTES: usize = 40;

/// Does not compile unless a cipher wipes its round keys when it is dropped.
const _: fn(&KwAes256) = |cipher| {
    fn wipes_itself<T: ZeroizeOnDrop>(_: &T) {}
    wipes_itself(cipher);
};

/// How a JWE's content key is managed: the listed values of its `alg` (RFC 7518 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyManagement {
    /// `A256KW`: the content key is wrapped with the master key (RFC 7518 section 4.4).
    A256Kw,
    /// `dir`: the master key is the content key (RFC 7518 section 4.5).
    Dir,
}

impl KeyManagement {
    /// Every listed algorithm.
    pub const ALL: &'static [Self] = &[Self::A256Kw, Self::Dir];

    /// The spelling in JOSE headers and keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A256Kw => "A256KW",
            Self::Dir => "dir",
        }
    }

    /// The algorithm of this exact spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|alg| alg.name() == name)
    }
}

/// A key of AES-256, wiped on drop. Boxed, so that moving it leaves no copy behind.
pub(super) type Secret = Box<Zeroizing<[u8; KEY_BYTES]>>;

/// A key together with the one `alg` that it serves. The JWE has no say in the choice.
pub struct MasterKey {
    alg: KeyManagement,
    secret: Secret,
    substitute: Secret,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("alg", &self.alg.name()).finish_non_exhaustive()
    }
}

impl MasterKey {
    /// Reads an enabled key document **\[ours\]**: a JWK of type `oct` (RFC 7518 section 6.4) with `alg` and 32 bytes of `k`.
    /// The caller has looked at `kid` and `status`; an owner and purposes say nothing here.
    ///
    /// # Errors
    /// [`Unusable`]: another type, no listed `alg`, `k` of another length or not canonical base64url, `use` other than
    /// `enc`, `key_ops` with neither `decrypt` nor `unwrapKey`.
    pub fn read(object: &Object<'_>) -> Result<Self, Unusable> {
        Ring::Master.purpose().check(object)?;
        if text(object, "kty")?.as_deref() != Some("oct") {
            return Err(Unusable::KeyType);
        }
        let alg = text(object, "alg")?.and_then(|alg| KeyManagement::from_name(&alg)).ok_or(Unusable::Algorithm)?;
        let k = secret_bytes(object, "k")?;
        let mut secret = Secret::default();
        if k.len() != secret.len() {
            return Err(Unusable::Member("k", Flaw::Octets { found: k.len(), expected: secret.len() }));
        }
        secret.iter_mut().zip(k.iter()).for_each(|(place, byte)| *place = *byte);
        let substitute = substitute(&secret);
        Ok(Self { alg, secret, substitute })
    }

    /// The `alg` that a JWE must name to be decrypted with this key.
    pub fn alg(&self) -> KeyManagement {
        self.alg
    }

    /// The content key behind `encrypted_key` in a JWE of this `alg`. Does the same work whether there is one or not.
    pub(super) fn content_key(&self, alg: KeyManagement, encrypted_key: &[u8]) -> Option<Secret> {
        let (content_key, unwrapped) = match self.alg {
            KeyManagement::Dir => (self.secret.clone(), encrypted_key.is_empty()),
            KeyManagement::A256Kw => {
                let wrapped = <[u8; WRAPPED_BYTES]>::try_from(encrypted_key);
                let mut content_key = Secret::default();
                let unwrapped = KwAes256::new((&**self.secret).into())
                    .unwrap_key(&wrapped.unwrap_or([0; WRAPPED_BYTES]), content_key.as_mut_slice())
                    .is_ok();
                (content_key, unwrapped && wrapped.is_ok())
            }
        };
        (unwrapped && alg == self.alg).then_some(content_key)
    }

    /// Goes in place of a content key that there is not: see [`substitute`].
    pub(super) fn substitute(&self) -> &Secret {
        &self.substitute
    }
}

/// The key that a JWE without a content key is decrypted with, in vain, so that its sender cannot see where it failed
/// (RFC 7516 section 11.5).
///
/// The RFC wants it random. It must be unknown to the sender: who knew it could make a tag that holds, and would see the
/// decryption that follows take its time. Derived from the secret it is unknown to all who do not hold the master key, and
/// the core needs no random numbers. It opens nothing even so: what it decrypts is refused.
fn substitute(secret: &Secret) -> Secret {
    let mut substitute = Secret::default();
    let hash = Sha256::new().chain_update(b"mdrm-authz: substitute for a content key").chain_update(secret.as_slice());
    hash.finalize_into((&mut **substitute).into());
    substitute
}
