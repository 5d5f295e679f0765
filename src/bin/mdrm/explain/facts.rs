//! What a step looked at, for people: members of the token as they are written, times with their distance from now, what
//! the key service said. Shows and does not judge, and never prints a token, a signature or a secret.

mod keys;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mdrm_authz::authorizer::is_tunnel;
use mdrm_authz::carriage::Carriage;
use mdrm_authz::config::{Config, TokenRules};
use mdrm_authz::cpix::Document;
use mdrm_authz::jose::jwe::UntrustedJwe;
use mdrm_authz::jose::jwk::{Key, KeyDocument, Provenance, Ring};
use mdrm_authz::request::RequestHead;
use mdrm_authz::route::{Service, Unrouted};
use mdrm_authz::tunnel::TunnelRequest;
use serde_json::Value;

use super::decide::Question;
use super::show::{ago, duration, list, moment, shown, text};
use super::steps::Step;

/// What is known about a request and the keys that were asked for.
pub(super) struct Facts<'a> {
    pub(super) config: &'a Config,
    pub(super) head: RequestHead<'a>,
    pub(super) body: Option<&'a [u8]>,
    pub(super) service: Service,
    /// Why the request is nobody's, if it is.
    pub(super) unrouted: Option<Unrouted>,
    pub(super) questions: &'a [Question],
    /// Seconds since the epoch.
    pub(super) now: i64,
    token: Option<Token>,
    opened: Option<TunnelRequest>,
}

/// A token, decoded as far as that goes.
struct Token {
    bytes: usize,
    parts: usize,
    header: Value,
    claims: Value,
}

impl Token {
    fn read(text: &str) -> Self {
        let mut parts = text.split('.');
        let mut json = || {
            let decoded = URL_SAFE_NO_PAD.decode(parts.next().unwrap_or_default()).ok();
            decoded.and_then(|decoded| serde_json::from_slice(&decoded).ok()).unwrap_or_default()
        };
        let (header, claims) = (json(), json());
        Self { bytes: text.len(), parts: text.split('.').count(), header, claims }
    }
}

impl<'a> Facts<'a> {
    /// Takes the token out of the request, or of what the request holds encrypted.
    pub(super) fn new(
        config: &'a Config,
        head: RequestHead<'a>,
        body: Option<&'a [u8]>,
        service: Service,
        unrouted: Option<Unrouted>,
        questions: &'a [Question],
        now: i64,
    ) -> Self {
        let mut facts = Self { config, head, body, service, unrouted, questions, now, token: None, opened: None };
        let text = if facts.is_tunnel() {
            facts.opened = facts.open();
            facts.opened.as_ref().map(|opened| opened.jwt.to_string())
        } else if service == Service::SignedCpix {
            None
        } else {
            Carriage::read(head).token.ok().map(|token| token.into_owned())
        };
        facts.token = text.as_deref().map(Token::read);
        facts
    }

    /// Whether the request is a Trust Tunnel.
    pub(super) fn is_tunnel(&self) -> bool {
        self.service == Service::License && is_tunnel(self.head)
    }

    /// What was encrypted, with the master key that was answered.
    fn open(&self) -> Option<TunnelRequest> {
        let jwe = UntrustedJwe::parse(self.body?).ok()?;
        let document = &self.question(Ring::Master)?.document;
        let provenance = Provenance {
            ring: Ring::Master,
            default_owner: None,
            default_audiences: &[],
            symmetric: true,
            slow_algorithms: false,
            native: None,
        };
        match KeyDocument::parse_one(document, jwe.kid(), provenance).ok()? {
            KeyDocument::Enabled { key: Key::Master(key), .. } => TunnelRequest::parse(&jwe.decrypt(&key).ok()?).ok(),
            _ => None,
        }
    }

    fn question(&self, ring: Ring) -> Option<&Question> {
        self.questions.iter().find(|question| question.ring == ring)
    }

