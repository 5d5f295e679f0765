//! Tokens whose signature was verified before. A player sends the same token several times within its short life.
//!
//! A token is recognised by its whole text, never by its signature alone: for ECDSA two texts can carry one signature's
//! meaning. What is remembered are the claims that do not change; times, the key's state and the rules of the route are
//! checked at every request.

use std::rc::Rc;

use lru::LruCache;

use crate::claims::Authentic;
use crate::jose::jwk::AccessKey;
use crate::jose::token::Kid;

/// Most tokens remembered by a worker, and most bytes of their texts.
const MAX_TOKENS: usize = 4096;
const MAX_BYTES: usize = 4 << 20;

/// The remembered tokens of one worker.
#[derive(Debug)]
pub(crate) struct Tokens {
    by_text: LruCache<Box<str>, Remembered>,
    bytes: usize,
}

/// A token whose signature was right.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) kid: Rc<Kid>,
    /// The key that verified it.
    pub(crate) key: Rc<AccessKey>,
    pub(crate) authentic: Rc<Authentic>,
}

impl Default for Tokens {
    fn default() -> Self {
        // Bounded by `insert`: a bounded LruCache reserves all its memory at once.
        Self { by_text: LruCache::unbounded(), bytes: 0 }
    }
}

impl Tokens {
    /// What is remembered of exactly this text.
    pub(crate) fn get(&mut self, text: &str) -> Option<Remembered> {
        self.by_text.get(text).cloned()
    }

    /// Remembers a token; the least recently used ones make room.
    pub(crate) fn insert(&mut self, text: Box<str>, token: Remembered) {
        self.bytes = self.bytes.saturating_add(text.len());
        if let Some((former, _)) = self.by_text.push(text, token) {
            self.bytes = self.bytes.saturating_sub(former.len());
        }
        while self.by_text.len() > MAX_TOKENS || self.bytes > MAX_BYTES {
            let Some((gone, _)) = self.by_text.pop_lru() else { return };
            self.bytes = self.bytes.saturating_sub(gone.len());
        }
    }

    /// The token has ended.
    pub(crate) fn remove(&mut self, text: &str) {
        if let Some((gone, _)) = self.by_text.pop_entry(text) {
            self.bytes = self.bytes.saturating_sub(gone.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::jwk::{KeyDocument, Provenance};

    fn remembered() -> Remembered {
        let provenance = Provenance {
            default_owner: None,
            default_audiences: &[],
            symmetric: true,
            slow_algorithms: false,
            native: None,
        };
        let kid = Kid::new("k").unwrap();
        let document = br#"{"kid":"k","iss":"o","kty":"oct","alg":"HS256",
            "k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let KeyDocument::Enabled(key) = KeyDocument::parse_one(document, &kid, provenance).unwrap() else { panic!() };
        Remembered { kid: Rc::new(kid), key: Rc::new(*key), authentic: Rc::new(Authentic::for_test()) }
    }

    #[test]
    fn is_bounded_in_entries_and_bytes_and_forgets_the_least_recently_used() {
        let (token, mut tokens) = (remembered(), Tokens::default());
        for n in 0..5000 {
            tokens.insert(format!("token {n}").into(), token.clone());
            assert!(tokens.get("token 0").is_some());
        }
        assert_eq!(tokens.by_text.len(), MAX_TOKENS);
        assert!(tokens.get("token 1").is_none() && tokens.get("token 4999").is_some());
        for n in 0..200 {
            tokens.insert(format!("{n:060000}").into(), token.clone());
        }
        assert!(tokens.bytes <= MAX_BYTES && tokens.by_text.len() <= MAX_BYTES / 60000);
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
        assert_eq!((tokens.bytes, tokens.by_text.len()), (7, 1));
    }
}
