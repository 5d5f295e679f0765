//! A path in the one spelling that routes are compared with.

use std::borrow::Cow;

use crate::request::{Target, unescape};

/// A path that every server behind the filter reads in the same way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    normal: Cow<'a, [u8]>,
    changed: bool,
}

impl<'a> Path<'a> {
    /// Normalises the path of `target`. `None` for a path that another server could read differently.
    pub(super) fn read(target: Target<'a>) -> Option<Self> {
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
        // `/a//../b` is `/a/b` or `/b`, depending on which of the two a server does first.
        let normal = merge_slashes(&remove_dot_segments(&decoded));
        if normal != remove_dot_segments(&merge_slashes(&decoded)) {
            return None;
        }
        let changed = normal != path;
        Some(Self { normal: if changed { normal.into() } else { path.into() }, changed })
    }

    /// The path as routes are compared with it.
    pub(super) fn normal(&self) -> &[u8] {
        &self.normal
    }

    /// Whether the client spelled the path in another way.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }
}

/// Whether a configured path is written as requests are compared.
pub fn is_normal(path: &str) -> bool {
    !path.contains('?') && Path::read(Target::split(path.as_bytes())).is_some_and(|path| !path.changed)
}

fn is_plain(byte: u8) -> bool {
    (0x21..=0x7e).contains(&byte) && byte != b'\\' && byte != b';'
}

/// RFC 3986 section 6.2.2.2. `None` if an escape hides a separator, the end of a string or another escape, or is none at
/// all: `%%32e` would become an escape by being decoded.
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
    // `%252e` and `%25%32e` are a dot to a server that decodes twice.
    let hides_escape = |bytes: &[u8]| matches!(bytes, [b'%', b'2', b'5', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    (!decoded.windows(5).any(hides_escape)).then_some(decoded)
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
        Some(String::from_utf8_lossy(path.normal()).into_owned())
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
            ("/a/..//b", "/b"),
            ("//../b", "/b"),
            ("/%20", "/%20"),
            ("/%25", "/%25"),
            ("/100%25/x", "/100%25/x"),
            ("/%25zz", "/%25zz"),
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
    fn attack_70_an_escape_of_an_escape_is_denied() {
        for path in ["/%252e", "/%252F", "/%2541", "/a/%25%32e", "/a/%252%65", "/%25%32%65", "/%2525"] {
            assert_eq!(normal(path), None, "{path}");
        }
    }

    #[test]
    fn attack_70_what_depends_on_when_slashes_are_merged_is_denied() {
        for path in ["/a//../b", "/a//..", "/a//%2e%2e/b", "/a//./../b", "/a/b//../../c", "/license//../cpix/x"] {
            assert_eq!(normal(path), None, "{path}");
        }
    }

    #[test]
    fn a_configured_path_is_written_as_it_is_compared() {
        assert!(is_normal("/a/b") && is_normal("/") && is_normal("/a/") && is_normal("/100%25"));
        for path in ["", "a", "/a/../b", "//a", "/%61", "/a?b", "/a#b", "/a;b", "/a?", "/a//../b", "/%252e"] {
            assert!(!is_normal(path), "{path}");
        }
    }
}
