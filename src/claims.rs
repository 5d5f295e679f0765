//! Signature and claims of a token -> [`Authentic`]; with times, audience and the rules of a service -> [`Verified`].
//! The order of the checks is the order of decisions: the signature comes before any claim, authentication before
//! authorisation.

use std::rc::Rc;
use std::time::Duration;

use crate::clock::TIMES;
use crate::config::{ClaimHeader, TokenRules};
use crate::denial::Denial;
use crate::jose::json::{Object, Value};
use crate::jose::jwk::AccessKey;
use crate::jose::token::UntrustedToken;
use crate::session;
use crate::upstream::{Unfit, claim_header};

/// How the license request itself came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// As it is, with the token beside it.
    Rest,
    /// Encrypted, with the token inside.
    TrustTunnel,
}

impl Protocol {
    /// The value of the claim `drm_protocol` that asks for this protocol.
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::TrustTunnel => "Trust Tunnel",
        }
    }
}

/// What a token is held against.
#[derive(Debug, Clone, Copy)]
pub struct Requirements<'a> {
    /// The rules of the service.
    pub rules: &'a TokenRules,
    /// Leeway of every comparison of times.
    pub clock_skew: Duration,
    /// What the claim `drm_protocol` must name if it is present; none where it is not looked at.
    pub protocol: Option<Protocol>,
}

/// What is kept of the claims for the upstream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extract<'a> {
    /// Claims that become headers.
    pub headers: &'a [ClaimHeader],
    /// The claims that a session token repeats.
    pub session: bool,
}

/// The claims of a token as they were read; nothing is known about who wrote them.
#[derive(Debug)]
pub struct UntrustedClaims {
    issuer: Option<Box<str>>,
    /// Or the first cause of MDRM-505 among them.
    others: Result<Others, Denial>,
}

/// The claims of a token whose signature is right and whose claims are of the right form: what does not change while the
/// key does not. Only [`Authentic::new`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Authentic {
    /// The owner of the key, in whose memory it stands.
    issuer: Rc<str>,
    others: Others,
}

#[derive(Debug, Clone, PartialEq)]
struct Others {
    subject: Box<str>,
    token_id: Box<str>,
    version: f64,
    issued_at: Option<i64>,
    expires: Option<i64>,
    not_before: Option<i64>,
    /// None if `aud` is missing or malformed.
    audiences: Option<Audiences>,
    /// None if absent; what is no string is empty, which is no protocol's name.
    protocol: Option<Box<str>>,
    /// One for each of [`Extract::headers`]; none for a claim that is absent.
    headers: Box<[Option<Result<String, Unfit>>]>,
    /// JSON text of an object: what a session token repeats.
    unregistered: Box<str>,
}

/// RFC 7519 section 4.1.3: a string or an array of strings.
#[derive(Debug, Clone, PartialEq)]
enum Audiences {
    One(Box<str>),
    Several(Box<[Box<str>]>),
}

impl UntrustedClaims {
    /// Reads what the decision and the upstream need.
    pub fn read(claims: &Object<'_>, extract: Extract<'_>) -> Self {
        Self { issuer: text(claims, "iss"), others: Others::read(claims, extract) }
    }
}

impl Others {
    fn read(claims: &Object<'_>, extract: Extract<'_>) -> Result<Self, Denial> {
        let subject = text(claims, "sub").ok_or(Denial::ClaimNotText("sub"))?;
        let token_id = text(claims, "jti").ok_or(Denial::ClaimNotText("jti"))?;
        let time = |name| claims.get(name).map(|value| seconds(value, name)).transpose();
        Ok(Self {
            subject,
            token_id,
            version: claims.get("ver").and_then(Value::number).ok_or(Denial::VersionNotAccepted)?,
            issued_at: if claims.get("iat").is_some_and(Value::is_null) { None } else { time("iat")? },
            expires: time("exp")?,
            not_before: time("nbf")?,
            audiences: claims.get("aud").and_then(Audiences::read),
            protocol: claims.get("drm_protocol").map(|claim| claim.text().unwrap_or_default().into()),
            headers: extract.headers.iter().map(|header| claims.get(&header.claim).map(claim_header)).collect(),
            unregistered: if extract.session { session::unregistered(claims) } else { Box::default() },
        })
    }
}

impl Audiences {
    fn read(aud: Value<'_>) -> Option<Self> {
        let several = || Some(Self::Several(aud.texts()?.into_iter().map(Into::into).collect()));
        aud.text().map(|one| Self::One(one.into())).or_else(several)
    }

    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => **one == *audience,
            Self::Several(several) => several.iter().any(|one| **one == *audience),
        }
    }
}

impl Authentic {
    /// Checks what only the key and the token decide: row 13 of the table of decisions, less the accepted versions.
    ///
    /// # Errors
    /// Causes of MDRM-505.
    pub fn new(token: UntrustedToken<UntrustedClaims>, key: &AccessKey) -> Result<Self, Denial> {
        check_signature(&token, key)?;
        let UntrustedClaims { issuer, others } = token.into_claims();
        if issuer.as_deref() != Some(&*key.owner) {
            return Err(Denial::IssuerNotOwner);
        }
        Ok(Self { issuer: Rc::clone(&key.owner), others: others? })
    }

    /// The owner of the key.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The content that the token is for.
    pub fn subject(&self) -> &str {
        &self.others.subject
    }
}

