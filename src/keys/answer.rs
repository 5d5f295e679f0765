//! The answer of the key service -> what it says about keys, and for how long.

use std::fmt;
use std::time::Duration;

use crate::jose::jwk::{KeyDocument, KeySet, NotASet, Provenance, Unusable};
use crate::jose::token::Kid;

/// Largest answer to a request for one key, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 64 << 10;
/// Largest JWK Set, in bytes.
pub const MAX_SET_BYTES: usize = 1 << 20;

/// The shortest freshness: what `no-store` and the like mean.
const SHORTEST: Duration = Duration::from_secs(1);

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

    /// How long the answer is fresh (RFC 9111 section 4.2): the first valid `max-age` less `Age`, at most `limit`;
    /// `default` if the answer says nothing usable. Never shorter than a second.
    pub fn freshness(&self, default: Duration, limit: Duration) -> Duration {
        let directives = self.cache_control.iter().filter_map(|value| std::str::from_utf8(value).ok());
        let directives: Vec<&str> = directives.flat_map(|value| value.split(',')).map(str::trim).collect();
        let forbids = |name: &str| directives.iter().any(|directive| directive.eq_ignore_ascii_case(name));
        if forbids("no-store") || forbids("no-cache") {
            return SHORTEST;
        }
        let Some(max_age) = directives.iter().find_map(|directive| max_age(directive)) else {
            return default;
        };
        let age = self.age.and_then(|age| std::str::from_utf8(age).ok()).and_then(|age| delta_seconds(age.trim()));
        max_age.saturating_sub(age.unwrap_or_default()).clamp(SHORTEST, limit.max(SHORTEST))
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
        let minute = Duration::from_secs(60);
        let fresh = |values: &[&[u8]], age: Option<&[u8]>| {
            let answer = Answer { status: 200, cache_control: values, age, etag: None, body: None };
            answer.freshness(minute, minute.saturating_mul(10)).as_secs()
        };
        for (value, seconds) in [
            (&b"max-age=30"[..], 30),
            (b"public, Max-Age=30", 30),
            (b"max-age=\"30\"", 30),
            (b"max-age=x, max-age=7", 7),
            (b"max-age=7, max-age=8", 7),
            (b"max-age=0", 1),
            (b"max-age=99999999999999999999", 600),
            (b"max-age=601", 600),
            (b"max-age=30, no-store", 1),
            (b"No-Cache", 1),
            (b"s-maxage=5", 60),
            (b"max-age=-1", 60),
            (b"max-age", 60),
            (b"\xff", 60),
        ] {
            assert_eq!(fresh(&[value], None), seconds, "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(fresh(&[b"public", b"max-age=9"], None), 9);
        assert_eq!(fresh(&[b"max-age=30"], Some(b"10")), 20);
        assert_eq!(fresh(&[b"max-age=30"], Some(b"40")), 1);
        assert_eq!(fresh(&[b"max-age=30"], Some(b"soon")), 30);
        assert_eq!(fresh(&[], Some(b"10")), 60);
    }
}
