//! Documents of master keys, and that nothing prints a secret.

use mdrm_authz::jose::jwe::UntrustedJwe;
use mdrm_authz::jose::master_key::KeyManagement as Alg;
use mdrm_authz::jose::unusable::{Flaw, Unusable};
use serde_json::{Value, json};

use super::{decrypt, keys, open, opener, read};
use crate::support::signer::{self, Document, SigningKey, base64url};
use crate::support::tunnel::{KeyManagement, MasterKey, Tunnel};

fn document() -> Value {
    MasterKey::generate("m1", KeyManagement::A256KW).jwk()
}

fn reason(document: &Value) -> Option<Unusable> {
    read(document).err()
}

#[test]
fn a_master_key_is_an_oct_key_with_32_bytes_and_a_listed_alg() {
    for key in keys() {
        assert_eq!(opener(&key).alg().name(), key.alg().name());
    }
    for length in [0, 1, 16, 24, 31, 33, 64] {
        let k = json!(base64url(&vec![7; length]));
        let octets = Flaw::Octets { found: length, expected: 32 };
        assert_eq!(reason(&document().with("k", k)), Some(Unusable::Member("k", octets)), "{length} bytes");
    }
    let k = document()["k"].as_str().unwrap().to_owned();
    for (k, flaw) in [
        (json!(format!("{k}=")), Flaw::NotBase64Url),
        (json!(format!("{k}\n")), Flaw::NotBase64Url),
        (json!("*".repeat(43)), Flaw::NotBase64Url),
        (json!("B".repeat(43)), Flaw::NotBase64Url),
        (json!(null), Flaw::Missing),
        (json!(1), Flaw::NotA("a string")),
    ] {
        assert_eq!(reason(&document().with("k", k.clone())), Some(Unusable::Member("k", flaw)), "{k}");
    }
    assert_eq!(reason(&document().without("k")), Some(Unusable::Member("k", Flaw::Missing)));
    for alg in ["A128KW", "A256GCM", "A256GCMKW", "HS256", "none", "DIR", "a256kw", ""] {
        assert_eq!(reason(&document().with("alg", json!(alg))), Some(Unusable::Algorithm), "{alg}");
    }
    assert_eq!(reason(&document().without("alg")), Some(Unusable::Algorithm));
    assert_eq!(reason(&document().with("alg", json!(null))), Some(Unusable::Algorithm));
    for kty in ["RSA", "EC", "OKP", "OCT", ""] {
        assert_eq!(reason(&document().with("kty", json!(kty))), Some(Unusable::KeyType), "{kty}");
    }
    assert_eq!(reason(&document().without("kty")), Some(Unusable::KeyType));
    assert_eq!(reason(&document().with("kty", json!(1))), Some(Unusable::Member("kty", Flaw::NotA("a string"))));
}

#[test]
fn a_master_key_says_that_it_decrypts_or_says_nothing() {
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["decrypt"])),
        ("key_ops", json!(["unwrapKey"])),
        ("key_ops", json!(["wrapKey", "unwrapKey", "encrypt"])),
        ("iss", json!(7)),
        ("aud", json!("anything")),
        ("exp", json!("never")),
        ("use", json!(null)),
        ("key_ops", json!(null)),
    ] {
        assert_eq!(reason(&document().with(name, value.clone())), None, "{name} {value}");
    }
    for (name, value) in [
        ("use", json!("sig")),
        ("use", json!("")),
        ("use", json!(1)),
        ("key_ops", json!([])),
        ("key_ops", json!(["encrypt", "wrapKey"])),
        ("key_ops", json!(["verify"])),
        ("key_ops", json!(["Decrypt"])),
        ("key_ops", json!(["decrypt", 1])),
        ("key_ops", json!("decrypt")),
    ] {
        let reason = reason(&document().with(name, value.clone()));
        assert!(matches!(reason, Some(Unusable::Member(member, _)) if member == name), "{name} {value}: {reason:?}");
    }
}

#[test]
fn a_key_that_verifies_tokens_is_no_master_key() {
    for alg in signer::Alg::ALL {
        assert!(reason(&SigningKey::generate("k", alg).jwk()).is_some(), "{alg:?}");
    }
}

#[test]
fn algorithms_are_spelled_as_in_rfc_7518() {
    assert_eq!(Alg::ALL.iter().map(|alg| alg.name()).collect::<Vec<_>>(), ["A256KW", "dir"]);
    for alg in Alg::ALL {
        assert_eq!(Alg::from_name(alg.name()), Some(*alg));
    }
}

#[test]
fn nothing_prints_a_secret() {
    for key in keys() {
        let key = MasterKey::from_secret("m1", key.alg(), *b"a secret of exactly thirty-2 byt");
        let body = Tunnel::new(&key, "secret.token.text").license_request(b"secret request").body();
        let plaintext = decrypt(&body, &key).unwrap();
        let request = open(&body, &key).unwrap();
        let printed = format!("{:?} {plaintext:?} {request:?}", opener(&key));
        assert_eq!(
            printed,
            format!(
                "MasterKey {{ alg: \"{}\", .. }} Plaintext({} bytes) TunnelRequest {{ license_request_bytes: 14, \
                 content_type: \"application/octet-stream\", .. }}",
                key.alg().name(),
                plaintext.as_bytes().len(),
            )
        );
        let refused = read(&key.jwk().with("use", json!("sig"))).unwrap_err();
        assert_eq!(
            format!("{refused:?} {refused}"),
            "Member(\"use\", NotOneOf(\"enc\")) use is not one of those allowed: enc"
        );
        let denial = UntrustedJwe::parse(body.as_bytes()).unwrap().decrypt(&opener(&keys()[0])).unwrap_err();
        assert_eq!(format!("{denial:?} {denial}"), "TunnelUndecryptable the master key does not decrypt the body");
    }
}
