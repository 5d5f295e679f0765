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
        if let Some((_, end)) = self.0.lock().unwrap().last_mut() {
            *end = Some(Instant::now());
        }
    }

    /// Whether an outage, or its recovery, was between these two moments.
    pub fn touch(&self, from: Instant, to: Instant) -> bool {
        let outages = self.0.lock().unwrap();
        outages.iter().any(|(begin, end)| *begin <= to && end.is_none_or(|end| from <= end + RECOVERY))
    }
}
