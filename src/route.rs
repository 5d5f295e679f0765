//! Path and host of a request -> the service that it is handled as. Nothing is reached by spelling.

mod host;
mod path;

use std::fmt;

pub(crate) use host::ALLOWED as ALLOWED_HOST;
pub use host::Host;
pub use path::is_normal;

use crate::request::{RequestHead, trim};
use crate::spelling::is_spelling_of;
use host::Authority;
use path::Path;

/// What a route makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// A license request: a token is required.
    License,
    /// A CPIX request: a token is required.
    Cpix,
    /// A CPIX request whose document is signed: the signature stands for a token.
    SignedCpix,
    /// Public: passes without a look at any token.
    Open,
}

impl Service {
    /// As the configuration and the session token name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::License => "license",
            Self::Cpix => "cpix",
            Self::SignedCpix => "signed_cpix",
            Self::Open => "open",
        }
    }
}

impl Drm {
    /// As the configuration and the session token name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Widevine => "widevine",
            Self::PlayReady => "playready",
            Self::FairPlay => "fairplay",
        }
    }
}

/// The DRM system of a license route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drm {
    /// Google Widevine.
    Widevine,
    /// Microsoft PlayReady.
    PlayReady,
    /// Apple FairPlay.
    FairPlay,
}

/// One entry of `routes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The paths of the route.
    pub matcher: Matcher,
    /// The host of the route; any if absent.
    pub host: Option<Host>,
    /// What its requests are handled as.
    pub service: Service,
    /// The DRM system that the session token names.
    pub drm: Option<Drm>,
}

/// Compared with the normalised path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// The whole path.
    Exact(Box<str>),
    /// Whole segments from the start: `/a` matches `/a` and `/a/b`, not `/ab`.
    Prefix(Box<str>),
}

/// What a request is that no route matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultService {
    /// An ordinary license request.
    License,
    /// A license request without any accepted audience: at best MDRM-503.
    Deny,
}

/// How a request is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// A true CORS preflight: passes unchecked, without its token.
    Preflight,
    /// As the service of a route or the default service.
    Service(Service, Option<Drm>),
    /// As a license request that no audience fits.
    Deny(Unrouted),
}

/// Why a request is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrouted {
    /// There is no path, or one that servers read in different ways.
    Path,
    /// The authority is no host, one that servers read in different ways, or there is none where a route names a host.
    Authority,
    /// No route matches, and the default service is `deny`.
    NoRoute,
}

impl fmt::Display for Unrouted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "servers may read its path in different ways",
            Self::Authority => "its authority is not a plain host, or there is none",
            Self::NoRoute => "no route names it",
        })
    }
}

impl Handling {
    /// Decides how `request` is handled. A request that [`may_be_preflight`] is not taken for a preflight here.
    pub fn of(request: RequestHead<'_>, routes: &[Route], default: DefaultService) -> Self {
        if request.end_of_stream() && has_form_of_preflight(request) {
            return Self::Preflight;
        }
        let Some(path) = Path::read(request.target()) else {
            return Self::Deny(Unrouted::Path);
        };
        let Ok(authority) = authority(request) else {
            return Self::Deny(Unrouted::Authority);
        };
        if authority.is_none() && routes.iter().any(|route| route.host.is_some()) {
            return Self::Deny(Unrouted::Authority);
        }
        let route = routes.iter().find(|route| route.matches(&path, authority.as_ref()));
        match (route, default) {
            (Some(route), _) => Self::Service(route.service, route.drm),
            (None, DefaultService::License) => Self::Service(Service::License, None),
            (None, DefaultService::Deny) => Self::Deny(Unrouted::NoRoute),
        }
    }
}

impl Route {
    fn matches(&self, path: &Path<'_>, authority: Option<&Authority<'_>>) -> bool {
        let strictly = self.is_strict();
        let host_matches = || match (&self.host, authority) {
            (None, _) => true,
            (Some(host), Some(authority)) => host.matches(authority, strictly),
            (Some(_), None) => false,
        };
        self.matcher.matches(path.normal()) && !(strictly && path.is_changed()) && host_matches()
    }

    /// Whether no request can reach `later` past this route, but for one that is spelled otherwise.
    pub fn covers(&self, later: &Self) -> bool {
        let host = match (&self.host, &later.host) {
            (None, _) => true,
            (Some(host), Some(later)) => host.covers(later, self.is_strict()),
            (Some(_), None) => false,
        };
        host && self.matcher.covers(&later.matcher)
    }

    /// Nobody asks an `open` route's requests for anything, so it is reached by the one spelling that it names: the server
    /// behind the filter may read another spelling as something else.
    fn is_strict(&self) -> bool {
        self.service == Service::Open
    }
}

/// Path, host and service, as a configuration spells them.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.matcher {
            Matcher::Exact(path) => write!(f, "path {path:?}")?,
            Matcher::Prefix(path) => write!(f, "path_prefix {path:?}")?,
        }
        if let Some(host) = &self.host {
            write!(f, " on host \"{host}\"")?;
        }
        write!(f, " ({})", self.service.name())
    }
}

impl Matcher {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => *path == *exact.as_bytes(),
            Self::Prefix(prefix) => {
                let rest = path.strip_prefix(prefix.as_bytes());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || prefix.ends_with('/'))
            }
        }
    }

    /// Whether every path that matches `other` matches this one.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(_), Self::Prefix(_)) => false,
            // What is below a prefix goes on where the prefix ends.
            (_, Self::Exact(path) | Self::Prefix(path)) => self.matches(path.as_bytes()),
        }
    }
}

