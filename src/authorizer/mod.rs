//! The way of a request: route, carriage, token, key, claims, decision. Takes events, returns what to do as data.
//!
//! ```text
//! license           token -> access key -> claims ------------------\
//! license, tunnel   body -> master key -> token -> (as above) -------+-> session key -> Allow
//! cpix              token -> access key -> claims -> (document) -----|
//! signed_cpix       access key -> document -> signature ------------/
//! ```
//!
//! Each arrow may have to wait: for a key, or for the body. A request that waits is a [`Waiting`], which is consumed by
//! the event that it waited for. `token`, `tunnel`, `cpix` and `session` hold the steps, one file each.

mod body;
mod cpix;
mod edits;
mod facts;
mod session;
mod token;
mod tunnel;

use std::collections::BTreeSet;
use std::rc::Rc;

pub use edits::{Edits, OurHeaders, Removals};
pub use facts::{Facts, Proven};
pub use tunnel::is_tunnel;

use crate::carriage::{Carriage, Removal};
use crate::claims::{Protocol, Verified};
use crate::clock::Now;
use crate::config::{Config, TokenRules, TunnelMode};
use crate::denial::{BodyFault, Denial};
use crate::jose::jwk::AccessKey;
use crate::jose::native::Verify;
use crate::jose::token::Kid;
use crate::keys::{Resolution, Rings, WaiterId};
use crate::metrics::{Counter, Counters, Event};
use crate::request::RequestHead;
use crate::route::{Drm, Handling, Service, may_be_preflight};
use crate::tokens::{Place, Tokens};
use body::Announced;

/// Decides requests by one configuration. One for each worker; holds the keys.
#[derive(Debug)]
pub struct Authorizer {
    config: Rc<Config>,
    denied: TokenRules,
    our_headers: OurHeaders,
    keys: Rings,
    /// None if the platform wants every token verified anew.
    tokens: Option<Tokens>,
    platform: Platform,
    /// Claim headers that were left out once already, which the log knows.
    unfit_headers: BTreeSet<usize>,
    /// Of the request that is looked at.
    facts: Facts,
    counters: Counters,
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
    /// 128 random bits; none if the host has no randomness to give.
    pub random: Option<fn() -> Option<[u8; 16]>>,
}

/// What a request needs next.
#[derive(Debug)]
pub enum Step {
    /// The decision is made.
    Done(Outcome),
    /// A key or the body must come first: hold the request until then.
    Wait(Box<Waiting>),
}

/// A decision, with what the request has shown until then.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What happens to the request.
    pub decision: Decision,
    /// What is known about it.
    pub facts: Facts,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Goes on without a check, changed like this: an `open` route or a preflight.
    Pass(Edits),
    /// Goes on, changed like this: its credential holds.
    Allow(Edits),
    /// Is answered with the denial; nothing of it reaches the upstream.
    Deny(Denial),
    /// Goes on as it came, with the code of the denial in [`WOULD_DENY`](crate::upstream::WOULD_DENY): `report_only` is set.
    Report(Denial),
}

/// A request that was read and lacks a key or its body. Consumed by [`Authorizer::resume`] or [`Authorizer::on_body`], so
/// that no event is used twice.
#[derive(Debug)]
pub struct Waiting {
    request: Request,
    stage: Stage,
    facts: Facts,
}

/// What a [`Waiting`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    /// Its waiter is named when the key may have come.
    Key,
    /// The whole body.
    Body,
    /// The first byte of the body, or the end of a request without one: then it is a preflight.
    End,
}

/// What is kept of a request while it is decided.
#[derive(Debug)]
struct Request {
    waiter: WaiterId,
    protects: Protects,
    drm: Option<Drm>,
    /// Kept only if the token is to go on.
    taken_from: edits::TakenFrom,
    body: Announced,
    /// Whether the body is looked at before the request is decided.
    reads_body: bool,
    /// The plain license request of a Trust Tunnel, once it is decrypted.
    opened: Option<tunnel::Opened>,
}

