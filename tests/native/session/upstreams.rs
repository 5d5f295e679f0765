//! The examples for license servers, in three languages: each takes the tokens that this filter signs, and nothing else.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use mdrm_authz::session::{Claims, sign};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::material::{eddsa, es256, others, public, read};
use crate::support::packages::{installed, npm, project};
use crate::support::signer::{Alg, Document, SigningKey, base64url, from_base64url};

#[path = "../../upstream/verify.rs"]
mod verify;

const ISSUER: &str = "https://drm.example.com";
const AUDIENCE: &str = "license-server";

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn claims() -> Claims<'static> {
    Claims {
        issuer: ISSUER,
        audience: AUDIENCE,
        subject: "movie-1",
        now: now(),
        expires: now() + 3600,
        jti: "5d2c1f0e",
        owner: "company1",
        access_kid: "k-1",
        service: "license",
        drm: Some("widevine"),
        drm_protocol: Some("REST"),
        claims: r#"{"subscriber":"Tëst \"Sub\"","level":3}"#,
    }
}

/// A token as the filter signs it, under the `kid` of the document.
fn signed(document: &Value, claims: &Claims<'_>) -> String {
    sign(document["kid"].as_str().unwrap(), read(document).unwrap().pair().unwrap(), claims).unwrap()
}

/// The public session keys. Two more are in it that sign something else: no upstream should, but one may mix them up.
fn key_set() -> Value {
    let rsa = SigningKey::generate("rsa", Alg::RS256).jwk();
    let secret = SigningKey::from_secret("secret", Alg::HS256, &[7; 32]).jwk();
    json!({"keys": [public(&es256()), public(&eddsa()), rsa, secret]})
}

/// Tokens that no upstream may take, by what is wrong with them.
fn forged() -> Vec<(&'static str, String)> {
    let mut tokens = Vec::new();
    for key in [es256(), eddsa()] {
        let good = signed(&key, &claims());
        let [header, payload, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
        let edited = |part: &str, name: &str, value: Value| {
            let part: Value = serde_json::from_slice(&from_base64url(part)).unwrap();
            base64url(part.with(name, value).to_string().as_bytes())
        };
        let mut flipped = from_base64url(signature);
        flipped[40] ^= 1;
        let x = from_base64url(key["x"].as_str().unwrap());
        let hmac = SigningKey::from_secret("hmac", Alg::HS256, &x);
        tokens.extend([
            ("another issuer", signed(&key, &Claims { issuer: "https://drm.example.com/", ..claims() })),
            ("another audience", signed(&key, &Claims { audience: "another-server", ..claims() })),
            ("an end that has passed", signed(&key, &Claims { expires: now() - 60, ..claims() })),
            ("an unknown key", signed(&key.clone().with("kid", json!("unknown")), &claims())),
            ("the other key's name", signed(&key.clone().with("kid", json!("rsa")), &claims())),
            ("a changed claim", format!("{header}.{}.{signature}", edited(payload, "sub", json!("movie-2")))),
            ("a changed type", format!("{}.{payload}.{signature}", edited(header, "typ", json!("JWT")))),
            ("a changed signature", format!("{header}.{payload}.{}", base64url(&flipped))),
            ("no signature", format!("{header}.{payload}.")),
            ("alg none", format!("{}.{payload}.", edited(header, "alg", json!("none")))),
            ("an HMAC with the public key", hmac.sign_parts(&edited(header, "alg", json!("HS256")), payload)),
            ("two parts", format!("{header}.{payload}")),
        ]);
    }
    for other in others() {
        let kid = if other["kty"] == "EC" { "session-es256" } else { "session-eddsa" };
        tokens.push(("another key under the name", signed(&other.with("kid", json!(kid)), &claims())));
    }
    let payload = from_base64url(signed(&es256(), &claims()).split('.').nth(1).unwrap());
    for key in [SigningKey::generate("rsa", Alg::RS256), SigningKey::from_secret("secret", Alg::HS256, &[7; 32])] {
        let header = json!({"alg": key.alg().name(), "kid": key.kid(), "typ": "mdrm-session+jwt"});
        tokens.push(("another kind of key of the set", key.sign(header.to_string().as_bytes(), &payload)));
    }
    // Rightly signed by the session key, but as some other application would.
    let other_type = json!({"alg": "EdDSA", "kid": "session-eddsa", "typ": "JWT"});
    let message = format!("{}.{}", base64url(other_type.to_string().as_bytes()), base64url(&payload));
    let signature = read(&eddsa()).unwrap().pair().unwrap().sign(message.as_bytes()).unwrap();
    tokens.push(("another type of token", format!("{message}.{}", base64url(&signature))));
    tokens.push(("no token", "x".to_owned()));
    tokens
}

/// Has an example verify tokens right and wrong.
fn check(verify: impl Fn(&str) -> Option<Value>) {
    for key in [es256(), eddsa()] {
        let verified = verify(&signed(&key, &claims())).expect("a token of the filter is taken");
        assert_eq!(verified["sub"], "movie-1");
        assert_eq!(verified["claims"], json!({"subscriber": "Tëst \"Sub\"", "level": 3}));
    }
    let taken: Vec<_> = forged().into_iter().filter(|(_, token)| verify(token).is_some()).collect();
    assert!(taken.is_empty(), "{taken:#?}");
}

#[test]
fn a_license_server_in_rust_verifies_the_token() {
    let keys = serde_json::from_value(key_set()).unwrap();
    check(|token| verify::verify(&keys, ISSUER, AUDIENCE, token).ok());
}

#[test]
fn a_license_server_in_python_verifies_the_token() {
    let packages = installed("upstream-python", &sources(), &["requirements.txt"], |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"])
            .args(["--require-hashes", "--requirement", "requirements.txt", "--target", "packages"])
            .current_dir(folder);
        pip
    });
    check_program(|| {
        let mut python = Command::new("python3");
        python.arg(sources().join("verify.py")).env("PYTHONPATH", packages.join("packages"));
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        python
    });
}

#[test]
fn a_license_server_in_javascript_verifies_the_token() {
    // The example comes along, because it finds packages beside itself.
    let files = ["package.json", "package-lock.json", ".npmrc", "verify.mjs"];
    let packages = installed("upstream-node", &sources(), &files, npm);
    check_program(|| {
        let mut node = Command::new("node");
        node.arg(packages.join("verify.mjs"));
        node
    });
}

/// Exit status 0 and the claims, or exit status 1.
fn check_program(program: impl Fn() -> Command) {
    let keys = NamedTempFile::new().unwrap();
    fs::write(keys.path(), key_set().to_string()).unwrap();
    check(|token| {
        let output = program().arg(keys.path()).args([ISSUER, AUDIENCE, token]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => Some(serde_json::from_slice(&output.stdout).unwrap()),
            Some(1) if said.starts_with("refused: ") => None,
            status => panic!("{status:?}: {said}"),
        }
    });
}

fn sources() -> PathBuf {
    project().join("tests/upstream")
}
