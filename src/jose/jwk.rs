//! Key documents of the key service: RFC 7517 keys with an owner, purposes and a state **\[ours\]**.
//!
//! A document is read strictly. Whatever cannot be used is [`Unusable`] with a reason for the log; a client only ever
//! learns that the key could not be resolved.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::algorithm::Alg;
use super::json::{Object, Value};
use super::master_key::MasterKey;
use super::native::Verify;
use super::signing::SessionKey;
use super::token::Kid;
use super::unusable::{Dropped, Flaw, NotASet, Unusable};
use super::verify::{VerifyingKey, WeakKey};
use crate::clock::TIMES;
use crate::denial::{Denial, KeyRefusal};

/// An enabled key that verifies tokens.
#[derive(Debug)]
pub struct AccessKey {
    /// The name that it is registered under.
    pub kid: Kid,
    /// The owner; a token's `iss` must equal it.
    pub owner: Rc<str>,
    /// The purposes that the key was created for. Empty: none.
    pub audiences: Box<[Box<str>]>,
    /// The session key to sign with.
    pub session_kid: SessionKid,
    /// Verifies signatures, and fixes their algorithm.
    pub verifying_key: VerifyingKey,
    /// SHA-256 of the document: tells whether a newly fetched key is the one that verified a token.
    pub fingerprint: [u8; 32],
}

/// The session key that an access key's document names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionKid {
    /// None: the configuration's is used.
    Unsaid,
    /// This one.
    Named(Kid),
    /// A text that no key can be named by.
    Impossible,
}

/// What a key service registers under a name: a key of one of the kinds.
#[derive(Debug, Clone)]
pub enum Key {
    /// [`Ring::Access`].
    Access(Rc<AccessKey>),
    /// [`Ring::Session`].
    Session(Rc<SessionKey>),
    /// [`Ring::Master`].
    Master(Rc<MasterKey>),
}

/// The kinds of keys, each held apart from the others; displayed as logs speak of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ring {
    /// Keys that verify tokens and CPIX documents.
    Access,
    /// Keys that sign session tokens.
    Session,
    /// Keys that decrypt Trust Tunnel requests.
    Master,
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Access => "key",
            Self::Session => "session key",
            Self::Master => "master key",
        })
    }
}

impl Ring {
    /// The refusal of a request that needs a key of this kind.
    pub const fn refused(self, refusal: KeyRefusal) -> Denial {
        match self {
            Self::Access => Denial::AccessKey(refusal),
            Self::Session => Denial::SessionKey(refusal),
            Self::Master => Denial::MasterKey(refusal),
        }
    }
}

/// What a readable key document says.
#[derive(Debug)]
pub enum KeyDocument {
    /// `status` is absent or `enabled`, and the key can be used.
    Enabled {
        /// The key.
        key: Key,
        /// Seconds since the epoch after which the key counts as disabled.
        expires: Option<i64>,
    },
    /// `status` is `disabled`, whatever else the document holds.
    Disabled,
    /// `status` is `deleted`, whatever else the document holds.
    Deleted,
}

/// Where a document came from decides what it may hold and what completes it.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// What kind of keys come from there.
    pub ring: Ring,
    /// Owner of keys whose document names none; none for one-key answers.
    pub default_owner: Option<&'a str>,
    /// Purposes of keys whose document names none.
    pub default_audiences: &'a [Box<str>],
    /// Whether HMAC keys are taken (not from a set that the network delivers).
    pub symmetric: bool,
    /// Whether ES384 and ES512 keys are taken where only the wasm VM can verify them (slow).
    pub slow_algorithms: bool,
    /// The host's own verification, if it has one that works.
    pub native: Option<Verify>,
}

