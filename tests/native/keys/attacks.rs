//! Bad answers of the key service, by number. Items 46 to 48 stand with the sets, 27 with the bounds, 51 with those who
//! wait.

use serde_json::{Value, json};

use super::stage::{DELETED, DISABLED, Reply, Seen, Stage, UNKNOWN, UNUSABLE, document, key, key_of, unavailable};
use crate::support::signer::{Alg, Document, base64url};
use crate::support::table::keyring::keyring;

/// The answer is a failure in both modes: 500 with nothing held, and what is held serves on.
fn is_a_failure(what: &str, reply: &Reply) {
    let set = Reply::set(&[document("k", "o")]);
    for (mode, good) in
        [(Stage::one_key as fn(&Value) -> Stage, key("k", "o")), (Stage::set as fn(&Value) -> Stage, set)]
    {
        let mut stage = mode(&json!({}));
        assert_eq!(stage.fetch("k", reply), unavailable(1), "{what}");
        stage.pass(1);
        assert_eq!(stage.fetch("k", reply), unavailable(2), "{what}: the back-off runs");

        let mut stage = mode(&json!({}));
        assert_eq!(stage.fetch("k", &good.cache("max-age=5")), key_of("o"));
        stage.pass(5);
        assert_eq!(stage.fetch("k", reply), key_of("o"), "{what}");
        stage.pass_millis(999);
        assert_eq!(stage.ask("k", 1), key_of("o"), "{what}");
        assert!(stage.sent().is_empty(), "{what}: the back-off runs");
    }
}

#[test]
fn attack_44_an_answer_that_does_not_arrive_whole_is_a_failure() {
    is_a_failure("over the size limit", &Reply::too_large());
    is_a_failure("never answers, too slow, or reset in the body", &Reply::silence());
    is_a_failure("gzip", &Reply::body([0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0x03, 0xab, 0x56, 0xca, 0x4e]));
}

#[test]
fn attack_45_an_answer_that_is_no_document_is_a_failure() {
    let text = document("k", "o").to_string();
    is_a_failure("HTML", &Reply::body("<!doctype html><title>keys</title>"));
    is_a_failure("an empty 200", &Reply::status(200));
    is_a_failure("cut JSON", &Reply::body(&text[..text.len() - 1]));
    is_a_failure("two documents", &Reply::body(format!("{text}{text}")));
    is_a_failure("a byte order mark", &Reply::body(format!("\u{feff}{text}")));
    is_a_failure("not UTF-8", &Reply::body(b"{\"kid\":\"\xff\"}"));
    for value in ["null", "true", "7", "\"k\"", "[]"] {
        is_a_failure(value, &Reply::body(value));
    }
    for status in [0, 100, 201, 202, 203, 204, 206, 301, 302, 304, 307, 400, 401, 403, 429, 500, 502, 503, 504, 999] {
        is_a_failure(&format!("status {status}"), &Reply::status(status));
    }
}

#[test]
fn attack_45_a_right_document_with_a_wrong_status_is_no_document() {
    for status in [201, 203, 206, 404, 410, 500] {
        let reply = key("k", "o").with_status(status);
        let mut stage = Stage::one_key(&json!({}));
        let seen = stage.fetch("k", &reply);
        assert!(!matches!(seen, Seen::Key(_)), "{status}: {seen:?}");
    }
}

#[test]
fn a_document_that_is_refused_is_an_answer_and_not_a_failure() {
    let text = document("k", "o").to_string();
    let repeated = text.replacen('{', "{\"kid\":\"k\",", 1);
    let deep = text.replacen('{', &format!("{{\"deep\":{}{},", "[".repeat(200), "]".repeat(200)), 1);
    let lone = text.replacen('{', "{\"lone\":\"\\ud800\",", 1);
    for body in [repeated, deep, lone, "{}".to_owned()] {
        let mut stage = Stage::one_key(&json!({}));
        assert_eq!(stage.fetch("k", &Reply::body(&body)), UNUSABLE, "{body}");
        stage.pass_millis(23_999);
        assert_eq!(stage.ask("k", 1), UNUSABLE, "remembered like an unknown kid");
        assert!(stage.sent().is_empty());
    }
}

/// The document is refused alone, and in a set it is dropped and harms no other.
fn is_unusable(what: &str, bad: &Value) {
    let mut stage = Stage::one_key(&json!({"max_age": "1s"}));
    assert_eq!(stage.fetch("bad", &Reply::json(bad)), UNUSABLE, "{what}");
    stage.pass_millis(29_999);
    assert_eq!(stage.ask("bad", 1), UNUSABLE, "{what}: it is remembered");
    let mut stage = Stage::set(&json!({}));
    assert_eq!(stage.fetch("a", &Reply::set(&[bad.clone(), document("a", "o")])), key_of("o"), "{what}");
    assert_eq!(stage.ask("bad", 1), UNKNOWN, "{what}");
}

fn bad(alg: Alg) -> Value {
    keyring().of_alg(alg).under_kid("bad").jwk()
}

#[test]
fn attack_49_private_members_make_a_key_unusable() {
    for alg in [Alg::RS256, Alg::ES256, Alg::EdDSA] {
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            for value in [json!("AQAB"), json!(""), json!(1)] {
                is_unusable(&format!("{alg:?} with {name}"), &bad(alg).with(name, value));
            }
        }
    }
    for name in ["d", "p", "oth"] {
        is_unusable(&format!("a secret with {name}"), &bad(Alg::HS256).with(name, json!("AQAB")));
    }
}

