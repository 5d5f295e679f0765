//! Access keys: asked for when they are needed, held while they are fresh, served stale while the key service fails.
//!
//! Sans-IO: [`Resolver`] takes questions, answers and the time, and hands out requests as data.

pub mod answer;
mod bucket;
mod jitter;
mod memory;
mod resolver;
mod shared;
mod slot;

use std::rc::Rc;

pub use resolver::{Consultation, FetchId, KeyRequest, Resolver, SharedView, Ticked, WaiterId, Write};
pub use shared::Places;

use crate::denial::Denial;
use crate::jose::jwk::AccessKey;
use crate::jose::token::Kid;

/// What is known about a key right now.
#[derive(Debug)]
pub enum Resolution {
    /// The key verifies tokens.
    Key(Rc<AccessKey>),
    /// No key: the request is refused with this.
    Refused(Denial),
    /// The waiter is noted; it is named again when an answer has come.
    Wait,
}

/// What a request to the key service is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
