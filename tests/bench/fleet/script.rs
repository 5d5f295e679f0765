//! What happens in a run: phases, the key service's bad time, the change of keys, the restart of a proxy.

use std::time::Duration;

use crate::traffic::Random;

/// Workers of a proxy.
pub const WORKERS: usize = 4;
/// Keys in use at any time.
pub const KEYS: usize = 10_000;
/// One in so many keys is replaced by a new one in the rotation wave, …
pub const ROTATED: usize = 10;
/// … each at some moment of so many seconds.
pub const WAVE: u64 = 60;
/// How long the key service takes for an answer.
pub const LATENCY: Duration = Duration::from_millis(20);
/// Freshness that its answers give (`Cache-Control: max-age`).
pub const MAX_AGE: Duration = Duration::from_secs(600);
/// How long a proxy waits for an answer (`keys.timeout`, the default).
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// Name, and the second at which the phase starts. Each lasts until the next one.
pub const PHASES: [(&str, u64); 6] = [
    ("cold start of all", 0),
    ("steady", 1200),
    ("rolling restarts", 2400),
    ("rotation wave", 3000),
    ("outage", 3600),
    ("after the outage", 4200),
];
/// The end, in seconds.
pub const END: u64 = 4800;
/// The indices of the phases that anything else depends on.
pub const STEADY: usize = 1;
pub const RESTARTS: usize = 2;
pub const ROTATION: usize = 3;
pub const OUTAGE: usize = 4;

/// How the key service fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outage {
    /// It answers 503 as fast as ever.
    Refuses,
    /// It answers nothing.
    Silent,
}

/// The course of a run.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    pub outage: Outage,
    /// Requests per second at each proxy.
    pub rate: f64,
    /// The key service gives entity tags, and answers 304.
    pub tags: bool,
    /// Every key has a place of its own in the shared data, instead of one of 16 384.
    pub own_places: bool,
}

/// The phase at `at`.
pub fn phase(at: Duration) -> usize {
    PHASES.iter().rposition(|(_, start)| at.as_secs() >= *start).unwrap()
}

/// From when to when a phase lasts, in seconds.
pub fn span(phase: usize) -> (u64, u64) {
    (PHASES[phase].1, PHASES.get(phase + 1).map_or(END, |(_, next)| *next))
}

/// Whether a request that reaches the key service at `at` fails.
pub fn is_down(at: Duration) -> bool {
    phase(at) == OUTAGE
}

impl Script {
    /// When the failure of a request is known.
    pub fn failure_after(self) -> Duration {
        match self.outage {
            Outage::Refuses => LATENCY,
            Outage::Silent => TIMEOUT,
        }
    }
}

/// When proxy number `proxy` of `proxies` restarts: one after the other, evenly over the phase.
pub fn restart_at(proxy: usize, proxies: usize) -> Duration {
    let (start, end) = span(RESTARTS);
    let part = (proxy as f64 + 0.5) / proxies as f64;
    Duration::from_secs(start) + Duration::from_secs(end - start).mul_f64(part)
}

/// The numbers of the keys in use: the rotation wave gives new ones to some ranks.
pub struct Rotation {
    /// When each rank gets a new key, if it does.
    at: Vec<Option<Duration>>,
}

impl Rotation {
    pub fn new() -> Rotation {
        let mut random = Random::new(u64::MAX);
        let start = Duration::from_secs(PHASES[ROTATION].1);
        let mut moment = |rank: usize| {
            (rank % ROTATED == ROTATED / 2).then(|| start + Duration::from_secs(WAVE).mul_f64(random.fraction()))
        };
        Rotation { at: (0..KEYS).map(&mut moment).collect() }
    }

    /// All numbers that are ever used are below this.
    pub const NUMBERS: usize = 2 * KEYS;

    /// The number of the key of this rank at `at`.
    pub fn number(&self, rank: usize, at: Duration) -> usize {
        if self.at[rank].is_some_and(|moment| at >= moment) { KEYS + rank } else { rank }
    }
}