/// Whose rules a request is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protects {
    License,
    Cpix,
    SignedCpix,
    /// A license service that no audience fits.
    Nothing,
}

/// What a step on the way of a request leads to.
#[derive(Debug)]
enum Next {
    Decided(Decision),
    /// Still without the facts.
    Wait(Box<Waiting>),
}

/// How far a request has come that waits.
#[derive(Debug)]
enum Stage {
    /// Either a preflight that passes with these edits, or a request that has come this far.
    End(Edits, Box<Next>),
    TunnelBody,
    MasterKey(Box<crate::jose::jwe::UntrustedJwe>),
    TokenKey(Box<token::Read>),
    BoundDocument(Grant),
    SignatureKey(cpix::Parameters),
    SignedDocument(cpix::Parameters, Rc<AccessKey>),
    SessionKey(Grant),
}

/// A credential that holds, with the key that verified it: what a request may be allowed by.
#[derive(Debug)]
struct Grant {
    key: Rc<AccessKey>,
    credential: Credential,
}

#[derive(Debug)]
enum Credential {
    Token { text: Rc<str>, place: Option<Place>, verified: Verified },
    Document(cpix::SignedSubject),
}

impl Authorizer {
    /// Starts with no keys but the inline ones.
    pub fn new(config: Config, platform: Platform) -> Self {
        Self {
            denied: TokenRules { audiences: Box::default(), ..config.license.clone() },
            our_headers: OurHeaders::of(&config),
            tokens: platform.remember_tokens.then(Tokens::default),
            keys: Rings::new(&config, platform.verify, platform.seed),
            platform,
            unfit_headers: BTreeSet::new(),
            facts: Facts::default(),
            counters: Counters::default(),
            config: Rc::new(config),
        }
    }

    /// The keys, for requests to the key services and their answers.
    pub fn keys(&mut self) -> &mut Rings {
        &mut self.keys
    }

    /// The configuration that requests are decided by.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The names of headers and trailers that a client must not send.
    pub fn our_headers(&self) -> &OurHeaders {
        &self.our_headers
    }

    /// What was counted since this was last called.
    pub fn take_counters(&mut self) -> Counters {
        self.keys.count_into(&mut self.counters);
        std::mem::take(&mut self.counters)
    }

    /// Counts a decision that was carried out.
    pub fn count(&mut self, decision: &Decision) {
        self.counters.count(match decision {
            Decision::Pass(_) => Counter::Event(Event::Passed),
            Decision::Allow(_) => Counter::Event(Event::Allowed),
            Decision::Deny(denial) => Counter::Denied(denial.code()),
            Decision::Report(denial) => Counter::WouldDeny(denial.code()),
        });
    }

    /// Takes the head of a request. The removals are due whatever the step is.
    pub fn on_request(&mut self, head: RequestHead<'_>, waiter: WaiterId, now: Now) -> (Removals, Step) {
        self.facts = Facts::default();
        let (removals, next) = self.on_head(head, waiter, now);
        (removals, self.step(next))
    }

