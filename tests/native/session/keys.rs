//! Session key documents: which can be used, which do not fit together, and what the rest is refused for.

use std::sync::atomic::{AtomicUsize, Ordering};

use mdrm_authz::denial::Denial;
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::json::Object;
use mdrm_authz::jose::native::{Hash, Question};
use mdrm_authz::jose::signing::SessionKey;
use mdrm_authz::jose::unusable::{Flaw, Unusable};
use mdrm_authz::jose::verify::WeakKey;
use serde_json::{Value, json};

use super::material::{eddsa, es256, from_hex, hex, others, public, read, read_on, verifies};
use crate::support::signer::{Document, base64url, from_base64url};

/// The order of P-256, and the prime of its field.
const N: &str = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
const P: &str = "FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF";

#[test]
fn signs_as_rfc_6979_says() {
    let key = read(&es256()).unwrap();
    let pair = key.pair().unwrap();
    assert_eq!(pair.alg(), Alg::Es256);
    for (message, r, s) in [
        (
            "sample",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            "test",
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
            "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
        ),
    ] {
        let signature = pair.sign(message.as_bytes()).unwrap();
        assert_eq!(signature[..], from_hex(&format!("{r}{s}")), "{message}");
        assert!(verifies(&es256(), message.as_bytes(), &signature));
    }
}

