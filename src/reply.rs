//! [`Denial`] -> the error reply of the filter. Owns the shape of the reply; knows nothing of how it is sent.

use std::borrow::Cow;

use serde::Serialize;

use crate::denial::{Code, Denial};

/// The longest `x-request-id` that is repeated to the client.
const MAX_REQUEST_ID: usize = 128;

/// A complete answer to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// JSON text.
    pub body: String,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Reply {
    /// The reply to a refused request. `request_id` is the value of its `x-request-id` as it came; one that is not 1 to
    /// 128 printable ASCII characters is left out.
    pub fn new(denial: &Denial, request_id: Option<&[u8]>) -> Self {
        let code = denial.code();
        let body = Body { code: code.name(), message: code.message(), request_id: request_id.and_then(printable) };
        let mut headers = vec![
            ("content-type", "application/json".into()),
            ("cache-control", "no-store".into()),
            ("x-mdrm-error-code", code.name().into()),
        ];
        if code.status() == 401 {
            // RFC 6750 section 3: a request without any authentication gets no error code.
            let challenge = if code == Code::Mdrm501 { "Bearer" } else { "Bearer error=\"invalid_token\"" };
            headers.push(("www-authenticate", challenge.into()));
        }
        if let Some(seconds) = denial.retry_after() {
            headers.push(("retry-after", seconds.to_string().into()));
        }
        // Three strings always serialise; an empty body is still the right refusal if that ever changed.
        let body = serde_json::to_string(&body).unwrap_or_default();
        Self { status: code.status(), headers, body }
    }
}

fn printable(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let fits = (1..=MAX_REQUEST_ID).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7e).contains(&b));
    fits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
        reply.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| &**value)
    }

    #[test]
    fn says_code_message_and_request_id_and_nothing_else() {
        let reply = Reply::new(&Denial::TokenExpired, Some(b"id-1"));
        assert_eq!(reply.status, 401);
        assert_eq!(reply.body, r#"{"code":"MDRM-508","message":"JSON web token is expired","request_id":"id-1"}"#);
        assert_eq!(header(&reply, "content-type"), Some("application/json"));
        assert_eq!(header(&reply, "cache-control"), Some("no-store"));
        assert_eq!(header(&reply, "x-mdrm-error-code"), Some("MDRM-508"));
        assert_eq!(header(&reply, "www-authenticate"), Some("Bearer error=\"invalid_token\""));
        assert_eq!(header(&reply, "retry-after"), None);
    }

    #[test]
    fn challenges_without_an_error_when_there_is_no_token() {
        assert_eq!(header(&Reply::new(&Denial::TokenMissing, None), "www-authenticate"), Some("Bearer"));
    }

    #[test]
    fn challenges_only_with_401() {
        assert_eq!(header(&Reply::new(&Denial::AudienceNotAccepted, None), "www-authenticate"), None);
    }

    #[test]
    fn an_outage_says_when_to_come_back() {
        let reply = Reply::new(&Denial::KeyServiceUnavailable { retry_after: 7 }, None);
        assert_eq!((reply.status, header(&reply, "retry-after")), (500, Some("7")));
    }

    #[test]
    fn a_request_id_is_escaped_or_left_out() {
        let body = |id: &[u8]| Reply::new(&Denial::TokenMissing, Some(id)).body;
        assert!(body(br#"a"b\"#).ends_with(r#""request_id":"a\"b\\"}"#));
        for bad in [&b""[..], b"a\nb", b"\xff", "ä".as_bytes(), &[b'x'; 129]] {
            assert!(!body(bad).contains("request_id"), "{bad:?}");
        }
        assert!(body(&[b'x'; 128]).contains("request_id"));
    }
}
