//! The host that a route names, and the authority of a request.
//!
//! Envoy's virtual hosts read the same text, and choose the upstream by it. So there is one grammar for both sides, and an
//! authority that two servers could read differently is no authority here.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

/// What a configured host may be, for whoever reads a refusal.
pub(crate) const ALLOWED: &str = "a DNS name (letters, digits, - and _ in labels between dots, no final dot), an IP address \
                                  (IPv6 in brackets), or *. and a DNS name, each with an optional :port (1 to 65535)";

/// A host of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: Name,
    port: Option<u16>,
}

/// In lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// This name or address.
    Exact(Box<str>),
    /// At least one label, and then this: a dot and a name.
    Below(Box<str>),
}

impl Host {
    /// Reads a host as a configuration spells it; in any case. `None` if no authority could ever match it.
    pub fn parse(text: &str) -> Option<Self> {
        let (wildcard, text) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        let Authority { name, port, final_dot } = Authority::read(text.as_bytes())?;
        let name = std::str::from_utf8(&name).ok()?;
        let name = match wildcard {
            true if name.starts_with('[') => return None,
            true => Name::Below(format!(".{name}").into()),
            false => Name::Exact(name.into()),
        };
        (!final_dot).then_some(Self { name, port })
    }

    /// Whether the host names a port, which an authority must then have.
    pub fn names_port(&self) -> bool {
        self.port.is_some()
    }

    /// Whether the authority is this host. `strictly`: as it was sent, without a port or a final dot that the host does not
    /// name.
    pub(super) fn matches(&self, authority: &Authority<'_>, strictly: bool) -> bool {
        let name = match &self.name {
            Name::Exact(name) => *authority.name == *name.as_bytes(),
            // The authority has no empty label, so what stands before is at least one whole one.
            Name::Below(end) => authority.name.len() > end.len() && authority.name.ends_with(end.as_bytes()),
        };
        let port =
            if strictly { self.port == authority.port } else { self.port.is_none_or(|_| self.port == authority.port) };
        name && port && !(strictly && authority.final_dot)
    }

    /// Whether every authority that matches `other` matches this host. `strictly` as in [`Self::matches`], for this one.
    pub(super) fn covers(&self, other: &Self, strictly: bool) -> bool {
        let name = match (&self.name, &other.name) {
            (Name::Exact(one), Name::Exact(other)) => one == other,
            (Name::Below(end), Name::Exact(other)) => other.len() > end.len() && other.ends_with(&**end),
            (Name::Below(end), Name::Below(other)) => other.ends_with(&**end),
            (Name::Exact(_), Name::Below(_)) => false,
        };
        name && (self.port == other.port || (self.port.is_none() && !strictly))
    }
}

/// As a configuration spells it.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Exact(name) => write!(f, "{name}")?,
            Name::Below(end) => write!(f, "*{end}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The authority of a request that every server reads in the same way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// In lower case, without port and final dot; IPv6 in its brackets.
    name: Cow<'a, [u8]>,
    port: Option<u16>,
    /// One was taken off.
    final_dot: bool,
}

impl<'a> Authority<'a> {
    /// `None` for user information, an empty label, a port that is empty, not a number up to 65535 or begins with 0, and any
    /// byte that belongs to no name.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let end = match text.first() {
            Some(b'[') => text.iter().position(|b| *b == b']')?.checked_add(1)?,
            _ => text.iter().position(|b| *b == b':').unwrap_or(text.len()),
        };
        let (name, rest) = text.split_at_checked(end)?;
        let port = match rest {
            [] => None,
            [b':', digits @ ..] => Some(port(digits)?),
            _ => return None,
        };
        let (name, final_dot) = match name {
            [b'[', address @ .., b']'] => {
                std::str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
                (name, false)
            }
            name => {
                let (name, final_dot) = name.strip_suffix(b".").map_or((name, false), |name| (name, true));
                if !name.split(|b| *b == b'.').all(is_label) {
                    return None;
                }
                (name, final_dot)
            }
        };
        let lower =
            if name.iter().any(u8::is_ascii_uppercase) { name.to_ascii_lowercase().into() } else { name.into() };
        Some(Self { name: lower, port, final_dot })
    }
}

