//! CPIX requests whose document is looked at: bound to the subject of the token, or signed by a third party's software.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::keyring::keyring;
use super::{Case, Plugin, Request};
use super::{cpix_content, cpix_unsigned};
use crate::support::session::{Expected, LIFETIME};
use crate::support::signer::{CPIX, Document, LICENSE, OWNER};
use crate::support::token::Token;

static SIGNED: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("../../native/cpix/fixtures/signed.json")));
static REFUSED: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("../../native/cpix/fixtures/refused.json")));
static OPENJDK: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("../../native/cpix/fixtures/openjdk.json")));
static KEYS: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("../../native/cpix/fixtures/keys.json")));

/// The content of every fixture, and of every token.
pub(super) const CONTENT: &str = "content-1";

fn fixture(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn text<'a>(entry: &'a Value, member: &str) -> &'a str {
    entry[member].as_str().unwrap()
}

pub(super) fn signed(name: &str) -> &'static str {
    let entries = SIGNED.as_array().unwrap();
    text(entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}")), "document")
}

/// The keys of the fixtures as the key service knows them, and the same in other states.
pub(super) fn keys() -> Vec<(String, Value)> {
    let document = |name: &str, kid: &str| {
        let key = KEYS.get(name).unwrap_or_else(|| &OPENJDK["keys"][name]);
        key.clone().with("kid", json!(kid)).with("iss", json!(OWNER)).with("aud", json!([CPIX]))
    };
    [
        ("cpix-rsa", document("rsa", "cpix-rsa")),
        ("cpix-p256", document("p256", "cpix-p256")),
        ("cpix-openjdk-rsa", document("openjdk-rsa", "cpix-openjdk-rsa")),
        ("cpix-openjdk-p256", document("openjdk-p256", "cpix-openjdk-p256")),
        ("cpix-other-rsa", document("other-rsa", "cpix-other-rsa")),
        ("cpix-disabled", document("rsa", "cpix-disabled").with("status", json!("disabled"))),
        ("cpix-deleted", document("rsa", "cpix-deleted").with("status", json!("deleted"))),
        ("cpix-expired", document("rsa", "cpix-expired").with("exp", json!(1))),
        ("cpix-for-licenses", document("rsa", "cpix-for-licenses").with("aud", json!([LICENSE]))),
        ("cpix-for-b", document("rsa", "cpix-for-b").with("aud", json!(["urn:example:b"]))),
        ("cpix-eddsa", document("rsa", "cpix-eddsa").with("session_kid", json!("s-eddsa"))),
        ("cpix-private", document("rsa", "cpix-private").with("d", json!("AA"))),
    ]
    .map(|(kid, document)| (kid.to_owned(), document))
    .to_vec()
}

pub(super) fn cases(now: i64) -> Vec<Case> {
    [
        bound(now),
        cpix_content::cases(now),
        parameters(),
        keys_of_documents(),
        documents(),
        cpix_unsigned::cases(),
        upstream(now),
    ]
    .concat()
}

pub(super) fn cpix(content_id: &str) -> String {
    format!("<CPIX xmlns=\"urn:dashif:org:cpix\" contentId=\"{content_id}\"><ContentKeyList/></CPIX>")
}

