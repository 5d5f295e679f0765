//! The answer of the key service -> what it says about keys, and for how long.

use std::fmt;
use std::time::Duration;

use crate::jose::jwk::{KeyDocument, KeySet, Provenance};
use crate::jose::token::Kid;
use crate::jose::unusable::{NotASet, Unusable};

/// Largest answer to a request for one key, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 10;
/// Largest JWK Set, in bytes.
pub const MAX_SET_BYTES: usize = 1 << 20;

/// An HTTP answer as the host delivered it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Values of every `cache-control` header, in order.
    pub cache_control: &'a [&'a [u8]],
    /// Value of `age`.
    pub age: Option<&'a [u8]>,
    /// Value of `etag`.
    pub etag: Option<&'a [u8]>,
    /// The whole body; none if it was larger than allowed and therefore never read.
    pub body: Option<&'a [u8]>,
}

/// Why an answer is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No answer: no such cluster, no healthy host, time-out, reset.
    NoAnswer,
    /// A status that says nothing about keys. Envoy itself answers 503 and 504 for a service that it cannot reach.
    Status(u16),
    /// The body is larger than allowed.
    TooLarge,
    /// The body of a 200 is not one JSON object.
    NotADocument,
    /// The body of a 200 is not a JWK Set.
    NotASet(NotASet),
    /// The set has more keys than `keys.max_entries`.
    TooManyKeys,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("no answer (unknown cluster, no healthy host, time-out or reset)"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::NotADocument => f.write_str("the answer is not one JSON object"),
            Self::NotASet(fault) => write!(f, "the answer is not a JWK Set: {fault}"),
            Self::TooManyKeys => f.write_str("the set has more keys than keys.max_entries"),
        }
    }
}

/// What the service says about one key.
#[derive(Debug)]
pub enum OneKey {
    /// A document.
    Document(KeyDocument),
    /// A document that cannot be used.
    Unusable(Unusable),
    /// 404: never registered.
    Unknown,
    /// 410: deleted.
    Deleted,
}

impl Answer<'_> {
    /// Reads the answer to a request for the key `asked`.
    ///
    /// # Errors
    /// [`Failure`]: the key service did not say anything about the key.
    pub fn one_key(&self, asked: &Kid, provenance: Provenance<'_>) -> Result<OneKey, Failure> {
        match self.status {
            200 => {
                let body = self.body.ok_or(Failure::TooLarge)?;
                match KeyDocument::parse_one(body, asked, provenance) {
                    Ok(document) => Ok(OneKey::Document(document)),
                    Err(Unusable::Json(fault)) if fault.is_unparsable() => Err(Failure::NotADocument),
                    Err(reason) => Ok(OneKey::Unusable(reason)),
                }
            }
            404 => Ok(OneKey::Unknown),
            410 => Ok(OneKey::Deleted),
            status => Err(Failure::Status(status)),
        }
    }

    /// Reads the answer to a request for the whole set.
    ///
    /// # Errors
    /// [`Failure`]: there is no set in the answer, or one of more than `max_entries` keys.
    pub fn set(&self, provenance: Provenance<'_>, max_entries: usize) -> Result<KeySet, Failure> {
        if self.status != 200 {
            return Err(Failure::Status(self.status));
        }
        let set = KeySet::parse(self.body.ok_or(Failure::TooLarge)?, provenance).map_err(Failure::NotASet)?;
        if set.keys.len() > max_entries { Err(Failure::TooManyKeys) } else { Ok(set) }
    }

    /// Whether this is what the host tells of a request that ended before it was answered: refused or reset. Envoy gives
    /// 503 then, and 504 after a time-out.
    pub(crate) fn ended_early(&self) -> bool {
        self.status == 503
    }

    /// How long the answer says that it is fresh (RFC 9111 section 4.2): the first valid `max-age` less `Age`. Zero for
    /// `no-store` and `no-cache`, `None` if the answer says nothing usable. Not within anyone's bounds yet: see
    /// [`Keys::freshness`](crate::config::Keys::freshness).
    pub fn stated_freshness(&self) -> Option<Duration> {
        let directives = self.cache_control.iter().filter_map(|value| std::str::from_utf8(value).ok());
        let directives: Vec<&str> = directives.flat_map(|value| value.split(',')).map(str::trim).collect();
        let forbids = |name: &str| directives.iter().any(|directive| directive.eq_ignore_ascii_case(name));
        if forbids("no-store") || forbids("no-cache") {
            return Some(Duration::ZERO);
        }
        let max_age = directives.iter().find_map(|directive| max_age(directive))?;
        let age = self.age.and_then(|age| std::str::from_utf8(age).ok()).and_then(|age| delta_seconds(age.trim()));
        Some(max_age.saturating_sub(age.unwrap_or_default()))
    }
}

fn max_age(directive: &str) -> Option<Duration> {
    let (name, value) = directive.split_once('=')?;
    // RFC 9111 section 5.2: recipients accept the quoted form as well.
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    name.eq_ignore_ascii_case("max-age").then(|| delta_seconds(value)).flatten()
}

/// RFC 9111 section 1.2.2; a number too large to hold counts as very long.
fn delta_seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_follows_the_first_valid_max_age() {
        let stated = |values: &[&[u8]], age: Option<&[u8]>| {
            let answer = Answer { status: 200, cache_control: values, age, etag: None, body: None };
            answer.stated_freshness().map(|stated| stated.as_secs())
        };
        for (value, seconds) in [
            (&b"max-age=30"[..], Some(30)),
            (b"public, Max-Age=30", Some(30)),
            (b"max-age=\"30\"", Some(30)),
            (b"max-age=x, max-age=7", Some(7)),
            (b"max-age=7, max-age=8", Some(7)),
            (b"max-age=0", Some(0)),
            (b"max-age=99999999999999999999", Some(u64::from(u32::MAX))),
            (b"max-age=30, no-store", Some(0)),
            (b"No-Cache", Some(0)),
            (b"s-maxage=5", None),
            (b"max-age=-1", None),
            (b"max-age", None),
            (b"\xff", None),
        ] {
            assert_eq!(stated(&[value], None), seconds, "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(stated(&[b"public", b"max-age=9"], None), Some(9));
        assert_eq!(stated(&[b"max-age=30"], Some(b"10")), Some(20));
        assert_eq!(stated(&[b"max-age=30"], Some(b"40")), Some(0));
        assert_eq!(stated(&[b"max-age=30"], Some(b"soon")), Some(30));
        assert_eq!(stated(&[], Some(b"10")), None);
    }
}