#[test]
fn attack_50_weak_and_broken_keys_are_unusable() {
    let modulus = |bytes: usize| {
        let mut modulus = vec![0xc5; bytes];
        modulus[0] = 0xd1;
        json!(base64url(&modulus))
    };
    for bytes in [1, 128, 255, 513, 1024] {
        is_unusable(&format!("RSA with {bytes} bytes"), &bad(Alg::RS256).with("n", modulus(bytes)));
    }
    let mut even = vec![0xd1; 256];
    even[255] = 0xc4;
    is_unusable("an even modulus", &bad(Alg::RS256).with("n", json!(base64url(&even))));
    for exponent in [&[][..], &[0], &[1], &[2], &[5], &[1, 0, 0], &[0xff; 256]] {
        is_unusable(&format!("e {exponent:?}"), &bad(Alg::RS256).with("e", json!(base64url(exponent))));
    }
    for bytes in [&[1; 32][..], &[0; 32], &[0xff; 32], &[1; 31], &[1; 33], &[]] {
        is_unusable(&format!("x {bytes:?}"), &bad(Alg::ES256).with("x", json!(base64url(bytes))));
    }
    for (alg, wrong) in [
        (Alg::ES256, "ES384"),
        (Alg::ES256, "ES256K"),
        (Alg::ES256, "RS256"),
        (Alg::ES256, "HS256"),
        (Alg::ES256, "none"),
        (Alg::RS256, "ES256"),
        (Alg::RS256, "HS256"),
        (Alg::RS256, "RSA-OAEP"),
        (Alg::EdDSA, "ES256"),
    ] {
        is_unusable(&format!("{alg:?} as {wrong}"), &bad(alg).with("alg", json!(wrong)));
    }
    for crv in ["P-384", "P-521", "secp256k1", "Ed25519", ""] {
        is_unusable(&format!("P-256 as {crv}"), &bad(Alg::ES256).with("crv", json!(crv)));
    }
    for alg in [Alg::HS256, Alg::HS384, Alg::HS512] {
        is_unusable(&format!("a short secret for {alg:?}"), &bad(alg).with("k", json!(base64url(&[7; 31]))));
    }
    is_unusable("a secret without alg", &bad(Alg::HS256).without("alg"));
}

#[test]
fn attack_50_slow_algorithms_are_unusable_unless_allowed() {
    is_unusable("ES384", &bad(Alg::ES384));
    is_unusable("ES512", &bad(Alg::ES512));
}

#[test]
fn attack_52_a_key_that_went_is_refused_within_its_freshness() {
    for (gone, seen) in [
        (Reply::status(404), UNKNOWN),
        (Reply::status(410), DELETED),
        (Reply::json(&document("k", "o").with("status", json!("disabled"))), DISABLED),
        (Reply::json(&json!({"status": "deleted"})), DELETED),
    ] {
        let mut stage = Stage::one_key(&json!({"max_age": "60s"}));
        assert_eq!(stage.fetch("k", &key("k", "o")), key_of("o"));
        stage.pass(60);
        assert_eq!(stage.fetch("k", &gone), seen);
    }
    let mut stage = Stage::set(&json!({"max_age": "60s"}));
    assert_eq!(stage.fetch("k", &Reply::set(&[document("k", "o")])), key_of("o"));
    stage.pass(60);
    assert_eq!(stage.fetch("k", &Reply::set(&[])), UNKNOWN);
}

#[test]
fn attack_52_in_an_outage_a_key_serves_for_freshness_and_stale_if_error_at_most() {
    let members = json!({"max_age": "60s", "stale_if_error": "120s"});
    let set = Reply::set(&[document("k", "o")]);
    for (mut stage, reply) in [(Stage::one_key(&members), key("k", "o")), (Stage::set(&members), set)] {
        assert_eq!(stage.fetch("k", &reply), key_of("o"));
        stage.pass(60);
        assert_eq!(stage.fetch("k", &Reply::silence()), key_of("o"));
        stage.pass_millis(119_999);
        assert_eq!(stage.ask("k", 1), key_of("o"));
        let id = stage.only_request();
        stage.answer(id, &Reply::silence());
        stage.pass_millis(1);
        assert!(matches!(stage.ask("k", 1), Seen::Refused(_)));
    }
}

#[test]
fn attack_26_a_hostile_kid_never_leaves_its_place_in_the_path() {
    for (kid, path) in [
        ("../../dev/null", "/keys/..%2F..%2Fdev%2Fnull"),
        ("../master-keys/m1", "/keys/..%2Fmaster-keys%2Fm1"),
        ("k?admin=1#x", "/keys/k%3Fadmin%3D1%23x"),
        ("a\r\nhost: evil", "/keys/a%0D%0Ahost%3A%20evil"),
        ("\0", "/keys/%00"),
        ("|sleep 10", "/keys/%7Csleep%2010"),
        ("' OR 1=1 --", "/keys/%27%20OR%201%3D1%20--"),
        ("%2e%2e", "/keys/%252e%252e"),
        ("{kid}", "/keys/%7Bkid%7D"),
        ("ключ", "/keys/%D0%BA%D0%BB%D1%8E%D1%87"),
    ] {
        let mut stage = Stage::one_key(&json!({}));
        assert_eq!(stage.ask(kid, 1), Seen::Wait);
        assert_eq!(stage.sent()[0].path, path);
    }
}

#[test]
fn attack_52_a_service_that_decodes_the_kid_gives_no_key() {
    // Asked for `../master-keys/m1`, such a service answers with the document of `m1`.
    let mut stage = Stage::one_key(&json!({}));
    assert_eq!(stage.fetch("../master-keys/m1", &key("m1", "o")), UNUSABLE);
}
