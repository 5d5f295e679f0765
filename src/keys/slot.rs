//! One remembered answer: fresh, stale, or absent, and the back-off after failures.

use std::time::Duration;

use super::jitter::Cut;
use crate::config::Keys;

/// The first retry after a failure comes after this long; each further failure doubles it.
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest time between retries.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// What one request to the key service is remembered by. All times are monotonic.
#[derive(Debug)]
pub(super) struct Slot<T> {
    held: Option<Held<T>>,
    back_off: BackOff,
}

/// How often in a row there was no answer, and when to ask again.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct BackOff {
    failures: u32,
    retry_at: Duration,
}

#[derive(Debug)]
struct Held<T> {
    value: T,
    etag: Box<[u8]>,
    term: Term,
}

/// When a request was sent and when its answer came. Monotonic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) asked_at: Duration,
    pub(super) answered_at: Duration,
}

/// What an answer says of its freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// The key is unknown or unusable: `keys.negative_max_age` counts.
    Negative,
    /// [`Answer::stated_freshness`](super::answer::Answer::stated_freshness).
    Positive(Option<Duration>),
}

/// All that decides how long an answer is fresh, but the bounds of the configuration that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) span: Span,
    pub(super) lifetime: Lifetime,
    /// The jitter.
    pub(super) cut: Cut,
}

impl Validity {
    /// From when to when an answer is fresh by the bounds of `keys`. Jitter only shortens.
    pub(super) fn term(self, keys: &Keys) -> Term {
        let Span { asked_at, answered_at } = self.span;
        let freshness = match self.lifetime {
            Lifetime::Negative => keys.negative_max_age,
            Lifetime::Positive(stated) => self.cut.shorten(keys.freshness(stated), 10),
        };
        Term { asked_at, answered_at, fresh_until: answered_at.saturating_add(freshness) }
    }
}

/// From when to when an answer is fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    /// When its request was sent: of two answers, the one that was asked for later is the newer one.
    pub(super) asked_at: Duration,
    /// When it came.
    pub(super) answered_at: Duration,
    pub(super) fresh_until: Duration,
}

impl Term {
    /// Whether it is time to ask ahead: the last fifth of the freshness.
    pub(super) fn ends_soon(self, now: Duration) -> bool {
        let fifth = self.fresh_until.saturating_sub(self.answered_at).checked_div(5).unwrap_or_default();
        now >= self.fresh_until.saturating_sub(fifth)
    }
}

/// How a slot serves a request at some moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Serving<'a, T> {
    /// Use the value: it is fresh, or the key service fails. `ask`: ask again in the background.
    Held { value: &'a T, fresh: bool, ask: bool },
    /// Nothing usable; only an answer can help.
    Absent,
    /// Nothing usable, and the key service failed a moment ago: no attempt for this long.
    BackingOff(Duration),
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { held: None, back_off: BackOff::default() }
    }
}

impl<T> Slot<T> {
    /// How to serve at `now`, when a stale value may be used for `stale_if_error` while the key service fails.
    pub(super) fn serve(&self, now: Duration, stale_if_error: Duration) -> Serving<'_, T> {
        let retry = self.may_retry(now);
        match &self.held {
            Some(Held { value, term, .. }) if now < term.fresh_until => {
                Serving::Held { value, fresh: true, ask: retry && term.ends_soon(now) }
            }
            Some(Held { value, term, .. })
                if self.back_off.failures > 0 && now < term.fresh_until.saturating_add(stale_if_error) =>
            {
                Serving::Held { value, fresh: false, ask: retry }
            }
            _ if self.back_off.failures > 0 && !retry => {
                Serving::BackingOff(self.back_off.retry_at.saturating_sub(now))
            }
            _ => Serving::Absent,
        }
    }

    /// Remembers an answer.
    pub(super) fn fill(&mut self, value: T, etag: &[u8], term: Term) {
        *self = Self { held: Some(Held { value, etag: etag.into(), term }), back_off: BackOff::default() };
    }

    /// Remembers that what is held is still right; false if nothing is held.
    pub(super) fn renew(&mut self, term: Term) -> bool {
        self.held.as_mut().is_some_and(|held| {
            held.term = term;
            self.back_off = BackOff::default();
            true
        })
    }

    /// What is held, fresh or not.
    pub(super) fn value(&self) -> Option<&T> {
        self.held.as_ref().map(|held| &held.value)
    }

    /// What failures have led to.
    pub(super) fn back_off(&mut self) -> &mut BackOff {
        &mut self.back_off
    }

    /// When what is held was asked for and answered, and until when it is fresh.
    pub(super) fn term(&self) -> Option<Term> {
        self.held.as_ref().map(|held| held.term)
    }

    /// Whether what is held is fresh.
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        self.term().is_some_and(|term| now < term.fresh_until)
    }

    /// The entity tag of what is held; empty if it had none.
    pub(super) fn etag(&self) -> &[u8] {
        self.held.as_ref().map_or(&[], |held| &held.etag)
    }

    /// Whether an attempt is allowed now.
    pub(super) fn may_retry(&self, now: Duration) -> bool {
        now >= self.back_off.retry_at
    }
}

impl BackOff {
    /// After `failures` in a row, the next attempt is allowed at `retry_at`.
    pub(super) fn new(failures: u32, retry_at: Duration) -> Self {
        Self { failures: failures.max(1), retry_at }
    }

    /// How many failures in a row one more would make, and the pause after it.
    pub(super) fn next(self) -> (u32, Duration) {
        let pause = FIRST_RETRY.saturating_mul(1_u32.checked_shl(self.failures.min(5)).unwrap_or(u32::MAX));
        (self.failures.saturating_add(1), pause.min(LONGEST_RETRY))
    }
}
