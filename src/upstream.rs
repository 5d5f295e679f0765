//! Headers that carry verified facts to the upstream: what they may be called and what they may hold.

use std::fmt;

use crate::jose::json::Value;
use crate::spelling::fold;

/// Why a claim cannot be the value of a header, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unfit {
    /// Neither a string nor a number nor a boolean.
    NotScalar,
    /// An empty string.
    Empty,
    /// A blank at its start or end: not part of a header's value (RFC 9110 section 5.5), so it would be lost.
    Blanks,
    /// A control character: tabs, line ends, NUL and DEL among them.
    Control,
    /// A character beyond ASCII: upstreams do not agree on its encoding.
    NonAscii,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotScalar => "not a string, number or boolean",
            Self::Empty => "empty",
            Self::Blanks => "a blank at its start or end",
            Self::Control => "a control character",
            Self::NonAscii => "not ASCII",
        })
    }
}

/// The claim as the value of a header: a string that HTTP carries unchanged, a number as it was spelled, `true` or `false`.
///
/// # Errors
/// [`Unfit`]: the header is left out.
pub fn claim_header(claim: Value<'_>) -> Result<String, Unfit> {
    let Some(text) = claim.text() else {
        let scalar = claim.number().is_some() || matches!(claim.spelling(), "true" | "false");
        return if scalar { Ok(claim.spelling().to_owned()) } else { Err(Unfit::NotScalar) };
    };
    if text.is_empty() {
        Err(Unfit::Empty)
    } else if text.bytes().any(|byte| byte.is_ascii_control()) {
        Err(Unfit::Control)
    } else if !text.is_ascii() {
        Err(Unfit::NonAscii)
    } else if text.starts_with(' ') || text.ends_with(' ') {
        Err(Unfit::Blanks)
    } else {
        Ok(text.into_owned())
    }
}

/// What a header is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderUse {
    /// `upstream.payload_header` or a name of `upstream.claim_headers`.
    Claims,
    /// `session.header`.
    SessionToken,
}

/// The header that tells the upstream of a request that is let pass by `report_only` alone.
pub const WOULD_DENY: &str = "x-mdrm-would-deny";

/// Headers that belong to the message, the connection or the proxy.
const RESERVED: [&str; 9] = [
    "host",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
    "x-request-id",
    WOULD_DENY,
    // RFC 9113 section 8.2.2 forbids these two in HTTP/2, beside some of those above.
    "keep-alive",
    "proxy-connection",
];

/// Families of such headers.
const RESERVED_PREFIXES: [&str; 3] = ["content-", "x-forwarded-", "x-envoy-"];

/// Whether this filter may write a header of this name. It must be a token (RFC 9110 section 5.1), which no pseudo-header
/// is, and in no spelling one that other parts of the proxy rely on. `authorization` is free for a session token unless the
/// client's token stays there (`upstream.forward_token`).
pub fn is_writable_header(name: &str, header_use: HeaderUse, forward_token: bool) -> bool {
    let reserved = match &*fold(name) {
        "authorization" => header_use != HeaderUse::SessionToken || forward_token,
        name => RESERVED.contains(&name) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
    };
    is_token(name) && !reserved
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
