//! Where a request carries its token. Input: lines; the first is `:path`, each other one an `authorization` header.

use mdrm_authz::carriage::{Carriage, Removal};
use mdrm_authz::denial::Denial;
use mdrm_authz::request::{RequestHead, Target, trim};
use mdrm_authz::route::{DefaultService, Handling, Matcher, Route, Service, is_normal};

use super::log;

type Headers<'a> = Vec<(&'a [u8], &'a [u8])>;

/// No token stays on a request that goes on, nothing else is taken off it, and no spelling of a path reaches an open route.
/// Gives whether there is a token.
pub fn check(input: &[u8]) -> bool {
    let mut lines = input.split(|byte| *byte == b'\n');
    let path = lines.next().unwrap_or_default();
    let authorizations: Vec<&[u8]> = lines.collect();
    let came = headers(path, &authorizations);
    let Carriage { token, removal } = Carriage::read(RequestHead::new(&came, false));
    check_token(&token, path, &authorizations);
    check_rest(path, &removal);

    let went_path = removal.path.as_ref().map_or(path, |edit| &edit.without_token);
    let went_headers = if removal.authorization.is_empty() { authorizations.clone() } else { Vec::new() };
    let went = headers(went_path, &went_headers);
    let again = Carriage::read(RequestHead::new(&went, false));
    // A header of another scheme beside a token in the query is not a token.
    let kept = [Err(Denial::TokenMissing), Err(Denial::SchemeUnknown)].contains(&again.token);
    assert!(kept && again.removal.path.is_none(), "{token:?} left {again:?}");
    assert!(again.token != Err(Denial::SchemeUnknown) || removal.authorization.is_empty());

    let all = Removal::all(RequestHead::new(&came, false));
    assert_eq!((all.authorization, &all.path), (authorizations, &removal.path));
    check_open(path, &came);
    token.is_ok()
}

fn headers<'a>(path: &'a [u8], authorizations: &[&'a [u8]]) -> Headers<'a> {
    let authorizations = authorizations.iter().map(|value| (&b"authorization"[..], *value));
    [(&b":method"[..], &b"POST"[..]), (b":path", path)].into_iter().chain(authorizations).collect()
}

/// A token is what a header or the parameter says, and a refusal is told in a line.
fn check_token(token: &Result<std::borrow::Cow<'_, str>, Denial>, path: &[u8], authorizations: &[&[u8]]) {
    let token = match token {
        Err(denial) => return log::check_refusal(denial),
        Ok(token) => token.as_bytes(),
    };
    assert!(authorizations.len() < 2, "a token out of several headers");
    let without_scheme = |value: &[u8]| match value.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
            rest.iter().skip_while(|byte| **byte == b' ').copied().collect()
        }
        _ => value.to_vec(),
    };
    let headers = authorizations.iter().map(|value| trim(value).to_vec());
    let parameters = pairs(path).into_iter().filter_map(|pair| pair.strip_prefix(b"Authorization="));
    // The first + stands for the blank after the scheme, and for itself after anything else.
    let parameters = parameters.map(|value| match value.iter().position(|byte| *byte == b'+') {
        Some(at) if decode(&value[..at]).eq_ignore_ascii_case(b"bearer") => {
            [b"Bearer ", &decode(&value[at + 1..])[..]].concat()
        }
        _ => decode(value),
    });
    let said: Vec<Vec<u8>> = headers.chain(parameters).map(|value| without_scheme(&value)).collect();
    assert!(said.iter().any(|value| value == token), "{:?}", String::from_utf8_lossy(token));
}

/// Path, other parameters in their order, and fragment are kept byte for byte.
fn check_rest(path: &[u8], removal: &Removal<'_>) {
    let is_ours = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        decode(name) == b"Authorization"
    };
    let kept: Vec<&[u8]> = pairs(path).into_iter().filter(|pair| !is_ours(pair)).collect();
    let Some(edit) = &removal.path else {
        assert_eq!(kept.len(), pairs(path).len(), "a token stays in the query");
        return;
    };
    assert_eq!(edit.with_token, path);
    assert_eq!(pairs(&edit.without_token), kept);
    let (before, after) = (Target::split(path), Target::split(&edit.without_token));
    assert_eq!((before.path, before.fragment), (after.path, after.fragment));
}

fn pairs(path: &[u8]) -> Vec<&[u8]> {
    let query = Target::split(path).query;
    query.map(|query| query.split(|byte| *byte == b'&').collect()).unwrap_or_default()
}

/// RFC 3986 section 2.1, with a `%` that begins no escape as it stands.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    decoded
}

/// An open route is reached by the one spelling of its path alone.
fn check_open(path: &[u8], headers: &Headers<'_>) {
    let open = |matcher| Route { matcher, host: None, service: Service::Open, drm: None };
    let routes = [open(Matcher::Exact("/healthz".into())), open(Matcher::Prefix("/public".into()))];
    if matches!(Handling::of(RequestHead::new(headers, false), &routes, DefaultService::Deny), Handling::Deny(_)) {
        return;
    }
    let path = std::str::from_utf8(Target::split(path).path).expect("an open path is ASCII");
    let below = path.strip_prefix("/public").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    assert!(is_normal(path) && (path == "/healthz" || below), "{path} is open");
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path} is open");
}
