//! Published test vectors against the signature checks of the core: Wycheproof, and the examples of the RFCs.
//!
//! `README.md` beside the vectors has the counts, `exceptions.tsv` the vectors that this crate answers otherwise, each
//! with the reason. Both are checked: a count that changes, an exception that is missing and one that is not needed any
//! more all fail.

mod files;
mod ledger;
mod primitives;
mod rfc;

use std::rc::Rc;

use mdrm_authz::denial::{Denial, Part};
use mdrm_authz::jose::jwk::{AccessKey, Key, KeyDocument, KeySet, Provenance, Ring};
use mdrm_authz::jose::token::{Kid, UntrustedToken};

use ledger::Verdict;

/// Of keys whose document names no owner: the vectors' do not.
const OWNER: &str = "the vectors";

/// As in `keys.inline`: HMAC keys are taken, and the VM verifies everything.
fn provenance() -> Provenance<'static> {
    Provenance {
        ring: Ring::Access,
        default_owner: Some(OWNER),
        default_audiences: &[],
        symmetric: true,
        slow_algorithms: true,
        native: None,
    }
}

/// The verdict on a compact JWS whose payload may be anything; the core takes JSON objects alone.
///
/// Form and header are checked by the core's own parser, the header's `alg` as the core checks it.
fn verdict(jws: &str, keys: impl FnOnce(&UntrustedToken) -> Result<Rc<AccessKey>, String>) -> Verdict {
    // The parser decodes all three parts before it looks at the payload.
    match UntrustedToken::parse(jws, usize::MAX) {
        Ok(_) | Err(Denial::PartNotObject(Part::Payload, _)) => {}
        Err(_) => return Verdict::Refused("the form of the token".to_owned()),
    }
    let (signing_input, signature) = jws.rsplit_once('.').unwrap();
    let (header, _) = signing_input.split_once('.').unwrap();
    let token = UntrustedToken::parse(&format!("{header}.e30.{signature}"), usize::MAX).unwrap();
    let key = match keys(&token) {
        Ok(key) => key,
        Err(cause) => return Verdict::Refused(format!("the key: {cause}")),
    };
    if token.header().alg.as_deref() != Some(key.verifying_key.alg().name()) {
        return Verdict::Refused("alg is not the key's".to_owned());
    }
    if token.header().has_extension {
        return Verdict::Refused("crit or b64".to_owned());
    }
    Verdict::of(key.verifying_key.verify(signing_input.as_bytes(), token.signature()))
}

/// The key that a document holds, if it can be used.
fn one_key(document: &[u8], kid: &str) -> Result<Rc<AccessKey>, String> {
    let kid = Kid::new(kid).ok_or("no name")?;
    enabled(KeyDocument::parse_one(document, &kid, provenance()).map_err(|unusable| unusable.to_string())?)
}

/// The key of a set that a token names.
fn key_of_set(set: &[u8], kid: Option<&Kid>) -> Result<Rc<AccessKey>, String> {
    let mut set = KeySet::parse(set, provenance()).map_err(|not_a_set| not_a_set.to_string())?;
    enabled(kid.and_then(|kid| set.keys.remove(kid)).ok_or("not in the set")?)
}

fn enabled(document: KeyDocument) -> Result<Rc<AccessKey>, String> {
    match document {
        KeyDocument::Enabled { key: Key::Access(key), .. } => Ok(key),
        other => Err(format!("{other:?}")),
    }
}
