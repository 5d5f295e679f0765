//! Questions and answers about keys of one kind: who waits for what, who is asked, and who asks.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::answer::{Answer, MAX_DOCUMENT_BYTES, MAX_SET_BYTES};
use super::fetches::{Consultation, FetchId, KeyRequest, Progress, SharedView, WaiterId, Write};
use super::jitter::Jitter;
use super::memory::{Learnt, Lookup, Memory};
use super::shared::{Note, Places, Record, SourceId, Topic};
use super::slot::Span;
use super::waiters::{Waiters, Wake};
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

/// The least time that a request gets which is sent again: the host takes less than a millisecond for no limit.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);

/// Holds the keys of one kind and one configuration in one worker.
///
/// The work of each call is bounded, however many requests wait: waiters are indexed by their fetch, and what ends for many
/// at once is handed out by [`Self::poll`] in pieces.
#[derive(Debug)]
pub struct Resolver {
    ring: Ring,
    memory: Memory,
    source: Option<SourceId>,
    fetches: HashMap<FetchId, Fetch>,
    under_way: HashMap<Subject, FetchId>,
    /// Fetches that were not sent yet, the oldest first.
    unsent: BTreeSet<FetchId>,
    /// Not looked at yet. A fetch that has ended meanwhile stays in its queue until it is met there.
    queue: VecDeque<FetchId>,
    /// About names that are new; the bucket holds them back.
    newcomers: VecDeque<FetchId>,
    /// Put back until the next tick.
    deferred: VecDeque<FetchId>,
    bucket: Bucket,
    waiters: Waiters,
    counters: Counters,
    next_fetch: u64,
}

#[derive(Debug)]
struct Fetch {
    subject: Subject,
    topic: Topic,
    newcomer: bool,
    since: Duration,
    /// When the host first got it; the answer, or its absence, will come.
    sent_at: Option<Duration>,
    /// It was sent twice, or is about to be.
    repeated: bool,
}

impl Resolver {
    /// A store with the inline keys alone. `native`: the host's own verification, for the keys that it can check.
    /// `seed` of the jitter; without one, times are exact.
    pub fn new(ring: Ring, keys: Rc<Keys>, native: Option<Verify>, seed: Option<u64>) -> Self {
        Self {
            ring,
            source: SourceId::of(&keys),
            memory: Memory::new(ring, keys, native, Jitter::new(seed)),
            fetches: HashMap::new(),
            under_way: HashMap::new(),
            unsent: BTreeSet::new(),
            queue: VecDeque::new(),
            newcomers: VecDeque::new(),
            deferred: VecDeque::new(),
            bucket: Bucket::new(NEWCOMER_BURST, NEWCOMER_INTERVAL),
            waiters: Waiters::default(),
            counters: Counters::default(),
            next_fetch: 0,
        }
    }

