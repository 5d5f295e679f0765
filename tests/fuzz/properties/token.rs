//! The token of a license request. Input: `s`, a JWS's header, a line end and a payload, to be signed with the HMAC key
//! `properties`; or anything else, which is the value of the `Authorization` header.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mdrm_authz::authorizer::{Authorizer, Decision, Facts, Outcome, Platform, Step};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::jose::token::UntrustedToken;
use mdrm_authz::keys::WaiterId;
use mdrm_authz::request::{RequestHead, trim};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{NOW, SECRET, log};

const KID: &str = "properties";
const OWNER: &str = "an owner";
const AUDIENCE: &str = "urn:verimatrix:multidrm";
const MAX_TOKEN_BYTES: usize = 8192;

/// Tokens of another library for the keys below, with the code that each must get at [`NOW`].
static CORPUS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../corpus.json")).expect("the corpus is JSON"));

/// What the keys of the corpus may have signed, with the code that it gets. An ECDSA signature has two spellings (high s), this
/// has one.
static CASES: LazyLock<BTreeSet<(&str, &str)>> = LazyLock::new(|| {
    let signed = |case: &'static Value| Some((case["token"].as_str()?.rsplit_once('.')?.0, case["expect"].as_str()?));
    CORPUS["cases"].as_array().expect("cases").iter().filter_map(signed).collect()
});

/// With a memory of tokens, and without one.
fn authorizer(remember_tokens: bool) -> RefCell<Authorizer> {
    let mut keys = CORPUS["keys"].as_array().expect("keys").clone();
    keys.push(json!({
        "kty": "oct", "kid": KID, "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET), "iss": OWNER, "aud": [AUDIENCE],
    }));
    let configuration = json!({
        "keys": {"inline": {"keys": keys}}, "allow_slow_algorithms": true, "max_token_bytes": MAX_TOKEN_BYTES,
    });
    let config = Config::from_json(configuration.to_string().as_bytes(), &|_| None).expect("a configuration");
    RefCell::new(Authorizer::new(config, Platform { remember_tokens, ..Platform::default() }))
}

thread_local! {
    static REMEMBERS: RefCell<Authorizer> = authorizer(true);
    static FORGETS: RefCell<Authorizer> = authorizer(false);
}

/// Nothing but a signed token is allowed, and a signed one exactly if its claims are right; a memory of tokens changes no
/// decision. Gives whether the token is allowed.
pub fn check(input: &[u8]) -> bool {
    let signed = input.strip_prefix(b"s").map(|text| {
        let at = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        let (header, payload) = text.split_at(at);
        (header, payload.get(1..).unwrap_or_default())
    });
    let authorization = match signed {
        Some((header, payload)) => sign(header, payload).into_bytes(),
        None => input.to_vec(),
    };
    let Outcome { decision, facts } = FORGETS.with(|authorizer| decide(authorizer, &authorization));
    check_facts(text(&authorization), &facts);
    for _ in 0..2 {
        let again = REMEMBERS.with(|authorizer| decide(authorizer, &authorization));
        assert_eq!((&again.decision, again.facts.proven), (&decision, facts.proven.clone()));
    }
    match &decision {
        Decision::Deny(denial) => {
            log::check_refusal(denial);
            if let Some((header, payload)) = signed
                && authorization.len() <= MAX_TOKEN_BYTES
            {
                let right = is_right_header(header) == Some(true) && is_right(payload) == Some(true);
                assert!(!right || UntrustedToken::parse(text(&authorization), MAX_TOKEN_BYTES).is_err(), "{denial:?}");
            }
        }
        Decision::Allow(_) => {
            assert!(facts.proven.is_some());
            check_allowed(text(&authorization));
        }
        other => panic!("{other:?}"),
    }
    matches!(decision, Decision::Allow(_))
}

fn text(authorization: &[u8]) -> &str {
    std::str::from_utf8(authorization).unwrap_or_default()
}

fn sign(header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(hmac(message.as_bytes()));
    format!("{message}.{signature}")
}

/// RFC 2104 with SHA-256 and [`SECRET`], by hand: not the implementation under test.
fn hmac(message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..SECRET.len()].copy_from_slice(&SECRET);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

fn decide(authorizer: &RefCell<Authorizer>, authorization: &[u8]) -> Outcome {
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"POST"),
        (b":path", b"/widevine"),
        (b":authority", b"license.example.com"),
        (b"authorization", authorization),
    ];
    let now = Now { unix: NOW, monotonic: Duration::ZERO };
    let (removals, step) = authorizer.borrow_mut().on_request(RequestHead::new(&headers, false), WaiterId(1), now);
    assert_eq!((removals.headers, removals.path), (vec![b"authorization".to_vec()], None));
    match step {
        Step::Done(outcome) => outcome,
        Step::Wait(_) => panic!("every key is held"),
    }
}

