//! RSA signatures as no signer makes them: what the core says about them is what aws-lc-rs says.

use std::sync::LazyLock;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::native::{Hash, Question, Verify};
use mdrm_authz::jose::verify::VerifyingKey;
use proptest::prelude::*;
use rand_core::OsRng;
use rsa::sha2::{Digest, Sha256, Sha384, Sha512};
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPrivateKey};

use super::cases;
use crate::support::signer::{self, SigningKey, from_base64url};

const MESSAGE: &[u8] = b"message";

/// Lengths of the modulus around whole octets, where the paddings differ, and both exponents.
static KEYS: LazyLock<[RsaPrivateKey; 4]> = LazyLock::new(|| {
    [(2048, 65537), (2049, 3), (2050, 65537), (2055, 3)]
        .map(|(bits, e)| RsaPrivateKey::new_with_exp(&mut OsRng, bits, &BigUint::from(e as u32)).unwrap())
});

const ALGORITHMS: [Alg; 6] = [Alg::Rs256, Alg::Rs384, Alg::Rs512, Alg::Ps256, Alg::Ps384, Alg::Ps512];

/// What a signature is a power of: the padded hash of [`MESSAGE`], for PSS with a salt of this many octets.
fn encoded(key: &RsaPrivateKey, alg: Alg, salt: usize) -> Vec<u8> {
    fn pkcs1<D: Digest + rsa::pkcs8::AssociatedOid>(key: &RsaPrivateKey) -> Vec<u8> {
        key.sign(Pkcs1v15Sign::new::<D>(), &D::digest(MESSAGE)).unwrap()
    }
    fn pss<D: Digest + rsa::signature::digest::DynDigest + Send + Sync + 'static>(
        key: &RsaPrivateKey,
        salt: usize,
    ) -> Vec<u8> {
        key.sign_with_rng(&mut OsRng, Pss::new_with_salt::<D>(salt), &D::digest(MESSAGE)).unwrap()
    }
    let signature = match alg {
        Alg::Rs256 => pkcs1::<Sha256>(key),
        Alg::Rs384 => pkcs1::<Sha384>(key),
        Alg::Rs512 => pkcs1::<Sha512>(key),
        Alg::Ps256 => pss::<Sha256>(key, salt),
        Alg::Ps384 => pss::<Sha384>(key, salt),
        _ => pss::<Sha512>(key, salt),
    };
    in_full(&BigUint::from_bytes_be(&signature).modpow(key.e(), key.n()), key.size())
}

/// The number that gives `encoded` under the public key, if there is one: RSA without any padding.
fn raw_signature(key: &RsaPrivateKey, encoded: &[u8]) -> Option<Vec<u8>> {
    let encoded = BigUint::from_bytes_be(encoded);
    (encoded < *key.n()).then(|| in_full(&encoded.modpow(key.d(), key.n()), key.size()))
}

fn in_full(number: &BigUint, length: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; length - bytes.len()], bytes].concat()
}

fn verifying_key(key: &RsaPrivateKey, alg: Alg, native: Option<Verify>) -> VerifyingKey {
    VerifyingKey::rsa(alg, &key.n().to_bytes_be(), &key.e().to_bytes_be(), native).unwrap()
}

/// Whether aws-lc-rs accepts it, with the key in the form of RFC 8017 appendix A.1.1.
fn accepted_by_aws_lc(key: &RsaPrivateKey, alg: Alg, signature: &[u8]) -> bool {
    let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
    let key = signature::RsaPublicKeyComponents { n: &n, e: &e };
    let accepted = match alg {
        Alg::Rs256 => key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, MESSAGE, signature),
        Alg::Rs384 => key.verify(&signature::RSA_PKCS1_2048_8192_SHA384, MESSAGE, signature),
        Alg::Rs512 => key.verify(&signature::RSA_PKCS1_2048_8192_SHA512, MESSAGE, signature),
        Alg::Ps256 => key.verify(&signature::RSA_PSS_2048_8192_SHA256, MESSAGE, signature),
        Alg::Ps384 => key.verify(&signature::RSA_PSS_2048_8192_SHA384, MESSAGE, signature),
        _ => key.verify(&signature::RSA_PSS_2048_8192_SHA512, MESSAGE, signature),
    };
    accepted.is_ok()
}

/// What is done to the padded hash before the private key gets it.
#[derive(Debug, Clone)]
enum Change {
    Nothing,
    /// One bit, anywhere.
    Bit(prop::sample::Index, u8),
    /// One bit of the first or last octets, where the form is.
    EdgeBit(bool, usize, u8),
    /// One octet becomes another.
    Octet(prop::sample::Index, u8),
    /// Some octets are taken out, and zeros put at the end or at the start.
    Shifted {
        at: prop::sample::Index,
        by: usize,
        zeros_last: bool,
    },
}

