//! Where a request carries its token, and the request without it.

use std::borrow::Cow;

use crate::denial::Denial;
use crate::request::{RequestHead, Target, trim, unescape};

/// The header, and the exact name of the query parameter.
pub(crate) const HEADER: &str = "authorization";
const PARAMETER: &[u8] = b"Authorization";

/// The token of a request and what must change so that it does not carry it any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Carriage<'a> {
    /// The compact token, or why there is none to look at.
    pub token: Result<Cow<'a, str>, Denial>,
    /// What to take off the request, whatever is decided later.
    pub removal: Removal<'a>,
}

/// The places that a token was taken from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Removal<'a> {
    /// The values of the `authorization` headers to remove; with more than one the request is refused.
    pub authorization: Vec<&'a [u8]>,
    /// The value of `:path` before and after, if a parameter must go.
    pub path: Option<PathEdit<'a>>,
}

/// `:path` with and without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathEdit<'a> {
    /// As it came.
    pub with_token: &'a [u8],
    /// Without the parameter, every other byte kept.
    pub without_token: Vec<u8>,
}

impl<'a> Carriage<'a> {
    /// Reads the token from header and query. At most one of the two may hold one, unless they agree.
    pub fn read(request: RequestHead<'a>) -> Self {
        let query = Query::read(request.target());
        let mut headers: Vec<&[u8]> = request.values(HEADER).collect();
        let header = match headers.as_slice() {
            [] => Ok(Credential::Absent),
            [one] => Credential::read(trim(one)),
            _ => Err(Denial::HeaderRepeated),
        };
        let (token, keep_header) = match (header, query.token) {
            (Err(denial), _) | (_, Err(denial)) => (Err(denial), false),
            (Ok(Credential::Absent), Ok(None)) => (Err(Denial::TokenMissing), false),
            (Ok(Credential::OtherScheme), Ok(None)) => (Err(Denial::SchemeUnknown), false),
            (Ok(Credential::Token(token)), Ok(None)) => (Ok(token.into()), false),
            (Ok(Credential::Absent), Ok(Some(token))) => (Ok(token), false),
            // Something else's business, such as a signature for the license server's own front door.
            (Ok(Credential::OtherScheme), Ok(Some(token))) => (Ok(token), true),
            (Ok(Credential::Token(header)), Ok(Some(token))) if *header == *token => (Ok(token), false),
            (Ok(Credential::Token(_)), Ok(Some(_))) => (Err(Denial::TokensDiffer), false),
        };
        if keep_header {
            headers.clear();
        }
        Self { token, removal: Removal { authorization: headers, path: query.edit } }
    }
}

impl<'a> Removal<'a> {
    /// Every place of `request` that could carry a token, whatever stands there.
    pub fn all(request: RequestHead<'a>) -> Self {
        Self { authorization: request.values(HEADER).collect(), path: Query::read(request.target()).edit }
    }
}

/// The value of an `Authorization` header or parameter.
enum Credential<'a> {
    Absent,
    Token(&'a str),
    OtherScheme,
}

impl<'a> Credential<'a> {
    /// `<token>`, `Bearer <token>` with one space or more (RFC 6750 section 2.1), or another scheme with its parameters
    /// (RFC 9110 section 11.4).
    fn read(value: &'a [u8]) -> Result<Self, Denial> {
        // A token is ASCII; other bytes could not be one, nor do they name a scheme that we must leave alone.
        let text = std::str::from_utf8(value).map_err(|_| Denial::NotThreeParts)?;
        let (scheme, rest) = text.split_once(' ').map_or((text, None), |(scheme, rest)| (scheme, Some(rest)));
        match rest {
            None if text.is_empty() || text.eq_ignore_ascii_case("bearer") => Ok(Self::Absent),
            None => Ok(Self::Token(text)),
            Some(token) if scheme.eq_ignore_ascii_case("bearer") => Ok(Self::Token(token.trim_start_matches(' '))),
            // No registered scheme holds a dot, every token does: `a.b.c x` is a token with a blank inside.
            Some(_) if is_scheme(scheme) => Ok(Self::OtherScheme),
            Some(_) => Ok(Self::Token(text)),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+'))
}

/// What the query says about the token.
struct Query<'a> {
    token: Result<Option<Cow<'a, str>>, Denial>,
    edit: Option<PathEdit<'a>>,
}

impl<'a> Query<'a> {
    fn read(target: Target<'a>) -> Self {
        let pairs = || target.query.into_iter().flat_map(|query| query.split(|b| *b == b'&'));
        if !pairs().any(names_parameter) {
            return Self { token: Ok(None), edit: None };
        }
        let (mine, others): (Vec<&[u8]>, Vec<&[u8]>) = pairs().partition(|pair| names_parameter(pair));
        let token = match mine.as_slice() {
            [pair] => value(pair),
            _ => Err(Denial::ParameterRepeated),
        };
        let mut without_token = target.path.to_vec();
        for (at, pair) in others.iter().enumerate() {
            without_token.push(if at == 0 { b'?' } else { b'&' });
            without_token.extend_from_slice(pair);
        }
        without_token.extend_from_slice(target.fragment);
        Self { token, edit: Some(PathEdit { with_token: target.whole, without_token }) }
    }
}

/// Whether the name of `pair` is `Authorization`, as it stands or after decoding.
fn names_parameter(pair: &[u8]) -> bool {
    percent_decode(name(pair)).is_some_and(|name| *name == *PARAMETER)
}

fn name(pair: &[u8]) -> &[u8] {
    pair.split(|b| *b == b'=').next().unwrap_or_default()
}

fn value<'a>(pair: &[u8]) -> Result<Option<Cow<'a, str>>, Denial> {
    if name(pair) != PARAMETER {
        return Err(Denial::ParameterNameEncoded);
    }
    let value = pair.get(PARAMETER.len().saturating_add(1)..).unwrap_or_default();
    let value = decode_value(value).ok_or(Denial::ParameterEncoding)?;
    match Credential::read(&value)? {
        Credential::Absent => Ok(None),
        Credential::Token(token) => Ok(Some(token.to_owned().into())),
        // Schemes belong to the header; here the text can only be a token, and one with a blank inside.
        Credential::OtherScheme => Err(Denial::NotThreeParts),
    }
}

/// The value of the parameter. A form writes the blank of `Bearer <token>` as `+`; every other `+` is literal.
fn decode_value(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let plus = value.iter().position(|b| *b == b'+').and_then(|at| value.split_at_checked(at));
    if let Some((scheme, [_, token @ ..])) = plus
        && percent_decode(scheme)?.eq_ignore_ascii_case(b"bearer")
    {
        return Some([b"Bearer ", &*percent_decode(token)?].concat().into());
    }
    percent_decode(value)
}

/// RFC 3986 section 2.1, once; `+` is literal. `None` for a `%` without two digits.
pub(crate) fn percent_decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(text.into());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            decoded.push(unescape(rest)?);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    Some(decoded.into())
}
