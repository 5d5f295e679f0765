//! The way of a request: route, carriage, token, key, claims, decision. Takes events, returns what to do as data.

use std::rc::Rc;

use crate::carriage::{Carriage, PathEdit, Removal};
use crate::claims::{Authentic, Protocol, Requirements, Verified};
use crate::clock::Now;
use crate::config::{Config, TokenRules};
use crate::denial::{Denial, KeyRefusal};
use crate::jose::jwk::AccessKey;
use crate::jose::native::Verify;
use crate::jose::token::{Kid, UntrustedToken};
use crate::keys::{Resolution, Resolver, WaiterId};
use crate::request::{RequestHead, trim};
use crate::route::{Handling, Service};
use crate::tokens::{Remembered, Tokens};

/// Decides requests by one configuration. One for each worker; holds the keys.
#[derive(Debug)]
pub struct Authorizer {
    config: Rc<Config>,
    denied: TokenRules,
    keys: Resolver,
    /// None if the platform wants every token verified anew.
    tokens: Option<Tokens>,
}

/// What the host can do besides the ABI's own calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Platform {
    /// Verifies signatures at native speed, so that no algorithm that it knows is too slow.
    pub verify: Option<Verify>,
    /// Seed of the jitter that keeps a fleet of proxies from asking in step. Not a secret.
    pub seed: Option<u64>,
    /// Tokens that were verified are remembered.
    pub remember_tokens: bool,
}

/// What to take off a request at once, before anything is decided.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Removals {
    /// Names of headers to remove, as the request spells them.
    pub headers: Vec<Vec<u8>>,
    /// The new value of `:path`, if the token stood in the query.
    pub path: Option<Vec<u8>>,
}

/// What a request needs next.
#[derive(Debug)]
pub enum Step {
    /// The decision is made.
    Done(Decision),
    /// A key must come first: hold the request until its waiter is named.
    Wait(Waiting),
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Goes on without a check: an `open` route or a preflight.
    Pass,
    /// Goes on: the token holds.
    Allow(Verified, Restoration),
    /// Is answered with the denial; nothing of it reaches the upstream.
    Deny(Denial),
}

/// What to put back before an allowed request goes on. Empty unless `upstream.forward_token` is set.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// The value of the `authorization` header.
    pub authorization: Option<Vec<u8>>,
    /// The value of `:path`.
    pub path: Option<Vec<u8>>,
}

/// A request whose token is read and whose key is awaited. Consumed by [`Authorizer::resume`], so that no answer is
/// used twice.
#[derive(Debug)]
pub struct Waiting {
    waiter: WaiterId,
    text: Box<str>,
    token: UntrustedToken,
    kid: Kid,
    audience: Audience,
    removal: Removal,
}

/// Whose rules a token is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    License,
    Cpix,
    Nobody,
}

impl Authorizer {
    /// Starts with no keys but the inline ones.
    pub fn new(config: Config, platform: Platform) -> Self {
        let config = Rc::new(config);
        Self {
            denied: TokenRules { audiences: Box::default(), ..config.license.clone() },
            tokens: platform.remember_tokens.then(Tokens::default),
            keys: Resolver::new(Rc::clone(&config), platform.verify, platform.seed),
            config,
        }
    }

    /// The keys, for requests to the key service and their answers.
    pub fn keys(&mut self) -> &mut Resolver {
        &mut self.keys
    }

    /// Takes the head of a request. The removals are due whatever the step is.
    pub fn on_request(&mut self, request: RequestHead<'_>, waiter: WaiterId, now: Now) -> (Removals, Step) {
        let ours = client_copies(request.iter().map(|(name, _)| name));
        let audience = match Handling::of(request, &self.config.routes, self.config.default_service) {
            Handling::Service(Service::Open, _) => {
                return (Removals { headers: ours, path: None }, Step::Done(Decision::Pass));
            }
            Handling::Preflight => {
                let removal = Carriage::read(request).removal;
                return (removals(ours, &removal), Step::Done(Decision::Pass));
            }
            Handling::Service(Service::License, _) => Audience::License,
            Handling::Service(Service::Cpix, _) => Audience::Cpix,
            Handling::Deny => Audience::Nobody,
        };
        let Carriage { token, removal } = Carriage::read(request);
        let removals = removals(ours, &removal);
        let token =
            if audience != Audience::Cpix && is_tunnel(request) { Err(Denial::TunnelNotConfigured) } else { token };
        let step = match token {
            Err(denial) => Step::Done(Decision::Deny(denial)),
            Ok(text) => self.on_token(text.into(), audience, removal, waiter, now),
        };
        (removals, step)
    }