/// A JWK Set without the keys that cannot be used, and without those that serve another purpose.
#[derive(Debug, Default)]
pub struct KeySet {
    /// The documents by name.
    pub keys: BTreeMap<Kid, KeyDocument>,
    /// The keys that cannot be used.
    pub dropped: Vec<Dropped>,
    /// A member of some key may be secret, whether the key can be used or not.
    pub holds_secrets: bool,
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 section 5). A key whose `use` or `key_ops` say that it serves another purpose is passed
    /// over, whatever else it says. Of the others one that cannot be used is dropped and the rest stay; a repeated name
    /// drops all that bear it. An empty array is a set: all keys are gone.
    ///
    /// # Errors
    /// [`NotASet`].
    pub fn parse(bytes: &[u8], provenance: Provenance<'_>) -> Result<Self, NotASet> {
        let object = Object::parse(bytes).map_err(NotASet::Json)?;
        let elements = object.get("keys").and_then(Value::elements).ok_or(NotASet::Keys)?;
        let mut set = Self::default();
        let mut other_purpose = 0_usize;
        let mut seen: BTreeMap<Kid, usize> = BTreeMap::new();
        for element in elements.iter().map(|element| element.spelling().as_bytes()) {
            let object = match Object::parse(element) {
                Ok(object) => object,
                Err(fault) => {
                    set.holds_secrets = true;
                    set.dropped.push(Dropped { kid: None, reason: Unusable::Json(fault) });
                    continue;
                }
            };
            set.holds_secrets |= PRIVATE.iter().any(|name| member(&object, name).is_some());
            if serves_another(&object, provenance.ring) {
                other_purpose = other_purpose.saturating_add(1);
                continue;
            }
            let kid = kid(&object);
            if let Some(kid) = &kid {
                let count = seen.entry(kid.clone()).or_default();
                *count = count.saturating_add(1);
            }
            let document = KeyDocument::read(element, &object, kid.as_ref(), provenance);
            match (kid, document) {
                (Some(kid), Ok(document)) => drop(set.keys.insert(kid, document)),
                (None, Ok(_)) => set.dropped.push(Dropped { kid: None, reason: Unusable::Kid }),
                (kid, Err(reason)) => set.dropped.push(Dropped { kid, reason }),
            }
        }
        for (kid, _) in seen.into_iter().filter(|(_, count)| *count > 1) {
            set.keys.remove(&kid);
            set.dropped.push(Dropped { kid: Some(kid), reason: Unusable::KidRepeated });
        }
        if set.keys.is_empty() && !elements.is_empty() {
            return Err(NotASet::NothingUsable { dropped: set.dropped, other_purpose });
        }
        Ok(set)
    }
}

/// Members that are secret (RFC 7518 section 6). `k` is what verifies in an `oct` key, and nothing anywhere else.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fn kid(object: &Object<'_>) -> Option<Kid> {
    member(object, "kid").and_then(Value::text).and_then(|kid| Kid::new(&kid))
}

const STATUS: Unusable = Unusable::Member("status", Flaw::NotOneOf("enabled, disabled, deleted"));

impl KeyDocument {
    /// Reads the answer to a request for the one key `asked`.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn parse_one(bytes: &[u8], asked: &Kid, provenance: Provenance<'_>) -> Result<Self, Unusable> {
        let object = Object::parse(bytes).map_err(Unusable::Json)?;
        let kid = Some(asked).filter(|asked| kid(&object).as_ref() == Some(*asked));
        match Self::read(bytes, &object, kid, provenance)? {
            Self::Enabled { .. } if kid.is_none() => Err(Unusable::Kid),
            document => Ok(document),
        }
    }

    fn read(
        bytes: &[u8],
        object: &Object<'_>,
        kid: Option<&Kid>,
        provenance: Provenance<'_>,
    ) -> Result<Self, Unusable> {
        // First of all: a deleted key is deleted even if the rest of its document is gone or broken.
        match object.get("status").map(Value::text) {
            None => {}
            Some(Some(status)) => match &*status {
                "enabled" => {}
                "disabled" => return Ok(Self::Disabled),
                "deleted" => return Ok(Self::Deleted),
                _ => return Err(STATUS),
            },
            // A state that is `null` is no state that anybody meant.
            Some(None) => return Err(STATUS),
        }
        let key = match provenance.ring {
            Ring::Access => Key::Access(Rc::new(AccessKey::read(bytes, object, kid, provenance)?)),
            Ring::Session => Key::Session(Rc::new(SessionKey::read(bytes, object, provenance.native)?)),
            Ring::Master => Key::Master(Rc::new(MasterKey::read(object)?)),
        };
        Ok(Self::Enabled { key, expires: expires(object)? })
    }
}

