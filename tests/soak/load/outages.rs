//! When the key service was away, and what that may mean for a request.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long after an outage a key that is not held may still be out of reach: the longest back-off of the filter, and a
/// callout that was under way.
pub const RECOVERY: Duration = Duration::from_secs(33);

/// All outages so far.
#[derive(Default)]
pub struct Outages(Mutex<Vec<(Instant, Option<Instant>)>>);

impl Outages {
    /// The key service goes away now.
    pub fn begin(&self) {
        self.0.lock().unwrap().push((Instant::now(), None));
    }

    /// It is back.
    pub fn end(&self) {
        let now = Some(Instant::now());
        self.0.lock().unwrap().iter_mut().for_each(|(_, end)| *end = end.or(now));
    }

    /// It did not answer in time within this time up to now, although nothing is wrong with it: the machine is too busy. To
    /// the filter that is an outage like any other.
    pub fn short(&self, time: Duration) {
        let now = Instant::now();
        let mut outages = self.0.lock().unwrap();
        outages.push((now.checked_sub(time).unwrap_or(now), Some(now)));
        // Those that are over for good are of no use, and every answer that is looked into twice goes through all.
        outages.retain(|(_, end)| end.is_none_or(|end| end + 2 * RECOVERY >= now));
    }

    /// Whether an outage, or its recovery, was between these two moments.
    pub fn touch(&self, from: Instant, to: Instant) -> bool {
        let outages = self.0.lock().unwrap();
        outages.iter().any(|(begin, end)| *begin <= to && end.is_none_or(|end| from <= end + RECOVERY))
    }
}