#[test]
fn signs_as_rfc_8037_says() {
    let key = read(&eddsa()).unwrap();
    let pair = key.pair().unwrap();
    assert_eq!(pair.alg(), Alg::EdDsa);
    let message = format!("{}.{}", base64url(br#"{"alg":"EdDSA"}"#), base64url(b"Example of Ed25519 signing"));
    let signature = pair.sign(message.as_bytes()).unwrap();
    let expected = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(base64url(&signature), expected);
    assert!(verifies(&eddsa(), message.as_bytes(), &signature));
}

#[test]
fn takes_the_private_file_that_keygen_writes() {
    for document in others() {
        let key = read(&document).unwrap();
        let signature = key.pair().unwrap().sign(b"message").unwrap();
        assert!(verifies(&document, b"message", &signature));
    }
}

#[test]
fn takes_keys_that_say_less_or_more() {
    for document in [es256(), eddsa()] {
        for document in [
            document.clone().without("alg"),
            document.clone().with("use", json!("sig")).with("key_ops", json!(["sign"])),
            document.clone().with("key_ops", json!(["verify", "sign"])),
            document.clone().with("status", json!("disabled")).without("kid"),
            document.clone().with("unknown", json!({"a": [1]})),
        ] {
            assert!(read(&document).unwrap().pair().is_ok(), "{document}");
        }
    }
}

#[test]
fn takes_a_private_part_that_is_written_with_escapes() {
    let text = eddsa().to_string().replace("nWGxne_9", r"\u006eWGxne\u005f9");
    assert!(text.contains(r"\u006e"));
    let key = SessionKey::read(text.as_bytes(), &Object::parse(text.as_bytes()).unwrap(), None).unwrap();
    assert!(key.pair().is_ok());
}

#[test]
fn refuses_keys_for_something_else() {
    for document in [es256(), eddsa()] {
        for (name, value, reason) in [
            ("kty", json!("RSA"), Unusable::KeyType),
            ("kty", json!("oct"), Unusable::KeyType),
            ("kty", json!("ec"), Unusable::KeyType),
            ("kty", json!(null), Unusable::KeyType),
            ("crv", json!("P-384"), Unusable::KeyType),
            ("crv", json!("X25519"), Unusable::KeyType),
            ("crv", json!("secp256k1"), Unusable::KeyType),
            ("crv", json!(256), Unusable::Member("crv", Flaw::NotA("a string"))),
            ("alg", json!("ES384"), Unusable::Weak(WeakKey::WrongType)),
            ("alg", json!("HS256"), Unusable::Weak(WeakKey::WrongType)),
            ("alg", json!("none"), Unusable::Algorithm),
            ("alg", json!("es256"), Unusable::Algorithm),
            ("use", json!("enc"), Unusable::Member("use", Flaw::NotOneOf("sig"))),
            ("key_ops", json!(["verify"]), Unusable::Member("key_ops", Flaw::NotOneOf("sign"))),
            ("key_ops", json!([]), Unusable::Member("key_ops", Flaw::NotOneOf("sign"))),
            ("key_ops", json!("sign"), Unusable::Member("key_ops", Flaw::NotA("an array of strings"))),
        ] {
            let document = document.clone().with(name, value);
            assert_eq!(read(&document).err(), Some(reason), "{document}");
        }
        for name in ["alg", "use", "key_ops", "p"] {
            assert_eq!(read(&document.clone().with(name, json!(null))).err(), None, "null says nothing: {name}");
        }
        for name in ["kty", "crv"] {
            assert_eq!(read(&document.clone().without(name)).err(), Some(Unusable::KeyType), "{name}");
        }
    }
    let swapped = [es256().with("alg", json!("EdDSA")), eddsa().with("alg", json!("ES256"))];
    assert!(swapped.iter().all(|document| read(document).err() == Some(Unusable::Weak(WeakKey::WrongType))));
    let swapped = [es256().with("crv", json!("Ed25519")), eddsa().with("crv", json!("P-256"))];
    assert!(swapped.iter().all(|document| read(document).err() == Some(Unusable::KeyType)));
}

#[test]
fn refuses_members_that_are_not_canonical_base64url() {
    for (document, names) in [(es256(), &["x", "y", "d"][..]), (eddsa(), &["x", "d"])] {
        for name in names {
            let text = document[name].as_str().unwrap();
            let (start, last) = text.split_at(text.len() - 1);
            // The last digit of 43 has two bits to spare.
            let spare = char::from(last.as_bytes()[0] + 1);
            for (value, flaw) in [
                (json!(null), Flaw::Missing),
                (json!(1), Flaw::NotA("a string")),
                (json!(format!("{text}=")), Flaw::NotBase64Url),
                (json!(format!("{start}{spare}")), Flaw::NotBase64Url),
                (json!(format!(" {text}")), Flaw::NotBase64Url),
            ] {
                let document = document.clone().with(name, value);
                assert_eq!(read(&document).err(), Some(Unusable::Member(name, flaw)), "{document}");
            }
            assert_eq!(read(&document.clone().without(name)).err(), Some(Unusable::Member(name, Flaw::Missing)));
        }
    }
}

#[test]
fn refuses_public_parts_that_are_no_point() {
    let zero = base64url(&[0; 32]);
    let cut = |text: &Value| base64url(&from_base64url(text.as_str().unwrap())[1..]);
    let longer = |text: &Value| base64url(&[&[0], &from_base64url(text.as_str().unwrap())[..]].concat());
    let key = es256();
    let octets = |name, found| WeakKey::Coordinate { name, found, expected: 32 };
    for (name, value, reason) in [
        ("x", zero.clone(), WeakKey::NotAPoint),
        ("y", zero.clone(), WeakKey::NotAPoint),
        ("y", hex(P), WeakKey::NotAPoint),
        ("x", key["y"].as_str().unwrap().to_owned(), WeakKey::NotAPoint),
        ("x", cut(&key["x"]), octets("x", 31)),
        ("y", cut(&key["y"]), octets("y", 31)),
        ("x", longer(&key["x"]), octets("x", 33)),
        ("y", longer(&key["y"]), octets("y", 33)),
        ("x", String::new(), octets("x", 0)),
    ] {
        let document = key.clone().with(name, json!(value));
        assert_eq!(read(&document).err(), Some(Unusable::Weak(reason)), "{document}");
    }
    assert_eq!(octets("x", 31).to_string(), "x has 31 octets, the curve takes 32");
    let key = eddsa();
    let two = base64url(&[&[2], &[0; 31][..]].concat());
    for (value, reason) in [
        (cut(&key["x"]), octets("x", 31)),
        (longer(&key["x"]), octets("x", 33)),
        (String::new(), octets("x", 0)),
        (two, WeakKey::NotAPoint),
    ] {
        let document = key.clone().with("x", json!(value));
        assert_eq!(read(&document).err(), Some(Unusable::Weak(reason)), "{document}");
    }
    let neutral = base64url(&[&[1], &[0; 31][..]].concat());
    for value in [neutral, zero] {
        let document = key.clone().with("x", json!(value));
        assert_eq!(read(&document).err(), Some(Unusable::Weak(WeakKey::SmallOrder)), "{document}");
    }
}

#[test]
fn refuses_private_parts_of_the_wrong_length_or_out_of_range() {
    for key in [es256(), eddsa()] {
        let d = from_base64url(key["d"].as_str().unwrap());
        for d in [&d[1..], &[&d[..], &[0]].concat(), &[&[0], &d[..]].concat(), &[]] {
            let octets = Flaw::Octets { found: d.len(), expected: 32 };
            let read = read(&key.clone().with("d", json!(base64url(d)))).err();
            assert_eq!(read, Some(Unusable::Member("d", octets)), "{d:?}");
        }
    }
    for d in [base64url(&[0; 32]), hex(N), base64url(&[0xFF; 32])] {
        let range = Flaw::NotA("a number from 1 to n - 1");
        assert_eq!(read(&es256().with("d", json!(d))).err(), Some(Unusable::Member("d", range)));
    }
}

#[test]
fn knows_parts_that_do_not_belong_together() {
    let [other_es256, other_eddsa] = others();
    let from = |key: Value, other: &Value, names: &[&str]| {
        names.iter().fold(key, |key, name| key.with(name, other[name].clone()))
    };
    let mut greatest = from_hex(N);
    *greatest.last_mut().unwrap() -= 1;
    for document in [
        from(es256(), &other_es256, &["x", "y"]),
        from(es256(), &other_es256, &["d"]),
        // The other point of the same x.
        es256().with("y", json!(base64url(&minus(&from_hex(P), &from_base64url(es256()["y"].as_str().unwrap()))))),
        es256().with("d", json!(base64url(&[&[0; 31][..], &[1]].concat()))),
        es256().with("d", json!(base64url(&greatest))),
        from(eddsa(), &other_eddsa, &["x"]),
        from(eddsa(), &other_eddsa, &["d"]),
        eddsa().with("d", json!(base64url(&[0; 32]))),
    ] {
        let key = read(&document).unwrap();
        assert_eq!(key.pair().err(), Some(Denial::SessionKeyMismatch), "{document}");
    }
}

/// Big-endian numbers of equal length; the first is not smaller.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let digit = i16::from(*a) - i16::from(*b) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).unwrap()
        })
        .collect();
    difference.reverse();
    difference
}

