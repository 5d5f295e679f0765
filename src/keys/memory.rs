//! What is remembered about keys: by name, or as one set.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use log::{info, warn};
use lru::LruCache;

use super::answer::{Answer, Failure, OneKey};
use super::jitter::{Cut, Jitter};
use super::shared::{MAX_SHARED_DOCUMENT, Record};
use super::slot::{BackOff, FIRST_RETRY, Lifetime, Serving, Slot, Span, Term, Validity};
use super::{KeyCache, Resolution, Subject};
use crate::bounded::settle;
use crate::clock::Now;
use crate::config::{KeyPath, Keys};
use crate::denial::{Denial, KeyRefusal};
use crate::jose::jwk::{Key, KeyDocument, KeySet, Provenance, Ring};
use crate::jose::native::Verify;
use crate::jose::token::Kid;
use crate::jose::unusable::DropList;

/// Statuses under which a key that was read is shared: no answer of the key service has them.
const UNUSABLE: u16 = 0;
const DISABLED: u16 = 1;

/// The longest time in seconds that a client is told to stay away for.
const LONGEST_RETRY_AFTER: u64 = 30;

/// What is remembered of one key.
#[derive(Debug)]
enum Held {
    Key { key: Key, expires: Option<i64> },
    Refused(KeyRefusal),
}

/// What the memory has to say about a name.
#[derive(Debug)]
pub(super) enum Lookup {
    /// This, at once. `ask`: ask in the background as well.
    Known { resolution: Resolution, cache: KeyCache, ask: bool },
    /// Somebody has to ask. `newcomer`: no key of this name was ever seen here, or long ago.
    Absent { newcomer: bool },
}

/// What an answer changed.
#[derive(Debug)]
pub(super) enum Learnt<'a> {
    /// Something that other workers may know; no `share` if it is secret, or too large to share.
    New { validity: Validity, fresh_until: Duration, share: Option<Share<'a>> },
    /// What is held is still right.
    Unchanged(Validity),
    /// Nothing: no answer, for the so many-th time in a row.
    Failure { failures: u32, retry_at: Duration },
}

/// What other workers may know of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// The key cannot be used, or is not there.
    pub(super) refusal: bool,
}

#[derive(Debug)]
pub(super) struct Memory {
    ring: Ring,
    keys: Rc<Keys>,
    native: Option<Verify>,
    inline: BTreeMap<Kid, Held>,
    /// One-key mode: keys that the service knows.
    known: LruCache<Kid, Slot<Held>>,
    /// One-key mode: names without a usable key, and names whose first request failed. Apart from the keys, so that a
    /// flood of random names cannot push a key out.
    unknown: LruCache<Kid, Slot<Held>>,
    /// Set mode: all keys of the last answer.
    set: Slot<BTreeMap<Kid, Held>>,
    jitter: Jitter,
}

