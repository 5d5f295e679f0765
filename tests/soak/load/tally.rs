//! What came of the requests: counts, times, and the first of those that came out wrong.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many wrong decisions are kept with their story.
const STORIES: usize = 20;

/// Counts that all clients add to.
#[derive(Default)]
pub struct Tally {
    /// Requests that were sent.
    pub sent: AtomicU64,
    /// Allowed, rightly.
    pub allowed: AtomicU64,
    /// Denied, rightly.
    pub denied: AtomicU64,
    /// Tokens that no request carried before.
    pub new_tokens: AtomicU64,
    /// MDRM-500 while the key service was away, to requests whose keys need not be held.
    pub without_key: AtomicU64,
    /// Sent again, because Envoy closed the connection of a configuration that was replaced.
    pub repeated: AtomicU64,
    /// Not as they must be.
    pub wrong: AtomicU64,
    /// The first of the latter.
    pub stories: Mutex<Vec<String>>,
    /// How long answers took.
    pub times: Histogram,
}

impl Tally {
    /// One more that is wrong.
    pub fn wrong(&self, story: impl FnOnce() -> String) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        let mut stories = self.stories.lock().unwrap();
        if stories.len() < STORIES {
            stories.push(story());
        }
    }
}

/// One more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Parts of each doubling of the time.
const PARTS: u64 = 16;

/// Times, each kept within a sixteenth of itself.
pub struct Histogram(Vec<AtomicU64>);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram((0..64 * PARTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Histogram {
    /// One more.
    pub fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(PARTS);
        let doubling = u64::from(micros.ilog2());
        let part = (micros >> (doubling - 4)) - PARTS;
        // A cast: below 64 · 16.
        count(&self.0[(doubling * PARTS + part) as usize]);
    }

    /// The time that this share of them kept, rounded up to the end of its part.
    pub fn quantile(&self, share: f64) -> Duration {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let rank = (counts.iter().sum::<u64>() as f64 * share).ceil();
        let mut so_far = 0;
        let place = counts.iter().position(|count| {
            so_far += count;
            so_far as f64 >= rank
        });
        let (doubling, part) = (place.unwrap_or(0) as u64 / PARTS, place.unwrap_or(0) as u64 % PARTS);
        Duration::from_micros((PARTS + part + 1) << doubling.saturating_sub(4))
    }
}
