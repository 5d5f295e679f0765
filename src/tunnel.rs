//! The payload of a Trust Tunnel request **\[ours\]**: a license request and the token for it. Knows neither keys nor HTTP.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::denial::{Denial, TunnelFault};
use crate::jose::json::{Object, Value};
use crate::jose::jwe::Plaintext;

/// The media types that a license request may have; the first is the default. A sender chooses one of these and writes no
/// header of its own.
pub const CONTENT_TYPES: [&str; 4] =
    ["application/octet-stream", "application/json", "text/xml; charset=utf-8", "application/x-www-form-urlencoded"];

/// What a Trust Tunnel request asks for. The token is unchecked.
pub struct TunnelRequest {
    /// Body of the license request, not empty.
    pub license_request: Vec<u8>,
    /// The token in compact form, not empty.
    pub jwt: Box<str>,
    /// `content-type` of the license request: one of [`CONTENT_TYPES`].
    pub content_type: &'static str,
}

/// Without the token.
impl fmt::Debug for TunnelRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunnelRequest")
            .field("license_request_bytes", &self.license_request.len())
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}

impl TunnelRequest {
    /// Reads `{"license_request": …, "jwt": …, "content_type": …}`; other members are ignored. `license_request` is base64 or
    /// base64url (RFC 4648 sections 4 and 5) with all of its padding or none, and zero trailing bits.
    ///
    /// # Errors
    /// Causes of MDRM-517: not a strict JSON object (see [`Object::parse`]); `license_request` or `jwt` missing, empty or of
    /// another form; `content_type` present and not one of [`CONTENT_TYPES`] to the letter.
    pub fn parse(plaintext: &Plaintext) -> Result<Self, Denial> {
        let object =
            Object::parse(plaintext.as_bytes()).map_err(|fault| Denial::Tunnel(TunnelFault::Payload(fault)))?;
        let text = |name| object.get(name).and_then(Value::text).filter(|text| !text.is_empty());
        let member = |name| Denial::Tunnel(TunnelFault::Member(name));
        let license_request = text("license_request").and_then(|text| decode(&text));
        Ok(Self {
            license_request: license_request.ok_or(member("license_request"))?,
            jwt: text("jwt").ok_or(member("jwt"))?.into(),
            content_type: content_type(object.get("content_type")).ok_or(member("content_type"))?,
        })
    }
}

fn content_type(value: Option<Value<'_>>) -> Option<&'static str> {
    let Some(value) = value else { return CONTENT_TYPES.first().copied() };
    let named = value.text()?;
    CONTENT_TYPES.iter().copied().find(|listed| *listed == named)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // One alphabet and one padding for the whole text: the engine refuses whatever is not of its own.
    let engine = match (text.contains(['-', '_']), text.ends_with('=')) {
        (false, false) => STANDARD_NO_PAD,
        (false, true) => STANDARD,
        (true, false) => URL_SAFE_NO_PAD,
        (true, true) => URL_SAFE,
    };
    engine.decode(text).ok()
}
