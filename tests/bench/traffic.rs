//! The requests of the cases, ready to be sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::case::Request;
use crate::support::signer::SigningKey;
use crate::support::token::Token;

/// How many tokens take turns where they are repeated.
pub const REPEATED: usize = 16;

/// A valid token of this key to be changed and signed, equal to no other.
pub fn token(key: &SigningKey) -> Token {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    Token::new(key).claim("jti", json!(format!("5d2c1f0e-{number:020}")))
}

/// License requests without a body, each with another token of this key.
pub fn first_seen(key: SigningKey) -> impl FnMut(usize) -> Vec<Request> + 'static {
    move |count| (0..count).map(|_| license(Some(&token(&key).compact(now())))).collect()
}

/// License requests without a body, with a few tokens that come again and again.
pub fn repeated(key: &SigningKey) -> Vec<Request> {
    (0..REPEATED).map(|_| license(Some(&token(key).compact(now())))).collect()
}

/// A license request as a browser's player sends it, but without a body: Envoy closes the connection when it answers
/// before the body came.
pub fn license(token: Option<&str>) -> Request {
    request("GET", "/license/widevine?asset=content-1", &authorization(token), b"")
}

/// The same request on a route that is open to all.
pub fn open(token: &str) -> Request {
    request("GET", "/open/widevine?asset=content-1", &authorization(Some(token)), b"")
}

/// A request with a body.
pub fn post(path: &str, content_type: &str, token: Option<&str>, body: &[u8]) -> Request {
    let authorization = authorization(token);
    let headers = format!("content-type: {content_type}\r\ncontent-length: {}\r\n{authorization}", body.len());
    request("POST", path, &headers, body)
}

fn authorization(token: Option<&str>) -> String {
    token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default()
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Request {
    let head = format!(
        "{method} {path} HTTP/1.1\r\n\
         host: license.example.com\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
         accept: */*\r\n\
         accept-language: en-US,en;q=0.5\r\n\
         accept-encoding: gzip, deflate, br, zstd\r\n\
         origin: https://player.example.com\r\n\
         referer: https://player.example.com/\r\n\
         sec-fetch-dest: empty\r\n\
         sec-fetch-mode: cors\r\n\
         sec-fetch-site: same-site\r\n\
         x-request-id: 3c8f2a90-51d7-4f5e-9a6b-0c1d2e3f4a5b\r\n\
         {headers}\r\n"
    );
    [head.as_bytes(), body].concat().into()
}

/// The time in seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}
