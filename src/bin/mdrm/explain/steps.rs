//! The table of decisions as data: which steps a request goes through, in which order, and at which one a denial stands.
//! Decides nothing: the steps before the one that a denial names have passed, because the core decides in this order.

use mdrm_authz::authorizer::Decision;
use mdrm_authz::config::{Config, TunnelMode};
use mdrm_authz::denial::{Code, CpixFault, Denial, KeyRefusal, TunnelFault};
use mdrm_authz::jose::jwk::Ring;
use mdrm_authz::route::Service;

/// Declares [`Step`] with its table on one line a step.
macro_rules! steps {
    ($($step:ident = $code:ident, $name:literal;)*) => {
        /// A check that can deny a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Step {
            $(#[doc = $name] $step),*
        }

        impl Step {
            /// The code of a request that fails here.
            pub(super) const fn code(self) -> Code {
                match self { $(Self::$step => Code::$code),* }
            }

            /// What is checked.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$step => $name),* }
            }
        }
    };
}

steps! {
    Mode = Mdrm520, "kind of license request";
    Parameters = Mdrm514, "parameters of the query";
    TunnelKeys = Mdrm518, "master keys configured";
    TunnelBody = Mdrm517, "form of the encrypted body";
    MasterService = Mdrm500, "answer about the master key";
    MasterKey = Mdrm518, "master key";
    Decryption = Mdrm519, "decryption";
    TunnelPayload = Mdrm517, "what was inside";
    Token = Mdrm501, "a token";
    Form = Mdrm502, "form of the token";
    NotOurs = Mdrm505, "not a session token";
    KeyName = Mdrm504, "name of the key";
    KeyService = Mdrm500, "answer about the key";
    KeyKnown = Mdrm504, "key registered and usable";
    KeyKept = Mdrm512, "key not deleted";
    KeyEnabled = Mdrm513, "key enabled";
    Algorithm = Mdrm505, "algorithm";
    Signature = Mdrm505, "signature";
    Issuer = Mdrm505, "issuer";
    Claims = Mdrm505, "required claims";
    IssuedAt = Mdrm509, "issue time there";
    IssuedInPast = Mdrm510, "issued in the past";
    NotBefore = Mdrm511, "valid already";
    Age = Mdrm508, "valid still";
    Audience = Mdrm503, "audience";
    Protocol = Mdrm521, "protocol";
    Document = Mdrm910, "a CPIX document";
    Signed = Mdrm914, "document signed";
    SignedAsWhole = Mdrm915, "signed as a whole";
    Methods = Mdrm918, "methods of the signature";
    KeyType = Mdrm917, "key fits the method";
    DocumentSignature = Mdrm916, "signature of the document";
    DocumentIssuer = Mdrm505, "issuer";
    DocumentAudience = Mdrm503, "purpose of the key";
    ContentId = Mdrm903, "contentId there";
    ContentIds = Mdrm904, "contentId is the id";
    Subject = Mdrm905, "contentId is the subject";
    SessionService = Mdrm500, "answer about the session key";
    SessionKey = Mdrm506, "session key";
    SessionToken = Mdrm507, "session token signed";
}

/// The steps of a request to `service`, in the order of decisions.
pub(super) fn course(config: &Config, service: Service, tunnel: bool) -> Vec<Step> {
    use Step::*;
    let mut steps: Vec<Step> = match service {
        Service::Open => return Vec::new(),
        Service::SignedCpix => vec![Parameters],
        Service::Cpix => vec![Token],
        Service::License if tunnel => {
            vec![Mode, TunnelKeys, TunnelBody, MasterService, MasterKey, Decryption, TunnelPayload]
        }
        Service::License => vec![Mode, Token],
    };
    if service != Service::SignedCpix {
        steps.extend([Form, NotOurs]);
    }
    steps.extend([KeyName, KeyService, KeyKnown, KeyKept, KeyEnabled]);
    if service == Service::SignedCpix {
        let document = [Document, Signed, SignedAsWhole, Methods, KeyType, DocumentSignature];
        steps.extend(document.into_iter().chain([DocumentIssuer, DocumentAudience, ContentId, ContentIds, Subject]));
    } else {
        steps.extend([Algorithm, Signature, Issuer, Claims, IssuedAt, IssuedInPast, NotBefore, Age, Audience]);
    }
    if service == Service::License && config.tunnel.mode == TunnelMode::Permissive {
        steps.push(Protocol);
    }
    if service == Service::Cpix && config.bind_content {
        steps.extend([Document, ContentId, ContentIds, Subject]);
    }
    if config.session.is_some() {
        steps.extend([SessionService, SessionKey, SessionToken]);
    }
    steps
}

