//! What workers tell each other through the host's shared data: answers of the key service, and who is asking.
//!
//! The host's shared data never forgets and has no bounds, so it is used as a fixed number of places, each of a bounded
//! size. A place belongs to whoever wrote last: what is read is believed only if it is whole and about the very key and
//! the very key service that it is read for. Nothing secret is ever written.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::jitter::Cut;
use super::slot::{Lifetime, Span, Validity};
use crate::config::{KeyPath, Keys};
use crate::jose::token::Kid;

/// Places for answers about one key, and for who asks about it.
const PLACES: u32 = 65_536;
/// Places for answers 404, 410 and unusable documents: apart, so that a flood of random names drives out no key.
const UNKNOWN_PLACES: u32 = 1_024;
/// Places for JWK Sets.
const SET_PLACES: u32 = 8;
/// Largest document about one key that is shared; larger ones are fetched by each worker. Only keys that the key service
/// knows take such a place: 10 000 of the usual size need some 6 MB, and all places full of the largest 256 MiB.
pub(super) const MAX_SHARED_DOCUMENT: usize = 4 << 10;

/// The first byte of everything that is written.
const VERSION: u8 = 2;
/// How a record spells its [`Lifetime`].
const NEGATIVE: u8 = 0;
const UNSTATED: u8 = 1;
const STATED: u8 = 2;
/// How long after the time that a callback began with an answer may have come that it reads.
const AFTER_NOW: Duration = Duration::from_secs(1);

/// What tells sources apart: equal for two configurations that ask the same key service in the same way and read its
/// answers alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SourceId([u8; 16]);

impl SourceId {
    /// None if there is no key service.
    pub(super) fn of(keys: &Keys) -> Option<Self> {
        let source = keys.source.as_ref()?;
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(text.as_bytes());
        };
        field(&source.cluster);
        field(&source.authority);
        match &source.path {
            KeyPath::OneKey(before, after) => {
                field("one key");
                field(before);
                field(after);
            }
            KeyPath::Set(path) => {
                field("set");
                field(path);
            }
        }
        for (name, value) in &source.headers {
            field(name);
            field(value);
        }
        field(keys.issuer.as_deref().unwrap_or_default());
        field(if keys.slow_algorithms { "slow" } else { "" });
        for audience in &keys.audiences {
            field(audience);
        }
        Some(Self(first_half(hash)))
    }
}

fn first_half(hash: Sha256) -> [u8; 16] {
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// What a record or a note is about: a hash of the key service and the name of the key, or of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Topic([u8; 16]);

impl Topic {
    /// `kid`: none for the set.
    pub(super) fn new(source: SourceId, kid: Option<&Kid>) -> Self {
        let mut hash = Sha256::new();
        hash.update(source.0);
        hash.update([u8::from(kid.is_some())]);
        hash.update(kid.map_or("", Kid::as_str));
        Self(first_half(hash))
    }

    fn place(self, kind: &str, places: u32) -> String {
        let [a, b, c, d, ..] = self.0;
        let number = u32::from_le_bytes([a, b, c, d]).checked_rem(places).unwrap_or_default();
        format!("mdrm_authz.{kind}.{number}")
    }
}

/// The names of the places of one topic in the host's shared data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The last answer about a usable, disabled or deleted key, or the last set.
    pub answer: String,
    /// The last answer that there is no usable key; none for a set.
    pub refusal: Option<String>,
    /// Who asks, or since when nobody gets an answer.
    pub note: String,
}

impl Places {
    pub(super) fn of(topic: Topic, kid: Option<&Kid>) -> Self {
        match kid {
            Some(_) => Self {
                answer: topic.place("key", PLACES),
                refusal: Some(topic.place("unknown", UNKNOWN_PLACES)),
                note: topic.place("note", PLACES),
            },
            None => Self {
                answer: topic.place("set", SET_PLACES),
                refusal: None,
                note: topic.place("set_note", SET_PLACES),
            },
        }
    }
}

/// An answer of the key service as one worker got it. Times are monotonic; all workers of a process share that clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) topic: Topic,
    /// What the answer says of its freshness, not how long some worker takes it for fresh: each has bounds of its own.
    pub(super) validity: Validity,
    pub(super) status: u16,
    pub(super) etag: &'a [u8],
    pub(super) body: &'a [u8],
}

