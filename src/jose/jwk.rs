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
use super::verify::{VerifyingKey, WeakKey};
use crate::denial::{Denial, JsonFault, KeyRefusal};

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

/// Why a key document cannot be used, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// The text is not a strict JSON object.
    Json(JsonFault),
    /// `kid` is absent, not a usable name, or not the one asked for.
    Kid,
    /// Two documents of a set share the name.
    KidRepeated,
    /// A member has the wrong type or value.
    Member(&'static str),
    /// No owner, neither in the document nor in the configuration.
    Owner,
    /// A private member in a public document.
    Private(&'static str),
    /// `alg` is not a supported algorithm, or an `oct` key names none.
    Algorithm,
    /// `kty` and `crv` are not supported.
    KeyType,
    /// An HMAC key in a fetched set.
    Symmetric,
    /// ES384 or ES512 without `allow_slow_algorithms` on a host without native verification.
    SlowAlgorithm,
    /// The key material is wrong or weak.
    Weak(WeakKey),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(fault) => write!(f, "{fault}"),
            Self::Kid => f.write_str("kid is not the one asked for, or no usable name"),
            Self::KidRepeated => f.write_str("kid stands twice in the set"),
            Self::Member(name) => write!(f, "{name} has the wrong type or value"),
            Self::Owner => f.write_str("no owner (iss)"),
            Self::Private(name) => write!(f, "private member {name}"),
            Self::Algorithm => f.write_str("alg is missing or not supported"),
            Self::KeyType => f.write_str("kty or crv is not supported"),
            Self::Symmetric => f.write_str("an HMAC key in a fetched set"),
            Self::SlowAlgorithm => f.write_str("ES384 and ES512 need allow_slow_algorithms on this host"),
            Self::Weak(weak) => write!(f, "{weak}"),
        }
    }
}

/// A JWK Set after the unusable members were dropped.
#[derive(Debug, Default)]
pub struct KeySet {
    /// The documents by name.
    pub keys: BTreeMap<Kid, KeyDocument>,
    /// What was dropped, and why.
    pub dropped: Vec<(Option<Kid>, Unusable)>,
    /// A member of some key may be secret, whether the key can be used or not.
    pub holds_secrets: bool,
}

/// Why a text is no JWK Set at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotASet {
    /// Not a strict JSON object.
    Json(JsonFault),
    /// `keys` is absent or not an array.
    Keys,
    /// `keys` has members, and none can be used.
    NothingUsable,
}

impl fmt::Display for NotASet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(fault) => write!(f, "{fault}"),
            Self::Keys => f.write_str("keys is not an array"),
            Self::NothingUsable => f.write_str("none of the keys can be used"),
        }
    }
}

impl KeySet {
    /// Reads a JWK Set (RFC 7517 section 5). A key that cannot be used is dropped and the others stay; a repeated name
    /// drops all that bear it. An empty array is a set: all keys are gone.
    ///
    /// # Errors
    /// [`NotASet`].
    pub fn parse(bytes: &[u8], provenance: Provenance<'_>) -> Result<Self, NotASet> {
        let object = Object::parse(bytes).map_err(NotASet::Json)?;
        let elements = object.get("keys").and_then(Value::elements).ok_or(NotASet::Keys)?;
        let mut set = Self::default();
        let mut seen: BTreeMap<Kid, usize> = BTreeMap::new();
        for element in elements.iter().map(|element| element.spelling().as_bytes()) {
            let object = Object::parse(element);
            set.holds_secrets |=
                object.as_ref().map_or(true, |object| PRIVATE.iter().any(|name| object.contains(name)));
            let (kid, document) = match object {
                Err(fault) => (None, Err(Unusable::Json(fault))),
                Ok(object) => {
                    let kid = kid(&object);
                    let document = KeyDocument::read(element, &object, kid.as_ref(), provenance);
                    (kid, document)
                }
            };
            if let Some(kid) = &kid {
                let count = seen.entry(kid.clone()).or_default();
                *count = count.saturating_add(1);
            }
            match (kid, document) {
                (Some(kid), Ok(document)) => drop(set.keys.insert(kid, document)),
                (kid, Err(reason)) => set.dropped.push((kid, reason)),
                (None, Ok(_)) => set.dropped.push((None, Unusable::Kid)),
            }
        }
        for (kid, _) in seen.into_iter().filter(|(_, count)| *count > 1) {
            set.keys.remove(&kid);
            set.dropped.push((Some(kid), Unusable::KidRepeated));
        }
        if set.keys.is_empty() && !elements.is_empty() { Err(NotASet::NothingUsable) } else { Ok(set) }
    }
}