impl Memory {
    pub(super) fn new(ring: Ring, keys: Rc<Keys>, native: Option<Verify>, jitter: Jitter) -> Self {
        let inline = keys.inline.as_ref().and_then(|inline| {
            // As when the configuration was accepted. What this host cannot verify is refused, not asked of the service.
            let all = Provenance { symmetric: true, slow_algorithms: true, ..provenance(ring, &keys, native) };
            let all = KeySet::parse(inline.as_bytes(), all).ok()?;
            let here = Provenance { symmetric: true, ..provenance(ring, &keys, native) };
            let here = KeySet::parse(inline.as_bytes(), here).map(|set| set.keys).unwrap_or_default();
            let mut held = held_keys(all.keys);
            held.iter_mut()
                .filter(|(kid, _)| !here.contains_key(*kid))
                .for_each(|(_, held)| *held = Held::Refused(KeyRefusal::Unusable));
            Some(held)
        });
        Self {
            ring,
            inline: inline.unwrap_or_default(),
            // Bounded by `enforce`: a bounded LruCache would reserve all its memory at once.
            known: LruCache::unbounded(),
            unknown: LruCache::unbounded(),
            set: Slot::default(),
            keys,
            native,
            jitter,
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    fn provenance(&self) -> Provenance<'_> {
        provenance(self.ring, &self.keys, self.native)
    }

    /// What to ask the key service about, to learn of `kid`.
    pub(super) fn subject(&self, kid: &Kid) -> Subject {
        match self.keys.source.as_ref().map(|source| &source.path) {
            Some(KeyPath::Set(_)) => Subject::Set,
            _ => Subject::Key(kid.clone()),
        }
    }

    /// What is known about `kid`.
    pub(super) fn look_up(&mut self, kid: &Kid, now: Now) -> Lookup {
        let known = |resolution| Lookup::Known { resolution, cache: KeyCache::Hit, ask: false };
        if let Some(held) = self.inline.get(kid) {
            return known(held.resolution(self.ring, now));
        }
        match self.keys.source.as_ref().map(|source| &source.path) {
            None => known(Resolution::Refused(self.ring.refused(KeyRefusal::Unknown))),
            Some(KeyPath::OneKey(..)) => self.look_up_one(kid, now),
            Some(KeyPath::Set(_)) => self.look_up_in_set(kid, now),
        }
    }

    fn look_up_one(&mut self, kid: &Kid, now: Now) -> Lookup {
        let stale_if_error = self.keys.stale_if_error;
        let (slot, newcomer) = match self.known.get(kid) {
            Some(slot) => (Some(slot), false),
            None => (self.unknown.get(kid), true),
        };
        // A refusal is not asked about ahead: a flood of names would be, again and again.
        let worth_asking = |slot: &Slot<Held>| !newcomer || !slot.is_fresh(now.monotonic);
        let ahead = slot.is_some_and(worth_asking);
        match slot.map(|slot| slot.serve(now.monotonic, stale_if_error)) {
            Some(Serving::Held { value, fresh, ask }) => {
                let resolution = value.resolution(self.ring, now);
                Lookup::Known { resolution, cache: KeyCache::of(fresh), ask: ask && ahead }
            }
            Some(Serving::BackingOff(pause)) => unavailable(pause),
            Some(Serving::Absent) | None => Lookup::Absent { newcomer },
        }
    }

    fn look_up_in_set(&mut self, kid: &Kid, now: Now) -> Lookup {
        let answered_at = self.set.term().map(|term| term.answered_at).unwrap_or_default();
        let old = now.monotonic.saturating_sub(answered_at) >= self.keys.refetch_interval;
        match self.set.serve(now.monotonic, self.keys.stale_if_error) {
            Serving::Held { value, fresh, ask } => match value.get(kid) {
                Some(held) => {
                    let resolution = held.resolution(self.ring, now);
                    Lookup::Known { resolution, cache: KeyCache::of(fresh), ask }
                }
                // The set may have grown. While the key service fails, its last word counts.
                None if old && self.set.is_fresh(now.monotonic) && self.set.may_retry(now.monotonic) => {
                    Lookup::Absent { newcomer: false }
                }
                None => {
                    let resolution = Resolution::Refused(self.ring.refused(KeyRefusal::Unknown));
                    Lookup::Known { resolution, cache: KeyCache::of(fresh), ask }
                }
            },
            Serving::BackingOff(pause) => unavailable(pause),
            Serving::Absent => Lookup::Absent { newcomer: false },
        }
    }

    /// How many keys of the key service are held, disabled ones included.
    pub(super) fn entries(&self) -> usize {
        self.known.len().saturating_add(self.set.value().map_or(0, BTreeMap::len))
    }

    /// The entity tag of what is held, for a conditional request.
    pub(super) fn etag(&self, subject: &Subject) -> Option<&str> {
        let etag = match subject {
            Subject::Key(kid) => self.slot(kid).map(Slot::etag).unwrap_or_default(),
            Subject::Set => self.set.etag(),
        };
        std::str::from_utf8(etag).ok().filter(|etag| !etag.is_empty())
    }

    /// When what is held was asked for and answered, and until when it is fresh.
    pub(super) fn term(&self, subject: &Subject) -> Option<Term> {
        match subject {
            Subject::Key(kid) => self.slot(kid).and_then(Slot::term),
            Subject::Set => self.set.term(),
        }
    }

    fn slot(&self, kid: &Kid) -> Option<&Slot<Held>> {
        self.known.peek(kid).or_else(|| self.unknown.peek(kid))
    }

    /// Takes the answer to a request about `subject`.
    pub(super) fn learn<'a>(&mut self, subject: &Subject, answer: Option<Answer<'a>>, span: Span) -> Learnt<'a> {
        let learnt = answer.ok_or(Failure::NoAnswer).and_then(|answer| match subject {
            _ if answer.status == 304 => self.renew(subject, &answer, span),
            Subject::Key(kid) => self.learn_one(kid, &answer, span),
            Subject::Set => self.learn_set(&answer, span),
        });
        learnt.unwrap_or_else(|failure| {
            match subject {
                Subject::Key(kid) => info!("key service failed for {} {kid}: {failure}", self.ring),
                Subject::Set => info!("key service failed: {failure}"),
            }
            let (failures, retry_at) = self.fail(subject, span.answered_at);
            Learnt::Failure { failures, retry_at }
        })
    }

    fn validity(&mut self, lifetime: Lifetime, span: Span) -> Validity {
        let cut = match lifetime {
            Lifetime::Negative => Cut::default(),
            Lifetime::Positive(_) => self.jitter.draw(),
        };
        Validity { span, lifetime, cut }
    }

    fn renew(&mut self, subject: &Subject, answer: &Answer<'_>, span: Span) -> Result<Learnt<'static>, Failure> {
        let validity = self.validity(Lifetime::Positive(answer.stated_freshness()), span);
        let term = validity.term(&self.keys);
        let renewed = match subject {
            Subject::Key(kid) => match self.known.peek_mut(kid) {
                Some(slot) => slot.renew(term),
                None => false,
            },
            Subject::Set => self.set.renew(term),
        };
        if renewed { Ok(Learnt::Unchanged(validity)) } else { Err(Failure::Status(304)) }
    }

    fn learn_one<'a>(&mut self, kid: &Kid, answer: &Answer<'a>, span: Span) -> Result<Learnt<'a>, Failure> {
        let provenance = Provenance { default_owner: None, symmetric: true, ..self.provenance() };
        let said = answer.one_key(kid, provenance)?;
        if let OneKey::Unusable(reason) = &said {
            warn!("{} {kid} cannot be used: {reason}", self.ring);
        }
        let lifetime = match said {
            OneKey::Document(_) => Lifetime::Positive(answer.stated_freshness()),
            OneKey::Unusable(_) | OneKey::Unknown | OneKey::Deleted => Lifetime::Negative,
        };
        let validity = self.validity(lifetime, span);
        let term = validity.term(&self.keys);
        let share = share_of(&said, answer);
        self.put(kid, Held::from(said), answer.etag.unwrap_or_default(), term);
        Ok(Learnt::New { validity, fresh_until: term.fresh_until, share })
    }

    fn put(&mut self, kid: &Kid, held: Held, etag: &[u8], term: Term) {
        let registered = matches!(held, Held::Key { .. } | Held::Refused(KeyRefusal::Disabled));
        let (of, other) =
            if registered { (&mut self.known, &mut self.unknown) } else { (&mut self.unknown, &mut self.known) };
        other.pop(kid);
        let mut slot = Slot::default();
        // A refusal is asked for anew: a tag could be that of a document that has become unusable.
        slot.fill(held, if registered { etag } else { &[] }, term);
        of.put(kid.clone(), slot);
        enforce(of, self.keys.max_entries);
    }

    fn learn_set<'a>(&mut self, answer: &Answer<'a>, span: Span) -> Result<Learnt<'a>, Failure> {
        let set = answer.set(self.provenance(), self.keys.max_entries)?;
        if !set.dropped.is_empty() {
            warn!("keys of the set cannot be used: {}", DropList(&set.dropped));
        }
        let validity = self.validity(Lifetime::Positive(answer.stated_freshness()), span);
        let term = validity.term(&self.keys);
        let body = answer.body.filter(|_| !set.holds_secrets);
        self.set.fill(held_keys(set.keys), answer.etag.unwrap_or_default(), term);
        let share = body.map(|body| Share { status: 200, body, refusal: false });
        Ok(Learnt::New { validity, fresh_until: term.fresh_until, share })
    }

    /// Takes what another worker has learnt, and holds it by the bounds of this configuration. `None` if it cannot be
    /// read.
    pub(super) fn adopt(&mut self, subject: &Subject, record: &Record<'_>) -> Option<Term> {
        let answer = Answer {
            status: record.status,
            cache_control: &[],
            age: None,
            etag: Some(record.etag),
            body: Some(record.body),
        };
        let term = record.validity.term(&self.keys);
        match subject {
            Subject::Key(kid) => {
                let held = match record.status {
                    UNUSABLE => Held::Refused(KeyRefusal::Unusable),
                    DISABLED => Held::Refused(KeyRefusal::Disabled),
                    _ => {
                        // Whatever other workers say, this one believes no secret from a place that all can read.
                        let provenance = Provenance { default_owner: None, symmetric: false, ..self.provenance() };
                        match answer.one_key(kid, provenance) {
                            Ok(OneKey::Unusable(_)) | Err(_) => return None,
                            Ok(said) => Held::from(said),
                        }
                    }
                };
                self.put(kid, held, record.etag, term);
            }
            Subject::Set => match answer.set(self.provenance(), self.keys.max_entries) {
                Ok(set) => self.set.fill(held_keys(set.keys), record.etag, term),
                Err(_) => return None,
            },
        }
        Some(term)
    }

    /// Remembers that there is no answer about `subject`: how often in a row, and when to ask again.
    pub(super) fn fail(&mut self, subject: &Subject, now: Duration) -> (u32, Duration) {
        let (failures, pause) = self.back_off(subject).next();
        let retry_at = now.saturating_add(self.jitter.shorten(pause, 4).max(FIRST_RETRY));
        self.fail_until(subject, failures, retry_at);
        (failures, retry_at)
    }

    /// Remembers a failure that another worker has seen.
    pub(super) fn fail_until(&mut self, subject: &Subject, failures: u32, retry_at: Duration) {
        *self.back_off(subject) = BackOff::new(failures, retry_at);
    }

    fn back_off(&mut self, subject: &Subject) -> &mut BackOff {
        let kid = match subject {
            Subject::Set => return self.set.back_off(),
            Subject::Key(kid) => kid,
        };
        if self.known.contains(kid) {
            return self.known.get_or_insert_mut(kid.clone(), Slot::default).back_off();
        }
        if !self.unknown.contains(kid) {
            self.unknown.put(kid.clone(), Slot::default());
            enforce(&mut self.unknown, self.keys.max_entries);
        }
        self.unknown.get_or_insert_mut(kid.clone(), Slot::default).back_off()
    }
}