/// What a worker notes about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// Asks the key service; whoever else wants to know waits until then at most.
    Asking { until: Duration },
    /// Got an answer that is not shared, because it is secret or too large: everyone asks, and nobody waits for others.
    Unshared { until: Duration },
    /// Got no answer, for the `failures`th time in a row; nobody should ask before `retry_at`.
    Failed { retry_at: Duration, failures: u32 },
}

impl<'a> Record<'a> {
    /// As it is written; none if its entity tag is too long.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        const MAX_ETAG: usize = 256;
        if self.etag.len() > MAX_ETAG {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.body.len().saturating_add(MAX_ETAG));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.topic.0);
        let Validity { span: Span { asked_at, answered_at }, lifetime, cut } = self.validity;
        push_time(&mut bytes, asked_at);
        push_time(&mut bytes, answered_at);
        bytes.push(match lifetime {
            Lifetime::Negative => NEGATIVE,
            Lifetime::Positive(None) => UNSTATED,
            Lifetime::Positive(Some(_)) => STATED,
        });
        push_time(
            &mut bytes,
            match lifetime {
                Lifetime::Positive(Some(stated)) => stated,
                Lifetime::Positive(None) | Lifetime::Negative => Duration::ZERO,
            },
        );
        bytes.extend_from_slice(&cut.0.to_le_bytes());
        bytes.extend_from_slice(&self.status.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(self.etag.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(self.etag);
        bytes.extend_from_slice(self.body);
        Some(bytes)
    }

    /// Reads what stands in a place; none unless it is a whole record about `topic` whose times make sense at `now`.
    pub(super) fn decode(bytes: &'a [u8], topic: Topic, now: Duration) -> Option<Self> {
        let mut rest = Reader(bytes);
        if rest.byte()? != VERSION || rest.array::<16>()? != topic.0 {
            return None;
        }
        let span = Span { asked_at: rest.time()?, answered_at: rest.time()? };
        // Another worker may have been answered since this one has looked at the clock.
        let latest = now.saturating_add(AFTER_NOW);
        if span.asked_at > span.answered_at || span.answered_at > latest {
            return None;
        }
        let lifetime = match (rest.byte()?, rest.time()?) {
            (NEGATIVE, _) => Lifetime::Negative,
            (UNSTATED, _) => Lifetime::Positive(None),
            (STATED, stated) => Lifetime::Positive(Some(stated)),
            _ => return None,
        };
        let validity = Validity { span, lifetime, cut: Cut(u16::from_le_bytes(rest.array()?)) };
        let status = u16::from_le_bytes(rest.array()?);
        let etag_len = u16::from_le_bytes(rest.array()?);
        let etag = rest.take(usize::from(etag_len))?;
        Some(Self { topic, validity, status, etag, body: rest.0 })
    }
}

impl Note {
    pub(super) fn encode(self, topic: Topic) -> Vec<u8> {
        let (kind, time, failures) = match self {
            Self::Asking { until } => (0, until, 0),
            Self::Failed { retry_at, failures } => (1, retry_at, failures),
            Self::Unshared { until } => (2, until, 0),
        };
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&topic.0);
        bytes.push(kind);
        push_time(&mut bytes, time);
        bytes.extend_from_slice(&failures.to_le_bytes());
        bytes
    }

    /// Reads a note about `topic`; none if it is about something else. `horizon`: no note that holds others up reaches
    /// further than this.
    pub(super) fn decode(bytes: &[u8], topic: Topic, horizon: Duration) -> Option<Self> {
        let mut rest = Reader(bytes);
        if rest.byte()? != VERSION || rest.array::<16>()? != topic.0 {
            return None;
        }
        let kind = rest.byte()?;
        let time = rest.time().filter(|time| kind == 2 || *time <= horizon)?;
        let failures = u32::from_le_bytes(rest.array()?);
        match kind {
            0 => Some(Self::Asking { until: time }),
            1 => Some(Self::Failed { retry_at: time, failures }),
            2 => Some(Self::Unshared { until: time }),
            _ => None,
        }
    }
}

fn push_time(bytes: &mut Vec<u8>, time: Duration) {
    bytes.extend_from_slice(&u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).to_le_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn time(&mut self) -> Option<Duration> {
        self.array().map(u64::from_le_bytes).map(Duration::from_nanos)
    }
}