/// The authority, if there is one. An error if it is no plain host, or if a header `host` says something else: some hosts of
/// the module deliver both.
fn authority(request: RequestHead<'_>) -> Result<Option<Authority<'_>>, Unrouted> {
    let mut all = request.values(":authority").chain(request.values("host"));
    let Some(first) = all.next() else { return Ok(None) };
    if all.any(|other| other != first) {
        return Err(Unrouted::Authority);
    }
    if first.is_empty() { Ok(None) } else { Authority::read(first).map(Some).ok_or(Unrouted::Authority) }
}

/// `OPTIONS` with `Origin` and `Access-Control-Request-Method` (Fetch standard, CORS-preflight request), with nothing that
/// makes it another request further on: no method override. What is left is that it has no body.
fn has_form_of_preflight(request: RequestHead<'_>) -> bool {
    const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
    let is_there = |name: &str| {
        let mut values = request.values(name).map(trim).peekable();
        values.peek().is_some() && values.all(|value| !value.is_empty())
    };
    request.first(":method") == Some(b"OPTIONS")
        && is_there("origin")
        && is_there("access-control-request-method")
        && !request.iter().any(|(name, _)| OVERRIDES.iter().any(|other| is_spelling_of(name, other)))
}

/// Whether only the end of the request, which has not come yet, tells if it is a preflight: an empty frame or chunk may
/// follow, or a body.
pub fn may_be_preflight(request: RequestHead<'_>) -> bool {
    let announced = request.values("content-length").any(|length| trim(length) != b"0");
    !request.end_of_stream() && !announced && has_form_of_preflight(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Target;

    fn route(path_prefix: &str, host: Option<&str>, service: Service) -> Route {
        let matcher = Matcher::Prefix(path_prefix.into());
        Route { matcher, host: host.map(|host| Host::parse(host).unwrap()), service, drm: None }
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        let matches = |prefix, path: &str| {
            route(prefix, None, Service::Open).matches(&Path::read(Target::split(path.as_bytes())).unwrap(), None)
        };
        assert!(matches("/a", "/a") && matches("/a", "/a/b") && matches("/a", "/a/") && matches("/", "/a"));
        assert!(!matches("/a", "/ab") && !matches("/a/", "/a") && matches("/a/", "/a/b"));
        assert!(!matches("/a", "//a") && !matches("/a", "/x/../a"), "an open route is not reached by spelling");
    }

    fn handling(headers: &[(&str, &str)], routes: &[Route]) -> Handling {
        let headers: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        Handling::of(RequestHead::new(&headers, true), routes, DefaultService::Deny)
    }

    #[test]
    fn an_authority_is_needed_where_a_route_names_a_host() {
        let anywhere = [route("/", None, Service::Cpix)];
        let named = [route("/a", Some("h"), Service::License), route("/", None, Service::Cpix)];
        for headers in [&[(":path", "/b")][..], &[(":path", "/b"), (":authority", "")]] {
            assert_eq!(handling(headers, &anywhere), Handling::Service(Service::Cpix, None));
            assert_eq!(handling(headers, &named), Handling::Deny(Unrouted::Authority));
        }
        for authority in ["user@h", "h:", "h:00", "h..", "a b"] {
            let headers = [(":path", "/b"), (":authority", authority)];
            assert_eq!(handling(&headers, &anywhere), Handling::Deny(Unrouted::Authority), "{authority}");
            assert_eq!(handling(&headers, &[]), Handling::Deny(Unrouted::Authority), "{authority}");
        }
    }

    #[test]
    fn attack_68_two_headers_that_name_different_hosts_are_denied() {
        let routes = [route("/", Some("h"), Service::Open)];
        let of = |headers: &[(&str, &str)]| handling(&[&[(":path", "/")], headers].concat(), &routes);
        assert_eq!(of(&[(":authority", "h"), ("host", "h")]), Handling::Service(Service::Open, None));
        assert_eq!(of(&[("host", "h")]), Handling::Service(Service::Open, None));
        for headers in [
            [(":authority", "h"), ("host", "other")],
            [(":authority", "h"), (":authority", "other")],
            [("host", "h"), ("host", "other")],
            [(":authority", "h"), ("host", "")],
        ] {
            assert_eq!(of(&headers), Handling::Deny(Unrouted::Authority), "{headers:?}");
        }
    }

    #[test]
    fn a_route_covers_another_that_no_request_can_reach_behind_it() {
        let exact = |path: &str| Route { matcher: Matcher::Exact(path.into()), ..route("/", None, Service::Cpix) };
        let cpix = |path_prefix, host| route(path_prefix, host, Service::Cpix);
        assert!(cpix("/", None).covers(&cpix("/license", None)) && cpix("/a", None).covers(&exact("/a")));
        assert!(cpix("/a", None).covers(&cpix("/a/", None)) && !cpix("/a/", None).covers(&cpix("/a", None)));
        assert!(exact("/a").covers(&exact("/a")) && !exact("/a").covers(&cpix("/a", None)));
        assert!(!cpix("/a", None).covers(&cpix("/ab", None)) && !cpix("/a/b", None).covers(&cpix("/a", None)));
        assert!(cpix("/", None).covers(&cpix("/", Some("h"))) && !cpix("/", Some("h")).covers(&cpix("/", None)));
        assert!(cpix("/", Some("*.h")).covers(&cpix("/", Some("a.h:1"))));
        let open = route("/", Some("h"), Service::Open);
        assert!(open.covers(&cpix("/", Some("h"))), "what the open route leaves is spelled otherwise");
        assert!(
            !open.covers(&cpix("/", Some("h:8443"))),
            "an open route is not matched by a port that it does not name"
        );
    }
}