#[test]
fn a_replaced_document_is_another_key() {
    let fingerprint = |document: &Value| read(document).unwrap().fingerprint;
    assert_eq!(fingerprint(&es256()), fingerprint(&es256()));
    assert_ne!(fingerprint(&es256()), fingerprint(&es256().without("alg")));
    assert_ne!(fingerprint(&es256()), fingerprint(&others()[0]));
}

#[test]
fn prints_no_secret() {
    for document in [es256(), eddsa()] {
        let printed = format!("{:?}", read(&document).unwrap());
        let d = document["d"].as_str().unwrap();
        let bytes = from_base64url(d);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(printed.contains("<redacted>"), "{printed}");
        for secret in [d.to_owned(), hex, format!("{:?}", &bytes[..4]).trim_matches(['[', ']']).to_owned()] {
            assert!(!printed.to_lowercase().contains(&secret.to_lowercase()), "{printed}");
        }
    }
}

static ASKED: AtomicUsize = AtomicUsize::new(0);

fn asked(question: Question<'_>) -> Option<bool> {
    assert_eq!((question.hash, question.message), (Hash::Sha256, &b"message"[..]));
    ASKED.fetch_add(1, Ordering::Relaxed);
    Some(true)
}

#[test]
fn the_host_checks_what_it_can_check() {
    let key = read_on(&es256(), Some(asked)).unwrap();
    assert!(key.pair().unwrap().sign(b"message").is_ok());
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
    let key = read_on(&es256(), Some(|_| Some(false))).unwrap();
    assert_eq!(key.pair().unwrap().sign(b"message"), Err(Denial::SessionNotSigned));
    let key = read_on(&es256(), Some(|_| None)).unwrap();
    assert!(key.pair().unwrap().sign(b"message").is_ok());
    let key = read_on(&eddsa(), Some(|_| Some(false))).unwrap();
    assert!(key.pair().unwrap().sign(b"message").is_ok(), "no host checks EdDSA");
}

#[test]
fn the_public_document_is_no_session_key() {
    for document in [es256(), eddsa()] {
        assert_eq!(read(&public(&document)).err(), Some(Unusable::Member("d", Flaw::Missing)));
    }
}