fn bound(now: i64) -> Vec<Case> {
    let token = |token: Token| token.audience(CPIX).compact(now);
    let right = || token(Token::new(keyring().main()));
    let post =
        |token: &str, body: &[u8]| Request::post("/cpix").content_type("application/xml").token(token).body(body);
    let case = |name: &str, body: &str| {
        Case::new(format!("bind_content: {name}"), Plugin::BindContent, post(&right(), body.as_bytes()))
    };
    let small =
        |name: &str, body: &[u8]| Case::new(format!("bind_content: {name}"), Plugin::SmallBodies, post(&right(), body));
    let filled = |bytes: usize| {
        let document = cpix(CONTENT);
        format!("{document}{}", " ".repeat(bytes - document.len()))
    };
    let mut cases = vec![
        case("the content is the subject", &cpix(CONTENT)).allowed(),
        Case::new("bind_content: in chunks", Plugin::BindContent, post(&right(), cpix(CONTENT).as_bytes()).chunked())
            .allowed(),
        case("another content is 905", &cpix("content-2")).denied(905),
        case("another case is 905", &cpix("Content-1")).denied(905),
        case("a blank more is 905", &cpix("content-1 ")).denied(905),
        case("a reference stands for a letter", &cpix("content-&#x31;")).allowed(),
        case("no content is 903", "<CPIX xmlns=\"urn:dashif:org:cpix\"/>").denied(903),
        case("an empty content is 903", &cpix("")).denied(903),
        case(
            "attack 60: a content in another namespace is 903",
            "<CPIX xmlns=\"urn:dashif:org:cpix\" xmlns:x=\"urn:x\" x:contentId=\"content-1\"/>",
        )
        .denied(903),
        case(
            "attack 60: two contents are 910",
            "<CPIX xmlns=\"urn:dashif:org:cpix\" contentId=\"content-1\" contentId=\"content-2\"/>",
        )
        .denied(910),
        case("a root of another name is 910", "<Cpix xmlns=\"urn:dashif:org:cpix\" contentId=\"content-1\"/>")
            .denied(910),
        case("a root of no namespace is 910", "<CPIX contentId=\"content-1\"/>").denied(910),
        case("text is 910", "content-1").denied(910),
        case("a document that is cut is 910", &cpix(CONTENT)[..40]).denied(910),
        case("attack 59: a DTD is 910", &format!("<!DOCTYPE CPIX>{}", cpix(CONTENT))).denied(910),
        case("attack 59: an entity is 910", &format!("<!DOCTYPE CPIX [<!ENTITY a \"content-1\">]>{}", cpix("&a;")))
            .denied(910),
        case(
            "attack 59: an external entity is 910",
            &format!("<!DOCTYPE CPIX [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>{}", cpix("&a;")),
        )
        .denied(910),
        case("attack 59: an unknown entity is 910", &cpix("&a;")).denied(910),
        Case::new("bind_content: no body is 910", Plugin::BindContent, post(&right(), b"")).denied(910),
        Case::new("bind_content: no body in chunks is 910", Plugin::BindContent, post(&right(), b"").chunked())
            .denied(910),
        Case::new(
            "bind_content: a compressed body is 910",
            Plugin::BindContent,
            post(&right(), cpix(CONTENT).as_bytes()).header("Content-Encoding", "gzip"),
        )
        .denied(910),
        Case::new("bind_content: another encoding is 910", Plugin::BindContent, post(&right(), b"\xff\xfe<\0C\0"))
            .denied(910),
        small("a body of 1024 bytes is within the limit", filled(1024).as_bytes()).allowed(),
        small("a body of 1025 bytes is 910", filled(1025).as_bytes()).denied(910),
        Case::new(
            "bind_content: a body of 1025 bytes in chunks is 910",
            Plugin::SmallBodies,
            post(&right(), filled(1025).as_bytes()).chunked(),
        )
        .denied(910),
        Case::new(
            "bind_content: a license request is not looked into",
            Plugin::BindContent,
            Request::post("/widevine").token(Token::new(keyring().main()).compact(now)).body("<"),
        )
        .allowed(),
    ];
    for (name, faulty, code) in [
        ("no token (501)", String::new(), 501),
        ("an unknown key (504)", token(Token::new(keyring().main()).header("kid", json!("nobody"))), 504),
        ("a forged token (505)", token(Token::new(keyring().main()).signed_by(keyring().stranger())), 505),
        ("an old token (508)", token(Token::new(keyring().main()).aged(4000)), 508),
        ("a license token (503)", Token::new(keyring().main()).compact(now), 503),
    ] {
        cases.push(
            Case::new(format!("order: {name} before the document (910)"), Plugin::BindContent, post(&faulty, b"<"))
                .denied(code),
        );
    }
    cases
}

/// A signed request with these parameters.
pub(super) fn with_query(query: &str, document: impl AsRef<[u8]>) -> Request {
    Request::post(format!("/signed?{query}")).content_type("application/xml").body(document)
}

pub(super) fn query(kid: &str) -> String {
    format!("kid={kid}&sub={CONTENT}&iss={OWNER}")
}

pub(super) fn signed_case(name: &str, request: Request) -> Case {
    Case::new(format!("signed: {name}"), Plugin::Reference, request)
}

pub(super) const RSA: &str = "signxml exclusive rsa-sha256";
pub(super) const P256: &str = "signxml exclusive ecdsa-sha256";