    fn on_head(&mut self, head: RequestHead<'_>, waiter: WaiterId, now: Now) -> (Removals, Next) {
        let ours = self.our_headers.among(head.iter().map(|(name, _)| name));
        let (protects, drm) = match Handling::of(head, &self.config.routes, self.config.default_service) {
            Handling::Service(Service::Open, _) => {
                return (Removals::new(ours, &Removal::default()), pass());
            }
            Handling::Preflight => {
                return (Removals::new(ours, &Carriage::read(head).removal), pass());
            }
            Handling::Service(Service::License, drm) => (Protects::License, drm),
            Handling::Service(Service::Cpix, drm) => (Protects::Cpix, drm),
            Handling::Service(Service::SignedCpix, drm) => (Protects::SignedCpix, drm),
            Handling::Deny(_) => (Protects::Nothing, None),
        };
        let body = Announced::read(head, protects, self.config.max_body_bytes);
        let is_license = matches!(protects, Protects::License | Protects::Nothing);
        let is_tunnel = is_license && is_tunnel(head);
        let reads_body = match protects {
            Protects::License | Protects::Nothing => is_tunnel,
            Protects::Cpix => self.config.bind_content,
            Protects::SignedCpix => true,
        };
        let forward_token = self.config.upstream.forward_token;
        let request = |removal: &Removal<'_>| {
            let taken_from = if forward_token { edits::TakenFrom::of(removal) } else { edits::TakenFrom::default() };
            Request { waiter, protects, drm, taken_from, body, reads_body, opened: None }
        };
        let (removal, next) = if protects == Protects::SignedCpix {
            let removal = Removal::all(head);
            let request = request(&removal);
            (removal, self.on_signed_cpix(head, request, now))
        } else if is_tunnel {
            let removal = Removal::all(head);
            let request = request(&removal);
            (removal, self.on_tunnel(request))
        } else {
            let Carriage { token, removal } = Carriage::read(head);
            let next = match token {
                _ if is_license && self.config.tunnel.mode == TunnelMode::Enforcing => {
                    deny(Denial::TunnelMode { tunnel: false })
                }
                Err(denial) => deny(denial),
                Ok(text) => self.on_token(&text, request(&removal), now),
            };
            (removal, next)
        };
        let next = if may_be_preflight(head) {
            let edits = Edits::removing(&Carriage::read(head).removal);
            request(&Removal::default()).wait(Stage::End(edits, Box::new(next)))
        } else {
            next
        };
        // A request that may have to go on as it came keeps its token.
        let removal = if self.config.report_only { Removal::default() } else { removal };
        (Removals::new(ours, &removal), next)
    }

    fn step(&mut self, next: Next) -> Step {
        let facts = std::mem::take(&mut self.facts);
        match next {
            Next::Decided(decision) => Step::Done(Outcome { decision, facts }),
            Next::Wait(mut waiting) => {
                waiting.facts = facts;
                Step::Wait(waiting)
            }
        }
    }

    /// Looks up the key that a request names.
    fn access_key(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> Resolution<Rc<AccessKey>> {
        let (resolution, cache) = self.keys.access(kid, waiter, now);
        self.facts.kid = Some(kid.clone());
        self.facts.key_cache = Some(cache);
        resolution
    }

    /// Counts a check of a signature.
    fn count_verification(&mut self, by_host: bool) {
        self.counters.event(if by_host { Event::VerifiedByHost } else { Event::VerifiedInVm });
    }

    /// What becomes of a request that is refused.
    pub fn refuse(&self, denial: Denial) -> Decision {
        if self.config.report_only { Decision::Report(denial) } else { Decision::Deny(denial) }
    }

    /// Goes on with a request whose key may have come. One that waits for its body waits on.
    pub fn resume(&mut self, waiting: Waiting, now: Now) -> Step {
        let Waiting { request, stage, facts } = waiting;
        self.facts = facts;
        let next = self.on_key(request, stage, now);
        self.step(next)
    }

    fn on_key(&mut self, request: Request, stage: Stage, now: Now) -> Next {
        match stage {
            Stage::MasterKey(jwe) => self.on_master_key(request, jwe, now),
            Stage::TokenKey(read) => self.on_token_key(request, *read, now),
            Stage::SignatureKey(parameters) => self.on_signature_key(request, parameters, now),
            Stage::SessionKey(grant) => self.on_grant(request, grant, now),
            Stage::End(edits, next) => {
                let next = match *next {
                    Next::Wait(waiting) => self.on_key(waiting.request, waiting.stage, now),
                    decided @ Next::Decided(_) => decided,
                };
                request.wait(Stage::End(edits, Box::new(next)))
            }
            stage @ (Stage::TunnelBody | Stage::BoundDocument(_) | Stage::SignedDocument(..)) => request.wait(stage),
        }
    }

    /// Goes on with a request that [awaits its end](Awaits::End). `has_body`: a byte of it has come, or is taken to come.
    pub fn on_end(&mut self, waiting: Waiting, has_body: bool) -> Step {
        let Waiting { request, stage, facts } = waiting;
        let next = match stage {
            Stage::End(edits, _) if !has_body => return self.step(Next::Decided(Decision::Pass(edits))),
            Stage::End(_, next) => *next,
            stage => request.wait(stage),
        };
        self.facts = facts;
        self.step(next)
    }

    /// Goes on with a request whose whole body has come. One that waits for a key waits on.
    pub fn on_body(&mut self, waiting: Waiting, body: &[u8], now: Now) -> Step {
        if let Some(fault) = self.body_fault(body.len()) {
            let denial = waiting.body_denial(fault);
            self.facts = waiting.facts;
            return self.step(deny(denial));
        }
        let Waiting { request, stage, facts } = waiting;
        self.facts = facts;
        let next = match stage {
            Stage::TunnelBody => self.on_tunnel_body(request, body, now),
            Stage::BoundDocument(grant) => self.on_bound_document(request, grant, body, now),
            Stage::SignedDocument(parameters, key) => self.on_signed_document(request, &parameters, key, body, now),
            stage @ (Stage::End(..)
            | Stage::MasterKey(_)
            | Stage::TokenKey(_)
            | Stage::SignatureKey(_)
            | Stage::SessionKey(_)) => request.wait(stage),
        };
        self.step(next)
    }

    /// Why a whole body of this size in bytes cannot be looked at.
    pub(crate) fn body_fault(&self, size: usize) -> Option<BodyFault> {
        match size {
            0 => Some(BodyFault::Absent),
            size if size > self.config.max_body_bytes => Some(BodyFault::TooLarge),
            _ => None,
        }
    }
}

