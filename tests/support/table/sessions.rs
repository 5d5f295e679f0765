//! What the upstream gets in place of the client's token: session tokens, the payload and claims.

use serde_json::{Value, json};

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use crate::support::session::{Expected, LIFETIME};
use crate::support::signer::{CPIX, Document, LICENSE};
use crate::support::token::Token;

/// The header of session tokens unless the configuration names another one.
const HEADER: &str = "x-mdrm-session";

pub(super) fn cases(now: i64) -> Vec<Case> {
    [session_tokens(now), lifetimes(now), refusals(now), copies(now), claims(now)].concat()
}

fn of(kid: &str) -> Token {
    Token::new(&keyring().main().under_kid(kid))
}

/// What the session token of a request with an ordinary token says.
fn expected(kid: &str, access_kid: &str, members: &Value) -> Expected {
    let mut claims = json!({
        "sub": "content-1", "jti": "5d2c1f0e-token", "org": "company1", "access_kid": access_kid, "service": "license",
        "drm": "widevine", "drm_protocol": "REST", "claims": {"subscriber": "Test Sub"},
    });
    for (name, value) in members.as_object().unwrap() {
        claims = if value.is_null() { claims.without(name) } else { claims.with(name, value.clone()) };
    }
    Expected { kid: kid.to_owned(), claims, longest: LIFETIME }
}

fn license(name: &str, plugin: Plugin, token: &Token, now: i64) -> Case {
    Case::new(format!("session: {name}"), plugin, Request::post("/widevine").token(token.compact(now)))
}

