//! Tokens whose signature was verified before. A player sends the same token several times within its short life.
//!
//! A token is recognised by its whole text, never by its signature alone: for ECDSA two texts can carry one signature's
//! meaning. What is remembered are the claims that do not change; times, the key's state and the rules of the route are
//! checked at every request.

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::rc::Rc;

use lru::LruCache;

use crate::bounded::settle;
use crate::claims::{Authentic, Protocol};
use crate::jose::token::Kid;
use crate::route::{Drm, Service};

/// Most tokens remembered by a worker, and most bytes of their texts.
const MAX_TOKENS: usize = 4096;
const MAX_BYTES: usize = 4 << 20;

/// The remembered tokens of one worker.
#[derive(Debug)]
pub(crate) struct Tokens {
    /// By a hash that strangers cannot foresee, so that a text is read once for it, and not again when it makes room. Of two
    /// texts with one hash the later one is remembered.
    by_hash: LruCache<u64, (Rc<str>, Remembered)>,
    hasher: RandomState,
    bytes: usize,
}

/// A token whose signature was right.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) kid: Rc<Kid>,
    /// [`AccessKey::fingerprint`](crate::jose::jwk::AccessKey::fingerprint) of the key that verified it.
    pub(crate) fingerprint: [u8; 32],
    pub(crate) authentic: Rc<Authentic>,
    /// The session token that the upstream got last for it.
    pub(crate) session: Option<Rc<Issued>>,
}

/// A session token, and all that it was made from besides the client's token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) made_for: MadeFor,
    pub(crate) token: Box<str>,
    /// It is sent again from the second it was made to the end of half of its life, both in seconds since the epoch.
    pub(crate) reusable: RangeInclusive<i64>,
}

/// What must be equal for a session token to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MadeFor {
    pub(crate) service: Service,
    pub(crate) drm: Option<Drm>,
    pub(crate) protocol: Protocol,
    /// Fingerprint of the session key.
    pub(crate) key: [u8; 32],
}

impl Default for Tokens {
    fn default() -> Self {
        // Bounded by `insert`: a bounded LruCache would reserve all its memory at once.
        Self { by_hash: LruCache::unbounded(), hasher: RandomState::new(), bytes: 0 }
    }
}

impl Tokens {
    /// What is remembered of exactly this text, and the text as it is kept.
    pub(crate) fn get(&mut self, text: &str) -> Option<(Rc<str>, Remembered)> {
        self.by_hash.get(&self.hash(text)).filter(|(held, _)| same(held, text)).cloned()
    }

    /// Remembers a token; the least recently used ones make room.
    pub(crate) fn insert(&mut self, text: Rc<str>, token: Remembered) {
        self.bytes = self.bytes.saturating_add(text.len());
        let hash = self.hash(&text);
        if let Some((_, (former, _))) = self.by_hash.push(hash, (text, token)) {
            self.bytes = self.bytes.saturating_sub(former.len());
        }
        while self.by_hash.len() > MAX_TOKENS || self.bytes > MAX_BYTES {
            let Some((_, (gone, _))) = self.by_hash.pop_lru() else { return };
            self.bytes = self.bytes.saturating_sub(gone.len());
            settle(&mut self.by_hash, MAX_TOKENS);
        }
    }

    /// The session token that was made last for the token of this text.
    pub(crate) fn session(&self, text: &str) -> Option<Rc<Issued>> {
        let (held, token) = self.by_hash.peek(&self.hash(text))?;
        token.session.clone().filter(|_| same(held, text))
    }

    /// Remembers the session token that was made for the token of this text.
    pub(crate) fn set_session(&mut self, text: &str, session: Rc<Issued>) {
        if let Some((held, token)) = self.by_hash.peek_mut(&self.hash(text))
            && same(held, text)
        {
            token.session = Some(session);
        }
    }

    /// The token has ended.
    pub(crate) fn remove(&mut self, text: &str) {
        let hash = self.hash(text);
        if self.by_hash.peek(&hash).is_some_and(|(held, _)| same(held, text)) {
            self.by_hash.pop(&hash);
            self.bytes = self.bytes.saturating_sub(text.len());
        }
    }

    fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }
}

/// Whether `text` is the text that is held. Most often it is the very same one.
fn same(held: &Rc<str>, text: &str) -> bool {
    std::ptr::eq(&**held, text) || **held == *text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered() -> Remembered {
        let kid = Rc::new(Kid::new("k").unwrap());
        Remembered { kid, fingerprint: [0; 32], authentic: Rc::new(Authentic::for_test()), session: None }
    }

    fn issued() -> Rc<Issued> {
        let made_for = MadeFor { service: Service::License, drm: None, protocol: Protocol::Rest, key: [0; 32] };
        Rc::new(Issued { made_for, token: "t".into(), reusable: 0..=1 })
    }

    #[test]
    fn is_bounded_in_entries_and_bytes_and_forgets_the_least_recently_used() {
        let (token, mut tokens) = (remembered(), Tokens::default());
        for n in 0..5000 {
            tokens.insert(format!("token {n}").into(), token.clone());
            assert!(tokens.get("token 0").is_some());
        }
        assert_eq!(tokens.by_hash.len(), MAX_TOKENS);
        assert!(tokens.get("token 1").is_none() && tokens.get("token 4999").is_some());
        for n in 0..200 {
            tokens.insert(format!("{n:060000}").into(), token.clone());
        }
        assert!(tokens.bytes <= MAX_BYTES && tokens.by_hash.len() <= MAX_BYTES / 60000);
    }

    #[test]
    fn counts_the_bytes_that_it_holds() {
        let (token, mut tokens) = (remembered(), Tokens::default());
        for _ in 0..2 {
            tokens.insert("one".into(), token.clone());
            tokens.insert("two and".into(), token.clone());
        }
        assert_eq!(tokens.bytes, 10);
        tokens.remove("one");
        tokens.remove("one");
        assert_eq!((tokens.bytes, tokens.by_hash.len()), (7, 1));
    }

    #[test]
    fn knows_a_token_by_its_text_and_not_by_the_hash() {
        let mut tokens = Tokens::default();
        let hash = tokens.hash("mine");
        tokens.by_hash.push(hash, ("other".into(), remembered()));
        tokens.set_session("mine", issued());
        tokens.remove("mine");
        assert!(tokens.get("mine").is_none() && tokens.session("mine").is_none());
        let held = tokens.by_hash.peek(&hash).map(|(text, token)| (&**text, token.session.is_some()));
        assert_eq!(held, Some(("other", false)));
        tokens.insert("mine".into(), remembered());
        assert!(tokens.get("mine").is_some());
        tokens.set_session("mine", issued());
        assert!(tokens.session("mine").is_some());
    }
}
