//! Strict parsing of a compact JWS (RFC 7515 section 7.1). Owns the form; nothing that it returns is trusted yet.

use std::fmt;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Object, Value};
use crate::denial::{Denial, Part};

/// The longest `kid` in bytes that is ever looked up.
pub const MAX_KID_BYTES: usize = 256;

/// `typ` of the session tokens that this filter signs itself.
pub(crate) const SESSION_TYP: &str = "mdrm-session+jwt";

/// The decoded parts of a compact JWS whose form is right. Signature and claims are unchecked; `C` is what was read from
/// the claims.
#[derive(Debug)]
pub struct UntrustedToken<C = ()> {
    text: Rc<str>,
    /// Bytes of `text` that the signature covers: the first two parts with the dot between them.
    signed: usize,
    header: Header,
    claims: C,
    signature: Vec<u8>,
}

/// The name of a key: 1 to 256 bytes, not made of dots only (such a name would change the path of a callout).
///
/// A clone shares the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kid(Rc<str>);

impl Kid {
    /// Checks `text`; `None` for a name that no key can have.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_KID_BYTES).contains(&text.len()) && text.bytes().any(|b| b != b'.');
        fits.then(|| Self(text.into()))
    }

    /// The name as the token and the key document spell it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// For logs: a stranger chose the name, so it is escaped to ASCII and cut.
impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LOGGED: usize = 64;
        self.0.escape_default().take(LOGGED).try_for_each(|c| write!(f, "{c}"))
    }
}

/// The JOSE header of a token, as far as this filter reads it. Embedded keys (`jwk`, `jku`, `x5c`, …) are never read.
#[derive(Debug)]
pub struct Header {
    /// The key that the token names, if that is a name that a key can have.
    pub kid: Option<Kid>,
    /// `alg`, if it is a string.
    pub alg: Option<Box<str>>,
    /// Whether `typ` says that this is a session token of our own (any case, with or without `application/`).
    pub is_session_token: bool,
    /// Whether the header asks for an extension: `crit` (RFC 7515 section 4.1.11) or `b64` (RFC 7797).
    pub has_extension: bool,
}

impl UntrustedToken {
    /// Reads a token whose claims do not matter. See [`UntrustedToken::parse_with`].
    ///
    /// # Errors
    /// As there.
    pub fn parse(text: &str, max_bytes: usize) -> Result<Self, Denial> {
        Self::parse_with(text.into(), max_bytes, |_| ())
    }
}

impl<C> UntrustedToken<C> {
    /// Splits and decodes `text`, which is at most `max_bytes` long, and lets `read` see the claims: once, since reading JSON
    /// is a good part of what a token costs.
    ///
    /// # Errors
    /// A cause of MDRM-502: length, number of parts, base64url that is not canonical (padding, line ends, non-zero
    /// trailing bits), an empty header or payload, either not a strict JSON object (see [`Object::parse`]).
    pub fn parse_with(text: Rc<str>, max_bytes: usize, read: impl FnOnce(&Object<'_>) -> C) -> Result<Self, Denial> {
        if text.len() > max_bytes {
            return Err(Denial::TokenTooLong);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Denial::NotThreeParts);
        };
        let signed = header.len().saturating_add(1).saturating_add(payload.len());
        let header = decode(header, Part::Header)?;
        let payload = decode(payload, Part::Payload)?;
        let signature = decode(signature, Part::Signature)?;
        let header = Header::read(&object(&header, Part::Header)?);
        let claims = read(&object(&payload, Part::Payload)?);
        Ok(Self { signed, header, claims, signature, text })
    }

    /// The JOSE header, unchecked.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The token in compact form, as it came.
    pub fn text(&self) -> &Rc<str> {
        &self.text
    }

    /// What was read from the claims, unchecked.
    pub fn into_claims(self) -> C {
        self.claims
    }

    /// What the signature covers.
    pub fn signing_input(&self) -> &[u8] {
        self.text.as_bytes().get(..self.signed).unwrap_or_default()
    }

    /// The decoded signature; may be empty.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl Header {
    fn read(object: &Object<'_>) -> Self {
        let text = |name| object.get(name).and_then(Value::text);
        Self {
            kid: text("kid").and_then(|kid| Kid::new(&kid)),
            alg: text("alg").map(Into::into),
            is_session_token: text("typ").is_some_and(|typ| is_session_typ(&typ)),
            has_extension: object.contains("crit") || object.contains("b64"),
        }
    }
}

