//! The plugin configuration: JSON -> raw types -> [`Config`], which holds valid values only.
//!
//! A refusal names the member by its path, what was found and what is allowed, and never prints a secret.

mod raw;
mod source;

use std::fmt;
use std::time::Duration;

pub use source::{KeyPath, KeySource};

use crate::jose::jwk::{KeySet, Provenance};
use crate::route::{DefaultService, Matcher, Route, Service};

/// A complete, valid configuration.
#[derive(Debug)]
pub struct Config {
    /// Where keys come from and how long they are held.
    pub keys: Keys,
    /// In order; the first match wins.
    pub routes: Vec<Route>,
    /// What a request is that no route matches.
    pub default_service: DefaultService,
    /// Rules of the `license` service.
    pub license: TokenRules,
    /// Rules of the `cpix` service.
    pub cpix: TokenRules,
    /// Accept ES384 and ES512 keys where only the wasm VM can verify them.
    pub allow_slow_algorithms: bool,
    /// For which requests filter state is written.
    pub access_log: AccessLog,
    /// Leeway of every comparison of a token's times.
    pub clock_skew: Duration,
    /// Longest token in bytes.
    pub max_token_bytes: usize,
    /// Leave the client's token on the request.
    pub forward_token: bool,
}

/// `keys`: sources of access keys and the bounds of what is held.
#[derive(Debug)]
pub struct Keys {
    /// The key service; none if every key is inline.
    pub source: Option<KeySource>,
    /// Freshness where an answer says nothing usable.
    pub max_age: Duration,
    /// Cap on the freshness that an answer may give.
    pub max_age_limit: Duration,
    /// How long past freshness an entry serves while the key service fails.
    pub stale_if_error: Duration,
    /// How long "unknown" and "unusable" are remembered.
    pub negative_max_age: Duration,
    /// JWK Set mode: an unknown `kid` refetches the set at most this often.
    pub refetch_interval: Duration,
    /// Keys held per worker.
    pub max_entries: usize,
    /// Requests per worker that may wait for keys.
    pub max_waiting: usize,
    /// Owner of keys in sets whose document names none.
    pub issuer: Option<Box<str>>,
    /// Purposes of keys in sets whose document names none.
    pub audiences: Box<[Box<str>]>,
    /// A JWK Set that shadows the key service. It was readable when the configuration was accepted.
    pub inline: Option<InlineKeys>,
}

/// The text of an inline JWK Set; may hold shared secrets, so it is never printed.
pub struct InlineKeys(Box<str>);

impl InlineKeys {
    /// The JWK Set as it was configured.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for InlineKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// [`ConfigError`] names the first member that is unknown, of a wrong type, outside its range, or not supported yet.
    pub fn from_json(json: &[u8], environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let plugin = parse(json)?;
        refuse_unsupported(&plugin)?;
        let raw::Services { license, cpix, signed_cpix } = plugin.services;
        // No route can name signed_cpix and nothing holds a body yet; a value that will be wrong then is wrong now.
        audiences("services.signed_cpix.audiences", signed_cpix.audiences, DEFAULT_CPIX_AUDIENCE)?;
        number("max_body_bytes", plugin.max_body_bytes, 262_144, 1024, 8 << 20)?;
        duration("body_timeout", plugin.body_timeout, SECOND.saturating_mul(10), SECOND, MINUTE)?;
        let cpix = raw::Service { audiences: cpix.audiences, max_age: cpix.max_age, versions: cpix.versions };
        Ok(Self {
            keys: keys(plugin.keys, environment)?,
            routes: plugin
                .routes
                .into_iter()
                .enumerate()
                .map(|(at, route)| self::route(at, route))
                .collect::<Result<_>>()?,
            default_service: match plugin.default_service {
                None | Some(raw::DefaultService::License) => DefaultService::License,
                Some(raw::DefaultService::Deny) => DefaultService::Deny,
            },
            license: token_rules("services.license", license, DEFAULT_LICENSE_AUDIENCE, Duration::from_secs(90))?,
            cpix: token_rules("services.cpix", cpix, DEFAULT_CPIX_AUDIENCE, MINUTE.saturating_mul(30))?,
            allow_slow_algorithms: plugin.allow_slow_algorithms.unwrap_or(false),
            access_log: plugin.access_log.unwrap_or(AccessLog::Denied),
            clock_skew: duration(
                "clock_skew",
                plugin.clock_skew,
                SECOND.saturating_mul(5),
                Duration::ZERO,
                MINUTE.saturating_mul(5),
            )?,
            max_token_bytes: number("max_token_bytes", plugin.max_token_bytes, 8192, 256, 65_536)?,
            forward_token: plugin.upstream.forward_token.unwrap_or(false),
        })
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The audiences are the vendor's.
const DEFAULT_LICENSE_AUDIENCE: &str = "urn:verimatrix:multidrm";
const DEFAULT_CPIX_AUDIENCE: &str = "urn:verimatrix:cpix";

/// Where an object belongs. serde would take an array as well, its members in the order of the struct's.
const OBJECTS: &[&str] = &[
    "/keys",
    "/services",
    "/services/license",
    "/services/cpix",
    "/services/signed_cpix",
    "/upstream",
    "/session",
    "/session/keys",
    "/trust_tunnel",
    "/trust_tunnel/keys",
];

fn refuse_arrays(json: &[u8]) -> Result<()> {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(json) else { return Ok(()) };
    let problem = "found an array, allowed: an object";
    if document.is_array() {
        return refuse(".", problem);
    }
    for pointer in OBJECTS {
        if document.pointer(pointer).is_some_and(serde_json::Value::is_array) {
            return refuse(pointer.trim_start_matches('/').replace('/', "."), problem);
        }
    }
    let routes = document.get("routes").and_then(serde_json::Value::as_array);
    match routes.and_then(|routes| routes.iter().position(serde_json::Value::is_array)) {
        Some(at) => refuse(format!("routes[{at}]"), problem),
        None => Ok(()),
    }
}

fn parse(json: &[u8]) -> Result<raw::Plugin> {
    refuse_arrays(json)?;
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let plugin: raw::Plugin = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.inner().to_string();
        // These messages quote names of members alone.
        let about_names =
            ["duplicate field", "missing field", "unknown field"].iter().any(|of| problem.starts_with(of));
        let problem = if may_hold_secret(&path) && !about_names {
            "found <redacted>, which has the wrong type or form".to_owned()
        } else {
            problem
        };
        ConfigError { path, problem }
    })?;
    deserializer.end().map_err(|error| ConfigError { path: ".".into(), problem: error.to_string() })?;
    Ok(plugin)
}

