//! The fingerprint of RSA keys that a broken generator of smart cards and TPMs made (ROCA, CVE-2017-15361). Their factors can
//! be computed from the public key.
//!
//! Each prime factor of such a key is `k * M + (65537^a mod M)`, where `M` is the product of the first primes: at least 39 of
//! them. So modulo each of these the modulus is a power of 65537 as well (Nemec, Sys, Svenda, Klinec, Matyas: "The Return of
//! Coppersmith's Attack", CCS 2017, section 4.2).

use std::iter::successors;

/// The odd ones of the 39 primes. Modulo 21 of them every number but 0 is a power of 65537; the other 17 leave the modulus of
/// an honest generator a chance of 1 in 2.4 * 10^8 to look alike.
const PRIMES: [u16; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a modulus (big-endian) has the fingerprint.
pub(super) fn has_fingerprint(n: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let (residue, generator) = (remainder(n, *prime), remainder(&[1, 0, 1], *prime));
        let next = |power: &u16| power.checked_mul(generator)?.checked_rem(*prime);
        // The group has fewer elements than that.
        successors(Some(1), next).take(usize::from(*prime)).any(|power| power == residue)
    })
}

/// A number (big-endian) modulo a prime below 256.
fn remainder(number: &[u8], prime: u16) -> u16 {
    number.iter().fold(0, |rest, byte| ((rest << 8) | u16::from(*byte)).checked_rem(prime).unwrap_or(0))
}
