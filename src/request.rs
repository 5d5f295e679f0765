//! The head of a request as plain data: what the host handed over, read once, compared byte for byte.

/// Headers and pseudo-headers of a request in the order of the wire.
///
/// Names are in lower case, as HTTP/2 and Envoy write them; values are bytes that no one has checked.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    headers: &'a [(&'a [u8], &'a [u8])],
    target: Target<'a>,
    end_of_stream: bool,
}

impl<'a> RequestHead<'a> {
    /// `end_of_stream`: no body and no trailers follow.
    pub fn new(headers: &'a [(&'a [u8], &'a [u8])], end_of_stream: bool) -> Self {
        let target = headers.iter().find(|(name, _)| *name == b":path").map_or(&[][..], |(_, target)| *target);
        Self { headers, target: Target::split(target), end_of_stream }
    }

    /// All headers.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.headers.iter().copied()
    }

    /// The values of every header of this name.
    pub fn values(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(n, _)| *n == name.as_bytes()).map(|(_, value)| value)
    }

    /// The value of the first header of this name.
    pub fn first(self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The value of `:path` in its parts; all of them empty if there is none.
    pub fn target(self) -> Target<'a> {
        self.target
    }

    /// Whether nothing follows the headers.
    pub fn end_of_stream(self) -> bool {
        self.end_of_stream
    }
}

/// The request target in its parts: path, query without `?`, fragment with `#` (never sent by a correct client).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// All of it.
    pub whole: &'a [u8],
    /// Up to the query.
    pub path: &'a [u8],
    /// Between `?` and the end or the fragment.
    pub query: Option<&'a [u8]>,
    /// What the query ends with, `#` included; empty as a rule.
    pub fragment: &'a [u8],
}

impl<'a> Target<'a> {
    /// Splits the value of `:path`.
    pub fn split(target: &'a [u8]) -> Self {
        let hash = target.iter().position(|b| *b == b'#').unwrap_or(target.len());
        let (before, fragment) = target.split_at_checked(hash).unwrap_or((target, &[]));
        let question = before.iter().position(|b| *b == b'?');
        let (path, query) = match question.and_then(|at| before.split_at_checked(at)) {
            Some((path, query)) => (path, Some(query.get(1..).unwrap_or_default())),
            None => (before, None),
        };
        Self { whole: target, path, query, fragment }
    }
}

/// `value` without the blanks around it (RFC 9110 section 5.5; HTTP/2 delivers them).
pub fn trim(value: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !blank(b)).map_or(start, |last| last.saturating_add(1));
    value.get(start..end).unwrap_or_default()
}

/// The byte that `%XX` at the start of `escaped` stands for.
pub fn unescape(escaped: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = escaped else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4) | digit(low)?)
}
