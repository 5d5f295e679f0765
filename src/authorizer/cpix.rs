//! CPIX requests whose document is looked at: bound to the subject of a token, or signed itself.

use std::rc::Rc;

use super::{Authorizer, Credential, Grant, Next, Proven, Request, Stage, deny};
use crate::carriage::percent_decode;
use crate::clock::Now;
use crate::cpix::Document;
use crate::denial::{CpixFault, Denial, KeyRefusal};
use crate::jose::jwk::AccessKey;
use crate::jose::token::Kid;
use crate::keys::Resolution;
use crate::request::RequestHead;

/// What the query of a signed CPIX request says; unchecked.
#[derive(Debug)]
pub(super) struct Parameters {
    kid: Box<str>,
    subject: Box<str>,
    issuer: Box<str>,
}

/// The subject of a CPIX document whose signature, owner, scope and content hold. Only [`Authorizer::on_signed_document`]
/// makes one.
#[derive(Debug)]
pub(super) struct SignedSubject(Box<str>);

impl SignedSubject {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Parameters {
    fn read(head: RequestHead<'_>) -> Result<Self, Denial> {
        let query = head.target().query.unwrap_or_default();
        Ok(Self { kid: parameter(query, "kid")?, subject: parameter(query, "sub")?, issuer: parameter(query, "iss")? })
    }
}

/// A query parameter that must be there once, spelt like this, with a value that is not empty. As in the carriage of tokens
/// only `&` separates and `+` is literal.
fn parameter(query: &[u8], name: &'static str) -> Result<Box<str>, Denial> {
    let denial = Denial::SignedCpixParameter(name);
    let mut found = None;
    for pair in query.split(|b| *b == b'&') {
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let (spelling, value) = pair.split_at_checked(at).unwrap_or((pair, &[]));
        if percent_decode(spelling).is_none_or(|decoded| *decoded != *name.as_bytes()) {
            continue;
        }
        if spelling != name.as_bytes() || found.is_some() {
            return Err(denial);
        }
        found = Some(value.get(1..).unwrap_or_default());
    }
    let value = found.and_then(percent_decode).ok_or(denial.clone())?;
    let value = std::str::from_utf8(&value).map_err(|_| denial.clone())?;
    if value.is_empty() { Err(denial) } else { Ok(value.into()) }
}

impl Authorizer {
    /// Row 2 of the table of decisions.
    pub(super) fn on_signed_cpix(&mut self, head: RequestHead<'_>, request: Request, now: Now) -> Next {
        match Parameters::read(head) {
            Err(denial) => deny(denial),
            Ok(parameters) => self.on_signature_key(request, parameters, now),
        }
    }

    pub(super) fn on_signature_key(&mut self, request: Request, parameters: Parameters, now: Now) -> Next {
        let Some(kid) = Kid::new(&parameters.kid) else {
            return deny(Denial::AccessKey(KeyRefusal::NoName));
        };
        let key = match self.access_key(&kid, request.waiter, now) {
            Resolution::Wait => return request.wait(Stage::SignatureKey(parameters)),
            Resolution::Refused(denial) => return deny(denial),
            Resolution::Key(key) => key,
        };
        match request.body.check(request.protects) {
            Err(denial) => deny(denial),
            Ok(()) => request.wait(Stage::SignedDocument(parameters, key)),
        }
    }

    pub(super) fn on_signed_document(
        &mut self,
        request: Request,
        parameters: &Parameters,
        key: Rc<AccessKey>,
        body: &[u8],
        now: Now,
    ) -> Next {
        match self.signed_subject(parameters, &key, body) {
            Err(denial) => deny(denial),
            Ok(subject) => {
                let credential = Credential::Document(subject);
                self.on_grant(request, Grant { key, credential }, now)
            }
        }
    }

    fn signed_subject(
        &mut self,
        parameters: &Parameters,
        key: &AccessKey,
        body: &[u8],
    ) -> Result<SignedSubject, Denial> {
        let document = Document::parse(body)?;
        let verified = document.verify(&key.verifying_key);
        if matches!(verified, Ok(_) | Err(Denial::Cpix(CpixFault::SignatureInvalid))) {
            self.count_verification(key.verifying_key.xml_by_host());
        }
        let verified = verified?;
        if *parameters.issuer != *key.owner {
            return Err(Denial::IssuerNotOwner);
        }
        if !self.config.signed_cpix_audiences.iter().any(|audience| key.audiences.contains(audience)) {
            return Err(Denial::AudienceNotInKeyScope);
        }
        verified.check_subject(&parameters.subject)?;
        let (issuer, subject) = (Rc::clone(&key.owner), parameters.subject.clone());
        self.facts.proven = Some(Proven::Document { issuer, subject });
        Ok(SignedSubject(parameters.subject.clone()))
    }

    pub(super) fn on_bound_document(&mut self, request: Request, grant: Grant, body: &[u8], now: Now) -> Next {
        let bound = match &grant.credential {
            Credential::Token { verified, .. } => {
                Document::parse(body).and_then(|document| document.check_subject(verified.subject()))
            }
            // A signed document was bound when it was verified.
            Credential::Document(_) => Ok(()),
        };
        match bound {
            Err(denial) => deny(denial),
            Ok(()) => self.on_grant(request, grant, now),
        }
    }
}
