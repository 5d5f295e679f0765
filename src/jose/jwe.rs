//! Strict parsing of a compact JWE (RFC 7516 section 7.1) and its decryption. Owns form and decryption; what the plaintext
//! says is not its business.
//!
//! Before a key is looked up, a JWE costs one pass over its text and its header: what a header could ask for besides
//! (`p2c`, `zip`, `epk`, key URLs) is refused or never read.

use std::fmt;

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::json::{Object, Value};
use super::master_key::{KeyManagement, MasterKey};
use super::token::Kid;
use crate::denial::{Denial, KeyRefusal, TunnelFault};

#[cfg(test)]
mod vectors;

/// The one content encryption (RFC 7518 section 5.3).
const ENC: &str = "A256GCM";
/// RFC 7518 section 5.3: 96 bits of IV, 128 bits of tag.
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// Does not compile unless a cipher wipes its round keys and its hash key when it is dropped.
const _: fn(&Aes256Gcm) = |cipher| {
    fn wipes_itself<T: ZeroizeOnDrop>(_: &T) {}
    wipes_itself(cipher);
};

/// The decoded parts of a compact JWE whose form is right. Nothing of it is authenticated; the lengths of encrypted key,
/// IV and tag are unchecked.
#[derive(Debug)]
pub struct UntrustedJwe {
    kid: Kid,
    alg: KeyManagement,
    /// What the tag covers besides the ciphertext: the header's base64url as it came (RFC 7516 section 5.2 step 15).
    protected: Box<[u8]>,
    encrypted_key: Vec<u8>,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

/// What was encrypted, authenticated. Wiped on drop; [`fmt::Debug`] shows none of it.
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// The plaintext.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plaintext({} bytes)", self.0.len())
    }
}

impl UntrustedJwe {
    /// Splits and decodes `body`, whose size the caller has bounded.
    ///
    /// # Errors
    /// Causes of MDRM-517: not five parts, a part that is not canonical base64url (padding, white space, line ends,
    /// non-zero trailing bits), a header that is not a strict JSON object (see [`Object::parse`]), `zip` or `crit`, `alg` or
    /// `enc` not listed, `kid` missing, empty or not a string, an encrypted key that does not fit `alg`. In a JWE without
    /// these faults: a `kid` that no key can have, MDRM-518.
    pub fn parse(body: &[u8]) -> Result<Self, Denial> {
        let [protected, encrypted_key, iv, ciphertext, tag] =
            five_parts(body).ok_or(Denial::Tunnel(TunnelFault::NotFiveParts))?;
        let header = decode(protected)?;
        let encrypted_key = decode(encrypted_key)?;
        let (iv, ciphertext, tag) = (decode(iv)?, decode(ciphertext)?, decode(tag)?);

        let header = Object::parse(&header).map_err(|fault| Denial::Tunnel(TunnelFault::Header(fault)))?;
        let text = |name| header.get(name).and_then(Value::text);
        if header.contains("zip") || header.contains("crit") {
            return Err(Denial::Tunnel(TunnelFault::Extension));
        }
        let alg = text("alg").and_then(|alg| KeyManagement::from_name(&alg));
        let alg = alg.filter(|_| text("enc").as_deref() == Some(ENC)).ok_or(Denial::Tunnel(TunnelFault::Algorithm))?;
        let kid = text("kid").filter(|kid| !kid.is_empty()).ok_or(Denial::Tunnel(TunnelFault::Kid))?;
        if encrypted_key.is_empty() != (alg == KeyManagement::Dir) {
            return Err(Denial::Tunnel(TunnelFault::EncryptedKey));
        }
        let kid = Kid::new(&kid).ok_or(Denial::MasterKey(KeyRefusal::NoName))?;
        Ok(Self { kid, alg, protected: protected.into(), encrypted_key, iv, ciphertext, tag })
    }

    /// Of all its decoded parts, in bytes.
    pub(crate) fn len(&self) -> usize {
        let Self { protected, encrypted_key, iv, ciphertext, tag, .. } = self;
        [protected.len(), encrypted_key.len(), iv.len(), ciphertext.len(), tag.len()].iter().sum()
    }

