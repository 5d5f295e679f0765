//! Why a request is refused, and what the client is told about it.
//!
//! [`Code`] is the public table: number, HTTP status and message, to the letter of the vendor's list of client status
//! codes. [`Denial`] is the precise cause, which belongs to the log and to the operator alone. Many causes share a code;
//! the client learns only the code, so that a forged request learns nothing.

use std::fmt;

/// Declares [`Code`] with its table on one line a row.
macro_rules! codes {
    ($($code:ident = $name:literal, $status:literal, $message:literal;)*) => {
        /// A row of the table of client status codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = concat!($name, ", HTTP ", stringify!($status), ": ", $message)] $code,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];

            /// The code as clients see it, for example `MDRM-501`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name),* }
            }

            /// The HTTP status of the error reply.
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status),* }
            }

            /// The message of the error reply.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$code => $message),* }
            }
        }
    };
}

codes! {
    Mdrm500 = "MDRM-500", 500, "An unexpected error occurred while processing the request";
    Mdrm501 = "MDRM-501", 401, "Authorization token is required";
    Mdrm502 = "MDRM-502", 401, "Failed to decode JSON web token";
    Mdrm503 = "MDRM-503", 403, "Recipient does not allow access for specified audience";
    Mdrm504 = "MDRM-504", 401, "Failed to resolve JSON web key";
    Mdrm505 = "MDRM-505", 401, "JSON web token is invalid";
    Mdrm506 = "MDRM-506", 401, "Failed to resolve session JSON web key";
    Mdrm507 = "MDRM-507", 500, "Unable to sign session JSON web token";
    Mdrm508 = "MDRM-508", 401, "JSON web token is expired";
    Mdrm509 = "MDRM-509", 401, "JSON web token is missing issued at (iat) claim";
    Mdrm510 = "MDRM-510", 401, "JSON web token is inactive and may not be processed before the not before (iat) claim timestamp";
    Mdrm511 = "MDRM-511", 401, "JSON web token is inactive and may not be processed before the not before (nbf) claim timestamp";
    Mdrm512 = "MDRM-512", 401, "Failed to retrieve signing key from the database";
    Mdrm513 = "MDRM-513", 401, "JSON web key is disabled";
    Mdrm514 = "MDRM-514", 400, "Malformed signed CPIX request";
    Mdrm517 = "MDRM-517", 400, "Malformed Trust Tunnel Request";
    Mdrm518 = "MDRM-518", 403, "Failed to resolve Trust Tunnel master key";
    Mdrm519 = "MDRM-519", 400, "Failed to decrypt Trust Tunnel request";
    Mdrm520 = "MDRM-520", 403, "Invalid Trust Tunnel mode configuration for the request";
    Mdrm521 = "MDRM-521", 403, "Invalid Trust Tunnel protocol for the request";
    Mdrm903 = "MDRM-903", 400, "Content ID must be present in the request";
    Mdrm905 = "MDRM-905", 400, "Subject claim does not refer to the requested content ID";
    Mdrm910 = "MDRM-910", 400, "Failed to transform request to XML";
    Mdrm914 = "MDRM-914", 401, "CPIX document has no signatures";
    Mdrm915 = "MDRM-915", 401, "CPIX document has no overall signature";
    Mdrm916 = "MDRM-916", 401, "CPIX document signature invalid";
    Mdrm917 = "MDRM-917", 401, "Exception while verifying CPIX document signature";
    Mdrm918 = "MDRM-918", 401, "Signature does not use required algorithms";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The part of a compact token that a cause speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The JOSE header, first part.
    Header,
    /// The claims, second part.
    Payload,
    /// The signature, third part.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

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

/// Why there is no key of some name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefusal {
    /// `kid` is missing, not a string, empty, longer than 256 bytes, or made of dots only: no key can have such a name.
    NoName,
    /// The key service does not know the key.
    Unknown,
    /// The key document cannot be used (the reason was logged when it arrived).
    Unusable,
    /// The key was deleted.
    Deleted,
    /// The key is disabled.
    Disabled,
    /// The key's own `exp` has passed.
    Expired,
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoName => "kid is missing, not a string, empty, too long, or made of dots",
            Self::Unknown => "the key service does not know it",
            Self::Unusable => "its document is unusable",
            Self::Deleted => "it is deleted",
            Self::Disabled => "it is disabled",
            Self::Expired => "it has expired",
        })
    }
}

/// Why a body is no Trust Tunnel request (MDRM-517): its form, before any key is looked up, or what was inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelFault {
    /// The body cannot be looked at.
    Body(BodyFault),
    /// Not five parts separated by dots (RFC 7516 section 7.1).
    NotFiveParts,
    /// A part is not canonical base64url.
    NotBase64Url,
    /// The header is not one JSON object.
    Header(JsonFault),
    /// `kid` is missing, not a string or empty.
    Kid,
    /// `alg` or `enc` is not listed.
    Algorithm,
    /// `zip` or `crit` is present.
    Extension,
    /// An encrypted key with `dir`, or none with `A256KW`.
    EncryptedKey,
    /// The payload is not one JSON object in UTF-8.
    Payload(JsonFault),
    /// A member of the payload is missing, empty, of the wrong type or not listed.
    Member(&'static str),
}

