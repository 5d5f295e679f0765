//! What is counted: the closed list of counters, and the counts of one worker until they are handed to the host.

use crate::denial::Code;

/// Declares [`Event`] with its name on one line a row.
macro_rules! events {
    ($($(#[doc = $doc:literal])* $event:ident = $name:literal;)*) => {
        /// A counter of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event {
            $($(#[doc = $doc])* $event,)*
        }

        impl Event {
            const ALL: &'static [Self] = &[$(Self::$event),*];

            const fn name(self) -> &'static str {
                match self { $(Self::$event => $name),* }
            }
        }
    };
}

events! {
    /// A request whose credential holds went on.
    Allowed = "allowed";
    /// A request of an `open` route, or a preflight, went on unchecked.
    Passed = "passed";
    /// A key was looked up and held, fresh. Look-ups are counted once a request and key, those that wait as well.
    KeyHit = "keys.hit";
    /// A key was looked up and the key service had to be asked, or could not be.
    KeyMiss = "keys.miss";
    /// A key was looked up and served past its freshness, because the key service fails.
    KeyStaleHit = "keys.stale_hit";
    /// A key was looked up and is remembered as unknown, unusable, disabled or deleted.
    KeyNegativeHit = "keys.negative_hit";
    /// A request to a key service was answered.
    FetchSuccess = "keys.fetch_success";
    /// A request to a key service could not be sent, or got no answer that is one.
    FetchFailure = "keys.fetch_failure";
    /// A token was verified before.
    TokenHit = "tokens.hit";
    /// A token was not verified before, as far as is remembered.
    TokenMiss = "tokens.miss";
    /// A signature was checked with a key that the host verifies with.
    VerifiedByHost = "verify.host";
    /// A signature was checked in the VM.
    VerifiedInVm = "verify.in_vm";
}

/// One counter of the closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// One that stands for itself.
    Event(Event),
    /// Requests that were refused with this code.
    Denied(Code),
    /// Requests that would have been refused with this code, had not `report_only` been set.
    WouldDeny(Code),
}

/// The name of every metric begins with this.
pub const PREFIX: &str = "mdrm_authz.";
/// Gauge: keys of the key services that are held.
pub const KEY_ENTRIES: &str = "keys.entries";
/// Gauge: requests that are held, for a key or their body.
pub const WAITING: &str = "waiting";
/// Histogram: milliseconds from a request to a key service to its answer.
pub const FETCH_MS: &str = "keys.fetch_ms";

const EVENTS: usize = Event::ALL.len();
const CODES: usize = Code::ALL.len();
const ALL: usize = EVENTS + 2 * CODES;

/// Most times kept until the next [`Counters::drain`]; more in a second tell nothing new.
const MAX_FETCH_TIMES: usize = 1000;

impl Counter {
    /// Every counter, each at its place.
    pub fn all() -> impl Iterator<Item = Self> {
        let events = Event::ALL.iter().map(|event| Self::Event(*event));
        let denied = Code::ALL.iter().map(|code| Self::Denied(*code));
        events.chain(denied).chain(Code::ALL.iter().map(|code| Self::WouldDeny(*code)))
    }

    /// The name without [`PREFIX`].
    pub fn name(self) -> String {
        match self {
            Self::Event(event) => event.name().to_owned(),
            Self::Denied(code) => ["denied.", code.name()].concat(),
            Self::WouldDeny(code) => ["would_deny.", code.name()].concat(),
        }
    }

    /// Its place among all.
    const fn index(self) -> usize {
        match self {
            Self::Event(event) => event as usize,
            Self::Denied(code) => EVENTS.saturating_add(code as usize),
            Self::WouldDeny(code) => EVENTS.saturating_add(CODES).saturating_add(code as usize),
        }
    }
}

/// What was counted since the last [`Self::drain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    counts: [u32; ALL],
    fetch_ms: Vec<u32>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { counts: [0; ALL], fetch_ms: Vec::new() }
    }
}

impl Counters {
    /// Counts one.
    pub fn count(&mut self, counter: Counter) {
        if let Some(count) = self.counts.get_mut(counter.index()) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts one.
    pub fn event(&mut self, event: Event) {
        self.count(Counter::Event(event));
    }

    /// Notes how long a request to a key service took, in milliseconds.
    pub fn fetch_took(&mut self, milliseconds: u32) {
        if self.fetch_ms.len() < MAX_FETCH_TIMES {
            self.fetch_ms.push(milliseconds);
        }
    }

    /// How often `counter` was counted.
    pub fn get(&self, counter: Counter) -> u32 {
        self.counts.get(counter.index()).copied().unwrap_or_default()
    }

    /// Takes over all that `other` has counted.
    pub fn absorb(&mut self, other: &mut Self) {
        for (count, more) in self.counts.iter_mut().zip(&mut other.counts) {
            *count = count.saturating_add(std::mem::take(more));
        }
        self.fetch_ms.append(&mut other.fetch_ms);
    }

    /// Hands every count that is not 0 to `counted`, by its place in [`Counter::all`], and every time to `took`. Starts anew.
    pub fn drain(&mut self, mut counted: impl FnMut(usize, u32), mut took: impl FnMut(u32)) {
        for (index, count) in self.counts.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            counted(index, std::mem::take(count));
        }
        self.fetch_ms.drain(..).for_each(&mut took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_its_own_place_and_name() {
        let all: Vec<Counter> = Counter::all().collect();
        assert!(all.iter().enumerate().all(|(place, counter)| counter.index() == place));
        let mut names: Vec<String> = all.iter().map(|counter| counter.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!((all.len(), names.len()), (ALL, ALL));
    }

    #[test]
    fn what_is_counted_is_handed_over_once() {
        let (denied, mut counters, mut other) =
            (Counter::Denied(Code::Mdrm918), Counters::default(), Counters::default());
        counters.count(denied);
        other.count(denied);
        other.event(Event::Allowed);
        other.fetch_took(7);
        counters.absorb(&mut other);
        assert_eq!(other, Counters::default());
        let (mut counts, mut times) = (Vec::new(), Vec::new());
        counters.drain(|place, count| counts.push((place, count)), |time| times.push(time));
        assert_eq!((counts, times), (vec![(0, 1), (denied.index(), 2)], vec![7]));
        assert_eq!(counters, Counters::default());
    }
}
