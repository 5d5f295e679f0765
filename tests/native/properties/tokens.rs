//! No bytes are a token but the one that was signed.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::json::{object, value};
use super::{NOW, cases, decide, is_allowed};
use crate::proxy::{Outcome, Proxy};
use crate::support::signer::{Alg, SigningKey, base64url, from_base64url};
use crate::support::table::keyring::{self, keyring};
use crate::support::table::{Plugin, Request};
use crate::support::token::Token;

/// One byte of something changed, inserted or removed.
#[derive(Debug, Clone)]
enum Change {
    Set(u8),
    Flip(u8),
    Insert(u8),
    Remove,
}

impl Change {
    fn of(&self, bytes: &[u8], at: &prop::sample::Index) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Change::Set(byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Flip(bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Change::Insert(byte) => bytes.insert(at.index(bytes.len() + 1), *byte),
            Change::Remove => drop(bytes.remove(at.index(bytes.len()))),
        }
        bytes
    }
}

fn change() -> impl Strategy<Value = Change> {
    // What means something in base64url, in the compact form and in JSON comes more often than other bytes.
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"ABCDEFGHabcdefgh0123456789-_+/=. \t\r\n%&?#{}\":,\\".to_vec()),
    ];
    prop_oneof![
        byte.clone().prop_map(Change::Set),
        (0..8_u8).prop_map(Change::Flip),
        byte.prop_map(Change::Insert),
        Just(Change::Remove),
    ]
}

/// The algorithms of the tests below: one of each kind.
const ALGS: [Alg; 4] = [Alg::ES256, Alg::EdDSA, Alg::HS256, Alg::RS256];

fn license(authorization: &[u8], key: &SigningKey) -> bool {
    is_allowed(&decide(&Plugin::NoRoutes.configuration(), authorization, key.jwk().to_string().as_bytes()))
}

/// The codes of a proxy with the table's key service.
fn outcome(plugin: Plugin, request: &Request) -> Outcome {
    Proxy::new(&plugin.configuration(), NOW).run(request.as_a_filter_sees_it(), false)
}

fn is_authorised(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Forwarded { allowed: true, .. })
}