/// Whose token it is gets known only if it is signed, and is told in printable characters.
fn check_facts(authorization: &str, facts: &Facts) {
    for (_, value) in facts.properties() {
        log::check_line(&value);
    }
    if facts.proven.is_some() {
        let token = text(trim(authorization.as_bytes())).rsplit(' ').next().unwrap_or_default();
        let (message, signature) = token.rsplit_once('.').expect("a token that proves something has parts");
        let ours = URL_SAFE_NO_PAD.encode(hmac(message.as_bytes())) == signature;
        let theirs = CASES.iter().any(|(signed, _)| *signed == message);
        assert!(ours || theirs, "{token} proves something");
    }
}

fn check_allowed(authorization: &str) {
    let value = text(trim(authorization.as_bytes()));
    let token = value.rsplit(' ').next().unwrap_or_default();
    let scheme = value.strip_suffix(token).unwrap_or_default();
    assert!(scheme.is_empty() || scheme.eq_ignore_ascii_case("bearer "), "{scheme:?}");
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = *parts else { panic!("{} parts are allowed", parts.len()) };
    let decoded = [header, payload, signature].map(|part| URL_SAFE_NO_PAD.decode(part).expect("canonical base64url"));
    assert_eq!(decoded.each_ref().map(|part| URL_SAFE_NO_PAD.encode(part)).join("."), token, "a second spelling");
    let [header_text, payload_text, signature] = decoded;
    let message = format!("{header}.{payload}");
    if CASES.contains(&(&*message, "ok")) {
        return;
    }
    assert_eq!(signature, hmac(message.as_bytes()), "nobody has signed {token}");
    assert_ne!(is_right_header(&header_text), Some(false), "{}", String::from_utf8_lossy(&header_text));
    assert_ne!(is_right(&payload_text), Some(false), "{}", String::from_utf8_lossy(&payload_text));
}

/// The members of a JSON object, the last one of a name; none if the text is none. A number that is no double is null, which
/// is as wrong.
fn members(json: &[u8]) -> Option<BTreeMap<String, Value>> {
    let spelled: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(json).ok()?;
    Some(
        spelled
            .into_iter()
            .map(|(name, value)| (name, serde_json::from_str(value.get()).unwrap_or_default()))
            .collect(),
    )
}

/// Whether a header is that of a token of the key; none if it cannot be read here.
fn is_right_header(header: &[u8]) -> Option<bool> {
    let members = members(header)?;
    let session = |typ: &Value| {
        let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == "mdrm-session+jwt"
    };
    Some(
        members.get("alg") == Some(&json!("HS256"))
            && members.get("kid") == Some(&json!(KID))
            && !members.contains_key("crit")
            && !members.contains_key("b64")
            && !members.get("typ").is_some_and(session),
    )
}

/// Whether claims are right by the documentation; none if they cannot be read here, or lie so near to an edge that it matters
/// how a fraction is rounded.
fn is_right(payload: &[u8]) -> Option<bool> {
    let claims = members(payload)?;
    let claim = |name: &str| claims.get(name).unwrap_or(&Value::Null);
    let said = |name: &str| claim(name).as_str().is_some_and(|text| !text.is_empty());
    let time = |name: &str| -> Option<Option<i64>> {
        let Some(seconds) = claims.get(name) else { return Some(None) };
        let Some(seconds) = seconds.as_f64() else { return Some(Some(i64::MIN)) };
        let edge = seconds.fract() != 0.0 && (seconds - seconds.round()).abs() < 1e-5;
        let valid = (0.0..=253_402_300_799.0).contains(&seconds);
        (!edge).then_some(Some(if valid { seconds as i64 } else { i64::MIN }))
    };
    let (issued_at, expires, not_before) = (time("iat")?, time("exp")?, time("nbf")?);
    let audiences = match claim("aud") {
        Value::String(audience) => audience == AUDIENCE,
        Value::Array(list) => list.iter().all(Value::is_string) && list.iter().any(|audience| audience == AUDIENCE),
        _ => false,
    };
    Some(
        claim("iss") == OWNER
            && said("sub")
            && said("jti")
            && claim("ver").as_f64() == Some(1.0)
            && issued_at.is_some_and(|at| (NOW - 95..=NOW + 5).contains(&at))
            && expires.is_none_or(|at| NOW <= at.saturating_add(5))
            && not_before.is_none_or(|at| at != i64::MIN && at <= NOW + 5)
            && audiences
            && (!claims.contains_key("drm_protocol") || claim("drm_protocol") == "REST"),
    )
}
