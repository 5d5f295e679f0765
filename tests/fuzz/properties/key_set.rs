//! A JWK Set. Input: the text.

use std::collections::BTreeMap;

use mdrm_authz::jose::jwk::{KeyDocument, KeySet, Provenance, Ring};
use mdrm_authz::jose::token::Kid;
use mdrm_authz::jose::unusable::{Dropped, Unusable};
use mdrm_authz::keys::answer::{Answer, Failure};
use serde_json::value::RawValue;

use super::key_document::{Members, is_secret, kind, text};
use super::log;

/// A set holds exactly those of its documents that can be used alone and share their name with no other, in whatever order
/// they stand. Gives whether there are keys.
pub fn check(input: &[u8]) -> bool {
    let mut has_keys = false;
    for symmetric in [false, true] {
        let provenance = Provenance {
            ring: Ring::Access,
            default_owner: Some("an owner"),
            default_audiences: &[],
            symmetric,
            slow_algorithms: true,
            native: None,
        };
        match KeySet::parse(input, provenance) {
            Err(fault) => log::check_line(&fault.to_string()),
            Ok(set) => {
                check_set(input, &set, provenance);
                has_keys |= !set.keys.is_empty();
            }
        }
    }
    has_keys
}

/// Whether a key says, in a readable way, that it does not verify signatures.
fn serves_another(members: &Members) -> bool {
    let operations = members.get("key_ops").and_then(|value| serde_json::from_str::<Vec<String>>(value.get()).ok());
    let unreadable =
        |name: &str, readable: bool| !readable && members.get(name).is_some_and(|value| value.get() != "null");
    let purpose = text(members, "use");
    if unreadable("use", purpose.is_some()) {
        return false;
    }
    purpose.is_some_and(|purpose| purpose != "sig")
        || operations.is_some_and(|operations| operations.iter().all(|operation| operation != "verify"))
}

fn check_set(input: &[u8], set: &KeySet, provenance: Provenance<'_>) {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(input).expect("a set is a JSON object");
    let elements: Vec<Box<RawValue>> = serde_json::from_str(members["keys"].get()).expect("keys is an array");
    // A key of another purpose is none of the set's.
    let name = |element: &RawValue| {
        let members: Members = serde_json::from_str(element.get()).ok().filter(|members| !serves_another(members))?;
        text(&members, "kid").and_then(|kid| Kid::new(&kid))
    };
    let names: Vec<Option<Kid>> = elements.iter().map(|element| name(element)).collect();
    let mut expected = BTreeMap::new();
    for (element, kid) in elements.iter().zip(&names) {
        let Some(kid) = kid else { continue };
        let alone = KeyDocument::parse_one(element.get().as_bytes(), kid, provenance);
        // An element that repeats a member has no name to share.
        let bears = |element: &RawValue| {
            let other = KeyDocument::parse_one(element.get().as_bytes(), kid, provenance);
            name(element).as_ref() == Some(kid) && !matches!(other, Err(Unusable::Json(_)))
        };
        if let (Ok(document), 1) = (alone, elements.iter().filter(|element| bears(element)).count()) {
            expected.insert(kid.clone(), kind(&document));
        }
    }
    let found: BTreeMap<Kid, _> = set.keys.iter().map(|(kid, document)| (kid.clone(), kind(document))).collect();
    assert_eq!(found, expected);
    for kid in names.iter().flatten().filter(|kid| !set.keys.contains_key(kid)) {
        // One that repeats a member is dropped without its name.
        let dropped =
            |dropped: &Dropped| dropped.kid.as_ref() == Some(kid) || matches!(dropped.reason, Unusable::Json(_));
        assert!(set.dropped.iter().any(dropped), "{kid} was neither taken nor dropped");
    }
    assert!(!set.keys.is_empty() || elements.is_empty());
    assert!(set.holds_secrets || set.keys.values().all(|document| !is_secret(document)));
    set.dropped.iter().for_each(|dropped| log::check_line(&dropped.to_string()));

    let reversed: Vec<&str> = elements.iter().rev().map(|element| element.get()).collect();
    let reversed = format!("{{\"keys\":[{}]}}", reversed.join(","));
    let reversed = KeySet::parse(reversed.as_bytes(), provenance).expect("the order does not matter");
    assert!(reversed.keys.keys().eq(set.keys.keys()));

    let answer = Answer { status: 200, cache_control: &[], age: None, etag: None, body: Some(input) };
    assert!(answer.set(provenance, set.keys.len()).is_ok());
    if let Some(fewer) = set.keys.len().checked_sub(1) {
        assert!(matches!(answer.set(provenance, fewer), Err(Failure::TooManyKeys)));
    }
}
