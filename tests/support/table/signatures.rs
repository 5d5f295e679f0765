//! Signatures that are almost right. Everything else about these tokens is right, so a verifier that lets one pass shows.

use serde_json::{Value, json};

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::signer::{Alg, base64url};
use crate::support::token::Token;

/// The order of P-256's base point (SEC 2, section 2.4.2), big-endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The order of Ed25519's base point (RFC 8032 section 5.1), little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = changed(now);
    cases.extend(ecdsa(now));
    cases.extend(ed25519(now));
    cases.extend(rsa());
    cases.extend(moved(now));
    cases
}

fn case(name: impl Into<String>, compact: String) -> Case {
    Case::new(name, Plugin::SlowAlgorithms, Request::post("/").token(compact))
}

/// Attack 29: changed by a byte or a bit.
fn changed(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for alg in [Alg::ES256, Alg::RS256, Alg::PS256, Alg::EdDSA, Alg::HS256, Alg::HS512, Alg::ES384, Alg::ES512] {
        let token = Token::new(keyring().of_alg(alg));
        let mut add = |what: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
            let compact = token.with_signature(now, |right| change(right.to_vec()));
            cases.push(case(format!("attack 29: {alg:?}, {what}, is 505"), compact).denied(505));
        };
        add("an empty signature", &|_| Vec::new());
        add("one byte of signature", &|right| right[..1].to_vec());
        add("a signature cut by a byte", &|right| right[..right.len() - 1].to_vec());
        add("a signature cut by its first byte", &|right| right[1..].to_vec());
        add("half a signature", &|right| right[..right.len() / 2].to_vec());
        add("a byte more behind the signature", &|right| [&right[..], &[0]].concat());
        add("a byte more before the signature", &|right| [&[0], &right[..]].concat());
        add("the signature twice", &|right| right.repeat(2));
        add("a signature of zeros", &|right| vec![0; right.len()]);
        add("a signature of ones", &|right| vec![0xff; right.len()]);
        add("a signature backwards", &|right| right.into_iter().rev().collect());
        for eighth in 0..8 {
            add(&format!("a bit flipped in the signature's eighth {eighth}"), &|mut right| {
                let place = right.len() * eighth / 8;
                right[place] ^= 1 << eighth;
                right
            });
        }
        add("the last bit flipped", &|mut right| {
            *right.last_mut().unwrap() ^= 1;
            right
        });
    }
    cases
}

/// Attacks 30 and 34: numbers out of range, other encodings, and the second signature that every ECDSA signature has.
fn ecdsa(now: i64) -> Vec<Case> {
    let key = keyring().main();
    let token = Token::new(key);
    let order = P256_ORDER.to_vec();
    let mut below = order.clone();
    *below.last_mut().unwrap() -= 1;
    let mut above = order.clone();
    *above.last_mut().unwrap() += 1;
    let mut one = vec![0; 32];
    one[31] = 1;
    let mut cases = Vec::new();
    let numbers = [
        ("0", vec![0; 32]),
        ("1", one),
        ("n - 1", below),
        ("n", order.clone()),
        ("n + 1", above),
        ("2^256 - 1", vec![0xff; 32]),
    ];
    for (name, number) in &numbers {
        let r = token.with_signature(now, |right| [number, &right[32..]].concat());
        let s = token.with_signature(now, |right| [&right[..32], number].concat());
        cases.push(case(format!("attack 30: ES256 with an r of {name} is 505"), r).denied(505));
        cases.push(case(format!("attack 30: ES256 with an s of {name} is 505"), s).denied(505));
        for (other_name, other) in &numbers {
            let both = token.with_signature(now, |_| [&number[..], other].concat());
            cases.push(
                case(format!("attack 30: ES256 with an r of {name} and an s of {other_name} is 505"), both).denied(505),
            );
        }
    }
    let compact = token.compact(now);
    let (message, _) = compact.rsplit_once('.').unwrap();
    let asn1 = base64url(&key.asn1_signature(message.as_bytes()));
    cases.push(case("attack 30: ES256 with an ASN.1 signature is 505", format!("{message}.{asn1}")).denied(505));
    cases.push(
        case(
            "attack 30: ES256 with s before r is 505",
            token.with_signature(now, |right| [&right[32..], &right[..32]].concat()),
        )
        .denied(505),
    );
    let mirrored = token.with_signature(now, |right| [&right[..32], &subtract(&order, &right[32..])[..]].concat());
    cases.push(case("attack 34: the mirrored signature n - s is valid as well", mirrored).allowed());
    cases
}