    /// Looks `kid` up. After [`Resolution::Wait`], `waiter` is woken by [`Self::poll`] or [`Self::wake`], or leaves by
    /// [`Self::forget`].
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
        if self.waiters.was_woken(waiter) {
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

    /// Has `waiter` wait for `kid`, if there is room.
    fn wait(&mut self, kid: &Kid, waiter: WaiterId, now: Now, newcomer: bool) -> Resolution {
        let subject = self.memory.subject(kid);
        let max_waiting = self.memory.keys().max_waiting;
        if self.waiters.len() >= max_waiting && !self.waiters.contains(waiter) {
            // Later requests may find the key. Unknown kids are fetched only while a request waits for them, unless no
            // request may wait at all.
            if !newcomer || max_waiting == 0 {
                self.ask(subject, now, newcomer);
            }
            return Resolution::Refused(Denial::TooManyWaiting { retry_after: 1 });
        }
        if let Some(fetch) = self.ask(subject, now, newcomer) {
            self.waiters.wait(waiter, fetch);
        }
        Resolution::Wait
    }

    /// The fetch about `subject`: the one that is under way, or a new one.
    fn ask(&mut self, subject: Subject, now: Now, newcomer: bool) -> Option<FetchId> {
        if let Some(id) = self.under_way.get(&subject) {
            return Some(*id);
        }
        let topic = Topic::new(self.source?, subject.kid());
        let id = FetchId { ring: self.ring, number: self.next_fetch };
        self.next_fetch = self.next_fetch.wrapping_add(1);
        self.under_way.insert(subject.clone(), id);
        let fetch = Fetch { subject, topic, newcomer, since: now.monotonic, sent_at: None, repeated: false };
        self.fetches.insert(id, fetch);
        self.unsent.insert(id);
        // New names as well: another worker may have the answer. Only to be sent do they need a token.
        self.queue.push_back(id);
        Some(id)
    }

    /// Whether a request waits for `fetch`, or none ever may.
    fn is_awaited(&self, fetch: FetchId) -> bool {
        self.memory.keys().max_waiting == 0 || self.waiters.has(fetch)
    }

    fn request(&self, id: FetchId, now: Now) -> Option<KeyRequest> {
        let Fetch { subject, topic, sent_at, .. } = self.fetches.get(&id)?;
        let source = self.source()?;
        let (path, max_body_bytes) = match (&source.path, subject) {
            (path, Subject::Key(kid)) => (path.for_kid(kid), MAX_DOCUMENT_BYTES),
            (KeyPath::Set(path) | KeyPath::OneKey(path, _), Subject::Set) => (path.to_string(), MAX_SET_BYTES),
        };
        let if_none_match = self.memory.etag(subject).map(str::to_owned);
        let elapsed = sent_at.map_or(Duration::ZERO, |sent_at| now.monotonic.saturating_sub(sent_at));
        let timeout = source.timeout.saturating_sub(elapsed).max(LEAST_TIMEOUT);
        // Only public keys are written where every plugin of the VM could read them.
        let places = (self.ring == Ring::Access).then(|| Places::of(*topic, subject.kid()));
        Some(KeyRequest { id, path, if_none_match, max_body_bytes, timeout, places })
    }

    fn subject(&self, id: FetchId) -> Option<(Subject, Topic)> {
        self.fetches.get(&id).map(|fetch| (fetch.subject.clone(), fetch.topic))
    }

    /// Ends a fetch; its waiters are woken by [`Self::poll`].
    fn finish(&mut self, id: FetchId, wake: Wake) {
        if let Some(Fetch { subject, .. }) = self.fetches.remove(&id) {
            self.under_way.remove(&subject);
            self.unsent.remove(&id);
            self.waiters.end(id, wake);
        }
    }

    /// The key service, if there is one.
    pub fn source(&self) -> Option<&KeySource> {
        self.memory.keys().source.as_ref()
    }

    /// Whether [`Self::next_request`] may have something to send at `now`.
    pub fn has_requests(&self, now: Now) -> bool {
        !self.queue.is_empty() || (!self.newcomers.is_empty() && self.bucket.has(now.monotonic))
    }

    /// Whether a request can only be sent at a later [`Self::on_tick`], or [`Self::poll`] has something to do.
    pub fn needs_tick(&self) -> bool {
        !self.queue.is_empty() || !self.unsent.is_empty() || self.has_woken()
    }

    /// Whether [`Self::poll`] has waiters to wake, however late it is.
    pub fn has_woken(&self) -> bool {
        self.waiters.any_ended()
    }

    /// The next request that may be sent. [`Self::consult`] must be asked about it at once; if that says so, it is sent
    /// and answered through [`Self::on_answer`], if only by a failure.
    pub fn next_request(&mut self, now: Now) -> Option<KeyRequest> {
        loop {
            let id = match self.queue.pop_front() {
                Some(id) => id,
                None if self.bucket.has(now.monotonic) => self.newcomers.pop_front()?,
                None => return None,
            };
            if let Some(request) = self.request(id, now) {
                return Some(request);
            }
        }
    }

    /// The request was not sent, because another worker has begun to ask: it comes again after the next tick.
    pub fn put_back(&mut self, id: FetchId) {
        if let Some(fetch) = self.fetches.get_mut(&id) {
            fetch.sent_at = None;
            self.unsent.insert(id);
            self.deferred.push_back(id);
        }
    }

    /// Decides what to do about a request that [`Self::next_request`] gave, by what other workers have left; without
    /// shared data, by an empty view.
    pub fn consult(&mut self, id: FetchId, shared: SharedView<'_>, now: Now) -> Consultation {
        let Some((subject, topic)) = self.subject(id) else { return Consultation::Answered };
        let monotonic = now.monotonic;
        let held = self.memory.term(&subject).map(|term| term.asked_at);
        if let Some(record) = newest(shared, topic, held, monotonic)
            && let Some(term) = self.memory.adopt(&subject, &record)
            && monotonic < term.fresh_until
            && !term.ends_soon(monotonic)
        {
            self.finish(id, Wake::LookUp);
            return Consultation::Answered;
        }
        let awaited = self.is_awaited(id);
        let Some(fetch) = self.fetches.get_mut(&id) else { return Consultation::Answered };
        let horizon = monotonic.saturating_add(Duration::from_secs(120));
        let alone = match shared.note.and_then(|bytes| Note::decode(bytes, topic, horizon)) {
            // The note of a request that is sent again is this worker's own.
            Some(Note::Asking { until }) if monotonic < until && fetch.sent_at.is_none() => {
                fetch.newcomer = false;
                self.deferred.push_back(id);
                return Consultation::Later;
            }
            Some(Note::Failed { retry_at, failures }) if monotonic < retry_at => {
                self.memory.fail_until(&subject, failures, retry_at);
                self.finish(id, Wake::LookUp);
                return Consultation::Answered;
            }
            Some(note @ Note::Unshared { until }) if monotonic < until => Some(note),
            _ => None,
        };
        if fetch.newcomer && !awaited {
            self.finish(id, Wake::LookUp);
            return Consultation::Answered;
        }
        if fetch.newcomer && !self.bucket.take(monotonic) {
            self.newcomers.push_back(id);
            return Consultation::Later;
        }
        fetch.newcomer = false;
        let sent_at = *fetch.sent_at.get_or_insert(monotonic);
        self.unsent.remove(&id);
        let timeout = self.source().map(|source| source.timeout).unwrap_or_default();
        let until = sent_at.saturating_add(timeout).saturating_add(LEASE_MARGIN);
        let note = alone.unwrap_or(Note::Asking { until }).encode(topic);
        let conditional = shared.answer.and_then(|bytes| Record::decode(bytes, topic, monotonic)).is_some();
        Consultation::Ask { note, conditional }
    }

    /// Takes the answer to request `id`, `None` if none came. [`Self::poll`] wakes those who waited for it. Returns what
    /// to leave for other workers, given what stands there. An answer that is not expected changes nothing.
    pub fn on_answer(
        &mut self,
        id: FetchId,
        answer: Option<Answer<'_>>,
        shared: SharedView<'_>,
        now: Now,
    ) -> Vec<Write> {
        let Some((subject, topic)) = self.subject(id) else { return Vec::new() };
        if self.repeats(id, answer.as_ref(), now) {
            return Vec::new();
        }
        let asked_at = self.fetches.get(&id).and_then(|fetch| fetch.sent_at).unwrap_or(now.monotonic);
        if answer.is_some() {
            let took = now.monotonic.saturating_sub(asked_at).as_millis();
            self.counters.fetch_took(u32::try_from(took).unwrap_or(u32::MAX));
        }
        if let Some(record) = newest(shared, topic, Some(asked_at), now.monotonic)
            && self.memory.adopt(&subject, &record).is_some()
        {
            // The answer is late: another worker has asked since, and was answered.
            self.counters.event(if answer.is_some() { Event::FetchSuccess } else { Event::FetchFailure });
            self.finish(id, Wake::LookUp);
            return Vec::new();
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
            Learnt::Unchanged(validity) => {
                // The body is not kept, but the record that it came with may still be there.
                if let Some(record) = shared.answer.and_then(|bytes| Record::decode(bytes, topic, now.monotonic)) {
                    let renewed = Record { validity, ..record };
                    writes.extend(renewed.encode().map(|content| Write { place: places.answer, content }));
                }
            }
            Learnt::New { validity, share: Some(share), .. } => {
                let place = if share.refusal { places.refusal.unwrap_or(places.answer) } else { places.answer };
                let record = Record { topic, validity, status: share.status, etag, body: share.body };
                writes.extend(record.encode().map(|content| Write { place, content }));
            }
            Learnt::New { fresh_until, share: None, .. } => {
                // The others need not take turns for what they cannot get from each other.
                note = Note::Unshared { until: fresh_until.saturating_add(UNSHARED_MARGIN) }.encode(topic);
            }
        }
        writes.push(Write { place: places.note, content: note });
        self.finish(id, Wake::LookUp);
        writes
    }

    /// Whether the request is sent again in place of being taken for a failure: the key service may have closed the kept
    /// connection that it was sent on. Once, at once, and within what is left of the time-out.
    fn repeats(&mut self, id: FetchId, answer: Option<&Answer<'_>>, now: Now) -> bool {
        let timeout = self.source().map(|source| source.timeout).unwrap_or_default();
        let Some(fetch) = self.fetches.get_mut(&id) else { return false };
        // Near its end, what ended early may as well be the time-out: clocks are not that exact.
        let late = timeout.saturating_sub(timeout.checked_div(10).unwrap_or_default());
        let in_time = fetch.sent_at.is_some_and(|sent_at| now.monotonic < sent_at.saturating_add(late));
        let again = !fetch.repeated && in_time && answer.is_none_or(Answer::ended_early);
        if again {
            fetch.repeated = true;
            self.queue.push_front(id);
        }
        again
    }

    /// Time has passed: requests that were put back may be sent.
    pub fn on_tick(&mut self) {
        self.queue.append(&mut self.deferred);
    }

    /// One piece of work that is due, if there is any: to be called until there is none, now or in a later callback.
    pub fn poll(&mut self, now: Now) -> Option<Progress> {
        if let Some((waiter, wake)) = self.waiters.next() {
            return Some(Progress::Woken(waiter, wake));
        }
        let timeout = self.source().map(|source| source.timeout).unwrap_or_default();
        let oldest = *self.unsent.first()?;
        let Fetch { subject, newcomer, since, .. } = self.fetches.get(&oldest)?;
        if now.monotonic.saturating_sub(*since) < timeout {
            return None;
        }
        if *newcomer {
            // The key service was never asked, so nothing is learnt about it.
            self.finish(oldest, Wake::TurnedAway);
        } else {
            self.memory.fail(subject, now.monotonic);
            self.finish(oldest, Wake::LookUp);
        }
        Some(Progress::Expired)
    }

    /// Wakes `waiter`, if the fetch that it waits for has ended.
    pub fn wake(&mut self, waiter: WaiterId) -> Option<Wake> {
        self.waiters.take(waiter)
    }

    /// `waiter` has gone away. An answer that comes for it alone is still remembered. An unknown kid that is not asked
    /// about yet is not worth a request any more.
    pub fn forget(&mut self, waiter: WaiterId) {
        let abandoned = self.waiters.forget(waiter).filter(|fetch| !self.is_awaited(*fetch));
        if let Some(id) = abandoned
            && self.fetches.get(&id).is_some_and(|fetch| fetch.newcomer)
        {
            self.finish(id, Wake::LookUp);
        }
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
        self.waiters.len()
    }
}

/// The newest answer that other workers have left, if it was asked for after `held`.
fn newest<'a>(shared: SharedView<'a>, topic: Topic, held: Option<Duration>, now: Duration) -> Option<Record<'a>> {
    let records = [shared.answer, shared.refusal].into_iter().flatten();
    let records = records.filter_map(|bytes| Record::decode(bytes, topic, now));
    let asked_at = |record: &Record<'_>| record.validity.span.asked_at;
    let newer = |record: &Record<'_>| held.is_none_or(|held| asked_at(record) > held);
    records.filter(newer).max_by_key(asked_at)
}