    fn on_token(&mut self, text: Box<str>, audience: Audience, removal: Removal, waiter: WaiterId, now: Now) -> Step {
        if let Some(remembered) = self.tokens.as_mut().and_then(|tokens| tokens.get(&text))
            // Past its freshness, or after it was replaced, the key is looked at together with the token.
            && let Resolution::Key(key) = self.keys.resolve(&remembered.kid, waiter, now)
            && key.fingerprint == remembered.key.fingerprint
        {
            return Step::Done(self.decide(remembered.authentic, &key, &text, audience, removal, now));
        }
        match self.read_token(&text) {
            Err(denial) => Step::Done(Decision::Deny(denial)),
            Ok((token, kid)) => self.resume(Waiting { waiter, text, token, kid, audience, removal }, now),
        }
    }

    /// Rows 8 to 10 of the table of decisions, as far as they need no key.
    fn read_token(&self, text: &str) -> Result<(UntrustedToken, Kid), Denial> {
        let token = UntrustedToken::parse(text, self.config.max_token_bytes)?;
        if token.header().is_session_token {
            return Err(Denial::SessionTokenPresented);
        }
        let kid = token.header().kid.clone().ok_or(Denial::AccessKey(KeyRefusal::NoName))?;
        Ok((token, kid))
    }

    /// Goes on with a request whose key may have come.
    pub fn resume(&mut self, waiting: Waiting, now: Now) -> Step {
        let key = match self.keys.resolve(&waiting.kid, waiting.waiter, now) {
            Resolution::Wait => return Step::Wait(waiting),
            Resolution::Refused(denial) => return Step::Done(Decision::Deny(denial)),
            Resolution::Key(key) => key,
        };
        let authentic = match Authentic::new(&waiting.token, &key) {
            Err(denial) => return Step::Done(Decision::Deny(denial)),
            Ok(authentic) => Rc::new(authentic),
        };
        let Waiting { text, kid, audience, removal, .. } = waiting;
        let decision = self.decide(Rc::clone(&authentic), &key, &text, audience, removal, now);
        if let (Some(tokens), Decision::Allow(..)) = (&mut self.tokens, &decision) {
            tokens.insert(text, Remembered { kid: Rc::new(kid), key, authentic });
        }
        Step::Done(decision)
    }

    /// Rows 13 to 19, as far as they do not depend on the token alone.
    fn decide(
        &mut self,
        authentic: Rc<Authentic>,
        key: &AccessKey,
        text: &str,
        audience: Audience,
        removal: Removal,
        now: Now,
    ) -> Decision {
        let (rules, protocol) = match audience {
            Audience::License => (&self.config.license, Some(Protocol::Rest)),
            Audience::Nobody => (&self.denied, Some(Protocol::Rest)),
            Audience::Cpix => (&self.config.cpix, None),
        };
        let required = Requirements { rules, clock_skew: self.config.clock_skew, protocol };
        match Verified::new(authentic, key, required, now.unix) {
            Ok(verified) => Decision::Allow(verified, self.restoration(removal)),
            Err(denial) => {
                if let (Some(tokens), Denial::TokenExpired | Denial::TokenTooOld) = (&mut self.tokens, &denial) {
                    tokens.remove(text);
                }
                Decision::Deny(denial)
            }
        }
    }

    fn restoration(&self, removal: Removal) -> Restoration {
        if self.config.forward_token {
            Restoration {
                authorization: removal.authorization.into_iter().next(),
                path: removal.path.map(|edit| edit.with_token),
            }
        } else {
            Restoration::default()
        }
    }
}

impl Waiting {
    /// Who waits.
    pub fn waiter(&self) -> WaiterId {
        self.waiter
    }
}

/// The headers or trailers among `names` that only this filter may write: every `x-mdrm-*`, in any case, `_` for `-`.
pub fn client_copies<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    const PREFIX: &[u8] = b"x-mdrm-";
    let ours = |name: &[u8]| {
        let start = name.get(..PREFIX.len()).unwrap_or_default();
        start.len() == PREFIX.len()
            && start.iter().zip(PREFIX).all(|(b, p)| b.eq_ignore_ascii_case(p) || (*p == b'-' && *b == b'_'))
    };
    names.filter(|name| ours(name)).map(<[u8]>::to_vec).collect()
}

fn removals(mut headers: Vec<Vec<u8>>, removal: &Removal) -> Removals {
    if !removal.authorization.is_empty() {
        headers.push(crate::carriage::HEADER.into());
    }
    let path = removal.path.as_ref().map(|PathEdit { without_token, .. }| without_token.clone());
    Removals { headers, path }
}

/// Whether the media type of a request is a Trust Tunnel's: `application/jose`, any case, parameters ignored.
fn is_tunnel(request: RequestHead<'_>) -> bool {
    request.values("content-type").any(|value| {
        let essence = value.split(|b| matches!(b, b';' | b',')).next().unwrap_or_default();
        trim(essence).eq_ignore_ascii_case(b"application/jose")
    })
}
