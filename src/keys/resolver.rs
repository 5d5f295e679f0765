//! Questions and answers about access keys: who waits for what, what is asked, what is remembered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use log::{info, warn};
use lru::LruCache;

use super::answer::{Answer, Failure, OneKey};
use super::slot::{Serving, Slot};
use crate::clock::Now;
use crate::config::{Config, KeyPath, KeySource, Keys};
use crate::denial::Denial;
use crate::jose::jwk::{AccessKey, KeyDocument, KeySet, Provenance};
use crate::jose::native::Verify;
use crate::jose::token::Kid;

/// The longest time that a client is told to stay away for.
const LONGEST_RETRY_AFTER: u64 = 30;

/// Someone who waits for a key: the host's number of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u32);

/// A request to the key service; its answer comes back under the same number, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(u64);

/// What to ask the key service: a GET of `path`, with the rest from [`Resolver::source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// Under which number the answer is expected.
    pub id: FetchId,
    /// The path of the request.
    pub path: String,
    /// The largest body that is of any use.
    pub max_body_bytes: usize,
}

/// What is known about a key right now.
#[derive(Debug)]
pub enum Resolution {
    /// The key verifies tokens.
    Key(Rc<AccessKey>),
    /// No key: the request is refused with this.
    Refused(Denial),
    /// The waiter is noted; it is named again when an answer has come.
    Wait,
}

/// What is remembered of one key.
#[derive(Debug)]
enum Held {
    Key(Rc<AccessKey>),
    Unknown,
    Unusable,
    Disabled,
    Deleted,
}

/// What a request to the key service is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Key(Kid),
    Set,
}

/// Holds the keys of one configuration in one worker.
#[derive(Debug)]
pub struct Resolver {
    rules: Rules,
    inline: BTreeMap<Kid, Held>,
    /// One-key mode: keys that the service knows.
    known: LruCache<Kid, Slot<Held>>,
    /// One-key mode: names without a usable key, and names whose first request failed. Apart from the keys, so that a
    /// flood of random names cannot push a key out.
    unknown: LruCache<Kid, Slot<Held>>,
    /// Set mode: all keys of the last answer.
    set: Slot<BTreeMap<Kid, Held>>,
    fetches: BTreeMap<FetchId, Subject>,
    under_way: BTreeSet<Subject>,
    queue: VecDeque<KeyRequest>,
    waiting: BTreeMap<WaiterId, Subject>,
    next_fetch: u64,
}

#[derive(Debug)]
struct Rules {
    config: Rc<Config>,
    native: Option<Verify>,
}

impl Resolver {
    /// A store with the inline keys alone. `native`: the host's own verification, for the keys that it can check.
    pub fn new(config: Rc<Config>, native: Option<Verify>) -> Self {
        let rules = Rules { config, native };
        let set = rules.keys().inline.as_ref().and_then(|inline| {
            KeySet::parse(inline.as_bytes(), Provenance { symmetric: true, ..rules.provenance() }).ok()
        });
        Self {
            inline: set.map(held_keys).unwrap_or_default(),
            // Bounded by `enforce`: a bounded LruCache reserves all its memory at once.
            known: LruCache::unbounded(),
            unknown: LruCache::unbounded(),
            set: Slot::default(),
            fetches: BTreeMap::new(),
            under_way: BTreeSet::new(),
            queue: VecDeque::new(),
            waiting: BTreeMap::new(),
            next_fetch: 0,
            rules,
        }
    }

    /// The key service, if there is one.
    pub fn source(&self) -> Option<&KeySource> {
        self.rules.keys().source.as_ref()
    }

