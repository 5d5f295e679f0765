//! The plugin configuration: JSON -> raw types -> [`Config`], which holds valid values only.
//!
//! A refusal names the member by its path, what was found and what is allowed, and never prints a secret.

mod keys;
mod limits;
mod raw;
mod reader;
#[cfg(not(target_arch = "wasm32"))]
mod schema;
mod source;
mod upstream;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

pub use keys::{InlineKeys, Keys};
pub use source::{KeyPath, KeySource};
pub use upstream::{ClaimHeader, Upstream};

use limits::Range;
use reader::{Member, Read as _};

use crate::jose::token::Kid;
use crate::route::{ALLOWED_HOST, DefaultService, Host, Matcher, Route};

/// A complete, valid configuration.
#[derive(Debug)]
pub struct Config {
    /// Where access keys come from and how long they are held.
    pub keys: Rc<Keys>,
    /// In order; the first match wins.
    pub routes: Vec<Route>,
    /// What a request is that no route matches.
    pub default_service: DefaultService,
    /// Rules of the `license` service.
    pub license: TokenRules,
    /// Rules of the `cpix` service.
    pub cpix: TokenRules,
    /// Compare the document's `contentId` with the subject of a `cpix` request's token.
    pub bind_content: bool,
    /// Audiences of the `signed_cpix` service.
    pub signed_cpix_audiences: Box<[Box<str>]>,
    /// For which requests filter state is written.
    pub access_log: AccessLog,
    /// Leeway of every comparison of a token's times.
    pub clock_skew: Duration,
    /// Longest token in bytes.
    pub max_token_bytes: usize,
    /// Largest body in bytes that is held.
    pub max_body_bytes: usize,
    /// Most bytes of copies of bodies that a worker keeps for requests that wait for a key; at least
    /// [`Self::max_body_bytes`].
    pub max_held_bytes: usize,
    /// How long a body that is held may take to be complete.
    pub body_timeout: Duration,
    /// What the upstream gets of a token.
    pub upstream: Upstream,
    /// Session tokens for the upstream.
    pub session: Option<Session>,
    /// Encrypted license requests.
    pub tunnel: Tunnel,
    /// Decide and tell, and let every request go on.
    pub report_only: bool,
}

/// `session`: the token that the upstream gets.
#[derive(Debug)]
pub struct Session {
    /// Where session keys come from.
    pub keys: Rc<Keys>,
    /// The session key for access keys that name none.
    pub kid: Option<Kid>,
    /// The header that carries the token, in lower case.
    pub header: Rc<str>,
    /// `iss` of the token.
    pub issuer: Box<str>,
    /// `aud` of the token.
    pub audience: Box<str>,
    /// From `iat` to `exp` at most.
    pub lifetime: Duration,
}

/// `trust_tunnel`: encrypted license requests.
#[derive(Debug)]
pub struct Tunnel {
    /// Which license requests may come.
    pub mode: TunnelMode,
    /// Where master keys come from; without them no Trust Tunnel request can be decrypted.
    pub keys: Option<Rc<Keys>>,
}

/// `trust_tunnel.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelMode {
    /// Trust Tunnel requests alone.
    Enforcing,
    /// Both; a token's `drm_protocol` decides.
    Permissive,
    /// Plain requests alone.
    Off,
}

/// What a service asks of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// Accepted values of `aud`. Empty only for requests that must be denied.
    pub audiences: Box<[Box<str>]>,
    /// Longest time since `iat`.
    pub max_age: Duration,
    /// Accepted values of `ver`.
    pub versions: Box<[u32]>,
}

/// `access_log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// Never.
    Off,
    /// For denied requests.
    Denied,
    /// For every request.
    All,
}

/// Why a configuration is refused: one line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    path: String,
    problem: String,
}

