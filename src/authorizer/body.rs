//! What the head of a request says of its body.

use super::Protects;
use crate::denial::{BodyFault, CpixFault, Denial, TunnelFault};
use crate::request::{RequestHead, trim};

/// Whether the body can be looked at, as far as the head tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced(Option<BodyFault>);

impl Announced {
    pub(super) fn read(head: RequestHead<'_>, max_bytes: usize) -> Self {
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