fn pass() -> Next {
    Next::Decided(Decision::Pass(Edits::default()))
}

fn deny(denial: Denial) -> Next {
    Next::Decided(Decision::Deny(denial))
}

impl Request {
    fn wait(self, stage: Stage) -> Next {
        Next::Wait(Box::new(Waiting { request: self, stage, facts: Facts::default() }))
    }

    fn protocol(&self) -> Protocol {
        if self.opened.is_some() { Protocol::TrustTunnel } else { Protocol::Rest }
    }

    fn service(&self) -> Service {
        match self.protects {
            Protects::License | Protects::Nothing => Service::License,
            Protects::Cpix => Service::Cpix,
            Protects::SignedCpix => Service::SignedCpix,
        }
    }
}

impl Waiting {
    /// Who waits.
    pub fn waiter(&self) -> WaiterId {
        self.request.waiter
    }

    /// What for.
    pub fn awaits(&self) -> Awaits {
        match self.stage {
            Stage::End(..) => Awaits::End,
            Stage::TunnelBody | Stage::BoundDocument(_) | Stage::SignedDocument(..) => Awaits::Body,
            Stage::MasterKey(_) | Stage::TokenKey(_) | Stage::SignatureKey(_) | Stage::SessionKey(_) => Awaits::Key,
        }
    }

    /// The copy of the body that it waits with, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        let jwe = match &self.stage {
            Stage::MasterKey(jwe) => jwe.len(),
            _ => 0,
        };
        jwe.saturating_add(self.request.opened.as_ref().map_or(0, tunnel::Opened::len))
    }

    /// Whether the body is looked at before the request is decided, now or later. Of all others it may stay where it is.
    pub fn reads_body(&self) -> bool {
        self.request.reads_body || self.awaits() == Awaits::End
    }

    /// What is known about the request.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The denial of a request whose body cannot be looked at.
    pub fn body_denial(&self, fault: BodyFault) -> Denial {
        body::denial(self.request.protects, fault)
    }
}