    /// What `step` looks at.
    pub(super) fn of(&self, step: Step) -> Vec<String> {
        match step {
            Step::Mode => self.mode(),
            Step::Parameters => self.parameters(),
            Step::TunnelKeys => vec![match &self.config.tunnel.keys {
                Some(keys) => format!("trust_tunnel.keys: {}", cluster(keys.source.as_ref())),
                None => "no trust_tunnel.keys".to_owned(),
            }],
            Step::TunnelBody => self.tunnel_body(),
            Step::MasterService => self.answer(Ring::Master),
            Step::KeyService => self.answer(Ring::Access),
            Step::SessionService => self.answer(Ring::Session),
            Step::MasterKey => self.key(Ring::Master, &["status", "alg", "use"]),
            Step::KeyKnown => self.key(Ring::Access, &["kty", "crv", "alg"]),
            Step::KeyKept => self.document(Ring::Access, &["status"]),
            Step::KeyEnabled => self.key_enabled(),
            Step::SessionKey => self.session_key(),
            Step::SessionToken => self.document(Ring::Session, &["kty", "crv"]),
            Step::TunnelPayload => self.opened.as_ref().map_or_else(Vec::new, |opened| {
                vec![
                    format!("{} bytes of license request", opened.license_request.len()),
                    opened.content_type.to_owned(),
                ]
            }),
            Step::Token => vec![self.carriage()],
            Step::Form => self.form(),
            Step::NotOurs => self.in_header(&["typ"]),
            Step::KeyName if self.service == Service::SignedCpix => self.parameter("kid").into_iter().collect(),
            Step::KeyName => self.in_header(&["kid"]),
            Step::Algorithm => self.algorithm(),
            Step::Issuer | Step::DocumentIssuer => self.issuer(),
            Step::Claims => self.required_claims(),
            Step::IssuedAt => self.in_claims(&["iat"]),
            Step::IssuedInPast => self.times(&["iat"]),
            Step::NotBefore => self.times(&["nbf"]),
            Step::Age => self.age(),
            Step::Audience => self.audience(),
            Step::DocumentAudience => {
                let takes = format!("the service takes {}", list(&self.config.signed_cpix_audiences));
                vec![takes, self.key_scope()]
            }
            Step::Protocol => self.protocol(),
            Step::Document => {
                let limit = self.config.max_body_bytes;
                vec![self.body.map_or("no body".to_owned(), |body| format!("{} bytes, at most {limit}", body.len()))]
            }
            Step::Subject => self.content_ids().into_iter().chain(self.subject()).collect(),
            Step::ContentId => self.content_ids().into_iter().collect(),
            Step::Decryption
            | Step::Signature
            | Step::Signed
            | Step::SignedAsWhole
            | Step::Methods
            | Step::ContentIds
            | Step::KeyType
            | Step::DocumentSignature => Vec::new(),
        }
    }

    fn mode(&self) -> Vec<String> {
        let kind = if self.is_tunnel() { "a Trust Tunnel" } else { "a plain request" };
        let mode = format!("{:?}", self.config.tunnel.mode).to_lowercase();
        vec![kind.to_owned(), format!("trust_tunnel.mode {mode}")]
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let query = self.head.target().query?;
        let value = query.split(|byte| *byte == b'&').find_map(|pair| {
            let (found, value) = pair.split_at_checked(name.len())?;
            (found == name.as_bytes()).then(|| value.strip_prefix(b"=")).flatten()
        })?;
        Some(format!("{name} {}", text(&String::from_utf8_lossy(value))))
    }

    fn parameters(&self) -> Vec<String> {
        let absent = |name: &str| format!("no {name}");
        ["kid", "sub", "iss"].map(|name| self.parameter(name).unwrap_or_else(|| absent(name))).into()
    }