fn provenance(ring: Ring, keys: &Keys, native: Option<Verify>) -> Provenance<'_> {
    Provenance {
        ring,
        default_owner: keys.issuer.as_deref(),
        default_audiences: &keys.audiences,
        symmetric: false,
        slow_algorithms: keys.slow_algorithms,
        native,
    }
}

/// Never a secret: an enabled public key is shared as it came, of everything else only what it means.
fn share_of<'a>(said: &OneKey, answer: &Answer<'a>) -> Option<Share<'a>> {
    let meaning = |status| Some(Share { status, body: &[], refusal: true });
    match said {
        OneKey::Document(KeyDocument::Enabled { key, .. }) if key.is_secret() => None,
        OneKey::Document(KeyDocument::Enabled { .. }) => {
            let body = answer.body.filter(|body| body.len() <= MAX_SHARED_DOCUMENT)?;
            Some(Share { status: 200, body, refusal: false })
        }
        OneKey::Document(KeyDocument::Disabled) => Some(Share { status: DISABLED, body: &[], refusal: false }),
        OneKey::Document(KeyDocument::Deleted) | OneKey::Deleted => meaning(410),
        OneKey::Unknown => meaning(404),
        OneKey::Unusable(_) => meaning(UNUSABLE),
    }
}

impl Held {
    fn resolution(&self, ring: Ring, now: Now) -> Resolution {
        let refusal = match self {
            Self::Key { expires: Some(expires), .. } if now.unix > *expires => KeyRefusal::Expired,
            Self::Key { key, .. } => return Resolution::Key(key.clone()),
            Self::Refused(refusal) => *refusal,
        };
        Resolution::Refused(ring.refused(refusal))
    }
}