/// The step at which `denial` stands; `asked` is the ring of the last question to a key service. `None` for what is wrong
/// with the host, and for what other requests cause: no request here can meet either.
pub(super) fn failed_at(denial: &Denial, service: Service, asked: Option<Ring>) -> Option<Step> {
    let signed = service == Service::SignedCpix;
    Some(match denial {
        Denial::HeadersUnreadable | Denial::BodyUnreadable | Denial::TooManyHeldBytes => return None,
        Denial::KeyServiceUnavailable { .. } | Denial::TooManyWaiting { .. } => match asked {
            Some(Ring::Session) => Step::SessionService,
            Some(Ring::Master) => Step::MasterService,
            Some(Ring::Access) | None => Step::KeyService,
        },
        Denial::TokenMissing => Step::Token,
        Denial::SchemeUnknown
        | Denial::HeaderRepeated
        | Denial::ParameterRepeated
        | Denial::ParameterNameEncoded
        | Denial::ParameterEncoding
        | Denial::TokensDiffer
        | Denial::TokenTooLong
        | Denial::NotThreeParts
        | Denial::PartEmpty(_)
        | Denial::PartNotBase64Url(_)
        | Denial::PartNotObject(..) => Step::Form,
        Denial::SessionTokenPresented => Step::NotOurs,
        Denial::AccessKey(KeyRefusal::NoName) => Step::KeyName,
        Denial::AccessKey(KeyRefusal::Unknown | KeyRefusal::Unusable) => Step::KeyKnown,
        Denial::AccessKey(KeyRefusal::Deleted) => Step::KeyKept,
        Denial::AccessKey(KeyRefusal::Disabled | KeyRefusal::Expired) => Step::KeyEnabled,
        Denial::AlgorithmNotTheKeys | Denial::CriticalHeader => Step::Algorithm,
        Denial::SignatureInvalid => Step::Signature,
        Denial::IssuerNotOwner if signed => Step::DocumentIssuer,
        Denial::IssuerNotOwner => Step::Issuer,
        Denial::ClaimNotText(_) | Denial::VersionNotAccepted | Denial::TimeOutOfRange(_) => Step::Claims,
        Denial::IssuedAtMissing => Step::IssuedAt,
        Denial::IssuedInFuture => Step::IssuedInPast,
        Denial::NotYetValid => Step::NotBefore,
        Denial::TokenExpired | Denial::TokenTooOld => Step::Age,
        Denial::AudienceNotInKeyScope if signed => Step::DocumentAudience,
        Denial::AudienceMalformed | Denial::AudienceNotAccepted | Denial::AudienceNotInKeyScope => Step::Audience,
        Denial::ProtocolMismatch => Step::Protocol,
        Denial::TunnelMode { .. } => Step::Mode,
        Denial::TunnelNotConfigured => Step::TunnelKeys,
        Denial::Tunnel(TunnelFault::Payload(_) | TunnelFault::Member(_)) => Step::TunnelPayload,
        Denial::Tunnel(_) => Step::TunnelBody,
        Denial::MasterKey(_) => Step::MasterKey,
        Denial::TunnelUndecryptable => Step::Decryption,
        Denial::SignedCpixParameter(_) => Step::Parameters,
        Denial::Cpix(CpixFault::Body(_) | CpixFault::NotCpix(_)) => Step::Document,
        Denial::Cpix(CpixFault::NoSignatures) => Step::Signed,
        Denial::Cpix(CpixFault::NoOverallSignature) => Step::SignedAsWhole,
        Denial::Cpix(CpixFault::Algorithm(_)) => Step::Methods,
        Denial::Cpix(CpixFault::KeyType) => Step::KeyType,
        Denial::Cpix(CpixFault::SignatureInvalid) => Step::DocumentSignature,
        Denial::Cpix(CpixFault::ContentIdMissing) => Step::ContentId,
        Denial::Cpix(CpixFault::ContentIdNotId) => Step::ContentIds,
        Denial::Cpix(CpixFault::ContentIdNotSubject) => Step::Subject,
        Denial::SessionKidMissing | Denial::SessionKey(_) => Step::SessionKey,
        Denial::SessionKeyMismatch | Denial::SessionNotSigned => Step::SessionToken,
    })
}

/// The denial of a decision, whether or not it is carried out.
pub(super) fn denial(decision: &Decision) -> Option<&Denial> {
    match decision {
        Decision::Pass(_) | Decision::Allow(_) => None,
        Decision::Deny(denial) | Decision::Report(denial) => Some(denial),
    }
}
