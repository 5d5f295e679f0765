//! `keys`, `session.keys` and `trust_tunnel.keys`: where keys come from and how long they are held.

use std::fmt;
use std::time::Duration;

use super::limits::{self, Range};
use super::source::{self, KeyPath, KeySource};
use super::{Result, audiences, duration, number, raw, refuse};
use crate::jose::jwk::{KeySet, Provenance, Ring};
use crate::jose::unusable::DropList;

/// A source of keys of one kind, and the bounds of what is held.
#[derive(Debug)]
pub struct Keys {
    /// The key service; none if every key is inline.
    pub source: Option<KeySource>,
    /// Freshness where an answer says nothing usable.
    pub max_age: Duration,
    /// Cap on the freshness that an answer may give.
    pub max_age_limit: Duration,
    /// Floor under the freshness that an answer may give; at most [`Self::max_age_limit`].
    pub min_age: Duration,
    /// How long past freshness an entry serves while the key service fails.
    pub stale_if_error: Duration,
    /// How long "unknown" and "unusable" are remembered.
    pub negative_max_age: Duration,
    /// JWK Set mode: an unknown `kid` refetches the set at most this often.
    pub refetch_interval: Duration,
    /// Keys held per worker.
    pub max_entries: usize,
    /// Requests per worker that may wait for keys.
    pub max_waiting: usize,
    /// Owner of keys in sets whose document names none.
    pub issuer: Option<Box<str>>,
    /// Purposes of keys in sets whose document names none.
    pub audiences: Box<[Box<str>]>,
    /// Accept ES384 and ES512 keys where only the wasm VM can verify them (`allow_slow_algorithms`).
    pub slow_algorithms: bool,
    /// A JWK Set that shadows the key service. It was readable when the configuration was accepted.
    pub inline: Option<InlineKeys>,
}

impl Keys {
    /// How long an answer is fresh that states this freshness of itself.
    pub fn freshness(&self, stated: Option<Duration>) -> Duration {
        stated.map_or(self.max_age, |stated| stated.min(self.max_age_limit).max(self.min_age))
    }
}

/// The text of an inline JWK Set; may hold shared secrets, so it is never printed.
pub struct InlineKeys(Box<str>);

impl InlineKeys {
    /// The JWK Set as it was configured.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for InlineKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// `keys`: access keys.
pub(super) fn access(
    keys: raw::Keys,
    slow_algorithms: bool,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Keys> {
    let within = |name, value, range: &Range<Duration>| duration(&format!("keys.{name}"), value, range);
    if keys.issuer.as_deref() == Some("") {
        return refuse("keys.issuer", "found an empty string, allowed: the owner of keys that name none");
    }
    let default_audiences = match keys.audiences {
        None => Box::default(),
        some => audiences("keys.audiences", some, "")?,
    };
    let inline = match keys.inline {
        None => None,
        Some(text) => Some(inline(&text.0, keys.issuer.as_deref(), &default_audiences)?),
    };
    let timeout = timeout("keys", keys.timeout)?;
    let source = match keys.cluster {
        Some(cluster) => {
            let raw = source::Raw {
                cluster,
                authority: keys.authority,
                path: keys.path.unwrap_or_else(|| limits::KEYS_PATH.to_owned()),
                headers: keys.headers,
            };
            Some(KeySource::new("keys", raw, timeout, environment)?)
        }
        None if inline.is_some() => {
            let set = [("authority", keys.authority.is_some()), ("path", keys.path.is_some())];
            let set = set.into_iter().chain([("headers", !keys.headers.0.is_empty())]).find(|(_, set)| *set);
            match set {
                Some((name, _)) => return refuse(format!("keys.{name}"), "is of no use without keys.cluster"),
                None => None,
            }
        }
        None => return refuse("keys.cluster", "missing, required unless keys.inline is set"),
    };
    let max_age_limit = within("max_age_limit", keys.max_age_limit, &limits::KEYS_MAX_AGE_LIMIT)?;
    let min_age = within("min_age", keys.min_age, &limits::KEYS_MIN_AGE)?;
    if min_age > max_age_limit {
        return refuse("keys.min_age", format!("found {min_age:?}, allowed: at most max_age_limit, {max_age_limit:?}"));
    }
    Ok(Keys {
        source,
        max_age: max_age("keys", keys.max_age)?,
        max_age_limit,
        min_age,
        stale_if_error: within("stale_if_error", keys.stale_if_error, &limits::KEYS_STALE_IF_ERROR)?,
        negative_max_age: within("negative_max_age", keys.negative_max_age, &limits::KEYS_NEGATIVE_MAX_AGE)?,
        refetch_interval: within("refetch_interval", keys.refetch_interval, &limits::KEYS_REFETCH_INTERVAL)?,
        max_entries: max_entries("keys", keys.max_entries)?,
        max_waiting: number("keys.max_waiting", keys.max_waiting, &limits::KEYS_MAX_WAITING)?,
        issuer: keys.issuer.map(Into::into),
        audiences: default_audiences,
        slow_algorithms,
        inline,
    })
}

/// `session.keys` and `trust_tunnel.keys`: private keys, one a request. What `member` does not say is as for `access`.
pub(super) fn private(
    member: &str,
    default_path: &str,
    keys: raw::PrivateKeys,
    access: &Keys,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Keys> {
    let path = keys.path.unwrap_or_else(|| default_path.to_owned());
    let raw = source::Raw { cluster: keys.cluster, authority: keys.authority, path, headers: keys.headers };
    let source = KeySource::new(member, raw, timeout(member, keys.timeout)?, environment)?;
    if let KeyPath::Set(path) = &source.path {
        return refuse(format!("{member}.path"), format!("found {path:?}, allowed: a path with {{kid}}"));
    }
    Ok(Keys {
        source: Some(source),
        max_age: max_age(member, keys.max_age)?,
        max_age_limit: access.max_age_limit,
        min_age: access.min_age,
        stale_if_error: access.stale_if_error,
        negative_max_age: access.negative_max_age,
        refetch_interval: access.refetch_interval,
        max_entries: max_entries(member, keys.max_entries)?,
        max_waiting: access.max_waiting,
        issuer: None,
        audiences: Box::default(),
        slow_algorithms: access.slow_algorithms,
        inline: None,
    })
}

fn timeout(member: &str, found: Option<raw::DurationText>) -> Result<Duration> {
    duration(&format!("{member}.timeout"), found, &limits::KEYS_TIMEOUT)
}

fn max_age(member: &str, found: Option<raw::DurationText>) -> Result<Duration> {
    duration(&format!("{member}.max_age"), found, &limits::KEYS_MAX_AGE)
}

fn max_entries(member: &str, found: Option<u64>) -> Result<usize> {
    number(&format!("{member}.max_entries"), found, &limits::KEYS_MAX_ENTRIES)
}

/// Unlike a fetched set, an inline one must be right as a whole: whoever wrote it is there to mend it.
fn inline(text: &str, issuer: Option<&str>, audiences: &[Box<str>]) -> Result<InlineKeys> {
    let provenance = Provenance {
        ring: Ring::Access,
        default_owner: issuer,
        default_audiences: audiences,
        symmetric: true,
        slow_algorithms: true,
        native: None,
    };
    let set = match KeySet::parse(text.as_bytes(), provenance) {
        Ok(set) => set,
        Err(fault) => return refuse("keys.inline", format!("{fault}, allowed: a JWK Set of usable keys")),
    };
    if set.dropped.is_empty() {
        return Ok(InlineKeys(text.into()));
    }
    refuse("keys.inline", DropList(&set.dropped).to_string())
}
