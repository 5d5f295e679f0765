//! The session token: what this filter vouches for towards the upstream, signed in place of the client's token
//! **\[ours\]**.
//!
//! Knows how a token is written and when it ends. Which key signs and whether a token may be sent again is decided
//! elsewhere.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::denial::Denial;
use crate::jose::json::Object;
use crate::jose::signing::SigningPair;
use crate::jose::token::SESSION_TYP;

/// The version of the claims below.
const VERSION: u32 = 1;

/// Claims of the client's token that are not handed on as they are: RFC 7519 section 4.1, and what this filter checked.
const CONSUMED: [&str; 9] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "ver", "drm_protocol"];

/// What a session token says. Times are seconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// `iss`: `session.issuer`.
    pub issuer: &'a str,
    /// `aud`: `session.audience`.
    pub audience: &'a str,
    /// `sub`: the content.
    pub subject: &'a str,
    /// `iat`.
    pub now: i64,
    /// `exp`, see [`expiry`].
    pub expires: i64,
    /// `jti`: the client token's, or one that the filter made up.
    pub jti: &'a str,
    /// `org`: the owner of the access key.
    pub owner: &'a str,
    /// `access_kid`: the key that the client's request was verified with.
    pub access_kid: &'a str,
    /// `service`: what the route protects.
    pub service: &'a str,
    /// `drm`, if the route names one.
    pub drm: Option<&'a str>,
    /// `drm_protocol`: how a license request came.
    pub drm_protocol: Option<&'a str>,
    /// `claims`: the JSON text of an object, see [`unregistered`].
    pub claims: &'a str,
}

/// RFC 7515 section 4.1, in the order in which the members are written.
#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// In the order in which the members are written.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    ver: u32,
    org: &'a str,
    access_kid: &'a str,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    drm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drm_protocol: Option<&'a str>,
    claims: &'a RawValue,
}

/// Writes and signs a session token, a compact JWS (RFC 7515 section 7.1). Equal arguments give equal tokens.
///
/// # Errors
/// [`Denial::SessionNotSigned`]: the key does not sign, or [`Claims::claims`] is not the text of one JSON object.
pub fn sign(kid: &str, pair: &SigningPair, claims: &Claims<'_>) -> Result<String, Denial> {
    let header = Header { alg: pair.alg().name(), kid, typ: SESSION_TYP };
    let payload = Payload {
        iss: claims.issuer,
        aud: claims.audience,
        sub: claims.subject,
        iat: claims.now,
        exp: claims.expires,
        jti: claims.jti,
        ver: VERSION,
        org: claims.owner,
        access_kid: claims.access_kid,
        service: claims.service,
        drm: claims.drm,
        drm_protocol: claims.drm_protocol,
        claims: object(claims.claims).ok_or(Denial::SessionNotSigned)?,
    };
    let mut token = String::new();
    append(&mut token, &json(&header)?);
    token.push('.');
    append(&mut token, &json(&payload)?);
    let signature = pair.sign(token.as_bytes())?;
    token.push('.');
    append(&mut token, &signature);
    Ok(token)
}

/// The text as it is, if it is one JSON object without white space around it.
fn object(text: &str) -> Option<&RawValue> {
    text.starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

fn json(members: &impl Serialize) -> Result<Vec<u8>, Denial> {
    serde_json::to_vec(members).map_err(|_| Denial::SessionNotSigned)
}

fn append(token: &mut String, part: &[u8]) {
    URL_SAFE_NO_PAD.encode_string(part, token);
}

/// When a session token ends that is signed at `now`: after `lifetime`, but not after the client's token
/// ([`client_token_end`]; none if there is none), and at least one second from now. Fractions of a second are cut off, so
/// that no session token lives longer than it may.
pub fn expiry(now: i64, lifetime: Duration, client_token_end: Option<i64>) -> i64 {
    let end = now.saturating_add(whole_seconds(lifetime));
    let end = client_token_end.map_or(end, |client| end.min(client));
    end.max(now.saturating_add(1))
}

/// The last second in which the client's token passes: that of `exp`, if there is one, or of `iat` and the greatest age
/// of the service, whichever comes first, with the leeway `clock_skew`. Fractions are cut off the sum.
pub fn client_token_end(exp: Option<i64>, iat: i64, max_age: Duration, clock_skew: Duration) -> i64 {
    let by_age = iat.saturating_add(whole_seconds(max_age.saturating_add(clock_skew)));
    exp.map_or(by_age, |exp| by_age.min(exp.saturating_add(whole_seconds(clock_skew))))
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The JSON text of the claims that an upstream may want to read for itself: all but RFC 7519's seven, `ver` and
/// `drm_protocol`. Sorted by name; each value is byte for byte as the client's token spelled it, so that no number
/// loses a digit.
pub fn unregistered(claims: &Object<'_>) -> Box<str> {
    let mut text = String::from("{");
    let mut kept: Vec<_> = claims.iter().filter(|(name, _)| !CONSUMED.contains(name)).collect();
    kept.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in kept {
        let comma = if text.len() > 1 { "," } else { "" };
        // Neither a string nor writing to one fails.
        let name = serde_json::to_string(name).unwrap_or_default();
        let _ = write!(text, "{comma}{name}:{}", value.spelling());
    }
    text.push('}');
    text.into()
}