impl Key {
    /// Whether who knows the document could sign or decrypt with it: it is never shared with other workers.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Access(key) => key.verifying_key.is_secret(),
            Self::Session(_) | Self::Master(_) => true,
        }
    }
}

impl AccessKey {
    fn read(
        bytes: &[u8],
        object: &Object<'_>,
        kid: Option<&Kid>,
        provenance: Provenance<'_>,
    ) -> Result<Self, Unusable> {
        Ring::Access.purpose().check(object)?;
        Ok(Self {
            owner: owner(object, provenance)?,
            audiences: audiences(object, provenance)?,
            session_kid: match text(object, "session_kid")? {
                None => SessionKid::Unsaid,
                Some(kid) => Kid::new(&kid).map_or(SessionKid::Impossible, SessionKid::Named),
            },
            verifying_key: verifying_key(object, provenance)?,
            fingerprint: Sha256::digest(bytes).into(),
            kid: kid.ok_or(Unusable::Kid)?.clone(),
        })
    }
}

/// What a key may be used for (RFC 7517 sections 4.2 and 4.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    /// The one value of `use`.
    purpose: &'static str,
    /// `key_ops` must hold one of these.
    operations: &'static [&'static str],
    /// The same for the log.
    operations_text: &'static str,
}

impl Ring {
    /// What a key of this kind must be for, if it says what it is for.
    pub(super) const fn purpose(self) -> Purpose {
        match self {
            Self::Access => Purpose { purpose: "sig", operations: &["verify"], operations_text: "verify" },
            Self::Session => Purpose { purpose: "sig", operations: &["sign"], operations_text: "sign" },
            Self::Master => {
                Purpose { purpose: "enc", operations: &["decrypt", "unwrapKey"], operations_text: "decrypt, unwrapKey" }
            }
        }
    }
}

impl Purpose {
    /// Refuses a key that says that it is for something else.
    pub(super) fn check(self, object: &Object<'_>) -> Result<(), Unusable> {
        if text(object, "use")?.is_some_and(|named| named != self.purpose) {
            return Err(Unusable::Member("use", Flaw::NotOneOf(self.purpose)));
        }
        match member(object, "key_ops").map(Value::texts) {
            None => Ok(()),
            Some(Some(named)) if named.iter().any(|operation| self.operations.contains(&&**operation)) => Ok(()),
            Some(Some(_)) => Err(Unusable::Member("key_ops", Flaw::NotOneOf(self.operations_text))),
            Some(None) => Err(Unusable::Member("key_ops", Flaw::NotA("an array of strings"))),
        }
    }
}

/// Whether a key says, in a readable way, that it is for something else.
fn serves_another(object: &Object<'_>, ring: Ring) -> bool {
    matches!(ring.purpose().check(object), Err(Unusable::Member(_, Flaw::NotOneOf(_))))
}

fn owner(object: &Object<'_>, provenance: Provenance<'_>) -> Result<Rc<str>, Unusable> {
    let owner = text(object, "iss")?.or(provenance.default_owner.map(Cow::Borrowed));
    owner.filter(|owner| !owner.is_empty()).map(Into::into).ok_or(Unusable::Owner)
}

fn audiences(object: &Object<'_>, provenance: Provenance<'_>) -> Result<Box<[Box<str>]>, Unusable> {
    match member(object, "aud") {
        None => Ok(provenance.default_audiences.into()),
        Some(aud) => {
            let audiences = aud.texts().ok_or(Unusable::Member("aud", Flaw::NotA("an array of strings")))?;
            Ok(audiences.into_iter().map(Into::into).collect())
        }
    }
}

fn expires(object: &Object<'_>) -> Result<Option<i64>, Unusable> {
    const FLAW: Flaw = Flaw::NotA("a time in seconds within 0 and 253402300799");
    let Some(exp) = member(object, "exp") else { return Ok(None) };
    let seconds = exp.number().filter(|seconds| TIMES.contains(seconds)).ok_or(Unusable::Member("exp", FLAW))?;
    Ok(Some(seconds as i64))
}

