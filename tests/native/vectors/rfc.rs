//! The examples of RFC 7515 appendix A, RFC 7517 appendix A, RFC 7520 section 4 and RFC 8037 appendix A.

use serde_json::{Value, json};

use super::ledger::Verdict;
use super::{key_of_set, one_key, verdict};
use mdrm_authz::jose::token::Kid;

fn examples() -> Value {
    serde_json::from_str(include_str!("rfc.json")).unwrap()
}

/// What the key service would have to say: a name, and `alg` where the type of the key implies another one.
fn document(example: &Value) -> Value {
    let mut key = example["key"].clone();
    if key.get("kid").is_none() {
        key["kid"] = json!("example");
    }
    match example["source"].as_str().unwrap() {
        "RFC 7520 4.2" => key["alg"] = json!("PS384"),
        "RFC 7515 A.1" => key["alg"] = json!("HS256"),
        _ => {}
    }
    key
}

#[test]
fn examples_of_the_rfcs_are_verified() {
    let examples = examples();
    let signatures = examples["signatures"].as_array().unwrap();
    for example in signatures {
        let key = document(example);
        let compact = example["compact"].as_str().unwrap();
        let say =
            |compact: &str| verdict(compact, |_| one_key(key.to_string().as_bytes(), key["kid"].as_str().unwrap()));
        let expected = example["answer"] == "valid";
        let answer = say(compact);
        assert_eq!(answer == Verdict::Accepted, expected, "{}: {answer:?}", example["source"]);
        if expected {
            let (message, signature) = compact.rsplit_once('.').unwrap();
            let other = if signature.starts_with('A') { "B" } else { "A" };
            let changed = format!("{message}.{other}{}", &signature[1..]);
            assert_eq!(say(&changed), Verdict::of(false), "{}, signature changed", example["source"]);
        }
    }
    let valid = signatures.iter().filter(|example| example["answer"] == "valid").count();
    assert_eq!((signatures.len(), valid), (16, 12), "as README.md of the vectors says");
}

#[test]
fn examples_of_key_sets_keep_what_verifies_signatures() {
    let examples = examples();
    let key = |set: &str, kid: &str| {
        let set = examples["key_sets"][set].to_string();
        key_of_set(set.as_bytes(), Kid::new(kid).as_ref()).map(|key| key.verifying_key.alg().name())
    };
    assert_eq!(key("RFC 7517 A.1", "2011-04-29"), Ok("RS256"));
    assert_eq!(key("RFC 7517 A.1", "1"), Err("not in the set".to_owned()), "it is for encryption");
    assert_eq!(
        key("RFC 7517 A.2", "2011-04-29"),
        Err("none of the keys can be used: key 2011-04-29: private member d; 1 serve another purpose (use, key_ops)"
            .to_owned())
    );
}