/// RFC 7515 section 4.1.9: `typ` is a media type, compared without case, whose `application/` may be left out.
fn is_session_typ(typ: &str) -> bool {
    let short = typ.split_once('/').filter(|(top, _)| top.eq_ignore_ascii_case("application")).map(|(_, sub)| sub);
    short.unwrap_or(typ).eq_ignore_ascii_case(SESSION_TYP)
}

fn decode(text: &str, part: Part) -> Result<Vec<u8>, Denial> {
    if text.is_empty() && part != Part::Signature {
        return Err(Denial::PartEmpty(part));
    }
    // The engine refuses padding and non-zero trailing bits, so one value has one spelling.
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Denial::PartNotBase64Url(part))
}

fn object(bytes: &[u8], part: Part) -> Result<Object<'_>, Denial> {
    Object::parse(bytes).map_err(|fault| Denial::PartNotObject(part, fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<Denial> {
        UntrustedToken::parse(text, 8192).err()
    }

    fn compact(header: &str, payload: &str) -> String {
        format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn splits_into_exactly_three_parts() {
        for text in ["", "e30", "e30.e30", "e30.e30.AA.", "e30.e30.AA.AA", "a.b.c.d.e"] {
            assert_eq!(refusal(text), Some(Denial::NotThreeParts), "{text}");
        }
        assert_eq!(refusal(".e30.AA"), Some(Denial::PartEmpty(Part::Header)));
        assert_eq!(refusal("e30..AA"), Some(Denial::PartEmpty(Part::Payload)));
        assert_eq!(refusal("e30.e30."), None);
    }

    #[test]
    fn takes_one_spelling_of_base64url_alone() {
        for header in ["e30=", "e3 0", "e30\n", "e3+0", "e3/0", "e31", "e", "e30?"] {
            let text = format!("{header}.e30.AA");
            assert_eq!(refusal(&text), Some(Denial::PartNotBase64Url(Part::Header)), "{header:?}");
        }
        assert_eq!(refusal("e30.e30.AB"), Some(Denial::PartNotBase64Url(Part::Signature)));
    }

    #[test]
    fn is_bounded_before_it_is_split() {
        let text = ".".repeat(8193);
        assert_eq!(refusal(&text), Some(Denial::TokenTooLong));
    }

    #[test]
    fn covers_header_and_payload_as_they_came() {
        let text = compact("{}", r#"{"a":1}"#);
        let token = UntrustedToken::parse(&text, 8192).unwrap();
        assert_eq!(token.signing_input(), text.rsplit_once('.').unwrap().0.as_bytes());
        assert_eq!(token.signature(), [0, 0, 0]);
    }

    #[test]
    fn knows_its_own_session_tokens_in_any_case() {
        let is_session = |typ: &str| {
            let text = compact(&format!(r#"{{"typ":{typ}}}"#), "{}");
            UntrustedToken::parse(&text, 8192).unwrap().header().is_session_token
        };
        for typ in [r#""mdrm-session+jwt""#, r#""MDRM-Session+JWT""#, r#""Application/mdrm-session+jwt""#] {
            assert!(is_session(typ), "{typ}");
        }
        for typ in
            [r#""JWT""#, "null", "1", r#""xmdrm-session+jwt""#, r#""text/mdrm-session+jwt""#, r#""äpplication/x""#]
        {
            assert!(!is_session(typ), "{typ}");
        }
    }

    #[test]
    fn names_a_key_or_none() {
        let kid = |kid: &str| {
            let text = compact(&format!(r#"{{"kid":{kid}}}"#), "{}");
            UntrustedToken::parse(&text, 8192).unwrap().header.kid
        };
        assert_eq!(kid(r#""../../dev/null""#).unwrap().as_str(), "../../dev/null");
        assert!(kid(&format!("\"{}\"", "k".repeat(256))).is_some());
        for bad in [r#""""#, r#"".""#, r#""...""#, "7", "null", "[\"k\"]", &format!("\"{}\"", "k".repeat(257))] {
            assert_eq!(kid(bad), None, "{bad}");
        }
    }
}