fn verifying_key(object: &Object<'_>, provenance: Provenance<'_>) -> Result<VerifyingKey, Unusable> {
    let kty = text(object, "kty")?.ok_or(Unusable::KeyType)?;
    for name in PRIVATE {
        if member(object, name).is_some() && !(name == "k" && kty == "oct") {
            return Err(Unusable::Private(name));
        }
    }
    let named = match text(object, "alg")? {
        None => None,
        Some(alg) => Some(Alg::from_name(&alg).ok_or(Unusable::Algorithm)?),
    };
    let crv = text(object, "crv")?;
    let key = match (&*kty, crv.as_deref()) {
        ("RSA", _) => VerifyingKey::rsa(
            named.unwrap_or(Alg::Rs256),
            &bytes(object, "n")?,
            &bytes(object, "e")?,
            provenance.native,
        ),
        ("EC", Some(crv)) => {
            let implied = match crv {
                "P-256" => Alg::Es256,
                "P-384" => Alg::Es384,
                "P-521" => Alg::Es512,
                _ => return Err(Unusable::KeyType),
            };
            // RFC 7518 section 3.4 ties each algorithm to one curve.
            if named.is_some_and(|alg| alg != implied) {
                return Err(Unusable::Weak(WeakKey::WrongType));
            }
            if implied.is_slow() && provenance.native.is_none() && !provenance.slow_algorithms {
                return Err(Unusable::SlowAlgorithm);
            }
            VerifyingKey::ecdsa(implied, &bytes(object, "x")?, &bytes(object, "y")?, provenance.native)
        }
        ("OKP", Some("Ed25519")) => VerifyingKey::ed25519(named.unwrap_or(Alg::EdDsa), &bytes(object, "x")?),
        ("oct", _) if !provenance.symmetric => return Err(Unusable::Symmetric),
        ("oct", _) => VerifyingKey::hmac(named.ok_or(Unusable::Algorithm)?, &secret_bytes(object, "k")?),
        _ => return Err(Unusable::KeyType),
    };
    key.map_err(Unusable::Weak)
}

/// A member that says something: `null` says nothing.
fn member<'a>(object: &Object<'a>, name: &str) -> Option<Value<'a>> {
    object.get(name).filter(|value| !value.is_null())
}

/// A string member; absent is fine, any other type is not.
pub(super) fn text<'a>(object: &Object<'a>, name: &'static str) -> Result<Option<Cow<'a, str>>, Unusable> {
    member(object, name).map(|value| value.text().ok_or(Unusable::Member(name, Flaw::NotA("a string")))).transpose()
}

/// A required string member.
fn required<'a>(object: &Object<'a>, name: &'static str) -> Result<Cow<'a, str>, Unusable> {
    text(object, name)?.ok_or(Unusable::Member(name, Flaw::Missing))
}

/// A required member of canonical base64url.
pub(super) fn bytes(object: &Object<'_>, name: &'static str) -> Result<Vec<u8>, Unusable> {
    let text = required(object, name)?;
    URL_SAFE_NO_PAD.decode(&*text).map_err(|_| Unusable::Member(name, Flaw::NotBase64Url))
}

/// A required member of canonical base64url that is secret, in memory that is wiped; so is everything on the way to it.
pub(super) fn secret_bytes(object: &Object<'_>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let value = member(object, name).ok_or(Unusable::Member(name, Flaw::Missing))?;
    let not_base64url = Unusable::Member(name, Flaw::NotBase64Url);
    let is_string = value.spelling().starts_with('"');
    let wrong = || if is_string { not_base64url.clone() } else { Unusable::Member(name, Flaw::NotA("a string")) };
    let text = value.secret_ascii().ok_or_else(wrong)?;
    let mut secret = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = URL_SAFE_NO_PAD.decode_slice(text.as_slice(), &mut secret).map_err(|_| not_base64url)?;
    secret.truncate(length);
    Ok(secret)
}
