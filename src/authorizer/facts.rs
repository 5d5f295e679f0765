//! What a request has shown on its way, for the access log.

use std::rc::Rc;

use crate::claims::Authentic;
use crate::jose::token::Kid;
use crate::keys::KeyCache;

/// What is known about a request when it is decided, whatever the decision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The access key that it named.
    pub kid: Option<Kid>,
    /// Who is behind it, once that was verified.
    pub proven: Option<Proven>,
    /// Whether its token was verified before; none if that was not looked up.
    pub token_cache: Option<bool>,
    /// Where the access key was found when it was first looked up.
    pub key_cache: Option<KeyCache>,
}

/// Whose request it is, by a signature that verified.
#[derive(Debug, Clone, PartialEq)]
pub enum Proven {
    /// By its token, whose times and audience may still be wrong.
    Token(Rc<Authentic>),
    /// By its CPIX document, with all that belongs to it.
    Document {
        /// The owner of the key.
        issuer: Rc<str>,
        /// The content.
        subject: Box<str>,
    },
}

impl Facts {
    /// Property and value of each fact, texts of strangers escaped to ASCII and cut.
    pub fn properties(&self) -> impl Iterator<Item = (&'static str, String)> {
        let (issuer, subject) = match &self.proven {
            None => (None, None),
            Some(Proven::Token(claims)) => (Some(claims.issuer()), Some(claims.subject())),
            Some(Proven::Document { issuer, subject }) => (Some(&**issuer), Some(&**subject)),
        };
        let token_cache = self.token_cache.map(|hit| if hit { "hit" } else { "miss" }.to_owned());
        let facts = [
            ("mdrm_kid", self.kid.as_ref().map(|kid| printable(kid.as_str(), 64))),
            ("mdrm_iss", issuer.map(|text| printable(text, 256))),
            ("mdrm_sub", subject.map(|text| printable(text, 256))),
            ("mdrm_token_cache", token_cache),
            ("mdrm_key_cache", self.key_cache.map(|cache| cache.name().to_owned())),
        ];
        facts.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

fn printable(text: &str, longest: usize) -> String {
    text.escape_default().take(longest).collect()
}