    /// Looks `kid` up. After [`Resolution::Wait`], `waiter` is named by [`Self::on_answer`] or leaves by
    /// [`Self::forget`].
    pub fn resolve(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> Resolution {
        if let Some(held) = self.inline.get(kid) {
            return held.resolution(now);
        }
        let Some(source) = &self.rules.keys().source else {
            return Resolution::Refused(Denial::KeyUnknown);
        };
        match source.path {
            KeyPath::OneKey(..) => self.resolve_one(kid, waiter, now),
            KeyPath::Set(_) => self.resolve_in_set(kid, waiter, now),
        }
    }

    fn resolve_one(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> Resolution {
        let slot = self.known.get(kid).or_else(|| self.unknown.get(kid));
        let serving = slot.map_or(Serving::Absent, |slot| slot.serve(now.monotonic, self.rules.keys().stale_if_error));
        match serving {
            Serving::Fresh(held) => held.resolution(now),
            Serving::Stale { value, retry } => {
                let resolution = value.resolution(now);
                if retry {
                    self.ask(Subject::Key(kid.clone()));
                }
                resolution
            }
            Serving::BackingOff(pause) => unavailable(pause),
            Serving::Absent => self.wait(Subject::Key(kid.clone()), waiter),
        }
    }

    fn resolve_in_set(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> Resolution {
        let monotonic = now.monotonic;
        let old = self.set.age(monotonic).is_none_or(|age| age >= self.rules.keys().refetch_interval);
        let (resolution, ask) = match self.set.serve(monotonic, self.rules.keys().stale_if_error) {
            Serving::Fresh(keys) => match keys.get(kid) {
                Some(held) => (held.resolution(now), false),
                None if old && self.set.may_retry(monotonic) => return self.wait(Subject::Set, waiter),
                None => (Resolution::Refused(Denial::KeyUnknown), false),
            },
            Serving::Stale { value, retry } => {
                let held = value.get(kid);
                (held.map_or(Resolution::Refused(Denial::KeyUnknown), |held| held.resolution(now)), retry)
            }
            Serving::BackingOff(pause) => (unavailable(pause), false),
            Serving::Absent => return self.wait(Subject::Set, waiter),
        };
        if ask {
            self.ask(Subject::Set);
        }
        resolution
    }

    fn wait(&mut self, subject: Subject, waiter: WaiterId) -> Resolution {
        if self.waiting.len() >= self.rules.keys().max_waiting {
            return Resolution::Refused(Denial::TooManyWaiting { retry_after: 1 });
        }
        self.ask(subject.clone());
        self.waiting.insert(waiter, subject);
        Resolution::Wait
    }

    /// Queues a request unless one about the same subject is under way.
    fn ask(&mut self, subject: Subject) {
        let Some(source) = &self.rules.keys().source else {
            return;
        };
        if !self.under_way.insert(subject.clone()) {
            return;
        }
        let id = FetchId(self.next_fetch);
        self.next_fetch = self.next_fetch.wrapping_add(1);
        let (path, max_body_bytes) = match (&source.path, &subject) {
            (path, Subject::Key(kid)) => (path.for_kid(kid), super::answer::MAX_DOCUMENT_BYTES),
            (KeyPath::Set(path) | KeyPath::OneKey(path, _), Subject::Set) => {
                (path.to_string(), super::answer::MAX_SET_BYTES)
            }
        };
        self.fetches.insert(id, subject);
        self.queue.push_back(KeyRequest { id, path, max_body_bytes });
    }

    /// The next request to send. Each must be answered through [`Self::on_answer`], if only by a failure.
    pub fn next_request(&mut self) -> Option<KeyRequest> {
        self.queue.pop_front()
    }

    /// Whether [`Self::next_request`] has something to send.
    pub fn has_requests(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Takes the answer to request `id`, `None` if none came. Returns those who waited for it: each asks again with
    /// [`Self::resolve`]. An answer that is not expected changes nothing.
    pub fn on_answer(&mut self, id: FetchId, answer: Option<Answer<'_>>, now: Now) -> Vec<WaiterId> {
        let Some(subject) = self.fetches.remove(&id) else {
            return Vec::new();
        };
        self.under_way.remove(&subject);
        match &subject {
            Subject::Key(kid) => self.remember_one(kid, answer, now.monotonic),
            Subject::Set => self.remember_set(answer, now.monotonic),
        }
        let ready: Vec<WaiterId> =
            self.waiting.iter().filter(|(_, waits_for)| **waits_for == subject).map(|(waiter, _)| *waiter).collect();
        for waiter in &ready {
            self.waiting.remove(waiter);
        }
        ready
    }

    fn remember_one(&mut self, kid: &Kid, answer: Option<Answer<'_>>, now: Duration) {
        let keys = self.rules.keys();
        let provenance = Provenance { default_owner: None, symmetric: true, ..self.rules.provenance() };
        let (held, freshness) = match answer.ok_or(Failure::NoAnswer).and_then(|answer| {
            Ok((answer.one_key(kid, provenance)?, answer.freshness(keys.max_age, keys.max_age_limit)))
        }) {
            Err(failure) => return self.fail_one(kid, &failure, now),
            Ok((OneKey::Document(document), freshness)) => (Held::from(document), freshness),
            Ok((OneKey::Unknown, _)) => (Held::Unknown, keys.negative_max_age),
            Ok((OneKey::Deleted, _)) => (Held::Deleted, keys.negative_max_age),
            Ok((OneKey::Unusable(reason), _)) => {
                warn!("key {kid} cannot be used: {reason}");
                (Held::Unusable, keys.negative_max_age)
            }
        };
        let registered = matches!(held, Held::Key(_) | Held::Disabled);
        let (of, other) =
            if registered { (&mut self.known, &mut self.unknown) } else { (&mut self.unknown, &mut self.known) };
        other.pop(kid);
        let mut slot = Slot::default();
        slot.fill(held, now, freshness);
        of.put(kid.clone(), slot);
        enforce(of, keys.max_entries);
    }

    fn fail_one(&mut self, kid: &Kid, failure: &Failure, now: Duration) {
        info!("key service failed for key {kid}: {failure}");
        if let Some(slot) = self.known.peek_mut(kid) {
            return slot.fail(now);
        }
        self.unknown.get_or_insert_mut(kid.clone(), Slot::default).fail(now);
        enforce(&mut self.unknown, self.rules.keys().max_entries);
    }

    fn remember_set(&mut self, answer: Option<Answer<'_>>, now: Duration) {
        let keys = self.rules.keys();
        let set = answer.ok_or(Failure::NoAnswer).and_then(|answer| {
            let set = answer.set(Provenance { symmetric: false, ..self.rules.provenance() }, keys.max_entries)?;
            Ok((set, answer.freshness(keys.max_age, keys.max_age_limit)))
        });
        match set {
            Ok((set, freshness)) => {
                for (kid, reason) in &set.dropped {
                    match kid {
                        Some(kid) => warn!("key {kid} of the set cannot be used: {reason}"),
                        None => warn!("a key of the set without a usable name: {reason}"),
                    }
                }
                self.set.fill(held_keys(set), now, freshness);
            }
            Err(failure) => {
                info!("key service failed: {failure}");
                self.set.fail(now);
            }
        }
    }

    /// `waiter` has gone away. An answer that comes for it alone is still remembered.
    pub fn forget(&mut self, waiter: WaiterId) {
        self.waiting.remove(&waiter);
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl Rules {
    fn keys(&self) -> &Keys {
        &self.config.keys
    }

    fn provenance(&self) -> Provenance<'_> {
        Provenance {
            default_owner: self.keys().issuer.as_deref(),
            default_audiences: &self.keys().audiences,
            symmetric: false,
            slow_algorithms: self.config.allow_slow_algorithms,
            native: self.native,
        }
    }
}

impl Held {
    fn resolution(&self, now: Now) -> Resolution {
        match self {
            Self::Key(key) if key.expires.is_some_and(|exp| now.unix > exp) => Resolution::Refused(Denial::KeyExpired),
            Self::Key(key) => Resolution::Key(Rc::clone(key)),
            Self::Unknown => Resolution::Refused(Denial::KeyUnknown),
            Self::Unusable => Resolution::Refused(Denial::KeyUnusable),
            Self::Disabled => Resolution::Refused(Denial::KeyDisabled),
            Self::Deleted => Resolution::Refused(Denial::KeyDeleted),
        }
    }
}

impl From<KeyDocument> for Held {
    fn from(document: KeyDocument) -> Self {
        match document {
            KeyDocument::Enabled(key) => Self::Key(Rc::new(*key)),
            KeyDocument::Disabled => Self::Disabled,
            KeyDocument::Deleted => Self::Deleted,
        }
    }
}

fn held_keys(set: KeySet) -> BTreeMap<Kid, Held> {
    set.keys.into_iter().map(|(kid, document)| (kid, Held::from(document))).collect()
}

fn enforce(cache: &mut LruCache<Kid, Slot<Held>>, max_entries: usize) {
    while cache.len() > max_entries {
        cache.pop_lru();
    }
}

fn unavailable(pause: Duration) -> Resolution {
    let seconds = pause.as_secs().saturating_add(u64::from(pause.subsec_nanos() > 0)).clamp(1, LONGEST_RETRY_AFTER);
    Resolution::Refused(Denial::KeyServiceUnavailable { retry_after: u32::try_from(seconds).unwrap_or(1) })
}
