//! The policy to compare with: each worker for itself fetches a key when it has none that is fresh; it refreshes nothing
//! ahead, serves nothing stale, remembers no failure, and has no jitter. Kinder than what many proxies do in that
//! requests of one worker that wait for the same key share a fetch.

use std::time::Duration;

use crate::script::{LATENCY, MAX_AGE, Rotation, Script, WORKERS, is_down};
use crate::tally::Tally;

/// The keys of one proxy.
pub struct Naive {
    script: Script,
    workers: Vec<Vec<Entry>>,
    pub tally: Tally,
}

/// A key in one worker; moments are those of the run.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// The fetch under way, or the last one, ends then …
    known_at: Duration,
    /// … and its answer is fresh until then; as late as `known_at` if it fails.
    fresh_until: Duration,
}

impl Naive {
    pub fn new(script: Script) -> Naive {
        Naive { script, workers: vec![vec![Entry::default(); Rotation::NUMBERS]; WORKERS], tally: Tally::new() }
    }

    pub fn restart(&mut self) {
        self.workers.iter_mut().flatten().for_each(|entry| *entry = Entry::default());
    }

    pub fn request(&mut self, worker: usize, key: usize, at: Duration) {
        self.tally.request(at);
        let entry = &mut self.workers[worker][key];
        if at >= entry.fresh_until {
            self.tally.fetch(at);
            let failure = is_down(at).then(|| at + self.script.failure_after());
            let known_at = failure.unwrap_or(at + LATENCY);
            *entry = Entry { known_at, fresh_until: if failure.is_some() { known_at } else { known_at + MAX_AGE } };
        }
        if entry.fresh_until == entry.known_at {
            self.tally.lost(at, entry.known_at);
        } else {
            self.tally.served(at, entry.known_at.max(at));
        }
    }
}
