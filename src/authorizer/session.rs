//! The end of the way: a request that is allowed gets a session token, if they are configured, and goes on.

use std::rc::Rc;

use log::info;

use super::edits::TakenFrom;
use super::{Authorizer, Credential, Decision, Edits, Grant, Next, Request, Stage, deny};
use crate::carriage::HEADER;
use crate::claims::Verified;
use crate::clock::Now;
use crate::denial::{Denial, KeyRefusal};
use crate::jose::jwk::SessionKid;
use crate::jose::signing::{SessionKey, SigningPair};
use crate::jose::token::Kid;
use crate::keys::Resolution;
use crate::route::Drm;
use crate::session::{self, Claims};
use crate::tokens::{Issued, MadeFor};

impl Authorizer {
    /// Rows 21 and 22 of the table of decisions.
    pub(super) fn on_grant(&mut self, request: Request, grant: Grant, now: Now) -> Next {
        let config = Rc::clone(&self.config);
        let Some(session) = &config.session else { return self.allow(request, &grant, None) };
        let kid = match (&grant.key.session_kid, &session.kid) {
            (SessionKid::Named(kid), _) | (SessionKid::Unsaid, Some(kid)) => kid,
            (SessionKid::Unsaid, None) => return deny(Denial::SessionKidMissing),
            (SessionKid::Impossible, _) => return deny(Denial::SessionKey(KeyRefusal::NoName)),
        };
        let key = match self.keys.session(kid, request.waiter, now) {
            None => return deny(Denial::SessionKidMissing),
            Some(Resolution::Wait) => return request.wait(Stage::SessionKey(grant)),
            Some(Resolution::Refused(denial)) => return deny(denial),
            Some(Resolution::Key(key)) => key,
        };
        match self.session_token(&request, &grant, kid, &key, now) {
            Err(denial) => deny(denial),
            Ok(issued) => self.allow(request, &grant, Some(&issued.token)),
        }
    }

    /// The token for the upstream: the one that it got before for the same client token, or a new one.
    fn session_token(
        &mut self,
        request: &Request,
        grant: &Grant,
        kid: &Kid,
        key: &SessionKey,
        now: Now,
    ) -> Result<Rc<Issued>, Denial> {
        let pair = key.pair()?;
        let (service, drm, protocol) = (request.service(), request.drm, request.protocol());
        let made_for = MadeFor { service, drm, protocol, key: key.fingerprint };
        let remembered = match &grant.credential {
            Credential::Token { text, place: Some(place), .. } => Some((*place, text)),
            Credential::Token { place: None, .. } | Credential::Document(_) => None,
        };
        if let (Some(tokens), Some((place, text))) = (&mut self.tokens, remembered)
            && let Some(issued) = tokens.session(place, text)
            && issued.made_for == made_for
            && issued.reusable.contains(&now.unix)
        {
            return Ok(issued);
        }
        let (token, expires) = self.sign(request, grant, kid, pair, now)?;
        // Half of its life, without a fraction: what is sent on lives at least as long again.
        let half = expires.saturating_sub(now.unix).div_euclid(2);
        let reusable = now.unix..=now.unix.saturating_add(half).saturating_sub(1);
        let issued = Rc::new(Issued { made_for, token: token.into(), reusable });
        if let (Some(tokens), Some((place, text))) = (&mut self.tokens, remembered) {
            tokens.set_session(place, text, Rc::clone(&issued));
        }
        Ok(issued)
    }

    /// A new session token, and when it ends in seconds since the epoch.
    fn sign(
        &self,
        request: &Request,
        grant: &Grant,
        kid: &Kid,
        pair: &SigningPair,
        now: Now,
    ) -> Result<(String, i64), Denial> {
        let Some(session) = &self.config.session else { return Err(Denial::SessionNotSigned) };
        let random;
        let (subject, jti, claims, end) = match &grant.credential {
            Credential::Token { verified, .. } => {
                let end = verified.end(self.rules(request.protects), self.config.clock_skew);
                (verified.subject(), verified.token_id(), verified.unregistered(), Some(end))
            }
            Credential::Document(subject) => {
                random = self.random_id().ok_or(Denial::SessionNotSigned)?;
                (subject.as_str(), &*random, "{}", None)
            }
        };
        let expires = session::expiry(now.unix, session.lifetime, end);
        let claims = Claims {
            issuer: &session.issuer,
            audience: &session.audience,
            subject,
            now: now.unix,
            expires,
            jti,
            owner: &grant.key.owner,
            access_kid: grant.key.kid.as_str(),
            service: request.service().name(),
            drm: request.drm.map(Drm::name),
            drm_protocol: Some(request.protocol().claim()),
            claims,
        };
        let token = session::sign(kid.as_str(), pair, &claims)?;
        Ok((token, expires))
    }

    /// A name for a token that nobody gave one: 128 random bits in hexadecimal.
    fn random_id(&self) -> Option<String> {
        let bits = u128::from_be_bytes(self.platform.random?()?);
        Some(format!("{bits:032x}"))
    }

    fn allow(&mut self, request: Request, grant: &Grant, session_token: Option<&str>) -> Next {
        let mut edits = Edits::default();
        let config = Rc::clone(&self.config);
        let client_token = match &grant.credential {
            Credential::Token { text, verified, .. } => {
                self.set_claims(text, verified, &mut edits);
                Some(&**text).filter(|_| config.upstream.forward_token)
            }
            Credential::Document(_) => None,
        };
        match request.opened {
            Some(opened) => opened.apply(client_token, &mut edits),
            None if client_token.is_some() => {
                let TakenFrom { authorization, path } = request.taken_from;
                edits.set.extend(authorization.map(|value| (HEADER.into(), value.into())));
                edits.set.extend(path.map(|value| (":path".into(), value.into())));
            }
            None => {}
        }
        if let (Some(session), Some(token)) = (&config.session, session_token) {
            // Whoever reads `authorization` expects a scheme before the token (RFC 9110 section 11.6.2).
            let scheme = if &*session.header == HEADER { "Bearer " } else { "" };
            edits.set.push((Rc::clone(&session.header), [scheme, token].concat().into()));
        }
        Next::Decided(Decision::Allow(edits))
    }

    /// The payload and single claims as headers.
    fn set_claims(&mut self, text: &str, verified: &Verified, edits: &mut Edits) {
        let upstream = &self.config.upstream;
        if let Some(name) = &upstream.payload_header {
            // The payload in base64url is the second part of the token as it stands.
            let payload = text.split('.').nth(1).unwrap_or_default();
            edits.set.push((Rc::clone(name), payload.into()));
        }
        for (at, (header, value)) in upstream.claim_headers.iter().zip(verified.headers()).enumerate() {
            match value {
                None => {}
                Some(Ok(value)) => edits.set.push((Rc::clone(&header.header), value.as_str().into())),
                Some(Err(unfit)) if self.unfit_headers.insert(at) => {
                    info!("{} is left out, said once: the claim {:?} {unfit}", header.header, header.claim);
                }
                Some(Err(_)) => {}
            }
        }
    }
}
