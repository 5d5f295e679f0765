//! Path and host of a request -> the service that it is handled as. Nothing is reached by spelling.

use std::borrow::Cow;

use crate::request::{RequestHead, Target, unescape};

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
    /// The host of the route; any if absent. Compared without case; a port counts only if the configuration names one.
    pub host: Option<Box<str>>,
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
    Deny,
}

impl Handling {
    /// Decides how `request` is handled.
    pub fn of(request: RequestHead<'_>, routes: &[Route], default: DefaultService) -> Self {
        if is_preflight(request) {
            return Self::Preflight;
        }
        let Some(path) = Path::read(request.target()) else {
            return Self::Deny;
        };
        let host = request.first(":authority").unwrap_or_default();
        let route = routes.iter().find(|route| route.matches(&path, host));
        match (route, default) {
            (Some(route), _) => Self::Service(route.service, route.drm),
            (None, DefaultService::License) => Self::Service(Service::License, None),
            (None, DefaultService::Deny) => Self::Deny,
        }
    }
}

impl Route {
    fn matches(&self, path: &Path<'_>, host: &[u8]) -> bool {
        let path_matches = match &self.matcher {
            Matcher::Exact(exact) => *path.normal == *exact.as_bytes(),
            Matcher::Prefix(prefix) => {
                let rest = path.normal.strip_prefix(prefix.as_bytes());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || prefix.ends_with('/'))
            }
        };
        let host_matches = self.host.as_ref().is_none_or(|wanted| host_matches(wanted, host));
        let spelled = self.service == Service::Open && path.changed;
        path_matches && host_matches && !spelled
    }
}

fn host_matches(wanted: &str, host: &[u8]) -> bool {
    let without_port = || {
        // An IPv6 literal keeps its colons inside of brackets.
        let colon = host.iter().rposition(|b| *b == b':')?;
        let port = host.get(colon..)?.get(1..)?;
        port.iter().all(u8::is_ascii_digit).then(|| host.get(..colon)).flatten()
    };
    host.eq_ignore_ascii_case(wanted.as_bytes())
        || without_port().is_some_and(|host| host.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// `OPTIONS` with `Origin` and `Access-Control-Request-Method` (Fetch standard, CORS-preflight request), with nothing
/// that could make it another request further on: no body, no method override.
fn is_preflight(request: RequestHead<'_>) -> bool {
    let overrides = |name: &[u8]| {
        let spelled: Vec<u8> = name.iter().map(|b| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() }).collect();
        spelled == b"x-http-method-override"
    };
    request.first(":method") == Some(b"OPTIONS")
        && request.end_of_stream()
        && request.first("origin").is_some()
        && request.first("access-control-request-method").is_some()
        && !request.iter().any(|(name, _)| overrides(name))
}

/// A path in the one spelling that routes are compared with.
#[derive(Debug, PartialEq, Eq)]
struct Path<'a> {
    normal: Cow<'a, [u8]>,
    /// Normalisation changed it.
    changed: bool,
}

impl<'a> Path<'a> {
    /// `None` for a path that another server could read differently.
    fn read(target: Target<'a>) -> Option<Self> {
        let path = target.path;
        if !path.starts_with(b"/") || !target.fragment.is_empty() {
            return None;
        }
        // Nearly all paths come without an escape, an empty segment and one that starts with a dot.
        let (mut changes, mut before) = (false, 0);
        for byte in path {
            if !is_plain(*byte) {
                return None;
            }
            changes |= *byte == b'%' || (before == b'/' && matches!(byte, b'/' | b'.'));
            before = *byte;
        }
        if !changes {
            return Some(Self { normal: path.into(), changed: false });
        }
        let decoded = decode_unreserved(path)?;
        let merged = merge_slashes(&remove_dot_segments(&decoded));
        let changed = merged != path;
        Some(Self { normal: if changed { merged.into() } else { path.into() }, changed })
    }
}

