//! One remembered answer: fresh, stale, or absent, and the back-off after failures.

use std::time::Duration;

/// The first retry after a failure comes after this long; each further failure doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest time between retries.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// What one request to the key service is remembered by. All times are monotonic.
#[derive(Debug)]
pub(super) struct Slot<T> {
    held: Option<Held<T>>,
    failures: u32,
    retry_at: Duration,
}

#[derive(Debug)]
struct Held<T> {
    value: T,
    fetched_at: Duration,
    fresh_until: Duration,
}

/// How a slot serves a request at some moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Serving<'a, T> {
    /// Use the value.
    Fresh(&'a T),
    /// The key service fails: use the value, and ask again in the background if `retry`.
    Stale {
        /// What was held.
        value: &'a T,
        /// The back-off allows another attempt.
        retry: bool,
    },
    /// Nothing usable; only an answer can help.
    Absent,
    /// Nothing usable, and the key service failed a moment ago: no attempt for this long.
    BackingOff(Duration),
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { held: None, failures: 0, retry_at: Duration::ZERO }
    }
}

impl<T> Slot<T> {
    /// How to serve at `now`, when a stale value may be used for `stale_if_error` while the key service fails.
    pub(super) fn serve(&self, now: Duration, stale_if_error: Duration) -> Serving<'_, T> {
        let retry = now >= self.retry_at;
        match &self.held {
            Some(held) if now < held.fresh_until => Serving::Fresh(&held.value),
            Some(held) if self.failures > 0 && now < held.fresh_until.saturating_add(stale_if_error) => {
                Serving::Stale { value: &held.value, retry }
            }
            _ if self.failures > 0 && !retry => Serving::BackingOff(self.retry_at.saturating_sub(now)),
            _ => Serving::Absent,
        }
    }

    /// Remembers an answer that is fresh for `freshness`.
    pub(super) fn fill(&mut self, value: T, now: Duration, freshness: Duration) {
        *self = Self {
            held: Some(Held { value, fetched_at: now, fresh_until: now.saturating_add(freshness) }),
            failures: 0,
            retry_at: Duration::ZERO,
        };
    }

    /// Remembers that the key service failed, and when to ask again.
    pub(super) fn fail(&mut self, now: Duration) {
        let pause = FIRST_RETRY.saturating_mul(1_u32.checked_shl(self.failures.min(5)).unwrap_or(u32::MAX));
        self.retry_at = now.saturating_add(pause.min(LONGEST_RETRY));
        self.failures = self.failures.saturating_add(1);
    }

    /// Time since the last answer.
    pub(super) fn age(&self, now: Duration) -> Option<Duration> {
        self.held.as_ref().map(|held| now.saturating_sub(held.fetched_at))
    }

    /// Whether an attempt is allowed now.
    pub(super) fn may_retry(&self, now: Duration) -> bool {
        now >= self.retry_at
    }
}
