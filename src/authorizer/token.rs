//! Requests that carry a token: rows 8 to 19 of the table of decisions.

use std::rc::Rc;

use super::{Authorizer, Credential, Grant, Next, Protects, Proven, Request, Stage, deny};
use crate::claims::{Authentic, Extract, Requirements, UntrustedClaims, Verified};
use crate::clock::Now;
use crate::config::{TokenRules, TunnelMode};
use crate::denial::{Denial, KeyRefusal};
use crate::jose::json::Object;
use crate::jose::jwk::AccessKey;
use crate::jose::token::{Kid, UntrustedToken};
use crate::keys::Resolution;
use crate::metrics::Event;
use crate::tokens::{Place, Remembered};

/// A token whose form is right and whose key is awaited.
#[derive(Debug)]
pub(super) struct Read {
    token: UntrustedToken<UntrustedClaims>,
    kid: Kid,
    /// Where it will be remembered.
    place: Option<Place>,
}

impl Authorizer {
    pub(super) fn on_token(&mut self, text: &str, request: Request, now: Now) -> Next {
        let place = self.tokens.as_ref().map(|tokens| tokens.place(text));
        let known = self.tokens.as_mut().zip(place).map(|(tokens, place)| tokens.get(place, text));
        self.facts.token_cache = known.as_ref().map(Option::is_some);
        match self.facts.token_cache {
            Some(true) => self.counters.event(Event::TokenHit),
            Some(false) => self.counters.event(Event::TokenMiss),
            None => {}
        }
        let Some((text, remembered)) = known.flatten() else {
            return match self.read_token(text, place) {
                Err(denial) => deny(denial),
                Ok(read) => self.on_token_key(request, read, now),
            };
        };
        match self.access_key(&remembered.kid, request.waiter, now) {
            Resolution::Key(key) if key.fingerprint == remembered.fingerprint => {
                self.facts.proven = Some(Proven::Token(Rc::clone(&remembered.authentic)));
                match self.verify(&request, &key, &remembered.authentic, now) {
                    Err(denial) => deny(denial),
                    Ok(verified) => {
                        let credential = Credential::Token { text, place, verified };
                        self.on_verified(request, Grant { key, credential }, now)
                    }
                }
            }
            // Past its freshness, or after it was replaced, the key is looked at together with the token.
            resolution => match self.read_token(&text, place) {
                Err(denial) => deny(denial),
                Ok(read) => self.on_resolved(request, read, resolution, now),
            },
        }
    }

    /// Rows 8 to 10 of the table of decisions, as far as they need no key.
    fn read_token(&self, text: &str, place: Option<Place>) -> Result<Read, Denial> {
        let headers = &self.config.upstream.claim_headers;
        let extract = Extract { headers, session: self.config.session.is_some() };
        let read = |claims: &Object<'_>| UntrustedClaims::read(claims, extract);
        let token = UntrustedToken::parse_with(text.into(), self.config.max_token_bytes, read)?;
        if token.header().is_session_token {
            return Err(Denial::SessionTokenPresented);
        }
        let kid = token.header().kid.clone().ok_or(Denial::AccessKey(KeyRefusal::NoName))?;
        Ok(Read { token, kid, place })
    }

    pub(super) fn on_token_key(&mut self, request: Request, read: Read, now: Now) -> Next {
        let resolution = self.access_key(&read.kid, request.waiter, now);
        self.on_resolved(request, read, resolution, now)
    }

    fn on_resolved(&mut self, request: Request, read: Read, resolution: Resolution<Rc<AccessKey>>, now: Now) -> Next {
        let key = match resolution {
            Resolution::Wait => return request.wait(Stage::TokenKey(Box::new(read))),
            Resolution::Refused(denial) => return deny(denial),
            Resolution::Key(key) => key,
        };
        let Read { token, place, .. } = read;
        let text = Rc::clone(token.text());
        let authentic = Authentic::new(token, &key);
        if !matches!(authentic, Err(Denial::AlgorithmNotTheKeys | Denial::CriticalHeader)) {
            self.count_verification(key.verifying_key.by_host());
        }
        let authentic = match authentic {
            Err(denial) => return deny(denial),
            Ok(authentic) => Rc::new(authentic),
        };
        self.facts.proven = Some(Proven::Token(Rc::clone(&authentic)));
        // Whatever the rules say of it: a player that sends an expired token again and again costs one check of its
        // signature.
        if let (Some(tokens), Some(place)) = (&mut self.tokens, place) {
            let (kid, fingerprint, authentic) = (key.kid.clone(), key.fingerprint, Rc::clone(&authentic));
            tokens.insert(place, Rc::clone(&text), Remembered { kid, fingerprint, authentic, session: None });
        }
        match self.verify(&request, &key, &authentic, now) {
            Err(denial) => deny(denial),
            Ok(verified) => {
                let credential = Credential::Token { text, place, verified };
                self.on_verified(request, Grant { key, credential }, now)
            }
        }
    }

    /// Rows 13 to 19, as far as they do not depend on the token alone.
    fn verify(
        &self,
        request: &Request,
        key: &AccessKey,
        authentic: &Rc<Authentic>,
        now: Now,
    ) -> Result<Verified, Denial> {
        // Where only one type of request may come at all, the claim has nothing to decide.
        let looks_at_protocol = request.protects != Protects::Cpix && self.config.tunnel.mode == TunnelMode::Permissive;
        let required = Requirements {
            rules: self.rules(request.protects),
            clock_skew: self.config.clock_skew,
            protocol: looks_at_protocol.then(|| request.protocol()),
        };
        Verified::new(Rc::clone(authentic), key, required, now.unix)
    }

    fn on_verified(&mut self, request: Request, grant: Grant, now: Now) -> Next {
        if request.protects != Protects::Cpix || !self.config.bind_content {
            return self.on_grant(request, grant, now);
        }
        match request.body.check(request.protects) {
            Err(denial) => deny(denial),
            Ok(()) => request.wait(Stage::BoundDocument(grant)),
        }
    }

    pub(super) fn rules(&self, protects: Protects) -> &TokenRules {
        match protects {
            Protects::License => &self.config.license,
            Protects::Cpix | Protects::SignedCpix => &self.config.cpix,
            Protects::Nothing => &self.denied,
        }
    }
}