impl Change {
    fn apply(&self, encoded: &mut Vec<u8>) {
        let length = encoded.len();
        match self {
            Change::Nothing => {}
            Change::Bit(at, bit) => encoded[at.index(length)] ^= 1 << bit,
            Change::EdgeBit(first, at, bit) => encoded[if *first { *at } else { length - 1 - at }] ^= 1 << bit,
            Change::Octet(at, octet) => encoded[at.index(length)] = *octet,
            Change::Shifted { at, by, zeros_last } => {
                let at = at.index(length - by);
                encoded.drain(at..at + by);
                let zeros = if *zeros_last { encoded.len() } else { 0 };
                encoded.splice(zeros..zeros, vec![0; *by]);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        Just(Change::Nothing),
        (index(), 0..8_u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        (any::<bool>(), 0..4_usize, 0..8_u8).prop_map(|(first, at, bit)| Change::EdgeBit(first, at, bit)),
        (index(), any::<u8>()).prop_map(|(at, octet)| Change::Octet(at, octet)),
        (index(), 1..40_usize, any::<bool>()).prop_map(|(at, by, zeros_last)| Change::Shifted { at, by, zeros_last }),
    ]
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn a_padding_is_accepted_just_where_another_library_accepts_it(
        key in 0..4_usize,
        alg in prop::sample::select(&ALGORITHMS[..]),
        salt in prop::sample::select(vec![0_usize, 31, 32, 33, 48, 64]),
        the_right_salt in any::<bool>(),
        change in change(),
    ) {
        let key = &KEYS[key];
        let hash = match alg { Alg::Ps256 => 32, Alg::Ps384 => 48, _ => 64 };
        let salt = if the_right_salt { hash } else { salt };
        let mut padded = encoded(key, alg, salt);
        change.apply(&mut padded);
        let Some(signature) = raw_signature(key, &padded) else { return Ok(()) };
        let accepted = verifying_key(key, alg, None).verify(MESSAGE, &signature);
        prop_assert_eq!(accepted, accepted_by_aws_lc(key, alg, &signature));
        let right = matches!(alg, Alg::Rs256 | Alg::Rs384 | Alg::Rs512) || salt == hash;
        if matches!(change, Change::Nothing) {
            prop_assert_eq!(accepted, right);
        }
    }
}

#[test]
fn a_signature_is_a_number_below_the_modulus_and_as_long() {
    for key in &*KEYS {
        for alg in ALGORITHMS {
            let hash = match alg {
                Alg::Ps256 => 32,
                Alg::Ps384 => 48,
                _ => 64,
            };
            let signature = raw_signature(key, &encoded(key, alg, hash)).unwrap();
            let number = BigUint::from_bytes_be(&signature);
            let ours = verifying_key(key, alg, None);
            assert!(ours.verify(MESSAGE, &signature), "{alg:?}");
            let with_modulus = (number + key.n()).to_bytes_be();
            let zero_before = [&[0], &*signature].concat();
            let zero_after = [&*signature, &[0]].concat();
            for other in
                [&with_modulus, &zero_before, &zero_after, &signature[1..].to_vec(), &vec![], &key.n().to_bytes_be()]
            {
                assert!(!ours.verify(MESSAGE, other), "{alg:?}");
                assert!(!accepted_by_aws_lc(key, alg, other), "{alg:?}");
            }
        }
    }
}

/// The host's part, played by aws-lc-rs: it reads keys as SubjectPublicKeyInfo and ECDSA signatures as ASN.1.
fn by_aws_lc(question: Question<'_>) -> Option<bool> {
    let read_as = |algorithm: &'static dyn VerificationAlgorithm| {
        UnparsedPublicKey::new(algorithm, question.spki).verify(question.message, question.signature).is_ok()
    };
    // A key of another type is not read.
    Some(match question.hash {
        Hash::Sha256 => read_as(&signature::RSA_PKCS1_2048_8192_SHA256) || read_as(&signature::ECDSA_P256_SHA256_ASN1),
        Hash::Sha384 => read_as(&signature::ECDSA_P384_SHA384_ASN1),
        Hash::Sha512 => read_as(&signature::ECDSA_P521_SHA512_ASN1),
    })
}

#[test]
fn the_host_gets_keys_and_signatures_in_the_form_that_another_library_reads() {
    for key in &*KEYS {
        let signature = raw_signature(key, &encoded(key, Alg::Rs256, 0)).unwrap();
        let key = verifying_key(key, Alg::Rs256, Some(by_aws_lc));
        assert!(key.verify(MESSAGE, &signature));
        assert!(!key.verify(b"another", &signature));
    }
    for (alg, signer_alg) in
        [(Alg::Es256, signer::Alg::ES256), (Alg::Es384, signer::Alg::ES384), (Alg::Es512, signer::Alg::ES512)]
    {
        let signer = SigningKey::generate("k", signer_alg);
        let jwk = signer.jwk();
        let [x, y] = ["x", "y"].map(|name| from_base64url(jwk[name].as_str().unwrap()));
        let key = VerifyingKey::ecdsa(alg, &x, &y, Some(by_aws_lc)).unwrap();
        // So many, that some have numbers with a first bit that is set, and some with zeros in front.
        for _ in 0..600 {
            assert!(key.verify(MESSAGE, &signer.signature(MESSAGE)), "{alg:?}");
        }
        assert!(!key.verify(b"another", &signer.signature(MESSAGE)), "{alg:?}");
    }
}
