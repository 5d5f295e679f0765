//! What an error reply has to look like, byte for byte.

use serde_json::json;

use crate::support::codes::status_and_message;
use crate::support::exchange::Answered;

/// Headers that Envoy adds to what the filter answers.
const OF_ENVOY: [&str; 4] = ["date", "server", "content-length", "connection"];
/// Headers that the filter sets.
const OURS: [&str; 5] = ["content-type", "cache-control", "www-authenticate", "retry-after", "x-mdrm-error-code"];

/// Checks that this is the denial with this code, for a request with this `x-request-id`, and nothing more.
pub(crate) fn is_denial(code: u16, request_id: Option<&str>, answered: &Answered) -> Result<(), String> {
    is_denial_without_body(code, answered)?;
    let (_, message) = status_and_message(code);
    let body = match request_id {
        None => format!(r#"{{"code":"MDRM-{code}","message":"{message}"}}"#),
        Some(id) => format!(r#"{{"code":"MDRM-{code}","message":"{message}","request_id":{}}}"#, json!(id)),
    };
    ensure(answered.body == body.as_bytes(), || format!("{body} expected, {}", shown(answered)))
}

/// Checks status and headers of the denial with this code.
pub(crate) fn is_denial_without_body(code: u16, answered: &Answered) -> Result<(), String> {
    let (status, _) = status_and_message(code);
    let right = answered.code() == Some(code) && answered.status == status;
    ensure(right, || format!("{code} expected, {}", shown(answered)))?;
    let expect = |name: &str, value: Option<&str>| {
        let found = answered.header(name);
        ensure(found.as_deref() == value, || format!("{name} is {found:?}, not {value:?}"))
    };
    expect("content-type", Some("application/json"))?;
    expect("cache-control", Some("no-store"))?;
    let challenge = match (status, code) {
        (401, 501) => Some("Bearer"),
        (401, _) => Some(r#"Bearer error="invalid_token""#),
        _ => None,
    };
    expect("www-authenticate", challenge)?;
    let retry = answered.header("retry-after");
    let seconds: Option<u32> = retry.as_deref().map(|text| text.parse().unwrap_or(0));
    let right = if code == 500 { seconds.is_some_and(|s| (1..=30).contains(&s)) } else { retry.is_none() };
    ensure(right, || format!("retry-after is {retry:?}"))?;
    let known = |name: &str| OF_ENVOY.contains(&name) || OURS.contains(&name);
    let odd = answered.headers.iter().find(|(name, _)| !known(name));
    ensure(odd.is_none(), || format!("a header that nobody asked for: {odd:?}"))
}

/// Fails with this problem unless something is right.
pub(crate) fn ensure(right: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(problem()) }
}

/// An answer in short.
pub(crate) fn shown(answered: &Answered) -> String {
    let body: String = String::from_utf8_lossy(&answered.body).chars().take(200).collect();
    format!("got {} {:?} {body}", answered.status, answered.code())
}