impl fmt::Display for TunnelFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(fault) => write!(f, "{fault}"),
            Self::NotFiveParts => f.write_str("the JWE has not five parts"),
            Self::NotBase64Url => f.write_str("a part of the JWE is not canonical base64url"),
            Self::Header(fault) => write!(f, "the header of the JWE: {fault}"),
            Self::Kid => f.write_str("kid is missing, not a string or empty"),
            Self::Algorithm => f.write_str("alg or enc is not supported"),
            Self::Extension => f.write_str("zip or crit in the header"),
            Self::EncryptedKey => f.write_str("the encrypted key does not fit alg"),
            Self::Payload(fault) => write!(f, "the payload: {fault}"),
            Self::Member(name) => write!(f, "{name} of the payload is missing, empty or not allowed"),
        }
    }
}

/// Why a body that must be looked at cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// There is none, or it is empty.
    Absent,
    /// Larger than `max_body_bytes`.
    TooLarge,
    /// A `content-encoding` other than `identity`.
    Encoded,
    /// Not complete within `body_timeout`; or the host does not deliver bodies while headers are held.
    Timeout,
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no body",
            Self::TooLarge => "the body is larger than max_body_bytes",
            Self::Encoded => "the body has a content-encoding",
            Self::Timeout => {
                "the body was not complete within body_timeout; if this happens to every such request, the plugin lacks \
                 allow_on_headers_stop_iteration: true (Envoy 1.35 or later)"
            }
        })
    }
}

/// What is wrong with a CPIX document: rows of section "CPIX" of the table of decisions, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpixFault {
    /// The body cannot be looked at.
    Body(BodyFault),
    /// Not a well-formed document in UTF-8 with the root element `CPIX`; says what is wrong.
    NotCpix(&'static str),
    /// There is no signature.
    NoSignatures,
    /// No signature covers the whole document, or more than one does.
    NoOverallSignature,
    /// An algorithm or transform that is not allowed.
    Algorithm(&'static str),
    /// The registered key cannot verify this type of signature.
    KeyType,
    /// The digest or the signature value is wrong.
    SignatureInvalid,
    /// The root element has no `contentId`.
    ContentIdMissing,
    /// `contentId` is not the subject.
    ContentIdNotSubject,
}

impl CpixFault {
    const fn code(self) -> Code {
        match self {
            Self::Body(_) | Self::NotCpix(_) => Code::Mdrm910,
            Self::NoSignatures => Code::Mdrm914,
            Self::NoOverallSignature => Code::Mdrm915,
            Self::Algorithm(_) => Code::Mdrm918,
            Self::KeyType => Code::Mdrm917,
            Self::SignatureInvalid => Code::Mdrm916,
            Self::ContentIdMissing => Code::Mdrm903,
            Self::ContentIdNotSubject => Code::Mdrm905,
        }
    }
}

impl fmt::Display for CpixFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(fault) => write!(f, "{fault}"),
            Self::NotCpix(what) => write!(f, "not a CPIX document: {what}"),
            Self::NoSignatures => f.write_str("the document has no signature"),
            Self::NoOverallSignature => f.write_str("not exactly one signature covers the whole document"),
            Self::Algorithm(what) => write!(f, "not allowed in a signature: {what}"),
            Self::KeyType => f.write_str("the key cannot verify the signature method"),
            Self::SignatureInvalid => f.write_str("the digest or the signature does not verify"),
            Self::ContentIdMissing => f.write_str("the document has no contentId"),
            Self::ContentIdNotSubject => f.write_str("contentId is not the subject"),
        }
    }
}

/// What was wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonFault {
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON, or something after it.
    Syntax,
    /// JSON, but not an object.
    NotObject,
    /// A member name stands twice at the top level.
    MemberRepeated,
    /// Nested deeper than allowed.
    TooDeep,
    /// A `\u` escape of half a surrogate pair.
    LoneSurrogate,
}

impl JsonFault {
    /// Whether the text is not even one JSON object, as opposed to an object that is refused.
    pub const fn is_unparsable(self) -> bool {
        matches!(self, Self::NotUtf8 | Self::Syntax | Self::NotObject)
    }
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "not UTF-8",
            Self::Syntax => "not one JSON text",
            Self::NotObject => "not a JSON object",
            Self::MemberRepeated => "a member name is repeated",
            Self::TooDeep => "nested too deep",
            Self::LoneSurrogate => "a lone surrogate",
        })
    }
}

impl Denial {
    /// The row of the public table that answers this cause.
    pub const fn code(&self) -> Code {
        match self {
            Self::HeadersUnreadable
            | Self::BodyUnreadable
            | Self::KeyServiceUnavailable { .. }
            | Self::TooManyWaiting { .. } => Code::Mdrm500,
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
            Self::HeadersUnreadable | Self::BodyUnreadable => Some(1),
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