/// Big-endian `a - b` for `a >= b` of equal length.
fn subtract(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = Vec::new();
    for (a, b) in a.iter().zip(b).rev() {
        let value = i16::from(*a) - i16::from(*b) - borrow;
        borrow = i16::from(value < 0);
        difference.push(u8::try_from(value.rem_euclid(256)).unwrap());
    }
    difference.reverse();
    difference
}

/// Attack 33: the same signature with a number that was not reduced. (Keys of small order are rows of the key documents.)
fn ed25519(now: i64) -> Vec<Case> {
    let token = Token::new(keyring().of_alg(Alg::EdDSA));
    let mut neutral = vec![0; 64];
    neutral[0] = 1;
    vec![
        case(
            "attack 33: EdDSA with S + L for S is 505",
            token.with_signature(now, |right| {
                let mut carry = 0;
                let sum = right[32..].iter().zip(ED25519_ORDER).map(|(a, b)| {
                    let value = u16::from(*a) + u16::from(b) + carry;
                    carry = value >> 8;
                    value.to_le_bytes()[0]
                });
                [&right[..32], &sum.collect::<Vec<u8>>()[..]].concat()
            }),
        )
        .denied(505),
        case("attack 33: EdDSA with the neutral element and 0 is 505", token.with_signature(now, |_| neutral))
            .denied(505),
    ]
}

/// Attacks 31 and 32: signatures made with the private key, but not the way the algorithm wants it. See `forged_rsa.py`.
fn rsa() -> Vec<Case> {
    let forged = forged();
    let tokens = forged["tokens"].as_array().unwrap();
    let row = |token: &Value| {
        let (name, code) = (token["name"].as_str().unwrap(), u16::try_from(token["code"].as_u64().unwrap()).unwrap());
        let attack = if name.contains("PSS") { 32 } else { 31 };
        case(format!("attack {attack}: RSA, {name}, is {code}"), token["token"].as_str().unwrap().to_owned())
            .denied(code)
    };
    tokens.iter().map(row).collect()
}

/// The key documents that the forged RSA signatures go with: kid and document.
pub(super) fn forged_keys() -> Vec<(String, Value)> {
    let keys = forged()["keys"].as_array().unwrap().clone();
    keys.into_iter().map(|key| (key["kid"].as_str().unwrap().to_owned(), key)).collect()
}

fn forged() -> Value {
    serde_json::from_str(include_str!("forged_rsa.json")).unwrap()
}

/// A right signature in a wrong place.
fn moved(now: i64) -> Vec<Case> {
    let token = Token::new(keyring().main());
    let compact = token.compact(now);
    let parts: Vec<&str> = compact.split('.').collect();
    let elsewhere = token.clone().claim("sub", json!("content-2")).compact(now);
    let (_, signature) = elsewhere.rsplit_once('.').unwrap();
    let longer_header = base64url(token.clone().header("x", json!(1)).header_json(now).as_bytes());
    let same_bytes = base64url(format!("{} ", token.payload_json(now)).as_bytes());
    vec![
        case("attack 29: the signature of another token is 505", format!("{}.{}.{signature}", parts[0], parts[1]))
            .denied(505),
        case("attack 29: a header changed after signing is 505", format!("{longer_header}.{}.{}", parts[1], parts[2]))
            .denied(505),
        case("attack 29: a payload with a blank more is 505", format!("{}.{same_bytes}.{}", parts[0], parts[2]))
            .denied(505),
        case(
            "attack 29: the kid of another owner's equal key is 505",
            Token::new(&keyring().main().under_kid("owned")).compact(now),
        )
        .denied(505),
    ]
}