#[cfg(test)]
impl Authentic {
    /// Some claims, for tests of what only carries them.
    pub(crate) fn for_test() -> Self {
        Self {
            issuer: "o".into(),
            others: Others {
                subject: "s".into(),
                token_id: "t".into(),
                version: 1.0,
                issued_at: None,
                expires: None,
                not_before: None,
                audiences: None,
                protocol: None,
                headers: Box::default(),
                unregistered: Box::default(),
            },
        }
    }
}

/// The claims of a token whose signature, claims, times and audience hold. Only [`Verified::new`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified(Rc<Authentic>);

impl Verified {
    /// Checks what the service and the time decide, `now` in seconds since the epoch.
    ///
    /// # Errors
    /// The first of rows 13 to 19 of the table of decisions that fails: MDRM-505, 509, 510, 511, 508, 503, 521.
    pub fn new(
        authentic: Rc<Authentic>,
        key: &AccessKey,
        required: Requirements<'_>,
        now: i64,
    ) -> Result<Self, Denial> {
        let claims = &authentic.others;
        check_version(claims, required.rules)?;
        check_times(claims, required, now)?;
        check_audience(claims, key, required.rules)?;
        check_protocol(claims, required.protocol)?;
        Ok(Self(authentic))
    }

    /// The owner of the key.
    pub fn issuer(&self) -> &str {
        self.0.issuer()
    }

    /// The content that the token is for.
    pub fn subject(&self) -> &str {
        self.0.subject()
    }

    /// `jti`.
    pub fn token_id(&self) -> &str {
        &self.0.others.token_id
    }

    /// What the claims say that were asked for by [`Extract::headers`], in that order; none for an absent claim.
    pub fn headers(&self) -> &[Option<Result<String, Unfit>>] {
        &self.0.others.headers
    }

    /// JSON text of an object with the claims that neither RFC 7519 nor this filter gives a meaning; empty unless they were
    /// asked for by [`Extract::session`].
    pub fn unregistered(&self) -> &str {
        &self.0.others.unregistered
    }

    /// The last second, in seconds since the epoch, at which the token would be accepted under `rules`.
    pub fn end(&self, rules: &TokenRules, clock_skew: Duration) -> i64 {
        // `Self::new` has seen `iat`; without it there would be no end, and so no time at all.
        let issued_at = self.0.others.issued_at.unwrap_or_default();
        session::client_token_end(self.0.others.expires, issued_at, rules.max_age, clock_skew)
    }
}

fn check_signature<C>(token: &UntrustedToken<C>, key: &AccessKey) -> Result<(), Denial> {
    let header = token.header();
    if header.alg.as_deref() != Some(key.verifying_key.alg().name()) {
        return Err(Denial::AlgorithmNotTheKeys);
    }
    if header.has_extension {
        return Err(Denial::CriticalHeader);
    }
    let verifies = key.verifying_key.verify(token.signing_input(), token.signature());
    if verifies { Ok(()) } else { Err(Denial::SignatureInvalid) }
}

fn check_version(claims: &Others, rules: &TokenRules) -> Result<(), Denial> {
    let accepted = rules.versions.iter().any(|accepted| f64::from(*accepted) == claims.version);
    if accepted { Ok(()) } else { Err(Denial::VersionNotAccepted) }
}

fn check_times(claims: &Others, required: Requirements<'_>, now: i64) -> Result<(), Denial> {
    let issued_at = claims.issued_at.ok_or(Denial::IssuedAtMissing)?;
    let (now, skew) = (millis(now), duration_millis(required.clock_skew));
    let max_age = duration_millis(required.rules.max_age);
    if millis(issued_at) > now.saturating_add(skew) {
        return Err(Denial::IssuedInFuture);
    }
    if claims.not_before.is_some_and(|nbf| millis(nbf) > now.saturating_add(skew)) {
        return Err(Denial::NotYetValid);
    }
    if claims.expires.is_some_and(|exp| now > millis(exp).saturating_add(skew)) {
        return Err(Denial::TokenExpired);
    }
    if now > millis(issued_at).saturating_add(max_age).saturating_add(skew) {
        return Err(Denial::TokenTooOld);
    }
    Ok(())
}

/// One audience must be the service's and a purpose of the key.
fn check_audience(claims: &Others, key: &AccessKey, rules: &TokenRules) -> Result<(), Denial> {
    let audiences = claims.audiences.as_ref().ok_or(Denial::AudienceMalformed)?;
    let mut accepted = rules.audiences.iter().filter(|audience| audiences.contains(audience)).peekable();
    if accepted.peek().is_none() {
        return Err(Denial::AudienceNotAccepted);
    }
    let in_scope = accepted.any(|audience| key.audiences.contains(audience));
    if in_scope { Ok(()) } else { Err(Denial::AudienceNotInKeyScope) }
}

fn check_protocol(claims: &Others, protocol: Option<Protocol>) -> Result<(), Denial> {
    match (protocol, &claims.protocol) {
        (Some(protocol), Some(claim)) if **claim != *protocol.claim() => Err(Denial::ProtocolMismatch),
        _ => Ok(()),
    }
}

/// A string that is not empty.
fn text(claims: &Object<'_>, name: &str) -> Option<Box<str>> {
    claims.get(name).and_then(Value::text).filter(|text| !text.is_empty()).map(Into::into)
}

/// RFC 7519 section 2, NumericDate, within the calendar; the range is checked before a fraction is cut off.
fn seconds(value: Value<'_>, name: &'static str) -> Result<i64, Denial> {
    let seconds = value.number().filter(|seconds| TIMES.contains(seconds));
    seconds.map(|seconds| seconds as i64).ok_or(Denial::TimeOutOfRange(name))
}

fn millis(seconds: i64) -> i64 {
    seconds.saturating_mul(1000)
}

fn duration_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
