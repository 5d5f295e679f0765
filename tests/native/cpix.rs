//! CPIX documents: canonical forms and signatures of other implementations, refusals, attacks, limits, properties. The
//! fixtures are made by `cpix/fixtures/make.py` and `cpix/fixtures/OpenJdk.java`.

mod attacks;
mod canonical;
mod limits;
mod properties;
mod signatures;
mod signing;
mod wellformed;

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mdrm_authz::cpix::Document;
use mdrm_authz::denial::{CpixFault, Denial};
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::verify::VerifyingKey;
use serde_json::Value;

static KEYS: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("cpix/fixtures/keys.json")));
static SIGNED: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("cpix/fixtures/signed.json")));
static REFUSED: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("cpix/fixtures/refused.json")));
static OPENJDK: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("cpix/fixtures/openjdk.json")));
static CANONICAL: LazyLock<Value> = LazyLock::new(|| fixture(include_str!("cpix/fixtures/canonical.json")));

/// The content that every fixture is about.
const CONTENT: &str = "content-1";
/// An unsigned document.
const PLAIN: &str = r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="content-1"><a b="c">d</a></CPIX>"#;

fn fixture(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn entries(fixtures: &Value) -> &[Value] {
    fixtures.as_array().unwrap()
}

fn text<'a>(entry: &'a Value, member: &str) -> &'a str {
    entry[member].as_str().unwrap_or_else(|| panic!("no {member} in {entry}"))
}

/// Every document whose signature is right.
fn all_signed() -> impl Iterator<Item = &'static Value> {
    entries(&SIGNED).iter().chain(entries(&OPENJDK["signed"]))
}

/// The document of this name among the signed ones.
fn signed(name: &str) -> &'static str {
    text(entries(&SIGNED).iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}")), "document")
}

/// The key of this name; `alg` in place of its own.
fn key_for(name: &str, alg: Option<Alg>) -> VerifyingKey {
    let jwk = KEYS.get(name).unwrap_or_else(|| &OPENJDK["keys"][name]);
    let number = |member| URL_SAFE_NO_PAD.decode(text(jwk, member)).unwrap();
    let alg = alg.unwrap_or_else(|| Alg::from_name(text(jwk, "alg")).unwrap());
    match text(jwk, "kty") {
        "RSA" => VerifyingKey::rsa(alg, &number("n"), &number("e"), None).unwrap(),
        _ => VerifyingKey::ecdsa(alg, &number("x"), &number("y"), None).unwrap(),
    }
}

fn key(name: &str) -> VerifyingKey {
    key_for(name, None)
}

/// The content of a document whose signature is right, or the code of the refusal.
fn verify(document: &str, key: &VerifyingKey) -> Result<String, &'static str> {
    let verified = Document::parse(document.as_bytes()).and_then(|document| document.verify(key));
    let content_id = verified.and_then(|verified| {
        let content_id = verified.content_ids().next().unwrap_or_default().to_owned();
        verified.check_subject(&content_id).map(|()| content_id)
    });
    content_id.map_err(|denial| denial.code().name())
}

/// What is wrong with a body that is no CPIX document.
fn not_cpix(body: &[u8]) -> &'static str {
    match Document::parse(body) {
        Err(Denial::Cpix(CpixFault::NotCpix(fault))) => fault,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("a CPIX document: {}", String::from_utf8_lossy(body)),
    }
}