fn parameters() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, query) in [
        ("no parameters", String::new()),
        ("no kid", format!("sub={CONTENT}&iss={OWNER}")),
        ("no sub", format!("kid=cpix-rsa&iss={OWNER}")),
        ("no iss", format!("kid=cpix-rsa&sub={CONTENT}")),
        ("an empty kid", format!("kid=&sub={CONTENT}&iss={OWNER}")),
        ("a kid without a value", format!("kid&sub={CONTENT}&iss={OWNER}")),
        ("an empty sub", format!("kid=cpix-rsa&sub=&iss={OWNER}")),
        ("two equal subs", format!("kid=cpix-rsa&sub={CONTENT}&sub={CONTENT}&iss={OWNER}")),
        ("two kids", format!("kid=cpix-rsa&kid=cpix-p256&sub={CONTENT}&iss={OWNER}")),
        ("a bad escape", format!("kid=cpix%2-rsa&sub={CONTENT}&iss={OWNER}")),
        ("bytes that are no text", format!("kid=cpix-rsa&sub=%ff&iss={OWNER}")),
        ("an escaped name", format!("%6bid=cpix-rsa&sub={CONTENT}&iss={OWNER}")),
        ("another case", format!("KID=cpix-rsa&sub={CONTENT}&iss={OWNER}")),
        ("semicolons", format!("kid=cpix-rsa;sub={CONTENT};iss={OWNER}")),
    ] {
        cases.push(signed_case(&format!("{name}: 514"), with_query(&query, signed(RSA))).denied(514));
    }
    cases.extend([
        signed_case(
            "values are decoded once",
            with_query(&format!("a=b&kid=cpix%2Drsa&sub=content%2d1&iss={OWNER}&c"), signed(RSA)),
        )
        .allowed(),
        signed_case(
            "a plus sign is literal",
            with_query(&format!("kid=cpix-rsa&sub=content+1&iss={OWNER}"), signed(RSA)),
        )
        .denied(905),
    ]);
    cases
}

fn keys_of_documents() -> Vec<Case> {
    let case = |name: &str, kid: &str| signed_case(name, with_query(&query(kid), signed(RSA)));
    let mut cases = vec![
        case("an unknown key is 504", "nobody").denied(504),
        case("a kid of dots is 504", "..").denied(504),
        case("a kid of 257 bytes is 504", &"k".repeat(257)).denied(504),
        case("a document with a private member is 504", "cpix-private").denied(504),
        case("a deleted key is 512", "cpix-deleted").denied(512),
        case("a disabled key is 513", "cpix-disabled").denied(513),
        case("an expired key is 513", "cpix-expired").denied(513),
        case("a key service that fails is 500", "fails-503").denied(500),
        case("another key of the type is 916", "cpix-other-rsa").denied(916),
        case("a key of another type is 917", "cpix-p256").denied(917),
        case("a key that cannot sign documents is 917", "k-EdDSA").denied(917),
        case("a shared secret is 917", "k-HS256").denied(917),
        case("a key for licenses is 503", "cpix-for-licenses").denied(503),
        case("a key for another service is 503", "cpix-for-b").denied(503),
        Case::new(
            "signed: the audiences of the configuration",
            Plugin::SignedForB,
            with_query(&query("cpix-for-b"), signed(RSA)),
        )
        .allowed(),
        Case::new(
            "signed: a key outside the audiences of the configuration is 503",
            Plugin::SignedForB,
            with_query(&query("cpix-rsa"), signed(RSA)),
        )
        .denied(503),
        signed_case(
            "another owner is 505",
            with_query(&format!("kid=cpix-rsa&sub={CONTENT}&iss=company2"), signed(RSA)),
        )
        .denied(505),
        signed_case(
            "another content is 905",
            with_query(&format!("kid=cpix-rsa&sub=content-2&iss={OWNER}"), signed(RSA)),
        )
        .denied(905),
    ];
    for (name, query, document, code) in [
        ("the parameters (514) before the key (504)", format!("kid=nobody&sub={CONTENT}"), "<", 514),
        ("the key (504) before the document (910)", query("nobody"), "<", 504),
        ("the document (910) before its signatures (914)", query("cpix-rsa"), "<", 910),
        (
            "the signature (916) before the owner (505)",
            format!("kid=cpix-other-rsa&sub={CONTENT}&iss=company2"),
            signed(RSA),
            916,
        ),
        (
            "the owner (505) before the scope (503)",
            format!("kid=cpix-for-b&sub={CONTENT}&iss=company2"),
            signed(RSA),
            505,
        ),
        ("the scope (503) before the content (905)", format!("kid=cpix-for-b&sub=x&iss={OWNER}"), signed(RSA), 503),
    ] {
        cases.push(Case::new(format!("order: {name}"), Plugin::Reference, with_query(&query, document)).denied(code));
    }
    cases.push(
        Case::new(
            "order: the key (504) before a body that is missing (910)",
            Plugin::Reference,
            with_query(&query("nobody"), ""),
        )
        .denied(504),
    );
    cases.push(signed_case("no body is 910", with_query(&query("cpix-rsa"), "")).denied(910));
    cases
}

