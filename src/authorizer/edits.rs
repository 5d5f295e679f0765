//! What changes on a request on its way to the upstream.

use std::rc::Rc;

use crate::carriage::{HEADER, PathEdit, Removal};
use crate::config::Config;
use crate::spelling::{fold, is_spelling_of};

/// What to take off a request at once, before anything is decided.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Removals {
    /// Names of headers to remove, as the request spells them.
    pub headers: Vec<Vec<u8>>,
    /// The new value of `:path`, if the token stood in the query.
    pub path: Option<Vec<u8>>,
}

/// Where the token stood, for a request that goes on with it.
#[derive(Debug, Default)]
pub(super) struct TakenFrom {
    pub(super) authorization: Option<Box<[u8]>>,
    pub(super) path: Option<Box<[u8]>>,
}

impl TakenFrom {
    pub(super) fn of(removal: &Removal<'_>) -> Self {
        Self {
            authorization: removal.authorization.first().map(|value| (*value).into()),
            path: removal.path.as_ref().map(|edit| edit.with_token.into()),
        }
    }
}

/// What to change on a request before it goes on, in this order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Edits {
    /// Names of headers to remove.
    pub remove: Vec<&'static str>,
    /// Headers to set to one value each, names in lower case.
    pub set: Vec<(Rc<str>, Vec<u8>)>,
    /// What the body becomes.
    pub body: Option<Vec<u8>>,
}

impl Edits {
    /// Takes the token off, for a request that has kept it so far.
    pub(super) fn removing(removal: &Removal<'_>) -> Self {
        let mut edits = Self::default();
        edits.remove.extend(removal.authorization.first().map(|_| HEADER));
        if let Some(path) = &removal.path {
            edits.set(":path", path.without_token.as_slice());
        }
        edits
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.set.push((name.into(), value.into()));
    }
}

impl Removals {
    pub(super) fn new(mut headers: Vec<Vec<u8>>, removal: &Removal<'_>) -> Self {
        if !removal.authorization.is_empty() {
            headers.push(HEADER.into());
        }
        let path = removal.path.as_ref().map(|PathEdit { without_token, .. }| without_token.clone());
        Self { headers, path }
    }
}

/// The names of headers and trailers that only this filter may write: every `x-mdrm-*`, and those that the configuration
/// names, in every spelling that a server behind the proxy may take for one of them.
#[derive(Debug, Default)]
pub struct OurHeaders(Box<[Box<str>]>);

impl OurHeaders {
    pub(super) fn of(config: &Config) -> Self {
        let session = config.session.as_ref().map(|session| &session.header);
        let payload = config.upstream.payload_header.as_ref();
        let claims = config.upstream.claim_headers.iter().map(|header| &header.header);
        let names = session.into_iter().chain(payload).chain(claims);
        Self(names.map(|name| fold(name)).filter(|name| !name.starts_with(OUR_PREFIX)).map(Into::into).collect())
    }

    /// Those among `names` that a client must not send.
    pub fn among<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        names.filter(|name| self.contains(name)).map(<[u8]>::to_vec).collect()
    }

    fn contains(&self, name: &[u8]) -> bool {
        let starts_with = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| is_spelling_of(start, prefix));
        starts_with(OUR_PREFIX) || self.0.iter().any(|ours| is_spelling_of(name, ours))
    }
}

const OUR_PREFIX: &str = "x-mdrm-";