#[test]
fn the_tokens_that_are_damaged_below_are_right_before() {
    for alg in ALGS {
        let key = keyring().of_alg(alg);
        assert!(license(Token::new(key).compact(NOW).as_bytes(), key), "{alg:?}");
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn a_token_with_one_byte_of_its_text_changed_is_not_allowed(
        alg in prop::sample::select(ALGS.to_vec()), at in any::<prop::sample::Index>(), change in change(),
    ) {
        let key = keyring().of_alg(alg);
        let token = Token::new(key).compact(NOW).into_bytes();
        let damaged = change.of(&token, &at);
        // White space around a header value is no part of it.
        if damaged.trim_ascii() != token {
            prop_assert!(!license(&damaged, key), "{}", damaged.escape_ascii());
        }
    }

    #[test]
    fn a_token_with_one_byte_of_a_part_changed_is_not_allowed(
        alg in prop::sample::select(ALGS.to_vec()),
        part in 0..3_usize,
        at in any::<prop::sample::Index>(),
        change in change(),
    ) {
        let key = keyring().of_alg(alg);
        let token = Token::new(key).compact(NOW);
        let mut parts: Vec<Vec<u8>> = token.split('.').map(from_base64url).collect();
        let damaged = change.of(&parts[part], &at);
        if damaged != parts[part] {
            parts[part] = damaged;
            let text = parts.iter().map(|part| base64url(part)).collect::<Vec<_>>().join(".");
            prop_assert!(!license(text.as_bytes(), key), "{text}");
        }
    }

    #[test]
    fn a_damaged_token_in_the_query_is_not_allowed(at in any::<prop::sample::Index>(), change in change()) {
        let token = Token::new(keyring().main()).compact(NOW).into_bytes();
        let damaged = change.of(&token, &at);
        if damaged != token {
            let value: String = damaged.iter().map(|byte| format!("%{byte:02x}")).collect();
            let request = Request::post(format!("/?Authorization={value}"));
            prop_assert!(!is_authorised(&outcome(Plugin::NoRoutes, &request)), "{}", damaged.escape_ascii());
        }
    }

    #[test]
    fn random_bytes_in_place_of_a_token_are_not_allowed(
        header in prop::option::of(prop::collection::vec(any::<u8>(), 0..80)),
        query in prop::collection::vec(any::<u8>(), 0..80),
        more in prop::collection::vec((header_name(), prop::collection::vec(any::<u8>(), 0..40)), 0..4),
    ) {
        for plugin in [Plugin::NoRoutes, Plugin::Reference] {
            let mut target = b"/widevine?Authorization=".to_vec();
            target.extend(&query);
            let mut request = Request::post(target);
            request.headers.extend(header.iter().map(|value| ("authorization".to_owned(), value.clone())));
            request.headers.extend(more.iter().cloned());
            prop_assert!(!is_authorised(&outcome(plugin, &request)));
        }
    }

    #[test]
    fn random_paths_and_hosts_are_not_allowed_without_a_token(
        path in prop::collection::vec(any::<u8>(), 0..60), host in any::<String>(), method in "[A-Z]{0,8}",
    ) {
        for path in [path.clone(), [b"/", &path[..]].concat()] {
            let mut request = Request::post(path);
            request.host.clone_from(&host);
            request.method.clone_from(&method);
            prop_assert!(!is_authorised(&outcome(Plugin::Reference, &request)));
        }
    }

    #[test]
    fn random_json_in_all_parts_is_not_allowed(header in object(), payload in value(), signature in value()) {
        let header = with_key(header, keyring().main());
        let parts = [header, payload, signature].map(|part| base64url(part.to_string().as_bytes()));
        prop_assert!(!license(parts.join(".").as_bytes(), keyring().main()));
    }

    #[test]
    fn random_claims_are_not_allowed_even_if_they_are_signed(header in object(), payload in value()) {
        let key = keyring().main();
        let token = key.sign(with_key(header, key).to_string().as_bytes(), payload.to_string().as_bytes());
        prop_assert!(!license(token.as_bytes(), key), "{payload}");
    }
}

#[test]
fn a_token_of_another_key_is_not_allowed() {
    let main = keyring().main();
    let strangers = Alg::ALL.iter().filter(|alg| **alg != Alg::ES256).map(|alg| keyring().of_alg(*alg));
    for key in strangers.chain([keyring().stranger()]) {
        let token = Token::new(main).signed_by(key);
        assert!(!license(token.compact(NOW).as_bytes(), main), "{:?}", key.alg());
        let token = token.header("alg", json!(key.alg().name()));
        assert!(!license(token.compact(NOW).as_bytes(), main), "{:?}", key.alg());
    }
}

/// The header with the members that lead to the key.
fn with_key(mut header: Value, key: &SigningKey) -> Value {
    header["kid"] = json!(key.kid());
    header["alg"] = json!(key.alg().name());
    header
}

/// Names of headers that the filter reads, and any other.
fn header_name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "authorization",
        "content-type",
        "origin",
        "access-control-request-method",
        "x-http-method-override",
        "x-request-id",
        "x-mdrm-session",
        "host",
        ":path",
        ":method",
        ":authority",
    ]);
    prop_oneof![known.prop_map(str::to_owned), any::<String>()]
}

#[test]
fn every_kid_that_the_key_service_knows_is_reached_by_its_token_alone() {
    // The property tests above ask for `k-…` alone; here each registered name meets a token that another key signed.
    let mut checked = 0;
    for (kid, _) in keyring::key_documents() {
        let token = Token::new(&keyring().main().under_kid(&kid)).signed_by(keyring().stranger());
        let outcome = outcome(Plugin::SlowAlgorithms, &Request::post("/").token(token.compact(NOW)));
        assert!(!is_authorised(&outcome), "{kid}");
        checked += 1;
    }
    assert!(checked > 50);
}
