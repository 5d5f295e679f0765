//! Why a request is refused, and what the client is told about it.
//!
//! [`Denial`] is the precise cause, which belongs to the log and to the operator alone. Many causes share a [`Code`]; the
//! client learns only the code, so that a forged request learns nothing.

mod code;
mod faults;

use std::fmt;

pub use code::Code;
pub use faults::{BodyFault, CpixFault, JsonFault, KeyRefusal, Part, TunnelFault};

/// The cause of a refusal. [`fmt::Display`] gives the text for the log; it never holds a part of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The host did not hand over the request's headers.
    HeadersUnreadable,
    /// The host did not hand over the request's body.
    BodyUnreadable,
    /// No answer of the key service and nothing usable held.
    KeyServiceUnavailable {
        /// Whole seconds until the next attempt, 1 to 30.
        retry_after: u32,
    },
    /// More requests wait for keys than `keys.max_waiting` allows.
    TooManyWaiting {
        /// Whole seconds until another try makes sense, 1 to 30.
        retry_after: u32,
    },
    /// The copies of bodies that requests wait with would be larger than `max_held_bytes`.
    TooManyHeldBytes,

    /// Neither the header nor the query carries a token.
    TokenMissing,

    /// `Authorization` names another scheme than `Bearer` and no token stands in the query.
    SchemeUnknown,
    /// More than one `Authorization` header.
    HeaderRepeated,
    /// More than one `Authorization` parameter.
    ParameterRepeated,
    /// A parameter whose name is `Authorization` only after percent-decoding.
    ParameterNameEncoded,
    /// The parameter's value is not proper percent-encoding.
    ParameterEncoding,
    /// Header and query carry different tokens.
    TokensDiffer,
    /// Longer than `max_token_bytes`.
    TokenTooLong,
    /// Not three parts separated by dots.
    NotThreeParts,
    /// An empty header or payload.
    PartEmpty(Part),
    /// Not canonical base64url without padding.
    PartNotBase64Url(Part),
    /// Not one JSON object in UTF-8, or one that is refused (repeated member, nesting, lone surrogate).
    PartNotObject(Part, JsonFault),

    /// The token is one of our own session tokens.
    SessionTokenPresented,

    /// There is no key to verify the token, or the document, with.
    AccessKey(KeyRefusal),

    /// `alg` is missing, not a string, or not the algorithm of the key.
    AlgorithmNotTheKeys,
    /// `crit` or `b64` is present: an extension that this filter would have to understand.
    CriticalHeader,
    /// The signature is empty or does not verify.
    SignatureInvalid,
    /// `iss` is missing, not a string, or not the owner of the key.
    IssuerNotOwner,
    /// A required string claim is missing, empty or not a string.
    ClaimNotText(&'static str),
    /// `ver` is missing, not a number, or not an accepted version.
    VersionNotAccepted,
    /// A time claim is present but not a number within its range.
    TimeOutOfRange(&'static str),

    /// `iat` is missing.
    IssuedAtMissing,
    /// `iat` lies in the future.
    IssuedInFuture,
    /// `nbf` lies in the future.
    NotYetValid,
    /// `exp` has passed.
    TokenExpired,
    /// `iat` is longer ago than the service's maximum age.
    TokenTooOld,

    /// `aud` is missing, or not a string or an array of strings.
    AudienceMalformed,
    /// `aud` names none of the service's audiences.
    AudienceNotAccepted,
    /// None of the matching audiences is a purpose of the key.
    AudienceNotInKeyScope,

    /// `drm_protocol` does not name the type of the request.
    ProtocolMismatch,

    /// The Trust Tunnel's mode does not take this type of request: `true` for a tunnel request.
    TunnelMode {
        /// Whether the request is a Trust Tunnel request.
        tunnel: bool,
    },
    /// A Trust Tunnel request, and no master keys are configured.
    TunnelNotConfigured,
    /// The body is no Trust Tunnel request, or its payload is none.
    Tunnel(TunnelFault),
    /// There is no master key to decrypt with.
    MasterKey(KeyRefusal),
    /// The key does not decrypt the body. One cause for all of them, so that no two can be told apart.
    TunnelUndecryptable,

    /// A query parameter that a signed CPIX request needs is absent, empty, repeated or badly escaped.
    SignedCpixParameter(&'static str),
    /// The CPIX document.
    Cpix(CpixFault),

    /// Neither the access key nor the configuration names a session key.
    SessionKidMissing,
    /// There is no session key to sign with.
    SessionKey(KeyRefusal),
    /// The private part of the session key is not that of its public part.
    SessionKeyMismatch,
    /// A session token could not be signed, or its signature did not verify.
    SessionNotSigned,
}

impl Denial {
    /// The row of the public table that answers this cause.
    pub const fn code(&self) -> Code {
        match self {
            Self::HeadersUnreadable
            | Self::BodyUnreadable
            | Self::KeyServiceUnavailable { .. }
            | Self::TooManyWaiting { .. }
            | Self::TooManyHeldBytes => Code::Mdrm500,
            Self::TokenMissing => Code::Mdrm501,
            Self::SchemeUnknown
            | Self::HeaderRepeated
            | Self::ParameterRepeated
            | Self::ParameterNameEncoded
            | Self::ParameterEncoding
            | Self::TokensDiffer
            | Self::TokenTooLong
            | Self::NotThreeParts
            | Self::PartEmpty(_)
            | Self::PartNotBase64Url(_)
            | Self::PartNotObject(..) => Code::Mdrm502,
            Self::AudienceMalformed | Self::AudienceNotAccepted | Self::AudienceNotInKeyScope => Code::Mdrm503,
            Self::AccessKey(KeyRefusal::NoName | KeyRefusal::Unknown | KeyRefusal::Unusable) => Code::Mdrm504,
            Self::SessionTokenPresented
            | Self::AlgorithmNotTheKeys
            | Self::CriticalHeader
            | Self::SignatureInvalid
            | Self::IssuerNotOwner
            | Self::ClaimNotText(_)
            | Self::VersionNotAccepted
            | Self::TimeOutOfRange(_) => Code::Mdrm505,
            Self::TokenExpired | Self::TokenTooOld => Code::Mdrm508,
            Self::IssuedAtMissing => Code::Mdrm509,
            Self::IssuedInFuture => Code::Mdrm510,
            Self::NotYetValid => Code::Mdrm511,
            Self::AccessKey(KeyRefusal::Deleted) => Code::Mdrm512,
            Self::AccessKey(KeyRefusal::Disabled | KeyRefusal::Expired) => Code::Mdrm513,
            Self::SessionKidMissing | Self::SessionKey(_) => Code::Mdrm506,
            Self::SessionKeyMismatch | Self::SessionNotSigned => Code::Mdrm507,
            Self::SignedCpixParameter(_) => Code::Mdrm514,
            Self::Tunnel(_) => Code::Mdrm517,
            Self::TunnelNotConfigured | Self::MasterKey(_) => Code::Mdrm518,
            Self::TunnelUndecryptable => Code::Mdrm519,
            Self::TunnelMode { .. } => Code::Mdrm520,
            Self::ProtocolMismatch => Code::Mdrm521,
            Self::Cpix(fault) => fault.code(),
        }
    }

    /// Whole seconds for `Retry-After`, on refusals that are ours and not the client's.
    pub const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::KeyServiceUnavailable { retry_after } | Self::TooManyWaiting { retry_after } => Some(*retry_after),
            Self::HeadersUnreadable | Self::BodyUnreadable | Self::TooManyHeldBytes => Some(1),
            _ => None,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadersUnreadable => f.write_str("the host did not hand over the request headers"),
            Self::BodyUnreadable => f.write_str("the host did not hand over the request body"),
            Self::KeyServiceUnavailable { retry_after } => {
                write!(f, "no answer of the key service and no usable key held; next attempt within {retry_after} s")
            }
            Self::TooManyWaiting { .. } => f.write_str("too many requests wait for keys (keys.max_waiting)"),
            Self::TooManyHeldBytes => {
                f.write_str("the bodies of requests that wait for keys are too large (max_held_bytes)")
            }
            Self::TokenMissing => f.write_str("no token in the Authorization header or parameter"),
            Self::SchemeUnknown => f.write_str("Authorization header of another scheme, and no token in the query"),
            Self::HeaderRepeated => f.write_str("more than one Authorization header"),
            Self::ParameterRepeated => f.write_str("more than one Authorization parameter"),
            Self::ParameterNameEncoded => f.write_str("a percent-encoded Authorization parameter name"),
            Self::ParameterEncoding => f.write_str("the Authorization parameter is badly percent-encoded"),
            Self::TokensDiffer => f.write_str("header and query carry different tokens"),
            Self::TokenTooLong => f.write_str("the token is longer than max_token_bytes"),
            Self::NotThreeParts => f.write_str("the token has not three parts"),
            Self::PartEmpty(part) => write!(f, "the token's {part} is empty"),
            Self::PartNotBase64Url(part) => write!(f, "the token's {part} is not canonical base64url"),
            Self::PartNotObject(part, fault) => write!(f, "the token's {part}: {fault}"),
            Self::SessionTokenPresented => f.write_str("a session token of this filter was presented"),
            Self::AccessKey(refusal) => write!(f, "key: {refusal}"),
            Self::AlgorithmNotTheKeys => f.write_str("alg is not the algorithm of the key"),
            Self::CriticalHeader => f.write_str("crit or b64 in the header"),
            Self::SignatureInvalid => f.write_str("the signature does not verify"),
            Self::IssuerNotOwner => f.write_str("iss is not the owner of the key"),
            Self::ClaimNotText(name) => write!(f, "{name} is missing, empty or not a string"),
            Self::VersionNotAccepted => f.write_str("ver is not an accepted version"),
            Self::TimeOutOfRange(name) => write!(f, "{name} is not a time"),
            Self::IssuedAtMissing => f.write_str("iat is missing"),
            Self::IssuedInFuture => f.write_str("iat lies in the future"),
            Self::NotYetValid => f.write_str("nbf lies in the future"),
            Self::TokenExpired => f.write_str("exp has passed"),
            Self::TokenTooOld => f.write_str("iat is longer ago than the service allows"),
            Self::AudienceMalformed => f.write_str("aud is missing, or not a string or an array of strings"),
            Self::AudienceNotAccepted => f.write_str("aud names no audience of the service"),
            Self::AudienceNotInKeyScope => f.write_str("the key was not created for the audience"),
            Self::ProtocolMismatch => f.write_str("drm_protocol is not the type of the request"),
            Self::TunnelMode { tunnel: true } => f.write_str("a Trust Tunnel request, and trust_tunnel.mode is off"),
            Self::TunnelMode { tunnel: false } => {
                f.write_str("not a Trust Tunnel request, and trust_tunnel.mode is enforcing")
            }
            Self::TunnelNotConfigured => f.write_str("a Trust Tunnel request, and no master keys are configured"),
            Self::Tunnel(fault) => write!(f, "{fault}"),
            Self::MasterKey(refusal) => write!(f, "master key: {refusal}"),
            Self::TunnelUndecryptable => f.write_str("the master key does not decrypt the body"),
            Self::SignedCpixParameter(name) => {
                write!(f, "the query parameter {name} is absent, empty, repeated or badly escaped")
            }
            Self::Cpix(fault) => write!(f, "{fault}"),
            Self::SessionKidMissing => f.write_str("neither the key nor session.kid names a session key"),
            Self::SessionKey(refusal) => write!(f, "session key: {refusal}"),
            Self::SessionKeyMismatch => f.write_str("the session key's private part is not that of its public part"),
            Self::SessionNotSigned => f.write_str("the session token could not be signed"),
        }
    }
}