/// Whether a configured path is written as requests are compared.
pub fn is_normal(path: &str) -> bool {
    !path.contains('?') && Path::read(Target::split(path.as_bytes())).is_some_and(|path| !path.changed)
}

fn is_plain(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte) && byte != b'\\' && byte != b';'
}

/// RFC 3986 section 6.2.2.2. `None` if an escape hides a separator or the end of a string, or is none at all: `%%32e`
/// would become an escape by being decoded.
fn decode_unreserved(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match unescape(rest) {
            Some(b'/' | b'\\' | b';' | 0) => return None,
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                decoded.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            None if *first == b'%' => return None,
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    Some(decoded)
}

/// RFC 3986 section 5.2.4, for a path that starts with a slash.
fn remove_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = path.split(|b| *b == b'/').skip(1).collect();
    let last = segments.last().copied().unwrap_or_default();
    for segment in &segments {
        match *segment {
            b"." => {}
            b".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    if matches!(last, b"." | b"..") {
        kept.push(b"");
    }
    let mut removed = Vec::with_capacity(path.len());
    for segment in kept {
        removed.push(b'/');
        removed.extend_from_slice(segment);
    }
    if removed.is_empty() { b"/".to_vec() } else { removed }
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|a, b| *a == b'/' && *b == b'/');
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> Option<String> {
        let path = Path::read(Target::split(path.as_bytes()))?;
        Some(String::from_utf8_lossy(&path.normal).into_owned())
    }

    #[test]
    fn compares_one_spelling() {
        for (path, expected) in [
            ("/a", "/a"),
            ("/a/b?x=/../", "/a/b"),
            ("/%61%2D%7e", "/a-~"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("//a///b", "/a/b"),
            ("/a//../b", "/a/b"),
            ("/%20", "/%20"),
            ("/%252F", "/%252F"),
        ] {
            assert_eq!(normal(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn denies_what_could_be_read_in_two_ways() {
        for path in [
            "", "a", "*", "/a\\b", "/a;b", "/%2f", "/%5C", "/%3b", "/%00", "/%zz", "/%", "/%%32e", "/a b", "/ä",
            "/a\x7f", "/a#b",
        ] {
            assert_eq!(normal(path), None, "{path}");
        }
    }

    #[test]
    fn a_configured_path_is_written_as_it_is_compared() {
        assert!(is_normal("/a/b") && is_normal("/") && is_normal("/a/"));
        for path in ["", "a", "/a/../b", "//a", "/%61", "/a?b", "/a#b", "/a;b", "/a?"] {
            assert!(!is_normal(path), "{path}");
        }
    }

    #[test]
    fn a_prefix_is_whole_segments() {
        let route = |prefix: &str| Route {
            matcher: Matcher::Prefix(prefix.into()),
            host: None,
            service: Service::Open,
            drm: None,
        };
        let matches =
            |prefix, path: &str| route(prefix).matches(&Path::read(Target::split(path.as_bytes())).unwrap(), b"h");
        assert!(matches("/a", "/a") && matches("/a", "/a/b") && matches("/a", "/a/") && matches("/", "/a"));
        assert!(!matches("/a", "/ab") && !matches("/a/", "/a") && matches("/a/", "/a/b"));
        assert!(!matches("/a", "//a") && !matches("/a", "/x/../a"), "an open route is not reached by spelling");
    }

    #[test]
    fn a_host_is_compared_without_case_and_port() {
        for (wanted, host, expected) in [
            ("a.example", "A.Example", true),
            ("a.example", "a.example:8443", true),
            ("a.example:8443", "a.example:8443", true),
            ("a.example:8443", "a.example", false),
            ("a.example", "b.a.example", false),
            ("[::1]", "[::1]:80", true),
            ("::1", "[::1]", false),
        ] {
            assert_eq!(host_matches(wanted, host.as_bytes()), expected, "{wanted} {host}");
        }
    }
}
