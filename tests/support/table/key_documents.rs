//! Key documents: what makes one unusable (so that its kid counts as unknown), and what does not. The same documents are asked for
//! one by one and stand in a set.

use serde_json::{Value, json};

use super::keyring::{Keyring, keyring};
use super::{Case, Plugin, Request, weak_keys};
use crate::support::signer::{Alg, Document, SigningKey};
use crate::support::token::Token;

/// A key document that differs from a right one, and whether it is still usable.
struct Variant {
    name: String,
    /// The kid of the document as it is registered, and the algorithm of the key.
    key: SigningKey,
    document: Value,
    usable: bool,
}

/// Kid and document of every variant.
pub(super) fn variants() -> Vec<(String, Value)> {
    all(keyring()).into_iter().map(|variant| (variant.key.kid().to_owned(), variant.document)).collect()
}

pub(super) fn cases(now: i64) -> Vec<Case> {
    let keys = keyring();
    let mut cases = Vec::new();
    for variant in all(keys) {
        let token = Token::new(&variant.key).compact(now);
        for (mode, plugin) in [("asked for alone", Plugin::SlowAlgorithms), ("in a set", Plugin::KeySet)] {
            let case = Case::new(format!("{}, {mode}", variant.name), plugin, Request::post("/").token(&token));
            cases.push(if variant.usable { case.allowed() } else { case.denied(504) });
        }
    }
    cases.extend(sets(keys, now));
    cases
}

fn all(keys: &Keyring) -> Vec<Variant> {
    let mut variants = Vec::new();
    let mut add = |usable: bool, alg: Alg, name: &str, change: &dyn Fn(Value) -> Value| {
        let kid = format!("v{}-{}", variants.len(), alg.name());
        let key = keys.of_alg(alg).under_kid(&kid);
        let document = change(key.jwk());
        variants.push(Variant { name: name.to_owned(), key, document, usable });
    };
    purposes(&mut add);
    nulls(&mut add);
    metadata(&mut add);
    weak_keys::add(&mut add);
    variants
}

/// Takes a variant: whether it is usable, the algorithm, the sentence, and what differs from a right document.
pub(super) type Add<'a> = dyn FnMut(bool, Alg, &str, &dyn Fn(Value) -> Value) + 'a;

/// What a key is for.
fn purposes(add: &mut Add<'_>) {
    add(true, Alg::ES256, "a key for signatures is usable", &|jwk| jwk.with("use", json!("sig")));
    add(true, Alg::ES256, "a key to verify with is usable", &|jwk| jwk.with("key_ops", json!(["sign", "verify"])));
    add(false, Alg::ES256, "attack 28: a key for encryption is 504", &|jwk| jwk.with("use", json!("enc")));
    add(false, Alg::RS256, "attack 28: an RSA key for encryption is 504", &|jwk| jwk.with("use", json!("enc")));
    add(false, Alg::ES256, "attack 28: a key whose use is a list is 504", &|jwk| jwk.with("use", json!(["sig"])));
    add(false, Alg::ES256, "attack 28: a key to sign with only is 504", &|jwk| jwk.with("key_ops", json!(["sign"])));
    add(false, Alg::ES256, "attack 28: a key for no operation is 504", &|jwk| jwk.with("key_ops", json!([])));
    add(false, Alg::ES256, "attack 28: key_ops that is no list is 504", &|jwk| jwk.with("key_ops", json!("verify")));
    add(false, Alg::ES256, "attack 49: an EC key with its private part is 504", &|jwk| jwk.with("d", json!("AQAB")));
    add(false, Alg::RS256, "attack 49: an RSA key with its exponent is 504", &|jwk| jwk.with("d", json!("AQAB")));
    add(false, Alg::RS256, "attack 49: an RSA key with its primes is 504", &|jwk| {
        jwk.with("p", json!("AQAB")).with("q", json!("AQAB"))
    });
    add(false, Alg::EdDSA, "attack 49: an Ed25519 key with its seed is 504", &|jwk| jwk.with("d", json!("AQAB")));
}

/// Members that are `null`: as if they were absent.
fn nulls(add: &mut Add<'_>) {
    for member in ["use", "key_ops", "alg", "exp", "session_kid", "d", "k", "oth", "x5c"] {
        add(true, Alg::ES256, &format!("a key whose {member} is null is usable"), &|jwk| jwk.with(member, json!(null)));
    }
    add(false, Alg::ES256, "a key whose x is null is 504", &|jwk| jwk.with("x", json!(null)));
}

