//! Which service a path belongs to, and that spelling a path differently opens nothing.

use super::keyring::keyring;
use super::{Case, Plugin, Request, Version};
use crate::support::signer::CPIX;
use crate::support::token::Token;

pub(super) fn cases(now: i64) -> Vec<Case> {
    let mut cases = matching(now);
    cases.extend(hosts(now));
    cases.extend(spelling(now));
    cases.extend(methods(now));
    cases
}

/// A row for a request to `path`, with a license token of now.
fn with_token(name: &str, path: impl AsRef<[u8]>, now: i64) -> Case {
    let token = Token::new(keyring().main()).compact(now);
    Case::new(name, Plugin::Reference, Request::get(path).token(token))
}

fn without_token(name: &str, path: impl AsRef<[u8]>) -> Case {
    Case::new(name, Plugin::Reference, Request::get(path))
}

fn matching(now: i64) -> Vec<Case> {
    let cpix = Token::new(keyring().main()).audience(CPIX).compact(now);
    vec![
        without_token("an open path needs no token", "/healthz").passed(),
        without_token("an open path needs no token whatever its query says", "/healthz?a=1&b=%zz").passed(),
        without_token("an open prefix needs no token", "/fairplay/certificate").passed(),
        without_token("an open prefix holds below", "/fairplay/certificate/2024/a.cer").passed(),
        without_token("an open prefix holds with a slash at its end", "/fairplay/certificate/").passed(),
        without_token("a prefix is whole segments: a longer segment does not match", "/fairplay/certificates")
            .denied(501),
        without_token("a prefix is whole segments: part of a segment does not match", "/fairplay/cert").denied(501),
        without_token("an exact path does not match what is below it", "/healthz/live").denied(501),
        without_token("an exact path does not match with a slash at its end", "/healthz/").denied(501),
        without_token("paths are compared with their case", "/Healthz").denied(501),
        without_token("the query is no part of the path", "/nowhere?/healthz").denied(501),
        with_token("an exact path of a protected service matches", "/exact?x=1", now).allowed(),
        with_token("below an exact path of a protected service nothing matches", "/exact/x", now).denied(503),
        with_token("a prefix of a protected service matches below", "/widevine/license/v1?a=b", now).allowed(),
        with_token("a prefix of a protected service is whole segments", "/widevinex", now).denied(503),
        Case::new("a CPIX route takes CPIX tokens", Plugin::Reference, Request::post("/cpix/v2").token(&cpix))
            .allowed(),
        Case::new("a license route takes no CPIX token", Plugin::Reference, Request::post("/playready").token(&cpix))
            .denied(503),
        without_token("the first route that matches wins, if it is open", "/first").passed(),
        without_token("the second route decides where the first does not match", "/first/x").denied(501),
        without_token("an open route behind a protected one that matches is not reached", "/second/protected")
            .denied(501),
        without_token("an open route behind a narrower protected one is reached below it", "/second/protected/x")
            .passed(),
        with_token("a path that no route leads to is denied", "/", now).denied(503),
        Case::new(
            "without routes every path is a license request",
            Plugin::NoRoutes,
            Request::get("/healthz").token(Token::new(keyring().main()).compact(now)),
        )
        .allowed(),
    ]
}

fn hosts(now: i64) -> Vec<Case> {
    let on = |mut case: Case, host: &str| {
        case.request = case.request.host(host);
        case
    };
    let tenant = |name: &str, host: &str| on(with_token(name, "/tenant/x", now), host);
    let status = |name: &str, host: &str| on(without_token(name, "/status"), host);
    vec![
        tenant("a route with a host matches on that host", "tenant.example.com").allowed(),
        tenant("a route with a host matches on no other host", "other.example.com").denied(503),
        tenant("a route with a host does not match a longer host", "tenant.example.com.evil.net").denied(503),
        tenant("a route with a host does not match a subdomain", "a.tenant.example.com").denied(503),
        tenant("hosts are compared without their case", "Tenant.Example.COM").allowed(),
        tenant("hosts are compared without the port", "tenant.example.com:8443").allowed(),
        status("an open route with a host opens on that host", "status.example.com").passed(),
        status("an open route with a host opens on no other host", "license.example.com").denied(501),
        status("an open route with a host does not open on a prefix of it", "status.example.co").denied(501),
    ]
}

