//! Keys: asked for when they are needed, held while they are fresh, served stale while the key service fails.
//!
//! Sans-IO: [`Resolver`] takes questions, answers and the time, and hands out requests as data.

pub mod answer;
mod fetches;
mod jitter;
mod memory;
mod resolver;
mod rings;
mod shared;
mod slot;
mod waiters;

pub use fetches::{Consultation, FetchId, KeyRequest, Progress, SharedView, WaiterId, Write};
pub use resolver::Resolver;
pub use rings::Rings;
pub use shared::Places;
pub use waiters::Wake;

use crate::denial::{Denial, KeyRefusal};
use crate::jose::jwk::{Key, Ring};
use crate::jose::token::Kid;

/// What is known about a key right now.
#[derive(Debug)]
pub enum Resolution<K = Key> {
    /// The key is enabled.
    Key(K),
    /// No key: the request is refused with this.
    Refused(Denial),
    /// The waiter is noted; it is named again when an answer has come.
    Wait,
}

/// Where a key was found when a request first asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCache {
    /// Held and fresh, in the configuration, or remembered as refused.
    Hit,
    /// Held past its freshness, while the key service fails.
    Stale,
    /// Not held: the key service had to be asked, or could not be.
    Miss,
}

impl KeyCache {
    const fn of(fresh: bool) -> Self {
        if fresh { Self::Hit } else { Self::Stale }
    }

    /// The name for the access log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
        }
    }
}

impl Resolution {
    /// The same about a key of one kind: `of` tells the key apart. A store holds keys of its own kind alone.
    fn of_kind<K>(self, ring: Ring, of: impl FnOnce(Key) -> Option<K>) -> Resolution<K> {
        match self {
            Self::Key(key) => match of(key) {
                Some(key) => Resolution::Key(key),
                None => Resolution::Refused(ring.refused(KeyRefusal::Unusable)),
            },
            Self::Refused(denial) => Resolution::Refused(denial),
            Self::Wait => Resolution::Wait,
        }
    }
}

/// What a request to the key service is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Key(Kid),
    Set,
}

impl Subject {
    fn kid(&self) -> Option<&Kid> {
        match self {
            Self::Key(kid) => Some(kid),
            Self::Set => None,
        }
    }
}
