//! What the head of a request says of its body.

use super::Protects;
use crate::denial::{BodyFault, CpixFault, Denial, TunnelFault};
use crate::request::{RequestHead, trim};

/// Whether the body can be looked at, as far as the head tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced(Option<BodyFault>);

impl Announced {
    pub(super) fn read(head: RequestHead<'_>, protects: Protects, max_bytes: usize) -> Self {
        if head.end_of_stream() {
            return Self(Some(BodyFault::Absent));
        }
        let length = head.first("content-length").and_then(|length| std::str::from_utf8(trim(length)).ok());
        // Only digits get here, so what does not fit into a number is larger than any limit.
        let too_large = length.is_some_and(|length| length.parse().map_or(true, |length: usize| length > max_bytes));
        let encodings = head.values("content-encoding").flat_map(|value| value.split(|b| *b == b','));
        let identity = |encoding: &[u8]| {
            let encoding = trim(encoding);
            encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
        };
        Self(if too_large {
            Some(BodyFault::TooLarge)
        } else if !encodings.into_iter().all(identity) {
            Some(BodyFault::Encoded)
        } else if matches!(protects, Protects::Cpix | Protects::SignedCpix) && !is_utf8(head) {
            Some(BodyFault::Charset)
        } else {
            None
        })
    }

    /// A request that needs its body can go on only if there is nothing against it.
    pub(super) fn check(self, protects: Protects) -> Result<(), Denial> {
        self.0.map_or(Ok(()), |fault| Err(denial(protects, fault)))
    }
}

/// A license request that needs its body is a Trust Tunnel, any other one a CPIX request.
pub(super) fn denial(protects: Protects, fault: BodyFault) -> Denial {
    match protects {
        Protects::License | Protects::Nothing => Denial::Tunnel(TunnelFault::Body(fault)),
        Protects::Cpix | Protects::SignedCpix => Denial::Cpix(CpixFault::Body(fault)),
    }
}

/// Whether everybody who goes by `Content-Type` reads the body as UTF-8, or as what the document itself says. What goes on is
/// bytes: another charset makes another document of them.
///
/// How the value is taken apart does not matter, because wherever the word `charset` stands, UTF-8 is all that it may say.
fn is_utf8(head: RequestHead<'_>) -> bool {
    const CHARSET: &[u8] = b"charset";
    let names_a_charset = |text: &&[u8]| text.windows(CHARSET.len()).any(|window| window.eq_ignore_ascii_case(CHARSET));
    let mut values = head.values("content-type");
    if !head.values("content-type").any(|value| names_a_charset(&value)) {
        return true;
    }
    // A comma may be Envoy's, which joins several headers with one: which of them counts is anybody's choice.
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let one = !value.contains(&b',');
    one && value.split(|byte| *byte == b';').filter(names_a_charset).all(is_charset_utf8)
}

/// One parameter, quoted or not; blanks around `=` are nobody's grammar, and everybody's reading.
fn is_charset_utf8(parameter: &[u8]) -> bool {
    let mut parts = parameter.splitn(2, |byte| *byte == b'=').map(trim);
    let (Some(name), Some(value)) = (parts.next(), parts.next()) else { return false };
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    name.eq_ignore_ascii_case(b"charset") && quoted.unwrap_or(value).eq_ignore_ascii_case(b"utf-8")
}