fn spelling(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    // The same path, spelled otherwise: a protected route is still found, an open one is not.
    for spelled in [
        "/%77idevine/x",
        "//widevine/x",
        "/./widevine/x",
        "/a/../widevine/x",
        "/widevine//x",
        "/%2e/widevine/x",
        "/a/%2E%2e/widevine/x",
        "/widevine/%7euser",
        "/widevine/x/.",
    ] {
        let name = format!("a protected route is found under the spelling {spelled}");
        cases.push(with_token(&name, spelled, now).allowed());
    }
    for spelled in [
        "/%68ealthz",
        "//healthz",
        "/./healthz",
        "/a/../healthz",
        "/healthz/.",
        "/%2e/healthz",
        "/healthz/x/..",
        "/fairplay//certificate",
        "/fairplay/./certificate",
        "/fairplay/certificate/../certificate",
        "/fairplay/%63ertificate",
    ] {
        let name = format!("an open route is not reached by the spelling {spelled}");
        cases.push(without_token(&name, spelled).denied(501));
    }
    for spelled in ["/fairplay/certificate/../license", "/healthz/../widevine", "/fairplay/certificate/%2e%2e/license"]
    {
        let name = format!("an open route does not open what {spelled} leads to");
        cases.push(without_token(&name, spelled).denied(501));
    }
    // Paths that are nobody's, whatever they start with.
    for spelled in [
        "/widevine\\x",
        "/widevine;x",
        "/widevine/x;v=1",
        "/widevine%2Fx",
        "/widevine%2fx",
        "/widevine/%5Cx",
        "/widevine/%5cx",
        "/widevine/%3Bx",
        "/widevine/%3bx",
        "/widevine/%00",
    ] {
        cases.push(with_token(&format!("no route leads to {spelled}, valid token or not"), spelled, now).denied(503));
        cases.push(without_token(&format!("no route leads to {spelled} without a token"), spelled).denied(501));
    }
    for spelled in [
        "/healthz;x",
        "/healthz\\",
        "/healthz%00",
        "/fairplay/certificate/%2e%2e%2Flicense",
        "/fairplay/certificate\\..\\license",
        "/fairplay/certificate/..;/license",
        "/fairplay/certificate/%5c..",
        "/healthz%3B",
        "/fairplay/certificate%2F",
    ] {
        cases.push(without_token(&format!("an open route does not open {spelled}"), spelled).denied(501));
    }
    for spelled in [
        "/widevine/%252e",
        "/widevine%252Fx",
        "/widevine/%25%32e",
        "/widevine/%25%32%65",
        "/widevine/%2541",
        "/widevine//../cpix",
        "/widevine//../widevine",
        "/a//../widevine",
        "/widevine/x//..",
        "/widevine//%2e%2e/cpix",
    ] {
        let name = format!("attack 70: servers may read {spelled} in different ways, so no route leads to it");
        cases.push(with_token(&name, spelled, now).denied(503));
    }
    for spelled in [
        "/healthz%2500",
        "/x//../healthz",
        "/fairplay/certificate//../../license",
        "/fairplay/certificate//..",
        "/fairplay/certificate/%252e%252e/license",
    ] {
        cases.push(without_token(&format!("attack 70: an open route does not open {spelled}"), spelled).denied(501));
    }
    cases.push(
        with_token("a percent sign that is escaped, and no other escape, is no matter", "/widevine/100%25", now)
            .allowed(),
    );
    for (name, spelled) in [
        ("a byte above ASCII in a path is denied", &b"/widevine/\xc3\xa9"[..]),
        ("attack 9: a byte that is no UTF-8 in a path is denied", b"/widevine/\xff"),
        ("a control character in a path is denied", b"/widevine/\x01"),
        ("a DEL in a path is denied", b"/widevine/\x7f"),
    ] {
        let mut case = with_token(name, spelled, now);
        case.request = case.request.version(Version::Http1);
        cases.push(case.denied(503).or_codec(&[400]));
    }
    let default_license = Request::get("/a;b").token(Token::new(keyring().main()).compact(now));
    cases.push(
        Case::new("without routes a path with a semicolon is denied as well", Plugin::NoRoutes, default_license)
            .denied(503),
    );
    cases.push(with_token("a semicolon in the query is no matter", "/widevine?a=1;b=2", now).allowed());
    cases.push(with_token("an escaped slash in the query is no matter", "/widevine?a=%2F%5C%00", now).allowed());
    cases
}

fn methods(now: i64) -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
        let token = Token::new(keyring().main()).compact(now);
        let request = |path: &str| Request::new(method, path);
        cases.extend([
            Case::new(
                format!("{method} with a token is allowed"),
                Plugin::Reference,
                request("/widevine").token(token),
            )
            .allowed(),
            Case::new(format!("{method} without a token is 501"), Plugin::Reference, request("/widevine")).denied(501),
            Case::new(format!("{method} on an open route passes"), Plugin::Reference, request("/healthz")).passed(),
        ]);
    }
    cases
}
