//! CORS preflights pass unchecked, and nothing else does that looks like one.

use super::keyring::keyring;
use super::{Case, Plugin, Request, Version};
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let token = Token::new(keyring().main()).compact(now);
    let preflight = |path: &str| {
        Request::new("OPTIONS", path)
            .header("Origin", "https://player.example.com")
            .header("Access-Control-Request-Method", "POST")
    };
    let without = |name: &str| {
        let mut request = preflight("/widevine");
        request.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        request
    };
    let case = |name: &str, request: Request| Case::new(name, Plugin::Reference, request);
    let overriding = |name: &str| {
        let request = preflight("/widevine").header(name, "POST").version(Version::Http1);
        case(&format!("OPTIONS with {name} is no preflight"), request).denied(501)
    };
    let mut get = preflight("/widevine");
    get.method = "GET".to_owned();
    let mut lower = preflight("/widevine").version(Version::Http1);
    lower.method = "options".to_owned();
    vec![
        case("a preflight passes", preflight("/widevine?a=1")).passed(),
        case("a preflight passes on a CPIX route", preflight("/cpix")).passed(),
        case("a preflight passes where no route leads", preflight("/nowhere")).passed(),
        Case::new("a preflight passes without routes", Plugin::NoRoutes, preflight("/widevine")).passed(),
        case(
            "a preflight may ask for headers",
            preflight("/widevine").header("Access-Control-Request-Headers", "authorization,content-type"),
        )
        .passed()
        .with("access-control-request-headers", "authorization,content-type"),
        case("a preflight may say that its body is empty", preflight("/widevine").header("Content-Length", "0"))
            .passed(),
        case("a preflight loses the token of its header", preflight("/widevine").token(&token))
            .passed()
            .lacking("authorization"),
        case(
            "a preflight loses the token of its query",
            preflight(&format!("/widevine?a=1&Authorization={token}&b=2")),
        )
        .passed()
        .at("/widevine?a=1&b=2"),
        case("a preflight may end in an empty chunk", preflight("/widevine?a=1").chunked()).passed(),
        case("a preflight that ends in an empty chunk loses the token of its header", {
            preflight("/widevine").token(&token).chunked()
        })
        .passed()
        .lacking("authorization"),
        case("a preflight that ends in an empty chunk loses the token of its query", {
            preflight(&format!("/widevine?a=1&Authorization={token}&b=2")).chunked()
        })
        .passed()
        .at("/widevine?a=1&b=2"),
        case("a preflight that ends in an empty chunk passes where no route leads", preflight("/nowhere").chunked())
            .passed(),
        case("OPTIONS with a chunked body is decided as its route says", {
            preflight("/widevine").token(&token).body("x").chunked()
        })
        .allowed(),
        case("OPTIONS with a chunked body on a CPIX route is decided as its route says", {
            preflight("/cpix").token(&token).body("a body of some length").chunked()
        })
        .denied(503),
        case("OPTIONS with an empty origin is no preflight", without("Origin").header("Origin", "")).denied(501),
        case("OPTIONS with an origin of blanks is no preflight", without("Origin").header("Origin", "  ")).denied(501),
        case("OPTIONS with an empty method asked for is no preflight", {
            without("Access-Control-Request-Method").header("Access-Control-Request-Method", "")
        })
        .denied(501),
        case("OPTIONS with an empty origin and an empty chunk is no preflight", {
            without("Origin").header("Origin", "").chunked()
        })
        .denied(501),
        case("OPTIONS without an origin is no preflight", without("Origin")).denied(501),
        case("OPTIONS without the method asked for is no preflight", without("Access-Control-Request-Method"))
            .denied(501),
        case("GET with the headers of a preflight is no preflight", get).denied(501),
        case("options in lower case is no preflight", lower).denied(501).or_codec(&[400]),
        case("OPTIONS with a body is no preflight", preflight("/widevine").body("x")).denied(501),
        case("OPTIONS with a chunked body is no preflight", preflight("/widevine").body("x").chunked()).denied(501),
        overriding("X-HTTP-Method-Override"),
        overriding("X-HTTP-Method"),
        overriding("X-Method-Override"),
        overriding("X_HTTP_Method_Override"),
        overriding("x.http.method"),
        overriding("X-Method!Override"),
        case(
            "OPTIONS with an empty method override is no preflight",
            preflight("/widevine").header("x-http-method-override", ""),
        )
        .denied(501),
    ]
}
