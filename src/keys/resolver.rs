//! Questions and answers about keys of one kind: who waits for what, who is asked, and who asks.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::answer::{Answer, MAX_DOCUMENT_BYTES, MAX_SET_BYTES};
use super::fetches::{Consultation, FetchId, KeyRequest, SharedView, Ticked, WaiterId, Write};
use super::jitter::Jitter;
use super::memory::{Learnt, Lookup, Memory, Span};
use super::shared::{Note, Places, Record, SourceId, Topic};
use super::{KeyCache, Resolution, Subject};
use crate::bucket::Bucket;
use crate::clock::Now;
use crate::config::{KeyPath, KeySource, Keys};
use crate::denial::Denial;
use crate::jose::jwk::Ring;
use crate::jose::native::Verify;
use crate::jose::token::Kid;
use crate::metrics::{Counters, Event};

/// Names that nobody has asked for before are asked about one in this time in the long run …
const NEWCOMER_INTERVAL: Duration = Duration::from_millis(10);
/// … and this many at once after a pause, so that a proxy that starts soon knows the keys in use.
const NEWCOMER_BURST: u32 = 200;
/// How long a worker's note that it asks outlives the time-out of its request.
const LEASE_MARGIN: Duration = Duration::from_secs(1);
/// How long past its freshness an answer that cannot be shared keeps workers from taking turns.
const UNSHARED_MARGIN: Duration = Duration::from_secs(3600);

/// Holds the keys of one kind and one configuration in one worker.
#[derive(Debug)]
pub struct Resolver {
    ring: Ring,
    memory: Memory,
    source: Option<SourceId>,
    fetches: BTreeMap<FetchId, Fetch>,
    under_way: BTreeMap<Subject, FetchId>,
    /// Not looked at yet.
    queue: VecDeque<FetchId>,
    /// About names that are new; the bucket holds them back.
    newcomers: VecDeque<FetchId>,
    /// Put back until the next tick.
    deferred: Vec<FetchId>,
    bucket: Bucket,
    waiting: BTreeMap<WaiterId, Subject>,
    /// Whose wait is over and who have not asked again yet: in the order in which they will.
    returning: VecDeque<WaiterId>,
    counters: Counters,
    next_fetch: u64,
}

#[derive(Debug)]
struct Fetch {
    subject: Subject,
    topic: Topic,
    newcomer: bool,
    since: Duration,
    /// When the host got it; the answer, or its absence, will come.
    sent_at: Option<Duration>,
}

impl Resolver {
    /// A store with the inline keys alone. `native`: the host's own verification, for the keys that it can check.
    /// `seed` of the jitter; without one, times are exact.
    pub fn new(ring: Ring, keys: Rc<Keys>, native: Option<Verify>, seed: Option<u64>) -> Self {
        Self {
            ring,
            source: SourceId::of(&keys),
            memory: Memory::new(ring, keys, native, Jitter::new(seed)),
            fetches: BTreeMap::new(),
            under_way: BTreeMap::new(),
            queue: VecDeque::new(),
            newcomers: VecDeque::new(),
            deferred: Vec::new(),
            bucket: Bucket::new(NEWCOMER_BURST, NEWCOMER_INTERVAL),
            waiting: BTreeMap::new(),
            returning: VecDeque::new(),
            counters: Counters::default(),
            next_fetch: 0,
        }
    }

