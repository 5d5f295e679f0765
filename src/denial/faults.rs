//! What can be wrong with the parts of a request: the details of a cause.

use std::fmt;

use super::Code;

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
    /// `content-type` says a charset that is, or could be read as, another one than UTF-8. Of CPIX documents alone.
    Charset,
    /// Not complete within `body_timeout`; or the host does not deliver bodies while headers are held.
    Timeout,
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there is no body",
            Self::TooLarge => "the body is larger than max_body_bytes",
            Self::Encoded => "the body has a content-encoding",
            Self::Charset => "the content-type says a charset other than UTF-8, or several",
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
    /// Nothing names the content.
    ContentIdMissing,
    /// The root element has a `contentId` and an `id`, and they differ.
    ContentIdNotId,
    /// A name of the content is not the subject.
    ContentIdNotSubject,
}

impl CpixFault {
    pub(super) const fn code(self) -> Code {
        match self {
            Self::Body(_) | Self::NotCpix(_) => Code::Mdrm910,
            Self::NoSignatures => Code::Mdrm914,
            Self::NoOverallSignature => Code::Mdrm915,
            Self::Algorithm(_) => Code::Mdrm918,
            Self::KeyType => Code::Mdrm917,
            Self::SignatureInvalid => Code::Mdrm916,
            Self::ContentIdMissing => Code::Mdrm903,
            Self::ContentIdNotId => Code::Mdrm904,
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
            Self::ContentIdMissing => f.write_str("the document names no content"),
            Self::ContentIdNotId => f.write_str("contentId and id of the root element differ"),
            Self::ContentIdNotSubject => f.write_str("a contentId of the document is not the subject"),
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