/// Members of this filter's own.
fn metadata(add: &mut Add<'_>) {
    let es256 = Alg::ES256;
    add(true, es256, "a key without a status is usable", &|jwk| jwk.without("status"));
    for status in [json!(null), json!(true), json!("Enabled"), json!("active"), json!(""), json!(["enabled"])] {
        let name = format!("a key with status {status} is 504");
        add(false, es256, &name, &|jwk| jwk.with("status", status.clone()));
    }
    for (member, value) in [
        ("iss", json!(7)),
        ("iss", json!(null)),
        ("iss", json!(["company1"])),
        ("iss", json!("")),
        ("aud", json!("urn:verimatrix:multidrm")),
        ("aud", json!(["urn:verimatrix:multidrm", 7])),
        ("exp", json!("4102444800")),
        ("exp", json!([])),
        ("session_kid", json!(7)),
        ("kid", json!("another")),
        ("kid", json!(7)),
        ("kid", json!(null)),
    ] {
        add(false, es256, &format!("a key with {member} {value} is 504"), &|jwk| jwk.with(member, value.clone()));
    }
    for exp in [json!(1_795_800_010_000_i64), json!(253_402_300_800_i64), json!(-1), json!(-0.5), json!(1e300)] {
        add(false, es256, &format!("attack 75: a key with exp {exp} is 504"), &|jwk| jwk.with("exp", exp.clone()));
    }
    add(false, es256, "a key without an owner is 504", &|jwk| jwk.without("iss"));
    add(false, es256, "a key without a kid is 504", &|jwk| jwk.without("kid"));
    add(true, es256, "a key that names a session key is usable", &|jwk| jwk.with("session_kid", json!("s1")));
    add(true, es256, "a key with an exp to come is usable", &|jwk| jwk.with("exp", json!(253_402_300_799_i64)));
}

/// Sets as a whole, and secrets.
fn sets(keys: &Keyring, now: i64) -> Vec<Case> {
    let of = |key: &SigningKey| Token::new(key).compact(now);
    let main = |kid: &str| of(&keys.main().under_kid(kid));
    let case = |name: &str, plugin, token: String| Case::new(name, plugin, Request::post("/").token(token));
    let set = |name: &str, token| case(name, Plugin::KeySet, token);
    vec![
        set("attack 47: good keys among bad ones serve", main(keys.main().kid())).allowed(),
        set("attack 47: a good RSA key among bad ones serves", of(keys.of_alg(Alg::RS256))).allowed(),
        set("attack 47: a good Ed25519 key among bad ones serves", of(keys.of_alg(Alg::EdDSA))).allowed(),
        set("attack 48: a kid that stands in a set twice is 504", main("twice")).denied(504),
        set("a key for signatures serves beside one for encryption with its kid", main("encrypts-too")).allowed(),
        set("a key for encryption may be disabled, and the one for signatures serves", main("encrypted-before"))
            .allowed(),
        set("a kid that a set does not hold is 504", main("nobody")).denied(504),
        set("a disabled key of a set is 513", main("disabled")).denied(513),
        set("a deleted key of a set is 512", main("deleted")).denied(512),
        set("a key of a set that has no owner is 504", main("ownerless")).denied(504),
        set("a secret in a set that was fetched is 504", of(keys.of_alg(Alg::HS256))).denied(504),
        case("a key of a set gets owner and scope from the configuration", Plugin::OwnedKeySet, main("bare")).allowed(),
        case("a key of a set keeps the owner that it names", Plugin::OwnedKeySet, main("own-words")).denied(505),
        case(
            "a key of a set keeps the scope that it names",
            Plugin::OwnedKeySet,
            Token::new(&keys.main().under_kid("own-words")).claim("iss", json!("company2")).compact(now),
        )
        .denied(503),
        case("a key in the configuration serves", Plugin::Inline, main(keys.main().kid())).allowed(),
        case("an RSA key in the configuration serves", Plugin::Inline, of(keys.of_alg(Alg::RS256))).allowed(),
        case("a secret in the configuration serves", Plugin::Inline, of(keys.of_alg(Alg::HS256))).allowed(),
        case("a kid that the configuration does not hold is 504", Plugin::Inline, main("nobody")).denied(504),
        case("a key in the configuration keeps its scope", Plugin::Inline, main("for-cpix")).denied(503),
        case("a key in the configuration shadows the service", Plugin::InlineBesideService, main("deleted")).allowed(),
        case("beside keys in the configuration the service serves", Plugin::InlineBesideService, main("for-licenses"))
            .allowed(),
    ]
}