fn session_tokens(now: i64) -> Vec<Case> {
    let main = || Token::new(keyring().main());
    let es256 = |members: Value| expected("s-es256", "k-ES256", &members);
    let at = |name: &str, path: &str, token: Token| {
        Case::new(format!("session: {name}"), Plugin::Session, Request::post(path).token(token.compact(now))).allowed()
    };
    let odd = main()
        .claim("sub", json!("ü \"\\\u{0}\r\n"))
        .claim("jti", json!("\u{202e}jti"))
        .raw_claim("level", "1.50")
        .raw_claim("nested", r#"{"a":[1e2,null,"\u00e4"],"iss":"x"}"#)
        .claim("name\"\n", json!(true))
        .claim("nbf", json!(7))
        .claim("drm_protocol", json!("REST"));
    vec![
        license("takes the place of the client's token", Plugin::Session, &main(), now)
            .allowed()
            .with_session(HEADER, "", es256(json!({}))),
        license("the access key names the session key", Plugin::Session, &of("for-eddsa"), now)
            .allowed()
            .with_session(HEADER, "", expected("s-eddsa", "for-eddsa", &json!({}))),
        license("the access key alone names the session key", Plugin::SessionByKey, &of("for-eddsa"), now)
            .allowed()
            .with_session(HEADER, "", expected("s-eddsa", "for-eddsa", &json!({}))),
        at("the route names the DRM", "/fairplay", main()).with_session(HEADER, "", es256(json!({"drm": "fairplay"}))),
        at("a route without a DRM names none", "/exact", main()).with_session(HEADER, "", es256(json!({"drm": null}))),
        at("names the service", "/cpix", main().audience(CPIX))
            .with_session(HEADER, "", es256(json!({"drm": null, "service": "cpix"}))),
        at("repeats what no standard and no rule of ours names, as it is spelled", "/widevine", odd).with_session(
            HEADER,
            "",
            es256(json!({
                "sub": "ü \"\\\u{0}\r\n", "jti": "\u{202e}jti",
                "claims": {
                    "subscriber": "Test Sub", "level": 1.5, "nested": {"a": [100.0, null, "ä"], "iss": "x"}, "name\"\n": true,
                },
            })),
        ),
        license("the owner of the access key is the organisation", Plugin::Session, &of("owned").claim("iss", json!("company2")), now)
            .allowed()
            .with_session(HEADER, "", expected("s-es256", "owned", &json!({"org": "company2"}))),
        license("stands in the header that the configuration names", Plugin::SessionAsAuthorization, &main(), now)
            .allowed()
            .with_session("authorization", "Bearer ", es256(json!({}))),
        {
            let token = main().compact(now);
            Case::new("session: beside the client's token", Plugin::SessionAndToken, Request::post("/widevine").token(&token))
                .allowed()
                .with("authorization", &token)
                .with_session(HEADER, "", es256(json!({})))
        },
        {
            let token = main().compact(now);
            let request = Request::post(format!("/widevine?a=1&Authorization={token}"));
            Case::new("session: for a token in the query", Plugin::Session, request)
                .allowed()
                .at("/widevine?a=1")
                .with_session(HEADER, "", es256(json!({})))
        },
        Case::new("session: none on an open route", Plugin::Session, Request::get("/healthz")).passed().lacking(HEADER),
        Case::new("session: none for a preflight", Plugin::Session, {
            Request::new("OPTIONS", "/widevine")
                .header("Origin", "https://player.example.com")
                .header("Access-Control-Request-Method", "POST")
        })
        .passed()
        .lacking(HEADER),
    ]
}

fn lifetimes(now: i64) -> Vec<Case> {
    let case = |name: &str, token: Token, longest: i64| {
        let expected = Expected { longest, ..expected("s-es256", "k-ES256", &json!({})) };
        license(name, Plugin::Session, &token, now).allowed().with_session(HEADER, "", expected)
    };
    let main = || Token::new(keyring().main());
    vec![
        case("lives as long as it may", main(), LIFETIME),
        // 90 s of age and 5 s of leeway leave 45 s.
        case("ends when the client's token gets too old", main().aged(50), 45),
        case("ends with the client's token and its leeway", main().claim_from_now("exp", 20), 25),
        case("ends with the client's token that has passed its end already", main().claim_from_now("exp", -1), 4),
    ]
}

fn refusals(now: i64) -> Vec<Case> {
    let main = || Token::new(keyring().main());
    let mut cases = vec![
        license("nobody names a key: 506", Plugin::SessionByKey, &main(), now).denied(506),
        license("the key service does not answer: 500", Plugin::DeadSessionKeys, &main(), now).denied(500),
        license("the key service fails: 500", Plugin::Session, &of("for-fails"), now).denied(500),
        license("a key pair that does not match: 507", Plugin::Session, &of("for-mismatch"), now).denied(507),
        license(
            "attack 42: our own session token at the edge: 505",
            Plugin::Session,
            &main().header("typ", json!("mdrm-session+jwt")),
            now,
        )
        .denied(505),
    ];
    for kid in [
        "no-session",
        "dots",
        "disabled",
        "deleted",
        "gone",
        "public",
        "rsa",
        "expired",
        "misnamed",
        "encrypts",
        "traversal",
    ] {
        let name = format!("a session key that is or stands for {kid}: 506");
        cases.push(license(&name, Plugin::Session, &of(&format!("for-{kid}")), now).denied(506));
    }
    let broken = || of("for-disabled");
    for (name, token, code) in [
        ("the protocol (521)", broken().claim("drm_protocol", json!("Trust Tunnel")), 521),
        ("the audience (503)", broken().audience(CPIX), 503),
        ("the age (508)", broken().aged(600), 508),
        ("the signature (505)", broken().signed_by(keyring().stranger()), 505),
    ] {
        cases.push(
            license(&format!("order: {name} before the session key (506)"), Plugin::Session, &token, now).denied(code),
        );
    }
    cases
}

fn copies(now: i64) -> Vec<Case> {
    let token = Token::new(keyring().main()).compact(now);
    let mut cases = Vec::new();
    for (name, spelled) in
        [("x-sub", "X-Sub"), ("x-jwt-payload", "x_jwt-Payload"), ("x-subscriber", "x_subscriber"), ("cookie", "Cookie")]
    {
        let spelling = spelled.to_ascii_lowercase();
        let spoofed = |sentence: &str, request: Request| {
            let version = if spelling == spelled { super::Version::Any } else { super::Version::Http1 };
            let request = request.header(spelled, "spoofed").version(version);
            Case::new(format!("attack 10: {spelled}, which the filter writes, {sentence}"), Plugin::Claims, request)
        };
        let on_license =
            spoofed("is removed from a license request", Request::post("/widevine").token(&token)).allowed();
        cases.push(match name {
            "x-sub" => on_license.with(name, "content-1"),
            "x-subscriber" => on_license.with(name, "Test Sub").lacking(&spelling),
            "cookie" => on_license.lacking(name),
            _ => on_license.lacking(&spelling),
        });
        cases.push(
            spoofed("is removed on an open route", Request::get("/healthz")).passed().lacking(&spelling).lacking(name),
        );
    }
    // The header of the session token, even where there will be none.
    let spoofed = Request::get("/healthz").header("Authorization", "spoofed").version(super::Version::Http1);
    cases.push(
        Case::new(
            "attack 10: authorization is removed on an open route if session tokens stand there",
            Plugin::SessionAsAuthorization,
            spoofed,
        )
        .passed()
        .lacking("authorization"),
    );
    cases
}

fn claims(now: i64) -> Vec<Case> {
    let case = |name: &str, token: &Token| {
        let compact = token.compact(now);
        let payload = compact.split('.').nth(1).unwrap().to_owned();
        Case::new(format!("claims: {name}"), Plugin::Claims, Request::post("/widevine").token(&compact))
            .allowed()
            .with("x-jwt-payload", payload)
            .lacking("x-absent")
    };
    let main = || Token::new(keyring().main());
    let mut cases = vec![
        case(
            "strings, numbers as spelled and booleans become headers",
            &main().raw_claim("level", "1.50").claim("hd", json!(false)),
        )
        .with("x-sub", "content-1")
        .with("x-subscriber", "Test Sub")
        .with("x-level", "1.50")
        .with("x-hd", "false"),
        case("an array of audiences stays in the payload", &main().claim("aud", json!([LICENSE])))
            .with("x-sub", "content-1"),
    ];
    for (name, value) in [
        ("line ends", json!("a\r\nx-mdrm-would-deny: x")),
        ("a tab", json!("a\tb")),
        ("NUL", json!("a\u{0}")),
        ("a letter beyond ASCII", json!("Müller")),
        ("a blank at its end", json!("a ")),
        ("an object", json!({"a": 1})),
        ("an array", json!(["a"])),
        ("null", json!(null)),
        ("nothing", json!("")),
    ] {
        cases.push(
            case(&format!("attack 43: {name} leaves the header out"), &main().claim("subscriber", value))
                .lacking("x-subscriber"),
        );
    }
    cases.push(
        case("attack 43: quotes are a value like any other", &main().claim("subscriber", json!("\"a\", 'b'; c=d")))
            .with("x-subscriber", "\"a\", 'b'; c=d"),
    );
    cases
}