    /// The master key that the JWE names.
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    /// Decrypts with `key` (RFC 7516 section 5.2), which the caller looked up by [`Self::kid`].
    ///
    /// # Errors
    /// [`Denial::TunnelUndecryptable`], whatever the cause: `alg` is not the key's, encrypted key, IV or tag have a wrong
    /// length, the key does not unwrap, the tag does not hold. All of them take the same steps over the same bytes.
    pub fn decrypt(self, key: &MasterKey) -> Result<Plaintext, Denial> {
        let content_key = key.content_key(self.alg, &self.encrypted_key);
        let iv = <[u8; IV_BYTES]>::try_from(&*self.iv);
        let tag = <[u8; TAG_BYTES]>::try_from(&*self.tag);
        let content_key = content_key.filter(|_| iv.is_ok() && tag.is_ok());
        // Something of the right length stands for what has another, and the substitute key makes sure that it is refused.
        let iv = Nonce::from(iv.unwrap_or_default());
        let tag = Tag::from(tag.unwrap_or_default());

        let cipher = Aes256Gcm::new((&***content_key.as_ref().unwrap_or(key.substitute())).into());
        let mut text = Zeroizing::new(self.ciphertext);
        // Checks the tag first, and leaves the ciphertext alone if it does not hold.
        let holds = cipher.decrypt_inout_detached(&iv, &self.protected, (&mut **text).into(), &tag);
        match (holds, content_key) {
            (Ok(()), Some(_)) => Ok(Plaintext(text)),
            _ => Err(Denial::TunnelUndecryptable),
        }
    }
}

fn five_parts(body: &[u8]) -> Option<[&[u8]; 5]> {
    let mut parts = body.split(|byte| *byte == b'.');
    let five = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(five)
}

fn decode(part: &[u8]) -> Result<Vec<u8>, Denial> {
    // The engine refuses padding and non-zero trailing bits, so one value has one spelling.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Denial::Tunnel(TunnelFault::NotBase64Url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master_key(alg: KeyManagement, secret: [u8; 32]) -> MasterKey {
        let (alg, k) = (alg.name(), URL_SAFE_NO_PAD.encode(secret));
        let jwk = format!(r#"{{"kty":"oct","alg":"{alg}","k":"{k}"}}"#);
        MasterKey::read(&Object::parse(jwk.as_bytes()).unwrap()).unwrap()
    }

    /// What `content_key` encrypts, with an IV of zeros.
    fn sealed(alg: KeyManagement, encrypted_key: &[u8], content_key: &[u8; 32]) -> UntrustedJwe {
        let mut ciphertext = b"{}".to_vec();
        let cipher = Aes256Gcm::new(content_key.into());
        let tag = cipher.encrypt_inout_detached(&Nonce::default(), b"header", (&mut *ciphertext).into()).unwrap();
        UntrustedJwe {
            kid: Kid::new("m1").unwrap(),
            alg,
            protected: b"header".as_slice().into(),
            encrypted_key: encrypted_key.into(),
            iv: vec![0; IV_BYTES],
            ciphertext,
            tag: tag.to_vec(),
        }
    }

    #[test]
    fn what_the_substitute_key_encrypts_is_not_opened_either() {
        for alg in KeyManagement::ALL {
            let key = master_key(*alg, [7; 32]);
            for encrypted_key in [0, 39, 40] {
                let jwe = sealed(*alg, &vec![7; encrypted_key], key.substitute());
                assert_eq!(jwe.decrypt(&key).err(), Some(Denial::TunnelUndecryptable), "{alg:?} {encrypted_key}");
            }
        }
    }

    #[test]
    fn every_master_key_has_a_substitute_of_its_own() {
        let [one, two] = [[7; 32], [8; 32]].map(|secret| master_key(KeyManagement::A256Kw, secret));
        assert_ne!(one.substitute(), two.substitute());
    }

    #[test]
    fn the_alg_of_the_key_counts_even_if_all_else_fits() {
        let key = master_key(KeyManagement::Dir, [7; 32]);
        assert!(sealed(KeyManagement::Dir, b"", &[7; 32]).decrypt(&key).is_ok());
        let jwe = sealed(KeyManagement::A256Kw, b"", &[7; 32]);
        assert_eq!(jwe.decrypt(&key).err(), Some(Denial::TunnelUndecryptable));
    }

    #[test]
    fn an_iv_is_not_filled_up() {
        let key = master_key(KeyManagement::Dir, [7; 32]);
        for length in [0, 11, 13] {
            let jwe = UntrustedJwe { iv: vec![0; length], ..sealed(KeyManagement::Dir, b"", &[7; 32]) };
            assert_eq!(jwe.decrypt(&key).err(), Some(Denial::TunnelUndecryptable), "{length} bytes");
        }
    }
}