/// serde's messages quote what they found.
fn may_hold_secret(path: &str) -> bool {
    path.split(['.', '[']).any(|member| matches!(member, "headers" | "inline"))
        || path.rsplit('.').next() == Some("keys")
}

fn refuse_unsupported(plugin: &raw::Plugin) -> Result<()> {
    let tunnel = &plugin.trust_tunnel;
    let routes = plugin.routes.iter().enumerate();
    let signed =
        routes.filter(|(_, route)| matches!(route.service, raw::RouteService::SignedCpix)).map(|(at, _)| at).next();
    let unsupported = [
        (plugin.session.is_some(), "session".to_owned()),
        (tunnel.mode.is_some_and(|mode| mode != raw::TunnelMode::Permissive), "trust_tunnel.mode".to_owned()),
        (tunnel.keys.is_some(), "trust_tunnel.keys".to_owned()),
        (plugin.services.cpix.bind_content == Some(true), "services.cpix.bind_content".to_owned()),
        (signed.is_some(), format!("routes[{}].service", signed.unwrap_or_default())),
        (plugin.report_only == Some(true), "report_only".to_owned()),
        (plugin.upstream.payload_header.is_some(), "upstream.payload_header".to_owned()),
        (!plugin.upstream.claim_headers.is_empty(), "upstream.claim_headers".to_owned()),
    ];
    match unsupported.into_iter().find(|(set, _)| *set) {
        Some((_, path)) => refuse(path, "not supported yet"),
        None => Ok(()),
    }
}

fn keys(keys: raw::Keys, environment: &dyn Fn(&str) -> Option<String>) -> Result<Keys> {
    let range = |name, value, default, low, high| duration(&format!("keys.{name}"), value, default, low, high);
    if keys.issuer.as_deref() == Some("") {
        return refuse("keys.issuer", "found an empty string, allowed: the owner of keys that name none");
    }
    let default_audiences = match keys.audiences {
        None => Box::default(),
        some => audiences("keys.audiences", some, "")?,
    };
    let inline = match keys.inline {
        None => None,
        Some(text) => Some(inline(text.get(), keys.issuer.as_deref(), &default_audiences)?),
    };
    let timeout = range("timeout", keys.timeout, SECOND.saturating_mul(2), MILLISECOND, MINUTE)?;
    let source = match keys.cluster {
        Some(cluster) => {
            let raw = source::Raw { cluster, authority: keys.authority, path: keys.path, headers: keys.headers };
            Some(KeySource::new("keys", raw, timeout, environment)?)
        }
        None if inline.is_some() => {
            let set = [("authority", keys.authority.is_some()), ("path", keys.path.is_some())];
            let set = set.into_iter().chain([("headers", !keys.headers.0.is_empty())]).find(|(_, set)| *set);
            match set {
                Some((name, _)) => return refuse(format!("keys.{name}"), "is of no use without keys.cluster"),
                None => None,
            }
        }
        None => return refuse("keys.cluster", "missing, required unless keys.inline is set"),
    };
    Ok(Keys {
        source,
        max_age: range("max_age", keys.max_age, MINUTE.saturating_mul(10), SECOND, DAY)?,
        max_age_limit: range("max_age_limit", keys.max_age_limit, HOUR, SECOND, DAY)?,
        stale_if_error: range("stale_if_error", keys.stale_if_error, HOUR, Duration::ZERO, DAY)?,
        negative_max_age: range("negative_max_age", keys.negative_max_age, SECOND.saturating_mul(30), SECOND, HOUR)?,
        refetch_interval: range("refetch_interval", keys.refetch_interval, SECOND.saturating_mul(30), SECOND, HOUR)?,
        max_entries: number("keys.max_entries", keys.max_entries, 10_000, 1, 100_000)?,
        max_waiting: number("keys.max_waiting", keys.max_waiting, 1000, 0, 100_000)?,
        issuer: keys.issuer.map(Into::into),
        audiences: default_audiences,
        inline,
    })
}

