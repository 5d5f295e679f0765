//! RSA signatures (RFC 8017; RFC 7518 sections 3.3 and 3.5): RSASSA-PKCS1-v1_5 and RSASSA-PSS, verification only.
//!
//! The arithmetic is `crypto-bigint`'s. It is fast because both exponents that are allowed are one more than a power of
//! two: squarings in Montgomery form and one product. Key, signature and message are public, so nothing here takes care to
//! need the same time for all of them.

use std::borrow::Cow;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use jwt_compact::{Algorithm, AlgorithmSignature};

use super::algorithm::NoSigningKey;
use super::native::{Hash, HostForm};
use super::roca::has_fingerprint;
use super::verify::WeakKey;

/// How a hash is made as long as the modulus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// EMSA-PKCS1-v1_5 (RFC 8017 section 9.2): RS*.
    Pkcs1,
    /// EMSA-PSS (RFC 8017 section 9.1) as RFC 7518 section 3.5 has it: MGF1 with the same hash, a salt as long as the hash: PS*.
    Pss,
}

/// RSA with a hash and a padding: an [`Algorithm`] that only verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rsa {
    /// The hash of the message.
    pub hash: Hash,
    /// The padding.
    pub padding: Padding,
}

/// A public key that is safe to verify with. What depends on it alone is computed once.
#[derive(Debug, Clone)]
pub struct RsaPublicKey {
    modulus: BoxedMontyParams,
    /// The exponent is two to the power of this, plus one.
    squarings: u8,
}

/// A signature, of any length.
#[derive(Debug)]
pub struct RsaSignature(Box<[u8]>);

impl RsaPublicKey {
    /// The key of modulus `n` and public exponent `e`, both big-endian; zeros in front count for nothing. (RFC 7518 section
    /// 6.3.1.1 forbids them, some encoders write one all the same.)
    ///
    /// # Errors
    /// [`WeakKey::RsaModulus`], [`WeakKey::RsaFactorable`] and [`WeakKey::RsaExponent`].
    pub fn new(n: &[u8], e: &[u8]) -> Result<Self, WeakKey> {
        let n = strip_zeros(n);
        let bits = n.first().map_or(0, |byte| n.len().saturating_mul(8).saturating_sub(byte.leading_zeros() as usize));
        if !(2048..=4096).contains(&bits) {
            return Err(WeakKey::RsaModulus);
        }
        if has_fingerprint(n) {
            return Err(WeakKey::RsaFactorable);
        }
        let squarings = match strip_zeros(e) {
            [3] => 1,
            [1, 0, 1] => 16,
            _ => return Err(WeakKey::RsaExponent),
        };
        let n = Odd::new(BoxedUint::from_be_slice_vartime(n)).into_option().ok_or(WeakKey::RsaModulus)?;
        Ok(Self { modulus: BoxedMontyParams::new_vartime(n), squarings })
    }

    /// The length of the modulus.
    fn bits(&self) -> u32 {
        self.modulus.modulus().bit_width_vartime()
    }

    /// The length of a signature, in octets.
    fn bytes(&self) -> usize {
        self.bits().div_ceil(8) as usize
    }

    /// What was signed with this key, as long as the modulus (RFC 8017 sections 5.2.2 and 4.1); none if `signature` has another
    /// length, or is a number that is not below the modulus.
    fn encoded_message(&self, signature: &[u8]) -> Option<Vec<u8>> {
        if signature.len() != self.bytes() {
            return None;
        }
        let signature = BoxedUint::from_be_slice(signature, self.modulus.bits_precision()).ok()?;
        if signature >= *self.modulus.modulus() {
            return None;
        }
        let signature = BoxedMontyForm::new(signature, &self.modulus);
        let power = (0..self.squarings).fold(signature.clone(), |power, _| power.square());
        // Whole limbs: zeros are in front of what is wanted.
        let message = power.mul(&signature).retrieve().to_be_bytes();
        message.len().checked_sub(self.bytes()).and_then(|zeros| message.get(zeros..)).map(Into::into)
    }
}

fn strip_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// `EMSA-PKCS1-v1_5` (RFC 8017 section 9.2): the one text of `length` octets that stands for the message; none if it is too short.
fn pkcs1(hash: Hash, message: &[u8], length: usize) -> Option<Vec<u8>> {
    let prefix = digest_info(hash);
    let digest = hash.digest(&[message]);
    let padding = length.checked_sub(prefix.len())?.checked_sub(digest.len())?.checked_sub(3)?;
    Some([&[0, 1], &*vec![0xff; padding], &[0], prefix, &digest].concat())
}

/// The DER of a `DigestInfo` up to the digest (RFC 8017 section 9.2, note 1).
const fn digest_info(hash: Hash) -> &'static [u8] {
    match hash {
        Hash::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
        Hash::Sha384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
        Hash::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
    }
}