/// Members that are secret (RFC 7518 section 6). `k` is what verifies in an `oct` key, and nothing anywhere else.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

fn kid(object: &Object<'_>) -> Option<Kid> {
    object.get("kid").and_then(Value::text).and_then(|kid| Kid::new(&kid))
}

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
                _ => return Err(Unusable::Member("status")),
            },
            Some(None) => return Err(Unusable::Member("status")),
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
        check_purpose(object, "sig", &["verify"])?;
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

/// RFC 7517 sections 4.2 and 4.3: a key that says what it is for must say `purpose` and one of `operations`.
pub(super) fn check_purpose(object: &Object<'_>, purpose: &str, operations: &[&str]) -> Result<(), Unusable> {
    if text(object, "use")?.is_some_and(|named| named != purpose) {
        return Err(Unusable::Member("use"));
    }
    match object.get("key_ops").map(Value::texts) {
        None => Ok(()),
        Some(Some(named)) if named.iter().any(|operation| operations.contains(&&**operation)) => Ok(()),
        Some(_) => Err(Unusable::Member("key_ops")),
    }
}

fn owner(object: &Object<'_>, provenance: Provenance<'_>) -> Result<Rc<str>, Unusable> {
    let owner = text(object, "iss")?.or(provenance.default_owner.map(Cow::Borrowed));
    owner.filter(|owner| !owner.is_empty()).map(Into::into).ok_or(Unusable::Owner)
}

fn audiences(object: &Object<'_>, provenance: Provenance<'_>) -> Result<Box<[Box<str>]>, Unusable> {
    match object.get("aud") {
        None => Ok(provenance.default_audiences.into()),
        Some(aud) => {
            let audiences = aud.texts().ok_or(Unusable::Member("aud"))?;
            Ok(audiences.into_iter().map(Into::into).collect())
        }
    }
}

fn expires(object: &Object<'_>) -> Result<Option<i64>, Unusable> {
    let Some(exp) = object.get("exp") else { return Ok(None) };
    let seconds = exp.number().filter(|seconds| seconds.is_finite()).ok_or(Unusable::Member("exp"))?;
    // Saturates far outside of any clock.
    Ok(Some(seconds as i64))
}

fn verifying_key(object: &Object<'_>, provenance: Provenance<'_>) -> Result<VerifyingKey, Unusable> {
    let kty = text(object, "kty")?.ok_or(Unusable::KeyType)?;
    for name in PRIVATE {
        if object.contains(name) && !(name == "k" && kty == "oct") {
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

/// A string member; absent is fine, any other type is not.
pub(super) fn text<'a>(object: &Object<'a>, name: &'static str) -> Result<Option<Cow<'a, str>>, Unusable> {
    object.get(name).map(|value| value.text().ok_or(Unusable::Member(name))).transpose()
}

/// A required member of canonical base64url.
pub(super) fn bytes(object: &Object<'_>, name: &'static str) -> Result<Vec<u8>, Unusable> {
    let text = text(object, name)?.ok_or(Unusable::Member(name))?;
    URL_SAFE_NO_PAD.decode(&*text).map_err(|_| Unusable::Member(name))
}

/// A required member of canonical base64url that is secret, in memory that is wiped; so is everything on the way to it.
pub(super) fn secret_bytes(object: &Object<'_>, name: &'static str) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let wrong = Unusable::Member(name);
    let text = object.get(name).and_then(Value::secret_ascii).ok_or(wrong.clone())?;
    let mut secret = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = URL_SAFE_NO_PAD.decode_slice(text.as_slice(), &mut secret).map_err(|_| wrong)?;
    secret.truncate(length);
    Ok(secret)
}
