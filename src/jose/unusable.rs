//! Why a key cannot be used: reasons for the log, for `explain` and for `check-config`. A client never sees one.

use std::fmt;

use super::token::Kid;
use super::verify::WeakKey;
use crate::denial::JsonFault;

/// Why a key document cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// The text is not a strict JSON object.
    Json(JsonFault),
    /// `kid` is absent, not a usable name, or not the one asked for.
    Kid,
    /// Two documents of a set share the name.
    KidRepeated,
    /// A member is missing or wrong.
    Member(&'static str, Flaw),
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

/// What is wrong with a member of a key document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is absent, or `null`.
    Missing,
    /// Its type is not this one.
    NotA(&'static str),
    /// It is not base64url without padding (RFC 7515 section 2), or has trailing bits that are not zero.
    NotBase64Url,
    /// It decodes to the wrong number of octets.
    Octets {
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// Its value is not one of these.
    NotOneOf(&'static str),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(fault) => write!(f, "{fault}"),
            Self::Kid => f.write_str("kid is not the one asked for, or no usable name"),
            Self::KidRepeated => f.write_str("kid stands twice in the set"),
            Self::Member(name, flaw) => write!(f, "{name} {flaw}"),
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

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::NotA(expected) => write!(f, "is not {expected}"),
            Self::NotBase64Url => f.write_str("is not base64url without padding"),
            Self::Octets { found, expected } => write!(f, "has {found} octets, {expected} are required"),
            Self::NotOneOf(allowed) => write!(f, "is not one of those allowed: {allowed}"),
        }
    }
}

/// A key of a set that cannot be used; displayed with its name for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// `None` if it has no usable name.
    pub kid: Option<Kid>,
    /// Why.
    pub reason: Unusable,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key {kid}: {}", self.reason),
            None => write!(f, "a key without a usable kid: {}", self.reason),
        }
    }
}

/// The keys of one set that cannot be used, as one text: each with its reason, the first ten of many.
pub struct DropList<'a>(pub &'a [Dropped]);

impl fmt::Display for DropList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, dropped) in self.0.iter().take(NAMED_DROPS).enumerate() {
            write!(f, "{}{dropped}", if at == 0 { "" } else { "; " })?;
        }
        match self.0.len().checked_sub(NAMED_DROPS) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "; {more} more keys"),
        }
    }
}

/// How many keys of one set are named.
const NAMED_DROPS: usize = 10;

/// Why a text is no JWK Set at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotASet {
    /// Not a strict JSON object.
    Json(JsonFault),
    /// `keys` is absent or not an array.
    Keys,
    /// `keys` has members, and none can be used.
    NothingUsable {
        /// The keys that cannot be used.
        dropped: Vec<Dropped>,
        /// How many keys were passed over because they serve another purpose.
        other_purpose: usize,
    },
}

impl fmt::Display for NotASet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dropped, other_purpose) = match self {
            Self::Json(fault) => return write!(f, "{fault}"),
            Self::Keys => return f.write_str("keys is not an array"),
            Self::NothingUsable { dropped, other_purpose } => (dropped, *other_purpose),
        };
        f.write_str("none of the keys can be used")?;
        if !dropped.is_empty() {
            write!(f, ": {}", DropList(dropped))?;
        }
        match other_purpose {
            0 => Ok(()),
            others => write!(f, "; {others} serve another purpose (use, key_ops)"),
        }
    }
}