/// `EMSA-PSS-VERIFY` (RFC 8017 section 9.1.2): whether the number `encoded` has no more than `bits` bits, and stands for the
/// message. None if it has not even the form.
fn is_pss(hash: Hash, message: &[u8], encoded: &[u8], bits: u32) -> Option<bool> {
    // The modulus has one bit more, which may be all there is in its first octet.
    let (zeros, encoded) = split_end(encoded, bits.div_ceil(8) as usize)?;
    let used = 0xff_u8.checked_shr(bits.wrapping_neg() % 8)?;
    let [encoded @ .., 0xbc] = encoded else { return None };
    let (masked, digest) = split_end(encoded, hash.bytes())?;
    let mut block: Vec<u8> = masked.iter().zip(mgf1(hash, digest)).map(|(masked, mask)| masked ^ mask).collect();
    *block.first_mut()? &= used;
    let (padding, salt) = split_end(&block, hash.bytes())?;
    let [padding @ .., 1] = padding else { return None };

    let fits = zeros.iter().all(|octet| *octet == 0) && masked.first()? & !used == 0;
    let padded = padding.iter().all(|octet| *octet == 0);
    Some(fits && padded && hash.digest(&[&[0; 8], &hash.digest(&[message]), salt]) == digest)
}

/// What comes before the last `length` octets, and they.
fn split_end(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(bytes.len().checked_sub(length)?)
}

/// MGF1 (RFC 8017 appendix B.2.1): a mask from `seed`, as long as it is read.
fn mgf1(hash: Hash, seed: &[u8]) -> impl Iterator<Item = u8> {
    (0_u32..).flat_map(move |counter| hash.digest(&[seed, &counter.to_be_bytes()]))
}

impl AlgorithmSignature for RsaSignature {
    fn try_from_slice(bytes: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(bytes.into()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl HostForm for RsaSignature {
    fn host_form(&self) -> Cow<'_, [u8]> {
        self.as_bytes()
    }
}

impl Algorithm for Rsa {
    type SigningKey = NoSigningKey;
    type VerifyingKey = RsaPublicKey;
    type Signature = RsaSignature;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match (self.padding, self.hash) {
            (Padding::Pkcs1, Hash::Sha256) => "RS256",
            (Padding::Pkcs1, Hash::Sha384) => "RS384",
            (Padding::Pkcs1, Hash::Sha512) => "RS512",
            (Padding::Pss, Hash::Sha256) => "PS256",
            (Padding::Pss, Hash::Sha384) => "PS384",
            (Padding::Pss, Hash::Sha512) => "PS512",
        })
    }

    fn sign(&self, key: &Self::SigningKey, _message: &[u8]) -> Self::Signature {
        match *key {}
    }

    fn verify_signature(&self, signature: &Self::Signature, key: &Self::VerifyingKey, message: &[u8]) -> bool {
        let Some(encoded) = key.encoded_message(&signature.0) else { return false };
        match self.padding {
            Padding::Pkcs1 => pkcs1(self.hash, message, encoded.len()) == Some(encoded),
            // `modBits - 1` in RFC 8017 section 8.1.2.
            Padding::Pss => is_pss(self.hash, message, &encoded, key.bits().saturating_sub(1)) == Some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaEncoding,
    };

    use super::*;

    const MESSAGE: &[u8] = b"message";

    fn recovered(pair: &KeyPair, encoding: &'static dyn RsaEncoding) -> (RsaPublicKey, Vec<u8>) {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
        let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
        let key = RsaPublicKey::new(n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero()).unwrap();
        let encoded = key.encoded_message(&signature).unwrap();
        (key, encoded)
    }

    /// Each of the encoded message's bits in turn.
    fn flipped(encoded: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        (0..encoded.len().saturating_mul(8)).map(|bit| {
            let mut flipped = encoded.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        })
    }

    #[test]
    fn a_padding_with_one_bit_changed_stands_for_no_message() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs1s: [&'static dyn RsaEncoding; 3] = [&RSA_PKCS1_SHA256, &RSA_PKCS1_SHA384, &RSA_PKCS1_SHA512];
        let psss: [&'static dyn RsaEncoding; 3] = [&RSA_PSS_SHA256, &RSA_PSS_SHA384, &RSA_PSS_SHA512];
        for ((hash, pkcs1_encoding), pss_encoding) in
            [Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().zip(pkcs1s).zip(psss)
        {
            let (_, encoded) = recovered(&pair, pkcs1_encoding);
            let only = pkcs1(hash, MESSAGE, encoded.len()).unwrap();
            assert_eq!(only, encoded, "{hash:?}");
            assert!(flipped(&encoded).all(|flipped| flipped != only), "{hash:?}");

            let (key, encoded) = recovered(&pair, pss_encoding);
            let bits = key.bits() - 1;
            assert_eq!(is_pss(hash, MESSAGE, &encoded, bits), Some(true), "{hash:?}");
            assert_eq!(is_pss(hash, b"another", &encoded, bits), Some(false), "{hash:?}");
            let accepted = flipped(&encoded).filter(|flipped| is_pss(hash, MESSAGE, flipped, bits) == Some(true));
            assert_eq!(accepted.count(), 0, "{hash:?}");
        }
    }

    #[test]
    fn a_number_that_is_too_short_for_its_padding_stands_for_no_message() {
        for length in 0..0x60 {
            let bits = length * 8;
            let encoded = vec![0xbc; length as usize];
            assert_ne!(is_pss(Hash::Sha256, MESSAGE, &encoded, bits), Some(true), "{length}");
            assert_eq!(pkcs1(Hash::Sha256, MESSAGE, length as usize).is_some(), length >= 54, "{length}");
        }
    }
}
