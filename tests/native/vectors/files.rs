//! Wycheproof's JOSE files, in the folder that the environment variable `MDRM_VECTORS` names.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::ledger::{Said, Set, check};
use super::{key_of_set, one_key, verdict};

/// The groups of a file; none if nobody has said where the files are.
///
/// # Panics
///
/// If they should be there and are not.
fn groups(name: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("MDRM_VECTORS").map(PathBuf::from) else {
        println!("MDRM_VECTORS is not set: {name} is not checked");
        return None;
    };
    let path = folder.join("wycheproof").join(format!("{name}.json"));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_slice(&text).unwrap();
    let groups = file["testGroups"].as_array().unwrap().clone();
    let tests: usize = groups.iter().map(|group| group["tests"].as_array().unwrap().len()).sum();
    assert_eq!(file["numberOfTests"], tests, "{name} is whole");
    Some(groups)
}

fn check_file(name: &str) {
    let Some(groups) = groups(name) else { return };
    let mut set = Set::new(name);
    for group in &groups {
        // Shared keys have no public half.
        let key = group.get("public").unwrap_or(&group["private"]);
        let text = key.to_string();
        for test in group["tests"].as_array().unwrap() {
            let answer = verdict(test["jws"].as_str().unwrap(), |token| match key.get("keys") {
                Some(_) => key_of_set(text.as_bytes(), token.header().kid.as_ref()),
                None => one_key(text.as_bytes(), key["kid"].as_str().unwrap()),
            });
            let said = match test["result"].as_str().unwrap() {
                "valid" => Said::Valid,
                "invalid" => Said::Invalid,
                "acceptable" => Said::Acceptable,
                other => panic!("{name} says {other}"),
            };
            set.record(test["tcId"].as_u64().unwrap().try_into().unwrap(), said, &answer);
        }
    }
    check(&[set]);
}

#[test]
fn tokens_are_verified_as_wycheproof_says() {
    check_file("json_web_signature_test");
}

#[test]
fn keys_are_used_as_wycheproof_says() {
    check_file("json_web_key_test");
}