    /// Looks `kid` up. After [`Resolution::Wait`], `waiter` is named by [`Self::on_answer`], [`Self::consult`] or
    /// [`Self::on_tick`], or leaves by [`Self::forget`].
    pub fn resolve(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> Resolution {
        self.find(kid, waiter, now).0
    }

    /// As [`Self::resolve`], and where the key was found. A waiter that asks again has waited, so it was a miss.
    pub fn find(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> (Resolution, KeyCache) {
        let (resolution, cache) = match self.memory.look_up(kid, now) {
            Lookup::Known { resolution, cache, ask } => {
                if ask {
                    self.ask(self.memory.subject(kid), now, false);
                }
                (resolution, cache)
            }
            Lookup::Absent { newcomer } => (self.wait(kid, waiter, now, newcomer), KeyCache::Miss),
        };
        if let Some(at) = self.returning.iter().position(|returning| *returning == waiter) {
            self.returning.remove(at);
            return (resolution, KeyCache::Miss);
        }
        self.counters.event(match (cache, &resolution) {
            (KeyCache::Miss, _) | (_, Resolution::Wait) => Event::KeyMiss,
            (_, Resolution::Refused(_)) => Event::KeyNegativeHit,
            (KeyCache::Hit, Resolution::Key(_)) => Event::KeyHit,
            (KeyCache::Stale, Resolution::Key(_)) => Event::KeyStaleHit,
        });
        (resolution, cache)
    }

    /// Has somebody wait for `kid`, if there is room.
    fn wait(&mut self, kid: &Kid, waiter: WaiterId, now: Now, newcomer: bool) -> Resolution {
        let subject = self.memory.subject(kid);
        let max_waiting = self.memory.keys().max_waiting;
        if self.waiting.len() >= max_waiting && !self.waiting.contains_key(&waiter) {
            // Who comes later may find the key. New names are not asked about for nobody, unless nobody may wait.
            if !newcomer || max_waiting == 0 {
                self.ask(subject, now, newcomer);
            }
            return Resolution::Refused(Denial::TooManyWaiting { retry_after: 1 });
        }
        self.ask(subject.clone(), now, newcomer);
        self.waiting.insert(waiter, subject);
        Resolution::Wait
    }

    /// Queues a request unless one about the same subject is under way.
    fn ask(&mut self, subject: Subject, now: Now, newcomer: bool) {
        let Some(source) = self.source else { return };
        if self.under_way.contains_key(&subject) {
            return;
        }
        let topic = Topic::new(source, subject.kid());
        let id = FetchId { ring: self.ring, number: self.next_fetch };
        self.next_fetch = self.next_fetch.wrapping_add(1);
        self.under_way.insert(subject.clone(), id);
        self.fetches.insert(id, Fetch { subject, topic, newcomer, since: now.monotonic, sent_at: None });
        // New names as well: another worker may have the answer. Only to be sent do they need a token.
        self.queue.push_back(id);
    }

    /// Requests about unknown names that nobody waits for any more are not worth a token.
    fn drop_abandoned_newcomers(&mut self) {
        while let Some(id) = self.newcomers.front().copied() {
            if self.fetches.get(&id).is_some_and(|fetch| self.is_awaited(&fetch.subject)) {
                return;
            }
            self.finish(id);
            self.newcomers.pop_front();
        }
    }

    /// Whether anybody waits for `subject`, or nobody ever may.
    fn is_awaited(&self, subject: &Subject) -> bool {
        self.memory.keys().max_waiting == 0 || self.waiting.values().any(|waits_for| waits_for == subject)
    }

    fn request(&self, id: FetchId) -> Option<KeyRequest> {
        let Fetch { subject, topic, .. } = self.fetches.get(&id)?;
        let (path, max_body_bytes) = match (&self.source()?.path, subject) {
            (path, Subject::Key(kid)) => (path.for_kid(kid), MAX_DOCUMENT_BYTES),
            (KeyPath::Set(path) | KeyPath::OneKey(path, _), Subject::Set) => (path.to_string(), MAX_SET_BYTES),
        };
        let if_none_match = self.memory.etag(subject).map(str::to_owned);
        // Only public keys are written where every plugin of the VM could read them.
        let places = (self.ring == Ring::Access).then(|| Places::of(*topic, subject.kid()));
        Some(KeyRequest { id, path, if_none_match, max_body_bytes, places })
    }

    fn subject(&self, id: FetchId) -> Option<(Subject, Topic)> {
        self.fetches.get(&id).map(|fetch| (fetch.subject.clone(), fetch.topic))
    }

    /// Ends a request; returns those who waited for it.
    fn finish(&mut self, id: FetchId) -> Vec<WaiterId> {
        let Some(Fetch { subject, .. }) = self.fetches.remove(&id) else { return Vec::new() };
        self.under_way.remove(&subject);
        let waits = |(waiter, waits_for): (&WaiterId, &Subject)| (*waits_for == subject).then_some(*waiter);
        let ready: Vec<WaiterId> = self.waiting.iter().filter_map(waits).collect();
        for waiter in &ready {
            self.waiting.remove(waiter);
            self.returning.push_back(*waiter);
        }
        ready
    }

    /// The key service, if there is one.
    pub fn source(&self) -> Option<&KeySource> {
        self.memory.keys().source.as_ref()
    }

    /// Whether [`Self::next_request`] may have something to send at `now`.
    pub fn has_requests(&self, now: Now) -> bool {
        !self.queue.is_empty() || (!self.newcomers.is_empty() && self.bucket.has(now.monotonic))
    }

    /// Whether requests can only be sent at a later [`Self::on_tick`].
    pub fn needs_tick(&self) -> bool {
        !self.queue.is_empty() || !self.newcomers.is_empty() || !self.deferred.is_empty()
    }

    /// The next request that may be sent. [`Self::consult`] must be asked about it at once; if that says so, it is sent
    /// and answered through [`Self::on_answer`], if only by a failure.
    pub fn next_request(&mut self, now: Now) -> Option<KeyRequest> {
        loop {
            let id = match self.queue.pop_front() {
                Some(id) => id,
                None => {
                    self.drop_abandoned_newcomers();
                    if !self.bucket.has(now.monotonic) {
                        return None;
                    }
                    self.newcomers.pop_front()?
                }
            };
            // A request that has expired meanwhile stays in its queue until it is met here.
            if let Some(request) = self.request(id) {
                return Some(request);
            }
        }
    }

    /// The request was not sent, because another worker has begun to ask: it comes again after the next tick.
    pub fn put_back(&mut self, id: FetchId) {
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.sent_at = None;
            self.deferred.push(id);
        }
    }

    /// Decides what to do about a request that [`Self::next_request`] gave, by what other workers have left; without
    /// shared data, by an empty view.
    pub fn consult(&mut self, id: FetchId, shared: SharedView<'_>, now: Now) -> Consultation {
        let Some((subject, topic)) = self.subject(id) else { return Consultation::Answered(Vec::new()) };
        let monotonic = now.monotonic;
        let held = self.memory.term(&subject).map(|term| term.asked_at);
        if let Some(record) = newest(shared, topic, held, monotonic)
            && self.memory.adopt(&subject, &record)
            && monotonic < record.term.fresh_until
            && !record.term.ends_soon(monotonic)
        {
            return Consultation::Answered(self.finish(id));
        }
        let horizon = monotonic.saturating_add(Duration::from_secs(120));
        let alone = match shared.note.and_then(|bytes| Note::decode(bytes, topic, horizon)) {
            Some(Note::Asking { until }) if monotonic < until => {
                if let Some(fetch) = self.fetches.get_mut(&id) {
                    fetch.newcomer = false;
                }
                self.deferred.push(id);
                return Consultation::Later;
            }
            Some(Note::Failed { retry_at, failures }) if monotonic < retry_at => {
                self.memory.fail_until(&subject, failures, retry_at);
                return Consultation::Answered(self.finish(id));
            }
            Some(note @ Note::Unshared { until }) if monotonic < until => Some(note),
            _ => None,
        };
        let in_vain = !self.is_awaited(&subject);
        let Some(fetch) = self.fetches.get_mut(&id) else { return Consultation::Answered(Vec::new()) };
        if fetch.newcomer && in_vain {
            return Consultation::Answered(self.finish(id));
        }
        if fetch.newcomer && !self.bucket.take(monotonic) {
            self.newcomers.push_back(id);
            return Consultation::Later;
        }
        fetch.newcomer = false;
        fetch.sent_at = Some(monotonic);
        let timeout = self.source().map(|source| source.timeout).unwrap_or_default();
        let until = monotonic.saturating_add(timeout).saturating_add(LEASE_MARGIN);
        let note = alone.unwrap_or(Note::Asking { until }).encode(topic);
        let conditional = shared.answer.and_then(|bytes| Record::decode(bytes, topic, monotonic)).is_some();
        Consultation::Ask { note, conditional }
    }

    /// Takes the answer to request `id`, `None` if none came. Returns those who waited for it: each asks again with
    /// [`Self::resolve`]; and what to leave for other workers, given what stands there. An answer that is not expected
    /// changes nothing.
    pub fn on_answer(
        &mut self,
        id: FetchId,
        answer: Option<Answer<'_>>,
        shared: SharedView<'_>,
        now: Now,
    ) -> (Vec<WaiterId>, Vec<Write>) {
        let Some((subject, topic)) = self.subject(id) else { return (Vec::new(), Vec::new()) };
        let asked_at = self.fetches.get(&id).and_then(|fetch| fetch.sent_at).unwrap_or(now.monotonic);
        if answer.is_some() {
            let took = now.monotonic.saturating_sub(asked_at).as_millis();
            self.counters.fetch_took(u32::try_from(took).unwrap_or(u32::MAX));
        }
        if let Some(record) = newest(shared, topic, Some(asked_at), now.monotonic)
            && self.memory.adopt(&subject, &record)
        {
            // The answer is late: another worker has asked since, and was answered.
            self.counters.event(if answer.is_some() { Event::FetchSuccess } else { Event::FetchFailure });
            return (self.finish(id), Vec::new());
        }
        let etag = answer.and_then(|answer| answer.etag).unwrap_or_default();
        let places = Places::of(topic, subject.kid());
        let mut writes = Vec::new();
        let mut note = Vec::new();
        let learnt = self.memory.learn(&subject, answer, Span { asked_at, answered_at: now.monotonic });
        let failed = matches!(learnt, Learnt::Failure { .. });
        self.counters.event(if failed { Event::FetchFailure } else { Event::FetchSuccess });
        match learnt {
            Learnt::Failure { failures, retry_at } => note = Note::Failed { retry_at, failures }.encode(topic),
            Learnt::Unchanged(term) => {
                // The body is not kept, but the record that it came with may still be there.
                if let Some(record) = shared.answer.and_then(|bytes| Record::decode(bytes, topic, now.monotonic)) {
                    let renewed = Record { term, ..record };
                    writes.extend(renewed.encode().map(|content| Write { place: places.answer, content }));
                }
            }
            Learnt::New { term, share: Some(share) } => {
                let place = if share.refusal { places.refusal.unwrap_or(places.answer) } else { places.answer };
                let record = Record { topic, term, status: share.status, etag, body: share.body };
                writes.extend(record.encode().map(|content| Write { place, content }));
            }
            Learnt::New { term, share: None } => {
                // The others need not take turns for what they cannot get from each other.
                note = Note::Unshared { until: term.fresh_until.saturating_add(UNSHARED_MARGIN) }.encode(topic);
            }
        }
        writes.push(Write { place: places.note, content: note });
        (self.finish(id), writes)
    }

    /// Time has passed. Ends requests that were not sent within the time-out.
    pub fn on_tick(&mut self, now: Now) -> Ticked {
        let timeout = self.source().map(|source| source.timeout).unwrap_or_default();
        let late = |fetch: &Fetch| fetch.sent_at.is_none() && now.monotonic.saturating_sub(fetch.since) >= timeout;
        let expired: Vec<(FetchId, bool)> =
            self.fetches.iter().filter(|(_, fetch)| late(fetch)).map(|(id, fetch)| (*id, fetch.newcomer)).collect();
        self.queue.extend(self.deferred.drain(..));
        let mut ticked = Ticked::default();
        for (id, newcomer) in expired {
            if newcomer {
                // The key service was never asked, so nothing is learnt about it.
                let turned_away = self.finish(id);
                self.returning.retain(|waiter| !turned_away.contains(waiter));
                ticked.turned_away.extend(turned_away);
            } else {
                if let Some((subject, _)) = self.subject(id) {
                    self.memory.fail(&subject, now.monotonic);
                }
                ticked.ready.extend(self.finish(id));
            }
        }
        ticked
    }

    /// `waiter` has gone away. An answer that comes for it alone is still remembered.
    pub fn forget(&mut self, waiter: WaiterId) {
        self.waiting.remove(&waiter);
        self.returning.retain(|returning| *returning != waiter);
    }

    /// How many keys of the key service are held.
    pub fn entries(&self) -> usize {
        self.memory.entries()
    }

    /// What was counted since this was emptied.
    pub fn counters(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// The newest answer that other workers have left, if it was asked for after `held`.
fn newest<'a>(shared: SharedView<'a>, topic: Topic, held: Option<Duration>, now: Duration) -> Option<Record<'a>> {
    let records = [shared.answer, shared.refusal].into_iter().flatten();
    let records = records.filter_map(|bytes| Record::decode(bytes, topic, now));
    let newer = |record: &Record<'_>| held.is_none_or(|held| record.term.asked_at > held);
    records.filter(newer).max_by_key(|record| record.term.asked_at)
}
