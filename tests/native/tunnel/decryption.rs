//! Every cause of MDRM-519 is one and the same.

use mdrm_authz::denial::{Code, Denial};
use serde_json::json;

use super::{JWT, decrypt, keys};
use crate::support::tunnel::{KeyManagement, LICENSE_REQUEST, MasterKey, Part, Sealed, Tunnel};

/// Damages a sealed body in a way of its own; the name says how.
type Damage = (String, Sealed);

/// What becomes of a body that is right before it is damaged.
fn damages(key: &MasterKey) -> Vec<Damage> {
    let tunnel = Tunnel::new(key, JWT);
    let sealed = tunnel.seal();
    assert!(decrypt(&sealed.body(), key).is_ok());
    let mut damages: Vec<Damage> = Vec::new();
    let mut add = |name: String, sealed: Sealed| damages.push((name, sealed));
    for length in [0, 4, 8, 12, 15, 17, 32] {
        add(format!("a tag of {length} bytes"), sealed.clone().resize(Part::Tag, length));
    }
    for length in [0, 8, 11, 13, 16] {
        add(format!("an IV of {length} bytes"), sealed.clone().resize(Part::Iv, length));
    }
    for length in [0, 1, sealed.part(Part::Ciphertext).len() - 1, sealed.part(Part::Ciphertext).len() + 1] {
        add(format!("a ciphertext of {length} bytes"), sealed.clone().resize(Part::Ciphertext, length));
    }
    for part in [Part::EncryptedKey, Part::Iv, Part::Ciphertext, Part::Tag] {
        for at in 0..sealed.part(part).len() {
            add(format!("{part:?} changed in byte {at}"), sealed.clone().flip(part, at));
        }
    }
    let header = String::from_utf8(sealed.part(Part::Header).to_vec()).unwrap();
    for (name, header) in [
        ("white space", header.replace("{\"", "{ \"")),
        ("another kid", header.replace("m1", "m2")),
        ("another member", header.replace("{\"", "{\"a\":1,\"")),
    ] {
        assert_ne!(header.as_bytes(), sealed.part(Part::Header));
        add(format!("a header with {name}"), sealed.clone().with(Part::Header, header));
    }
    add("another AAD".to_owned(), tunnel.clone().aad("").seal());
    add("the header's JSON as AAD".to_owned(), tunnel.aad(header).seal());
    add("sealed with another key".to_owned(), Tunnel::new(&MasterKey::generate("m1", key.alg()), JWT).seal());
    damages
}

/// What only a wrapped key can suffer.
fn damages_of_the_encrypted_key(key: &MasterKey) -> Vec<Damage> {
    let sealed = Tunnel::new(key, JWT).seal();
    let mut damages: Vec<Damage> = [1, 8, 16, 24, 32, 39, 41, 48, 1000]
        .map(|length| (format!("{length} bytes"), sealed.clone().resize(Part::EncryptedKey, length)))
        .into();
    for length in [16, 24, 40, 64] {
        let wrapped = key.wrap(&vec![7; length]);
        damages.push((format!("{length} bytes, wrapped"), sealed.clone().with(Part::EncryptedKey, wrapped)));
    }
    damages.push(("another key, wrapped".to_owned(), sealed.clone().with(Part::EncryptedKey, key.wrap(&[7; 32]))));
    let stranger = MasterKey::generate("m1", KeyManagement::A256KW);
    damages
        .push(("wrapped by a stranger".to_owned(), sealed.clone().with(Part::EncryptedKey, stranger.wrap(&[7; 32]))));
    damages
}

#[test]
fn attack_54_every_damage_is_answered_alike() {
    let mut counted = 0;
    for key in keys() {
        let more = if key.alg() == KeyManagement::A256KW { damages_of_the_encrypted_key(&key) } else { Vec::new() };
        for (name, sealed) in damages(&key).into_iter().chain(more) {
            let denial = decrypt(&sealed.body(), &key).expect_err(&name);
            assert_eq!(denial, Denial::TunnelUndecryptable, "{name}");
            assert_eq!(denial.code(), Code::Mdrm519, "{name}");
            counted += 1;
        }
    }
    assert!(counted > 250, "{counted}");
}

#[test]
fn attack_54_the_key_fixes_the_algorithm() {
    for key in keys() {
        for alg in KeyManagement::ALL.into_iter().filter(|alg| *alg != key.alg()) {
            let other = key.with_alg(alg);
            assert!(decrypt(&Tunnel::new(&other, JWT).body(), &other).is_ok());
            let denial = decrypt(&Tunnel::new(&other, JWT).body(), &key).unwrap_err();
            assert_eq!(denial, Denial::TunnelUndecryptable);
        }
        // The same key material, and only the header in the wrong.
        let sealed = Tunnel::new(&key, JWT).seal();
        let (alg, encrypted_key) = match key.alg() {
            KeyManagement::A256KW => ("dir", Vec::new()),
            KeyManagement::Dir => ("A256KW", key.wrap(key.secret())),
        };
        let tunnel = Tunnel::new(&key, JWT).header("alg", json!(alg));
        let body = tunnel.seal().with(Part::EncryptedKey, encrypted_key).body();
        assert_ne!(body, sealed.body());
        assert_eq!(decrypt(&body, &key).unwrap_err(), Denial::TunnelUndecryptable);
    }
}

#[test]
fn attack_54_a_body_sealed_with_keys_that_a_stranger_can_guess_is_not_opened() {
    // What an implementation could fall back to once a key does not unwrap.
    for guess in [[0; 32], [0xff; 32], [0xa6; 32]] {
        let forged = Tunnel::new(&MasterKey::from_secret("m1", KeyManagement::Dir, guess), JWT);
        let forged = forged.header("alg", json!("A256KW")).seal().with(Part::EncryptedKey, [0; 40]);
        let key = MasterKey::generate("m1", KeyManagement::A256KW);
        assert_eq!(decrypt(&forged.body(), &key).unwrap_err(), Denial::TunnelUndecryptable);
    }
}

#[test]
fn the_header_is_authenticated_as_it_came() {
    for key in keys() {
        let alg = key.alg().name();
        let header = format!(
            " {{ \"kid\" : \"m1\",\"\\u0061lg\":\"{alg}\" , \"enc\":\"A256GCM\",\"x\":{{\"a\":1,\"a\":1.0}} }}\n"
        );
        assert!(decrypt(&Tunnel::new(&key, JWT).header_text(header).body(), &key).is_ok());
    }
}

#[test]
fn bodies_of_any_length_are_opened() {
    for key in keys() {
        for length in (0..70).chain([4096, 65_536, 262_144]) {
            let plaintext = vec![b'x'; length];
            let body = Tunnel::new(&key, JWT).plaintext(&plaintext).body();
            assert_eq!(decrypt(&body, &key).unwrap().as_bytes(), plaintext, "{length} bytes");
        }
        let request = super::open(&Tunnel::new(&key, JWT).body(), &key).unwrap();
        assert_eq!(request.license_request, LICENSE_REQUEST);
    }
}
