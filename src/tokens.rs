//! Tokens whose signature was verified before. A player sends the same token several times within its short life.
//!
//! A token is recognised by its whole text, never by its signature alone: for ECDSA two texts can carry one signature's
//! meaning. What is remembered are the claims that do not change; times, the key's state and the rules of the route are
//! checked at every request. So a token keeps its place past its end, until it is the least recently used one: a player
//! that sends an expired token again and again costs one check of its signature.

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
    /// Of two texts with one place the later one is remembered.
    by_place: LruCache<Place, (Rc<str>, Remembered)>,
    hasher: RandomState,
    bytes: usize,
}

/// Where the token of a text is remembered: a hash of the text that strangers cannot foresee. A text is read for it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place(u64);

/// A token whose signature was right.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    /// The key's own.
    pub(crate) kid: Kid,
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
        Self { by_place: LruCache::unbounded(), hasher: RandomState::new(), bytes: 0 }
    }
}

impl Tokens {
    /// The place of a text, which the other functions want beside it.
    pub(crate) fn place(&self, text: &str) -> Place {
        Place(self.hasher.hash_one(text))
    }

    /// What is remembered of exactly this text, and the text as it is kept.
    pub(crate) fn get(&mut self, place: Place, text: &str) -> Option<(Rc<str>, Remembered)> {
        self.by_place.get(&place).filter(|(held, _)| same(held, text)).cloned()
    }

    /// Remembers a token; the least recently used ones make room.
    pub(crate) fn insert(&mut self, place: Place, text: Rc<str>, token: Remembered) {
        self.bytes = self.bytes.saturating_add(text.len());
        if let Some((_, (former, _))) = self.by_place.push(place, (text, token)) {
            self.bytes = self.bytes.saturating_sub(former.len());
        }
        while self.by_place.len() > MAX_TOKENS || self.bytes > MAX_BYTES {
            let Some((_, (gone, _))) = self.by_place.pop_lru() else { return };
            self.bytes = self.bytes.saturating_sub(gone.len());
            settle(&mut self.by_place, MAX_TOKENS);
        }
    }

    /// The session token that was made last for the token of this text.
    pub(crate) fn session(&self, place: Place, text: &str) -> Option<Rc<Issued>> {
        let (held, token) = self.by_place.peek(&place)?;
        token.session.clone().filter(|_| same(held, text))
    }

    /// Remembers the session token that was made for the token of this text.
    pub(crate) fn set_session(&mut self, place: Place, text: &str, session: Rc<Issued>) {
        if let Some((held, token)) = self.by_place.peek_mut(&place)
            && same(held, text)
        {
            token.session = Some(session);
        }
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
        let kid = Kid::new("k").unwrap();
        Remembered { kid, fingerprint: [0; 32], authentic: Rc::new(Authentic::for_test()), session: None }
    }

    fn insert(tokens: &mut Tokens, text: &str) {
        tokens.insert(tokens.place(text), text.into(), remembered());
    }

    fn holds(tokens: &mut Tokens, text: &str) -> bool {
        tokens.get(tokens.place(text), text).is_some()
    }

    fn issued() -> Rc<Issued> {
        let made_for = MadeFor { service: Service::License, drm: None, protocol: Protocol::Rest, key: [0; 32] };
        Rc::new(Issued { made_for, token: "t".into(), reusable: 0..=1 })
    }

    #[test]
    fn is_bounded_in_entries_and_bytes_and_forgets_the_least_recently_used() {
        let mut tokens = Tokens::default();
        for n in 0..5000 {
            insert(&mut tokens, &format!("token {n}"));
            assert!(holds(&mut tokens, "token 0"));
        }
        assert_eq!(tokens.by_place.len(), MAX_TOKENS);
        assert!(!holds(&mut tokens, "token 1") && holds(&mut tokens, "token 4999"));
        for n in 0..200 {
            insert(&mut tokens, &format!("{n:060000}"));
        }
        assert!(tokens.bytes <= MAX_BYTES && tokens.by_place.len() <= MAX_BYTES / 60000);
    }

    #[test]
    fn counts_the_bytes_that_it_holds() {
        let mut tokens = Tokens::default();
        for _ in 0..2 {
            insert(&mut tokens, "one");
            insert(&mut tokens, "two and");
        }
        assert_eq!((tokens.bytes, tokens.by_place.len()), (10, 2));
        // Of two texts with one place the later one is remembered.
        tokens.insert(tokens.place("one"), "four".into(), remembered());
        assert_eq!((tokens.bytes, tokens.by_place.len()), (11, 2));
    }

    #[test]
    fn knows_a_token_by_its_text_and_not_by_its_place() {
        let mut tokens = Tokens::default();
        let place = tokens.place("mine");
        tokens.insert(place, "other".into(), remembered());
        tokens.set_session(place, "mine", issued());
        assert!(tokens.get(place, "mine").is_none());
        assert!(tokens.get(place, "other").is_some() && tokens.session(place, "other").is_none());
        tokens.set_session(place, "other", issued());
        assert!(tokens.session(place, "other").is_some() && tokens.session(place, "mine").is_none());
        tokens.insert(place, "mine".into(), remembered());
        assert!(tokens.get(place, "mine").is_some() && tokens.get(place, "other").is_none());
    }
}