/// What others have signed: every form and method, and what must be refused.
fn documents() -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in [&*SIGNED, &OPENJDK["signed"]].into_iter().flat_map(|signed| signed.as_array().unwrap()) {
        let kid = format!("cpix-{}", text(entry, "key"));
        cases.push(signed_case(text(entry, "name"), with_query(&query(&kid), text(entry, "document"))).allowed());
    }
    for entry in REFUSED.as_array().unwrap() {
        let kid = format!("cpix-{}", text(entry, "key"));
        let code = text(entry, "code").strip_prefix("MDRM-").unwrap().parse().unwrap();
        let name = text(entry, "name");
        // What nobody signs is another attack than algorithms and references.
        let unsigned = name.starts_with("a comment beside text") || name.starts_with("attributes of others");
        let name = format!("attack {}: {name}", if unsigned { 74 } else { 60 });
        cases.push(signed_case(&name, with_query(&query(&kid), text(entry, "document"))).denied(code));
    }
    let changed = signed(P256).replacen("content-1", "content-2", 1);
    cases.extend([
        signed_case(
            "attack 60: a changed content is 916",
            with_query(&format!("kid=cpix-p256&sub=content-2&iss={OWNER}"), changed),
        )
        .denied(916),
        signed_case("no signature is 914", with_query(&query("cpix-rsa"), cpix(CONTENT))).denied(914),
    ]);
    cases
}

fn upstream(now: i64) -> Vec<Case> {
    let claims = |service: &str, kid: &str, rest: &Value| {
        let mut claims = json!({
            "sub": CONTENT, "org": OWNER, "access_kid": kid, "service": service, "drm_protocol": "REST", "claims": {},
        });
        for (name, value) in rest.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let token = Token::new(keyring().main()).audience(CPIX).compact(now);
    let of_token = json!({"jti": "5d2c1f0e-token", "claims": {"subscriber": "Test Sub"}});
    let expected = |kid: &str, claims: Value| Expected { kid: kid.to_owned(), claims, longest: LIFETIME };
    let request = || with_query(&query("cpix-rsa"), signed(RSA));
    vec![
        Case::new("signed: a session token", Plugin::CpixSession, request()).allowed().with_session(
            "x-mdrm-session",
            "",
            expected("s-es256", claims("signed_cpix", "cpix-rsa", &json!({"jti": "random"}))),
        ),
        Case::new(
            "signed: the key names the session key",
            Plugin::CpixSession,
            with_query(&query("cpix-eddsa"), signed(RSA)),
        )
        .allowed()
        .with_session(
            "x-mdrm-session",
            "",
            expected("s-eddsa", claims("signed_cpix", "cpix-eddsa", &json!({"jti": "random"}))),
        ),
        Case::new(
            "bind_content: a session token",
            Plugin::CpixSession,
            Request::post("/cpix").token(&token).body(cpix(CONTENT)),
        )
        .allowed()
        .with_session("x-mdrm-session", "", expected("s-es256", claims("cpix", "k-ES256", &of_token))),
        Case::new("signed: a token beside it is not read and goes", Plugin::Reference, request().token("a b c"))
            .allowed(),
        Case::new(
            "signed: a token in the query is not read and goes",
            Plugin::Reference,
            with_query(&format!("Authorization=x&{}&Authorization=%zz", query("cpix-rsa")), signed(RSA)),
        )
        .allowed()
        .at(&format!("/signed?{}", query("cpix-rsa"))),
        Case::new("signed: in chunks", Plugin::Reference, request().chunked()).allowed(),
    ]
}