/// Unlike a fetched set, an inline one must be right as a whole: whoever wrote it is there to mend it.
fn inline(text: &str, issuer: Option<&str>, audiences: &[Box<str>]) -> Result<InlineKeys> {
    let provenance = Provenance {
        default_owner: issuer,
        default_audiences: audiences,
        symmetric: true,
        slow_algorithms: true,
        native: None,
    };
    let set = match KeySet::parse(text.as_bytes(), provenance) {
        Ok(set) => set,
        Err(fault) => return refuse("keys.inline", format!("{fault}, allowed: a JWK Set of usable keys")),
    };
    match set.dropped.first() {
        None => Ok(InlineKeys(text.into())),
        Some((Some(kid), reason)) => refuse("keys.inline", format!("key {kid}: {reason}")),
        Some((None, reason)) => refuse("keys.inline", format!("a key without a usable kid: {reason}")),
    }
}

fn route(at: usize, route: raw::Route) -> Result<Route> {
    let path_is_normal = |name: &str, path: String| {
        if crate::route::is_normal(&path) {
            Ok(path.into_boxed_str())
        } else {
            let allowed = "allowed: a path that starts with / and is written as it is compared (no query, no dot segments, \
                           no //, no escaped unreserved character, none of \\ ; %2F %5C %3B %00)";
            refuse(format!("routes[{at}].{name}"), format!("found {path:?}, {allowed}"))
        }
    };
    let matcher = match (route.path, route.path_prefix) {
        (Some(path), None) => Matcher::Exact(path_is_normal("path", path)?),
        (None, Some(prefix)) => Matcher::Prefix(path_is_normal("path_prefix", prefix)?),
        _ => return refuse(format!("routes[{at}]"), "allowed: exactly one of path and path_prefix"),
    };
    if route.host.as_deref() == Some("") {
        return refuse(format!("routes[{at}].host"), "found an empty string, allowed: a host name, or no member");
    }
    let service = match route.service {
        raw::RouteService::License => Service::License,
        raw::RouteService::Cpix => Service::Cpix,
        raw::RouteService::Open => Service::Open,
        raw::RouteService::SignedCpix => return refuse(format!("routes[{at}].service"), "not supported yet"),
    };
    Ok(Route { matcher, host: route.host.map(Into::into), service, drm: route.drm })
}

fn token_rules(path: &str, service: raw::Service, audience: &str, max_age: Duration) -> Result<TokenRules> {
    let versions = service.versions.unwrap_or_else(|| vec![1]);
    if versions.is_empty() {
        return refuse(format!("{path}.versions"), "found an empty list, allowed: at least one version");
    }
    Ok(TokenRules {
        audiences: audiences(&format!("{path}.audiences"), service.audiences, audience)?,
        max_age: duration(&format!("{path}.max_age"), service.max_age, max_age, SECOND, DAY)?,
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

fn duration(
    path: &str,
    found: Option<raw::DurationText>,
    default: Duration,
    low: Duration,
    high: Duration,
) -> Result<Duration> {
    match found {
        None => Ok(default),
        Some(raw::DurationText(value)) if (low..=high).contains(&value) => Ok(value),
        Some(raw::DurationText(value)) => refuse(path, format!("found {value:?}, allowed: {low:?} to {high:?}")),
    }
}

fn number(path: &str, found: Option<u64>, default: usize, low: usize, high: usize) -> Result<usize> {
    let Some(found) = found else { return Ok(default) };
    match usize::try_from(found).ok().filter(|value| (low..=high).contains(value)) {
        Some(value) => Ok(value),
        None => refuse(path, format!("found {found}, allowed: {low} to {high}")),
    }
}

#[cfg(test)]
mod tests;