    fn tunnel_body(&self) -> Vec<String> {
        let Some(body) = self.body else { return vec!["no body".to_owned()] };
        let bytes = format!("{} bytes, at most {}", body.len(), self.config.max_body_bytes);
        let mut facts = vec![bytes, parts(body.split(|byte| *byte == b'.').count())];
        let header = body.split(|byte| *byte == b'.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
        if let Some(header) = header.and_then(|header| serde_json::from_slice::<Value>(&header).ok()) {
            facts.extend(["alg", "enc", "kid"].map(|name| member(&header, name)));
        }
        facts
    }

    fn carriage(&self) -> String {
        let header = self.head.values("authorization").count();
        let query = self.head.target().query.unwrap_or_default();
        let parameter = query.split(|byte| *byte == b'&').filter(|pair| pair.starts_with(b"Authorization=")).count();
        let places = [(header, "the Authorization header"), (parameter, "the query")];
        let places: Vec<String> = places
            .into_iter()
            .filter(|(times, _)| *times > 0)
            .map(|(times, place)| if times > 1 { format!("{times} times in {place}") } else { format!("in {place}") })
            .collect();
        if places.is_empty() { "neither in a header nor in the query".to_owned() } else { places.join(" and ") }
    }

    fn form(&self) -> Vec<String> {
        self.token.as_ref().map_or_else(Vec::new, |token| {
            let limit = self.config.max_token_bytes;
            vec![format!("{} bytes, at most {limit}", token.bytes), parts(token.parts)]
        })
    }

    fn in_header(&self, names: &[&str]) -> Vec<String> {
        let Some(token) = &self.token else { return Vec::new() };
        names.iter().map(|name| member(&token.header, name)).collect()
    }

    fn in_claims(&self, names: &[&str]) -> Vec<String> {
        let Some(token) = &self.token else { return Vec::new() };
        names.iter().map(|name| member(&token.claims, name)).collect()
    }

    fn algorithm(&self) -> Vec<String> {
        let mut facts = self.in_header(&["alg"]);
        if let Some(token) = &self.token {
            facts.extend(["crit", "b64"].into_iter().filter_map(|name| present(&token.header, name)));
        }
        let document = self.key_document(Ring::Access);
        facts.extend(["alg", "kty", "crv"].into_iter().find_map(|name| present(&document, name)).map(of_the_key));
        facts
    }

    fn issuer(&self) -> Vec<String> {
        let mut facts = match self.service {
            Service::SignedCpix => self.parameter("iss").into_iter().collect(),
            _ => self.in_claims(&["iss"]),
        };
        let document = self.key_document(Ring::Access);
        let owner = document.get("iss").map(shown).or_else(|| self.config.keys.issuer.as_deref().map(text));
        facts.extend(owner.filter(|_| !document.is_null()).map(|owner| format!("the key's owner is {owner}")));
        facts
    }

    fn required_claims(&self) -> Vec<String> {
        let mut facts = self.in_claims(&["sub", "jti", "ver"]);
        let versions: Vec<String> = self.rules().versions.iter().map(u32::to_string).collect();
        facts.push(format!("ver may be {}", versions.join(", ")));
        facts
    }

    fn times(&self, names: &[&str]) -> Vec<String> {
        let Some(token) = &self.token else { return Vec::new() };
        let time = |name: &&str| match token.claims.get(*name) {
            Some(time) => format!("{name} {}", moment(time, self.now)),
            None => format!("no {name}"),
        };
        names.iter().map(time).collect()
    }

    fn age(&self) -> Vec<String> {
        let mut facts = self.times(&["exp", "iat"]);
        facts.push(format!("at most {} old", duration(self.rules().max_age)));
        if self.config.clock_skew > Duration::ZERO {
            facts.push(format!("with {} of leeway", duration(self.config.clock_skew)));
        }
        facts
    }

    fn audience(&self) -> Vec<String> {
        let mut facts = self.in_claims(&["aud"]);
        if let Some(unrouted) = self.unrouted {
            facts.push(format!("the request is denied, whatever its audience: {unrouted}"));
        } else {
            facts.push(format!("the service takes {}", list(&self.rules().audiences)));
        }
        facts.push(self.key_scope());
        facts
    }

    fn protocol(&self) -> Vec<String> {
        let mut facts = self.in_claims(&["drm_protocol"]);
        facts.push(format!("the request is {}", if self.is_tunnel() { "Trust Tunnel" } else { "REST" }));
        facts
    }

    /// The names of the content, each once, and no more than a line has room for.
    fn content_ids(&self) -> Option<String> {
        const SHOWN: usize = 3;
        let document = Document::parse(self.body?).ok()?;
        let mut names: Vec<&str> = Vec::new();
        for name in document.content_ids().filter(|name| !name.is_empty()) {
            if names.len() <= SHOWN && !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Some("no contentId".to_owned());
        }
        let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| text(name)).collect();
        if names.len() > SHOWN {
            shown.push("…".to_owned());
        }
        Some(format!("contentId {}", shown.join(", ")))
    }

    fn subject(&self) -> Option<String> {
        match self.service {
            Service::SignedCpix => self.parameter("sub"),
            _ => self.in_claims(&["sub"]).pop(),
        }
    }

    fn rules(&self) -> &TokenRules {
        if self.service == Service::Cpix { &self.config.cpix } else { &self.config.license }
    }

    /// When the token was made, for the first line.
    pub(super) fn issued(&self) -> Option<String> {
        let iat = self.token.as_ref()?.claims.get("iat")?.as_f64()?;
        Some(ago(iat, self.now))
    }
}

fn cluster(source: Option<&mdrm_authz::config::KeySource>) -> String {
    source.map_or_else(|| "inline".to_owned(), |source| format!("cluster {}", text(&source.cluster)))
}

fn parts(count: usize) -> String {
    if count == 1 { "1 part".to_owned() } else { format!("{count} parts") }
}

fn of_the_key(fact: String) -> String {
    format!("the key's {fact}")
}

fn present(object: &Value, name: &str) -> Option<String> {
    object.get(name).map(|value| format!("{name} {}", shown(value)))
}

fn member(object: &Value, name: &str) -> String {
    present(object, name).unwrap_or_else(|| format!("no {name}"))
}
