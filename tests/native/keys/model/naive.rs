//! The model: what a worker should know of its keys, with everything remembered for ever and looked up anew each time.

use std::collections::BTreeMap;

use mdrm_authz::keys::FetchId;

use crate::keys::stage::{DELETED, DISABLED, Seen, UNKNOWN, UNUSABLE, unavailable};

/// Milliseconds after the first, second, … failure in which nothing is asked.
const PAUSES: [u64; 6] = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000];
const STALE_IF_ERROR: u64 = 12_000;
const REFETCH_INTERVAL: u64 = 4_000;

/// What the key service said.
#[derive(Debug, Clone)]
pub enum Said {
    Unknown,
    Deleted,
    Unusable,
    Disabled,
    /// The key, by its owner.
    Key(String),
    /// All keys: their owners by kid.
    Set(BTreeMap<String, String>),
}

/// What is known of one subject. Times in milliseconds.
#[derive(Debug, Default)]
pub struct Memory {
    said: Option<Spoken>,
    /// When the service failed since it last said something.
    pub failures: Vec<u64>,
}

#[derive(Debug)]
struct Spoken {
    what: Said,
    at: u64,
    until: u64,
}

impl Memory {
    /// The service said something at this moment.
    pub fn remember(&mut self, what: Said, max_age: Option<u64>, now: u64) {
        let seconds = match (&what, max_age) {
            (Said::Unknown | Said::Deleted | Said::Unusable, _) => 3,
            (_, None) => 5,
            (_, Some(max_age)) => max_age.clamp(1, 20),
        };
        self.said = Some(Spoken { what, at: now, until: now + seconds * 1000 });
        self.failures.clear();
    }

    /// Milliseconds in which nothing is to be asked.
    fn pause(&self, now: u64) -> u64 {
        let Some(last) = self.failures.last() else { return 0 };
        let pause = PAUSES[(self.failures.len() - 1).min(PAUSES.len() - 1)];
        (last + pause).saturating_sub(now)
    }
}

/// Everything that was ever said, and who waits.
pub struct Naive {
    pub set: bool,
    pub now: u64,
    pub memories: BTreeMap<String, Memory>,
    pub under_way: BTreeMap<String, FetchId>,
    /// The kid that each waits for.
    pub waiting: BTreeMap<u32, String>,
}

impl Naive {
    pub fn new(set: bool) -> Naive {
        Naive { set, now: 0, memories: BTreeMap::new(), under_way: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// What a request is about, by its path.
    pub fn subject(&self, kid: &str) -> String {
        if self.set { "/jwks.json".to_owned() } else { format!("/keys/{kid}") }
    }

    /// Whether the service has ever known a key of this name, by its last word. It is asked for one even for nobody.
    pub fn is_registered(&self, kid: &str) -> bool {
        let said = self.memories.get(&self.subject(kid)).and_then(|memory| memory.said.as_ref());
        self.set || said.is_some_and(|spoken| matches!(spoken.what, Said::Key(_) | Said::Disabled))
    }

    /// What a request with this kid learns if there is room to wait, and whether the service is asked for it.
    pub fn expect(&self, kid: &str) -> (Seen, bool) {
        let subject = self.subject(kid);
        let idle = !self.under_way.contains_key(&subject);
        let nothing = Memory::default();
        let memory = self.memories.get(&subject).unwrap_or(&nothing);
        let pause = memory.pause(self.now);
        if let Some(spoken) = &memory.said {
            if self.now < spoken.until {
                let old = self.now - spoken.at >= REFETCH_INTERVAL;
                let worth_asking = lacks(&spoken.what, kid) && old && pause == 0;
                // The last fifth of the freshness: whoever comes first has it asked for ahead.
                let ahead =
                    pause == 0 && self.is_registered(kid) && self.now >= spoken.until - (spoken.until - spoken.at) / 5;
                return if worth_asking { (Seen::Wait, idle) } else { (seen(&spoken.what, kid), idle && ahead) };
            }
            if !memory.failures.is_empty() && self.now < spoken.until + STALE_IF_ERROR {
                return (seen(&spoken.what, kid), idle && pause == 0);
            }
        }
        if pause > 0 {
            return (unavailable(u32::try_from(pause.div_ceil(1000)).unwrap()), false);
        }
        (Seen::Wait, idle)
    }
}

/// Whether this is a set without the key.
fn lacks(said: &Said, kid: &str) -> bool {
    matches!(said, Said::Set(owners) if !owners.contains_key(kid))
}

fn seen(said: &Said, kid: &str) -> Seen {
    match said {
        Said::Unknown => UNKNOWN,
        Said::Deleted => DELETED,
        Said::Unusable => UNUSABLE,
        Said::Disabled => DISABLED,
        Said::Key(owner) => Seen::Key(owner.clone()),
        Said::Set(owners) => owners.get(kid).map_or(UNKNOWN, |owner| Seen::Key(owner.clone())),
    }
}