impl ConfigError {
    /// The path of the member, for example `keys.timeout` or `routes[0].path`; `.` for the whole document.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration refused: ")?;
        // One line: the text may quote what was found.
        for c in [&self.path, ": ", &self.problem].into_iter().flat_map(str::chars) {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

type Result<T, E = ConfigError> = std::result::Result<T, E>;

fn refuse<T>(path: impl Into<String>, problem: impl Into<String>) -> Result<T> {
    Err(ConfigError { path: path.into(), problem: problem.into() })
}

impl Config {
    /// Reads the plugin configuration. `environment` looks up a variable of the VM, for `${NAME}` in header values.
    ///
    /// # Errors
    /// [`ConfigError`] names the first member that is unknown, of a wrong type, or outside its range.
    pub fn from_json(json: &[u8], environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let plugin = raw::Plugin::read(&Member::document(json)?)?;
        let raw::Services { license, cpix, signed_cpix } = plugin.services;
        let bind_content = cpix.bind_content.unwrap_or(limits::BIND_CONTENT);
        // Read alike; the defaults differ.
        let cpix = raw::License { audiences: cpix.audiences, max_age: cpix.max_age, versions: cpix.versions };
        let slow_algorithms = plugin.allow_slow_algorithms.unwrap_or(limits::ALLOW_SLOW_ALGORITHMS);
        let keys = keys::access(plugin.keys, slow_algorithms, environment)?;
        let session = plugin.session.map(|session| self::session(session, &keys, environment)).transpose()?;
        let upstream = Upstream::new(plugin.upstream, session.as_ref())?;
        let max_body_bytes = number("max_body_bytes", plugin.max_body_bytes, &limits::MAX_BODY_BYTES)?;
        let max_held_bytes = number("max_held_bytes", plugin.max_held_bytes, &limits::MAX_HELD_BYTES)?;
        if max_held_bytes < max_body_bytes {
            let problem = format!("found {max_held_bytes}, allowed: at least max_body_bytes, {max_body_bytes}");
            return refuse("max_held_bytes", problem);
        }
        let master = plugin.trust_tunnel.keys;
        let master = master
            .map(|master| keys::private("trust_tunnel.keys", limits::MASTER_KEYS_PATH, master, &keys, environment));
        let routes = routes(plugin.routes)?;
        // Whoever names routes has said what may come.
        let default_service = if routes.is_empty() { DefaultService::License } else { DefaultService::Deny };
        Ok(Self {
            routes,
            default_service: plugin.default_service.unwrap_or(default_service),
            license: token_rules("services.license", license, limits::LICENSE_AUDIENCE, &limits::LICENSE_MAX_AGE)?,
            cpix: token_rules("services.cpix", cpix, limits::CPIX_AUDIENCE, &limits::CPIX_MAX_AGE)?,
            bind_content,
            signed_cpix_audiences: audiences(
                "services.signed_cpix.audiences",
                signed_cpix.audiences,
                limits::CPIX_AUDIENCE,
            )?,
            access_log: plugin.access_log.unwrap_or(limits::ACCESS_LOG),
            clock_skew: duration("clock_skew", plugin.clock_skew, &limits::CLOCK_SKEW)?,
            max_token_bytes: number("max_token_bytes", plugin.max_token_bytes, &limits::MAX_TOKEN_BYTES)?,
            max_body_bytes,
            max_held_bytes,
            body_timeout: duration("body_timeout", plugin.body_timeout, &limits::BODY_TIMEOUT)?,
            upstream,
            session,
            tunnel: Tunnel {
                mode: plugin.trust_tunnel.mode.unwrap_or(limits::TUNNEL_MODE),
                keys: master.transpose()?.map(Rc::new),
            },
            report_only: plugin.report_only.unwrap_or(limits::REPORT_ONLY),
            keys: Rc::new(keys),
        })
    }
}

fn session(raw: raw::Session, keys: &Keys, environment: &dyn Fn(&str) -> Option<String>) -> Result<Session> {
    for (name, text) in [("issuer", &raw.issuer), ("audience", &raw.audience)] {
        if text.is_empty() {
            return refuse(format!("session.{name}"), "found an empty string, allowed: a text");
        }
    }
    let kid = match raw.kid {
        None => None,
        Some(kid) => match Kid::new(&kid) {
            Some(kid) => Some(kid),
            None => return refuse("session.kid", "allowed: the name of a key, 1 to 256 bytes, not made of dots only"),
        },
    };
    Ok(Session {
        keys: Rc::new(keys::private("session.keys", limits::SESSION_KEYS_PATH, raw.keys, keys, environment)?),
        kid,
        header: raw.header.unwrap_or_else(|| limits::SESSION_HEADER.into()).to_ascii_lowercase().into(),
        issuer: raw.issuer.into(),
        audience: raw.audience.into(),
        lifetime: duration("session.lifetime", raw.lifetime, &limits::SESSION_LIFETIME)?,
    })
}

fn routes(raw: Vec<raw::Route>) -> Result<Vec<Route>> {
    let mut routes: Vec<Route> = Vec::new();
    for (at, route) in raw.into_iter().enumerate() {
        let route = self::route(at, route)?;
        if let Some((first, earlier)) = routes.iter().enumerate().find(|(_, earlier)| earlier.covers(&route)) {
            let found = format!("found {route}, which no request reaches because routes[{first}] is {earlier}");
            return refuse(format!("routes[{at}]"), format!("{found}, allowed: the narrower of two routes first"));
        }
        routes.push(route);
    }
    Ok(routes)
}

fn route(at: usize, route: raw::Route) -> Result<Route> {
    let path_is_normal = |name: &str, path: String| {
        if crate::route::is_normal(&path) {
            Ok(path.into_boxed_str())
        } else {
            let allowed = "allowed: a path that starts with / and is written as it is compared (no query, no dot segments, \
                           no //, no escaped unreserved character, none of \\ ; %2F %5C %3B %00, no %25 before two hex digits)";
            refuse(format!("routes[{at}].{name}"), format!("found {path:?}, {allowed}"))
        }
    };
    let matcher = match (route.path, route.path_prefix) {
        (Some(path), None) => Matcher::Exact(path_is_normal("path", path)?),
        (None, Some(prefix)) => Matcher::Prefix(path_is_normal("path_prefix", prefix)?),
        _ => return refuse(format!("routes[{at}]"), "allowed: exactly one of path and path_prefix"),
    };
    let host = match route.host {
        None => None,
        Some(text) => match Host::parse(&text) {
            Some(host) => Some(host),
            None => return refuse(format!("routes[{at}].host"), format!("found {text:?}, allowed: {ALLOWED_HOST}")),
        },
    };
    Ok(Route { matcher, host, service: route.service, drm: route.drm })
}

fn token_rules(path: &str, service: raw::License, audience: &str, max_age: &Range<Duration>) -> Result<TokenRules> {
    let versions = service.versions.unwrap_or_else(|| vec![limits::VERSION]);
    if versions.is_empty() {
        return refuse(format!("{path}.versions"), "found an empty list, allowed: at least one version");
    }
    Ok(TokenRules {
        audiences: audiences(&format!("{path}.audiences"), service.audiences, audience)?,
        max_age: duration(&format!("{path}.max_age"), service.max_age, max_age)?,
        versions: versions.into(),
    })
}

fn audiences(path: &str, found: Option<Vec<String>>, default: &str) -> Result<Box<[Box<str>]>> {
    match found {
        None => Ok([default.into()].into()),
        Some(list) if list.is_empty() => refuse(path, "found an empty list, allowed: at least one audience"),
        Some(list) if list.iter().any(String::is_empty) => refuse(path, "found an empty string, allowed: audiences"),
        Some(list) => Ok(list.into_iter().map(Into::into).collect()),
    }
}

fn duration(path: &str, found: Option<raw::DurationText>, range: &Range<Duration>) -> Result<Duration> {
    let Range { default, low, high } = *range;
    match found {
        None => Ok(default),
        Some(raw::DurationText(value)) if (low..=high).contains(&value) => Ok(value),
        Some(raw::DurationText(value)) => refuse(path, format!("found {value:?}, allowed: {low:?} to {high:?}")),
    }
}

fn number(path: &str, found: Option<u64>, range: &Range<usize>) -> Result<usize> {
    let Range { default, low, high } = *range;
    let Some(found) = found else { return Ok(default) };
    match usize::try_from(found).ok().filter(|value| (low..=high).contains(value)) {
        Some(value) => Ok(value),
        None => refuse(path, format!("found {found}, allowed: {low} to {high}")),
    }
}

#[cfg(test)]
mod tests;
