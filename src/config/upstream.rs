//! `upstream`: what the upstream gets of a token, and the names of headers that the filter may write.

use std::rc::Rc;

use super::{Result, Session, limits, raw, refuse};
use crate::spelling::fold;
use crate::upstream::{HeaderUse, is_writable_header};

/// What the upstream gets of a token besides a session token.
#[derive(Debug)]
pub struct Upstream {
    /// Leave the client's token on the request.
    pub forward_token: bool,
    /// The header that carries the verified payload, base64url; in lower case.
    pub payload_header: Option<Rc<str>>,
    /// Headers that carry single claims.
    pub claim_headers: Box<[ClaimHeader]>,
}

/// One entry of `upstream.claim_headers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimHeader {
    /// Name of the header in lower case.
    pub header: Rc<str>,
    /// Name of the claim.
    pub claim: Box<str>,
}

impl Upstream {
    /// Checks the names of all headers that the filter is to write, the session token's included.
    pub(super) fn new(raw: raw::Upstream, session: Option<&Session>) -> Result<Self> {
        let forward_token = raw.forward_token.unwrap_or(limits::FORWARD_TOKEN);
        let mut names = Names::default();
        if let Some(session) = session {
            names.take("session.header", &session.header, HeaderUse::SessionToken, forward_token)?;
        }
        let payload_header: Option<Rc<str>> = raw.payload_header.map(|name| name.to_ascii_lowercase().into());
        if let Some(name) = &payload_header {
            names.take("upstream.payload_header", name, HeaderUse::Claims, forward_token)?;
        }
        let mut claim_headers = Vec::new();
        for (header, claim) in raw.claim_headers.0 {
            let at = format!("upstream.claim_headers.{}", header.escape_debug());
            let header: Rc<str> = header.to_ascii_lowercase().into();
            names.take(&at, &header, HeaderUse::Claims, forward_token)?;
            if claim.is_empty() {
                return refuse(at, "found an empty string, allowed: the name of a claim");
            }
            claim_headers.push(ClaimHeader { header, claim: claim.into() });
        }
        Ok(Self { forward_token, payload_header, claim_headers: claim_headers.into() })
    }
}

/// The headers that are written so far, as servers may read their names.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn take(&mut self, member: &str, name: &str, header_use: HeaderUse, forward_token: bool) -> Result<()> {
        let spelling = fold(name);
        if !is_writable_header(name, header_use, forward_token) {
            let allowed = "allowed: the name of a header that neither HTTP nor Envoy nor this filter uses otherwise";
            return refuse(member, format!("found {name:?}, {allowed}"));
        }
        if self.0.contains(&spelling) {
            return refuse(member, format!("found {name:?}, which is written already, allowed: each header once"));
        }
        self.0.push(spelling);
        Ok(())
    }
}
