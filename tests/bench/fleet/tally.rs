//! Counts of a run, by phase and by second.

use std::time::Duration;

use crate::script::{END, PHASES, phase, span};

/// What became of the requests of one phase.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// All.
    pub requests: u64,
    /// Decided at once.
    pub at_once: u64,
    /// Decided after they had waited for the key service.
    pub delayed: u64,
    /// Denied with MDRM-500.
    pub lost: u64,
    /// Requests to the key service.
    pub fetches: u64,
}

/// The counts of one proxy or of many.
#[derive(Clone)]
pub struct Tally {
    pub phases: [Counts; PHASES.len()],
    /// Requests to the key service in each second.
    pub per_second: Vec<u32>,
    /// The longest wait that ended in a key, and in a denial.
    pub longest_delay: Duration,
    pub longest_loss: Duration,
}

impl Tally {
    pub fn new() -> Tally {
        Tally {
            phases: [Counts::default(); PHASES.len()],
            per_second: vec![0; usize::try_from(END).unwrap()],
            longest_delay: Duration::ZERO,
            longest_loss: Duration::ZERO,
        }
    }

    fn at(&mut self, at: Duration) -> &mut Counts {
        &mut self.phases[phase(at)]
    }

    /// A request has come.
    pub fn request(&mut self, at: Duration) {
        self.at(at).requests += 1;
    }

    /// A request that came at `since` has its key at `at`.
    pub fn served(&mut self, since: Duration, at: Duration) {
        let waited = at.saturating_sub(since);
        let counts = self.at(since);
        *(if waited.is_zero() { &mut counts.at_once } else { &mut counts.delayed }) += 1;
        self.longest_delay = self.longest_delay.max(waited);
    }

    /// A request that came at `since` is denied with MDRM-500 at `at`.
    pub fn lost(&mut self, since: Duration, at: Duration) {
        self.at(since).lost += 1;
        self.longest_loss = self.longest_loss.max(at.saturating_sub(since));
    }

    /// A request to the key service.
    pub fn fetch(&mut self, at: Duration) {
        self.at(at).fetches += 1;
        if let Some(second) = self.per_second.get_mut(usize::try_from(at.as_secs()).unwrap()) {
            *second += 1;
        }
    }

    /// Takes in the counts of another proxy.
    pub fn add(&mut self, other: &Tally) {
        for (sum, counts) in self.phases.iter_mut().zip(&other.phases) {
            *sum = sum.plus(counts);
        }
        self.per_second.iter_mut().zip(&other.per_second).for_each(|(sum, second)| *sum += second);
        self.longest_delay = self.longest_delay.max(other.longest_delay);
        self.longest_loss = self.longest_loss.max(other.longest_loss);
    }

    /// The whole run.
    pub fn total(&self) -> Counts {
        self.phases.iter().fold(Counts::default(), |sum, counts| sum.plus(counts))
    }

    /// The most requests per second at the key service, averaged over `window` seconds, in `phase`.
    pub fn peak(&self, phase: usize, window: usize) -> f64 {
        let (start, end) = span(phase);
        let seconds = &self.per_second[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
        let most = seconds.windows(window).map(|seconds| seconds.iter().sum::<u32>()).max().unwrap();
        f64::from(most) / window as f64
    }
}

impl Counts {
    fn plus(&self, other: &Counts) -> Counts {
        Counts {
            requests: self.requests + other.requests,
            at_once: self.at_once + other.at_once,
            delayed: self.delayed + other.delayed,
            lost: self.lost + other.lost,
            fetches: self.fetches + other.fetches,
        }
    }
}
