//! The answer to a request for one key. Input: the document.

use std::collections::BTreeMap;

use mdrm_authz::jose::jwk::{Key, KeyDocument, KeySet, Provenance, Ring};
use mdrm_authz::jose::token::Kid;
use mdrm_authz::jose::unusable::{NotASet, Unusable};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::log;

const RINGS: [Ring; 3] = [Ring::Access, Ring::Session, Ring::Master];

/// Members that nobody but the owner of a key knows (RFC 7518 section 6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// The members of a JSON object as they are spelled, the last one of a name.
pub(super) type Members = BTreeMap<String, Box<RawValue>>;

/// Whatever is taken for a key names itself, says that it is enabled, is public where it must be, and verifies nothing
/// that nobody has signed. Gives whether it is taken for a key of some kind.
pub fn check(input: &[u8]) -> bool {
    let mut is_key = false;
    let members: Members = serde_json::from_slice(input).unwrap_or_default();
    let own = text(&members, "kid").and_then(|kid| Kid::new(&kid));
    let asked = own.clone().or_else(|| Kid::new("a name")).expect("a name for a key");
    let stranger = Kid::new("another name").expect("a name for a key");
    for provenance in RINGS.into_iter().flat_map(provenances) {
        let document = KeyDocument::parse_one(input, &asked, provenance);
        match &document {
            Err(reason) => log::check_line(&reason.to_string()),
            Ok(KeyDocument::Enabled { key, .. }) => check_key(input, &members, key, provenance),
            Ok(KeyDocument::Disabled) => assert_eq!(text(&members, "status").as_deref(), Some("disabled")),
            Ok(KeyDocument::Deleted) => assert_eq!(text(&members, "status").as_deref(), Some("deleted")),
        }
        if let Ok(KeyDocument::Enabled { .. }) = &document {
            is_key = true;
            assert_eq!(own.as_ref(), Some(&asked), "a key that does not bear the name that was asked for");
            let other = KeyDocument::parse_one(input, &stranger, provenance);
            assert!(asked == stranger || matches!(other, Err(Unusable::Kid)), "{other:?}");
        }
        check_in_a_set(input, own.as_ref(), &document, provenance);
    }
    is_key
}

/// Where documents may come from.
fn provenances(ring: Ring) -> [Provenance<'static>; 2] {
    let one = Provenance {
        ring,
        default_owner: None,
        default_audiences: &[],
        symmetric: true,
        slow_algorithms: true,
        native: None,
    };
    [one, Provenance { default_owner: Some("an owner"), symmetric: false, slow_algorithms: false, ..one }]
}

pub(super) fn text(members: &Members, name: &str) -> Option<String> {
    members.get(name).and_then(|value| serde_json::from_str(value.get()).ok())
}

/// Whether there is such a member; `null` says nothing.
fn says(members: &Members, name: &str) -> bool {
    members.get(name).is_some_and(|value| value.get() != "null")
}

fn check_key(input: &[u8], members: &Members, key: &Key, provenance: Provenance<'_>) {
    let status = text(members, "status");
    assert!(!members.contains_key("status") || status.as_deref() == Some("enabled"), "{status:?}");
    let kty = text(members, "kty").expect("a key has a type");
    match (key, provenance.ring) {
        (Key::Access(access), Ring::Access) => {
            let named = text(members, "iss");
            assert_eq!(Some(&*access.owner), named.as_deref().or(provenance.default_owner));
            assert!(!access.owner.is_empty());
            for name in PRIVATE.into_iter().chain((kty != "oct").then_some("k")) {
                assert!(!says(members, name), "a public key with {name}");
            }
            assert_eq!(access.verifying_key.is_secret(), kty == "oct");
            assert!(provenance.symmetric || !access.verifying_key.is_secret(), "a secret out of a set");
            let alg = access.verifying_key.alg().name();
            assert!(!says(members, "alg") || text(members, "alg").as_deref() == Some(alg));
            assert_eq!(access.fingerprint, <[u8; 32]>::from(Sha256::digest(input)));
            for signature in [&[][..], &[0; 32], &[1; 64], &[0; 64], &[0; 96], &[0; 132], &[0; 256], &[1; 512]] {
                assert!(!access.verifying_key.verify(b"nobody has signed this", signature));
            }
        }
        (Key::Session(session), Ring::Session) => {
            assert!(["EC", "OKP"].contains(&&*kty));
            if let Ok(pair) = session.pair() {
                assert!(pair.sign(b"a session token").is_ok());
            }
        }
        (Key::Master(_), Ring::Master) => assert_eq!(kty, "oct"),
        _ => panic!("a key of another kind"),
    }
    assert_eq!(key.is_secret(), kty == "oct" || provenance.ring != Ring::Access);
    let shown = format!("{key:?}");
    for name in PRIVATE.into_iter().chain(["k"]) {
        if let Some(secret) = text(members, name).filter(|secret| secret.len() > 20) {
            assert!(!shown.contains(&secret), "{name} is shown");
        }
    }
}

/// Alone in a set, a document means what it means as an answer.
fn check_in_a_set(input: &[u8], own: Option<&Kid>, alone: &Result<KeyDocument, Unusable>, provenance: Provenance<'_>) {
    let set = [b"{\"keys\":[", input, b"]}"].concat();
    let set = match KeySet::parse(&set, provenance) {
        Ok(set) => set,
        // A set passes over a key of another purpose before it looks at the key's state.
        Err(NotASet::NothingUsable { other_purpose: 1.., .. }) => return,
        Err(_) => {
            // One level deeper, so that what is nested just deep enough alone is too deep here.
            let nested = input.iter().filter(|byte| b"[{".contains(byte)).count() > 100;
            assert!(alone.is_err() || own.is_none() || nested, "{alone:?} is not taken from a set");
            return;
        }
    };
    // The text may close the array and open another one.
    if let ([(kid, document)], Ok(alone)) = (&*set.keys.iter().collect::<Vec<_>>(), alone) {
        assert_eq!(Some(*kid), own);
        assert_eq!(kind(document), kind(alone));
    }
    assert!(set.holds_secrets || set.keys.values().all(|document| !is_secret(document)));
}

pub(super) fn is_secret(document: &KeyDocument) -> bool {
    matches!(document, KeyDocument::Enabled { key: Key::Access(key), .. } if key.verifying_key.is_secret())
}

pub(super) fn kind(document: &KeyDocument) -> (&'static str, Option<i64>) {
    match document {
        KeyDocument::Enabled { expires, .. } => ("enabled", *expires),
        KeyDocument::Disabled => ("disabled", None),
        KeyDocument::Deleted => ("deleted", None),
    }
}
