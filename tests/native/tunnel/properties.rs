//! What holds for any body: nothing panics, and nothing opens but what was sealed.

use mdrm_authz::denial::{Code, Denial};
use mdrm_authz::jose::jwe::UntrustedJwe;
use proptest::prelude::*;

use super::{JWT, decrypt, keys, open, opener};
use crate::support::signer::from_base64url;
use crate::support::tunnel::{KeyManagement, MasterKey, Part, Tunnel};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn key(alg: KeyManagement) -> MasterKey {
    MasterKey::from_secret("m1", alg, [0x5a; 32])
}

fn alg() -> impl Strategy<Value = KeyManagement> {
    prop::sample::select(KeyManagement::ALL.to_vec())
}

fn codes(outcome: Result<impl Sized, Denial>) -> Option<Code> {
    outcome.err().map(|denial| denial.code())
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn random_bytes_are_no_tunnel(body in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(codes(UntrustedJwe::parse(&body)), Some(Code::Mdrm517));
    }

    #[test]
    fn random_parts_are_not_opened(
        alg in alg(), parts in prop::array::uniform4(prop::collection::vec(any::<u8>(), 0..80)),
        encrypted_key in prop::collection::vec(any::<u8>(), 40), iv in any::<[u8; 12]>(), tag in any::<[u8; 16]>(),
    ) {
        let key = key(alg);
        let sealed = Tunnel::new(&key, JWT).seal();
        let any_lengths = [Part::EncryptedKey, Part::Iv, Part::Ciphertext, Part::Tag]
            .into_iter()
            .zip(&parts)
            .fold(sealed.clone(), |sealed, (part, bytes)| sealed.with(part, bytes));
        let right_lengths = sealed.with(Part::Iv, iv).with(Part::Ciphertext, &parts[2]).with(Part::Tag, tag);
        let right_lengths = match alg {
            KeyManagement::A256KW => right_lengths.with(Part::EncryptedKey, encrypted_key),
            KeyManagement::Dir => right_lengths,
        };
        let code = codes(decrypt(&any_lengths.body(), &key));
        prop_assert!(matches!(code, Some(Code::Mdrm517 | Code::Mdrm519)), "{:?}", code);
        prop_assert_eq!(codes(decrypt(&right_lengths.body(), &key)), Some(Code::Mdrm519));
    }

    #[test]
    fn a_body_with_one_byte_changed_is_not_opened(alg in alg(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let key = key(alg);
        let body = Tunnel::new(&key, JWT).body().into_bytes();
        let mut damaged = body.clone();
        damaged[at.index(body.len())] = byte;
        if damaged != body {
            let opened = UntrustedJwe::parse(&damaged).and_then(|jwe| jwe.decrypt(&opener(&key)));
            prop_assert!(opened.is_err(), "{}", damaged.escape_ascii());
        }
    }

    #[test]
    fn a_body_cut_off_anywhere_is_not_opened(alg in alg(), at in any::<prop::sample::Index>()) {
        let key = key(alg);
        let body = Tunnel::new(&key, JWT).body();
        prop_assert!(decrypt(&body[..at.index(body.len())], &key).is_err());
    }

    #[test]
    fn a_body_with_one_bit_of_a_part_flipped_is_not_opened(
        alg in alg(), part in prop::sample::select(Part::ALL.to_vec()), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let key = key(alg);
        let sealed = Tunnel::new(&key, JWT).seal();
        let length = sealed.part(part).len();
        if length > 0 {
            let damaged = sealed.change(part, |bytes| bytes[at.index(length)] ^= 1 << bit);
            prop_assert!(decrypt(&damaged.body(), &key).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn whatever_was_sealed_comes_out(alg in alg(), plaintext in prop::collection::vec(any::<u8>(), 0..300)) {
        let key = key(alg);
        let body = Tunnel::new(&key, JWT).plaintext(&plaintext).body();
        let opened = decrypt(&body, &key).unwrap();
        prop_assert_eq!(opened.as_bytes(), &plaintext[..]);
        // And what is no payload is refused.
        prop_assert_eq!(codes(open(&body, &key)), Some(Code::Mdrm517));
    }

    #[test]
    fn whatever_was_asked_for_comes_out(alg in alg(), request in prop::collection::vec(any::<u8>(), 1..300), jwt in ".+") {
        let key = key(alg);
        let opened = open(&Tunnel::new(&key, &jwt).license_request(&request).body(), &key).unwrap();
        prop_assert_eq!(opened.license_request, request);
        prop_assert_eq!(&*opened.jwt, &*jwt);
    }

    #[test]
    fn two_bodies_cannot_be_mixed(alg in alg(), chosen in prop::collection::vec(any::<bool>(), 5)) {
        let key = key(alg);
        let [one, two] = ["one", "two"].map(|jwt| Tunnel::new(&key, jwt).seal().texts());
        let mixed: Vec<&str> =
            one.iter().zip(&two).zip(&chosen).map(|((one, two), first)| if *first { &**one } else { &**two }).collect();
        let mixed = mixed.join(".");
        if mixed != one.join(".") && mixed != two.join(".") {
            prop_assert!(decrypt(&mixed, &key).is_err(), "{chosen:?}");
        }
    }
}

#[test]
fn sealing_is_fresh_each_time_and_so_are_the_keys() {
    let [key, other] = keys();
    let (one, two) = (Tunnel::new(&key, JWT).seal(), Tunnel::new(&key, JWT).seal());
    for part in [Part::EncryptedKey, Part::Iv, Part::Ciphertext, Part::Tag] {
        assert_ne!(one.part(part), two.part(part), "{part:?}");
    }
    assert_ne!(key.secret(), other.secret());
    assert_eq!(from_base64url(&one.texts()[2]).len(), 12);
}
