//! What a client may not send: headers with the names of this filter's own never reach the upstream.

use super::keyring::keyring;
use super::{Case, Plugin, Request, Version};
use crate::support::signer::CPIX;
use crate::support::token::Token;

/// Names that start with `x-mdrm-` to a server that takes what is no letter and no digit for `-`, in spellings of the client's
/// choice.
const OURS: [&str; 10] = [
    "x-mdrm-session",
    "X-Mdrm-Sub",
    "X-MDRM-ORG",
    "x_mdrm_sub",
    "X_Mdrm-Sub",
    "x-mdrm_would-deny",
    "x-mdrm-would-deny",
    "x-mdrm-error-code",
    "x-mdrm-",
    "x_mdrm_",
];

pub(super) fn cases(now: i64) -> Vec<Case> {
    let license = Token::new(keyring().main()).compact(now);
    let cpix = Token::new(keyring().main()).audience(CPIX).compact(now);
    let preflight = Request::new("OPTIONS", "/widevine")
        .header("Origin", "https://player.example.com")
        .header("Access-Control-Request-Method", "POST");
    let mut cases = Vec::new();
    for name in OURS {
        let spoofed = |sentence: &str, request: Request| {
            let mut request = request.header(name, "spoofed");
            if name.chars().any(char::is_uppercase) {
                request = request.version(Version::Http1);
            }
            Case::new(format!("attack 10: {name} {sentence}"), Plugin::Reference, request)
        };
        cases.extend(
            [
                spoofed("is removed from a license request", Request::post("/widevine").token(&license)).allowed(),
                spoofed("is removed from a CPIX request", Request::post("/cpix").token(&cpix)).allowed(),
                spoofed("is removed on an open route", Request::get("/healthz")).passed(),
                spoofed("is removed from a preflight", preflight.clone()).passed(),
            ]
            .map(|case| case.lacking(&name.to_ascii_lowercase())),
        );
    }
    for name in ["X.Mdrm_Session", "x!mdrm!sub", "x-mdrm.sub", "x~mdrm|sub", "X'Mdrm`Org"] {
        for (what, request) in [
            ("a license request", Request::post("/widevine").token(&license)),
            ("an open route", Request::get("/healthz")),
            ("a preflight", preflight.clone()),
        ] {
            let request = request.header(name, "spoofed").version(Version::Http1);
            let is_open = what != "a license request";
            let case = Case::new(format!("attack 71: {name} is removed from {what}"), Plugin::Reference, request);
            cases.push(if is_open { case.passed() } else { case.allowed() }.lacking(&name.to_ascii_lowercase()));
        }
    }
    for name in ["X.Sub", "x!sub", "X_Sub", "X.Jwt_Payload", "x!subscriber", "X'Absent"] {
        let request = Request::post("/widevine").token(&license).header(name, "forged").version(Version::Http1);
        let case =
            Case::new(format!("attack 71: {name} is removed where the filter writes it"), Plugin::Claims, request);
        cases.push(case.allowed().lacking(&name.to_ascii_lowercase()));
    }
    cases.extend(neighbours(&license));
    cases.extend(open_routes(&Token::new(keyring().main()).compact(now)));
    cases
}

fn neighbours(token: &str) -> Vec<Case> {
    let request = || Request::post("/widevine").token(token);
    let case = |name: &str, request: Request| Case::new(name, Plugin::Reference, request).allowed();
    vec![
        case("attack 10: a header of ours twice is removed twice", {
            request().header("x-mdrm-sub", "a").header("x-mdrm-sub", "b").header("x_mdrm_sub", "c")
        })
        .lacking("x-mdrm-sub")
        .lacking("x_mdrm_sub"),
        case(
            "attack 10: a header of ours with bytes that are no UTF-8 is removed",
            request().header("x-mdrm-sub", b"\xff"),
        )
        .lacking("x-mdrm-sub"),
        case("attack 10: an empty header of ours is removed", request().header("x-mdrm-sub", "")).lacking("x-mdrm-sub"),
        case("headers with other names stay", {
            request()
                .header("x-mdrm", "a")
                .header("x-mdrmx-a", "b")
                .header("mdrm-sub", "c")
                .header("x-sub", "d")
                .header("xmdrm-a", "e")
        })
        .with("xmdrm-a", "e")
        .with("x-mdrm", "a")
        .with("x-mdrmx-a", "b")
        .with("mdrm-sub", "c")
        .with("x-sub", "d"),
        case("headers that are nobody's business stay as they are", {
            request().header("cookie", "a=b; c=d").header("x-custom", b"\xfe\xff").header("user-agent", "player/1.0")
        })
        .with("cookie", "a=b; c=d")
        .with("x-custom", b"\xfe\xff")
        .with("user-agent", "player/1.0")
        .with("content-type", "application/octet-stream"),
    ]
}

fn open_routes(token: &str) -> Vec<Case> {
    let open = |name: &str, request: Request| Case::new(name, Plugin::Reference, request).passed();
    vec![
        open("on an open route Authorization passes in the header", Request::get("/healthz").token(token))
            .with("authorization", token),
        open("on an open route Authorization passes in the query", {
            Request::get(format!("/healthz?Authorization={token}&a=1"))
        }),
        open("on an open route a malformed Authorization passes", Request::get("/healthz").token(b"a b\xff"))
            .with("authorization", b"a b\xff"),
        open("on an open route another scheme passes", Request::get("/healthz").token("Basic dXNlcjpwYXNz"))
            .with("authorization", "Basic dXNlcjpwYXNz"),
        open("on an open route a query that is ambiguous elsewhere passes", {
            Request::get("/healthz?Authorization=a&Authorization=b&%41uthorization=%zz")
        }),
    ]
}