fn is_label(label: &[u8]) -> bool {
    !label.is_empty() && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn port(digits: &[u8]) -> Option<u16> {
    let plain = digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0");
    if plain { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(host: &str, authority: &str) -> (bool, bool) {
        let host = Host::parse(host).unwrap();
        let authority = Authority::read(authority.as_bytes());
        let matches = |strictly| authority.as_ref().is_some_and(|authority| host.matches(authority, strictly));
        (matches(false), matches(true))
    }

    #[test]
    fn a_host_is_compared_in_lower_case_without_port_and_one_final_dot() {
        for (host, authority, expected) in [
            ("a.example", "A.Example", (true, true)),
            ("A.Example", "a.example", (true, true)),
            ("a.example", "a.example:8443", (true, false)),
            ("a.example", "a.example.", (true, false)),
            ("a.example", "a.example.:8443", (true, false)),
            ("a.example:8443", "a.example:8443", (true, true)),
            ("a.example:8443", "a.example.:8443", (true, false)),
            ("a.example:8443", "a.example", (false, false)),
            ("a.example:8443", "a.example:443", (false, false)),
            ("a.example", "b.a.example", (false, false)),
            ("a.example", "a.example.net", (false, false)),
            ("[::1]", "[::1]:80", (true, false)),
            ("[::1]", "[::1]", (true, true)),
            ("[FE80::1]", "[fe80::1]", (true, true)),
            ("[::1]", "[0:0:0:0:0:0:0:1]", (false, false)),
            ("10.0.0.1:80", "10.0.0.1:80", (true, true)),
        ] {
            assert_eq!(matches(host, authority), expected, "{host} {authority}");
        }
    }

    #[test]
    fn a_wildcard_is_one_label_or_more() {
        for (authority, expected) in [
            ("a.keys.example", true),
            ("A.B.Keys.Example", true),
            ("a.keys.example:1", true),
            ("keys.example", false),
            ("akeys.example", false),
            ("a.keys.example.net", false),
            (".keys.example", false),
        ] {
            assert_eq!(matches("*.keys.example", authority).0, expected, "{authority}");
        }
        assert!(matches("*.example:8443", "a.example:8443").1 && !matches("*.example:8443", "a.example").0);
    }

    #[test]
    fn attack_69_a_host_that_can_never_match_is_none() {
        for text in [
            "",
            "*",
            "*.",
            "*.*",
            "**.a",
            "a.*",
            "*.*.a",
            "*a.example",
            "https://x",
            "x/y",
            "a b",
            " a",
            "user@a",
            "a..b",
            ".a",
            "a.",
            ".",
            "*.a.",
            "a:",
            "a:0",
            "a:00",
            "a:080",
            "a:65536",
            "a:99999999999",
            "a:b",
            "a:1:2",
            "::1",
            "[::1",
            "[]",
            "[::g]",
            "[::1%eth0]",
            "[::1].",
            "[::1]a",
            "*.[::1]",
            "[1.2.3.4]",
            "[v1.x]",
            "ä.example",
            "a,b",
            "a\0",
            "%61",
        ] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_is_shown_as_it_is_configured_but_for_its_case() {
        for text in ["a.example", "a_b-c.example:1", "*.example:65535", "[::1]", "[fe80::1]:443", "10.0.0.1", "x"] {
            assert_eq!(Host::parse(&text.to_uppercase()).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_host_covers_another_that_it_matches_wherever_that_matches() {
        let covers = |one: &str, other: &str| {
            let (one, other) = (Host::parse(one).unwrap(), Host::parse(other).unwrap());
            (one.covers(&other, false), one.covers(&other, true))
        };
        for (one, other, expected) in [
            ("a.b", "a.b", (true, true)),
            ("a.b", "a.b:1", (true, false)),
            ("a.b:1", "a.b:1", (true, true)),
            ("a.b:1", "a.b", (false, false)),
            ("a.b:1", "a.b:2", (false, false)),
            ("*.b", "a.b", (true, true)),
            ("*.b", "b", (false, false)),
            ("*.b", "*.b", (true, true)),
            ("*.b", "*.a.b:1", (true, false)),
            ("*.a.b", "*.b", (false, false)),
            ("a.b", "*.a.b", (false, false)),
        ] {
            assert_eq!(covers(one, other), expected, "{one} {other}");
        }
    }
}