impl From<KeyDocument> for Held {
    fn from(document: KeyDocument) -> Self {
        match document {
            KeyDocument::Enabled { key, expires } => Self::Key { key, expires },
            KeyDocument::Disabled => Self::Refused(KeyRefusal::Disabled),
            KeyDocument::Deleted => Self::Refused(KeyRefusal::Deleted),
        }
    }
}

impl From<OneKey> for Held {
    fn from(said: OneKey) -> Self {
        match said {
            OneKey::Document(document) => Self::from(document),
            OneKey::Unusable(_) => Self::Refused(KeyRefusal::Unusable),
            OneKey::Unknown => Self::Refused(KeyRefusal::Unknown),
            OneKey::Deleted => Self::Refused(KeyRefusal::Deleted),
        }
    }
}

fn held_keys(keys: BTreeMap<Kid, KeyDocument>) -> BTreeMap<Kid, Held> {
    keys.into_iter().map(|(kid, document)| (kid, Held::from(document))).collect()
}

fn enforce(cache: &mut LruCache<Kid, Slot<Held>>, max_entries: usize) {
    while cache.len() > max_entries {
        cache.pop_lru();
        settle(cache, max_entries);
    }
}

fn unavailable(pause: Duration) -> Lookup {
    let seconds = pause.as_secs().saturating_add(u64::from(pause.subsec_nanos() > 0)).clamp(1, LONGEST_RETRY_AFTER);
    let retry_after = u32::try_from(seconds).unwrap_or(1);
    let resolution = Resolution::Refused(Denial::KeyServiceUnavailable { retry_after });
    Lookup::Known { resolution, cache: KeyCache::Miss, ask: false }
}
