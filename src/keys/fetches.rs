//! What a store and the key service say to each other, as data.

use std::time::Duration;

use super::shared::Places;
use super::waiters::Wake;
use crate::jose::jwk::Ring;

/// Someone who waits for a key: the host's number of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u32);

/// A request to a key service; its answer comes back under the same number, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId {
    pub(super) ring: Ring,
    pub(super) number: u64,
}

/// What to ask the key service: a GET of `path`, with the rest from [`super::Resolver::source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    /// Under which number the answer is expected.
    pub id: FetchId,
    /// The path of the request.
    pub path: String,
    /// The value of `if-none-match`, if an answer with an entity tag is held.
    pub if_none_match: Option<String>,
    /// The largest body that is of any use.
    pub max_body_bytes: usize,
    /// How long the whole answer may take: of a request that is sent again, what is left of `keys.timeout`.
    pub timeout: Duration,
    /// Where other workers may have left the answer; none for keys that are nobody else's business.
    pub places: Option<Places>,
}

impl KeyRequest {
    /// Whether the answer may hold a private key.
    pub fn is_private(&self) -> bool {
        self.ring() != Ring::Access
    }

    /// The kind of keys that it is about.
    pub fn ring(&self) -> Ring {
        self.id.ring
    }
}

/// What stands in the places of a request in the host's shared data.
#[derive(Debug, Clone, Copy, Default)]
pub struct SharedView<'a> {
    /// In [`Places::answer`].
    pub answer: Option<&'a [u8]>,
    /// In [`Places::refusal`].
    pub refusal: Option<&'a [u8]>,
    /// In [`Places::note`].
    pub note: Option<&'a [u8]>,
}

/// What is due about a request after a look at the shared data.
#[derive(Debug, PartialEq, Eq)]
pub enum Consultation {
    /// Nothing: another worker has the answer, or no request waits for it any more.
    Answered,
    /// Send the request, after `note` was written to [`Places::note`] and nobody else wrote there meanwhile.
    Ask {
        /// The new content of the place.
        note: Vec<u8>,
        /// The request may be conditional: what 304 would renew is still there for other workers.
        conditional: bool,
    },
    /// Another worker asks, or too many names are new: it comes again by itself.
    Later,
}

/// One piece of work that has become due, of bounded size: see [`super::Resolver::poll`].
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// This request does not wait any more.
    Woken(WaiterId, Wake),
    /// A fetch was not sent in time and has ended.
    Expired,
}

/// Something to leave for other workers.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    /// The name of the place.
    pub place: String,
    /// The new content.
    pub content: Vec<u8>,
}
