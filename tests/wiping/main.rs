//! No secret of a key document stays behind in memory that was given back. Apart from the other tests: its allocator looks
//! through every block that the program frees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in tests, a wrong assumption shall end the test"
)]

mod freed;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use freed::{SECRET, SPELLED, blocks_with_the_secret};
use mdrm_authz::jose::jwk::{KeyDocument, KeySet, Provenance, Ring};
use mdrm_authz::jose::token::Kid;
use mdrm_authz::jose::unusable::Unusable;

/// How a text can stand in JSON.
type Spelling = (&'static str, fn(&str) -> String);

const SPELLINGS: [Spelling; 4] = [
    ("plain", str::to_owned),
    ("escaped", |text| text.bytes().map(|byte| format!("\\u{byte:04x}")).collect()),
    ("the last character escaped", |text| {
        format!("{}\\u{:04X}", &text[..text.len() - 1], text.as_bytes()[text.len() - 1])
    }),
    ("the first character escaped", |text| format!("\\u{:04X}{}", text.as_bytes()[0], &text[1..])),
];

/// What may stand in place of the secret; whether the key can be used.
const CONTENTS: [(&str, bool); 4] = [("", true), ("AAAA", false), ("!", false), ("\u{e9}", false)];

fn public(alg: &str) -> String {
    match alg {
        "ES256" => {
            let point = p256::ecdsa::SigningKey::from_slice(&SECRET).unwrap().verifying_key().to_sec1_point(false);
            let [x, y] = [point.x().unwrap(), point.y().unwrap()].map(|number| URL_SAFE_NO_PAD.encode(number));
            format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}","d":"#)
        }
        "EdDSA" => {
            let x = ed25519_dalek::SigningKey::from_bytes(&SECRET).verifying_key().to_bytes();
            format!(r#""kty":"OKP","crv":"Ed25519","x":"{}","d":"#, URL_SAFE_NO_PAD.encode(x))
        }
        _ => r#""kty":"oct","k":"#.to_owned(),
    }
}

fn provenance(ring: Ring) -> Provenance<'static> {
    Provenance {
        ring,
        default_owner: Some("company1"),
        default_audiences: &[],
        symmetric: true,
        slow_algorithms: false,
        native: None,
    }
}

/// One test, for nothing else may be freed meanwhile.
#[test]
fn no_secret_of_a_key_document_stays_in_memory_that_was_given_back() {
    assert_eq!(URL_SAFE_NO_PAD.encode(SECRET), SPELLED);
    // That the allocator finds what it looks for, in a part of a block too.
    assert_eq!(blocks_with_the_secret(|| drop([b"..", &SECRET[..12]].concat())), 1);
    assert_eq!(blocks_with_the_secret(|| drop(format!("..{}", &SPELLED[31..]))), 1);
    assert_eq!(blocks_with_the_secret(|| drop(String::from("another text that is as long as this"))), 0);

    let kid = Kid::new("k1").unwrap();
    for (ring, alg) in [
        (Ring::Master, "A256KW"),
        (Ring::Master, "dir"),
        (Ring::Session, "ES256"),
        (Ring::Session, "EdDSA"),
        (Ring::Access, "HS256"),
    ] {
        for (spelling, spell) in SPELLINGS {
            for (more, usable) in CONTENTS {
                let secret = format!("{}{more}", spell(SPELLED));
                let document = format!(r#"{{"kid":"k1","alg":"{alg}",{}"{secret}"}}"#, public(alg));
                let mut read: Option<Result<KeyDocument, Unusable>> = None;
                let found = blocks_with_the_secret(|| {
                    read = Some(KeyDocument::parse_one(document.as_bytes(), &kid, provenance(ring)));
                });
                // A longer secret is one for HMAC.
                let usable = usable || (more == "AAAA" && alg == "HS256");
                assert_eq!(read.as_ref().unwrap().is_ok(), usable, "{alg}, {spelling}, {more:?}: {read:?}");
                assert_eq!(found, 0, "{alg}, {spelling}, {more:?}: while it was read");
                assert_eq!(blocks_with_the_secret(|| drop(read)), 0, "{alg}, {spelling}, {more:?}: when it went");
                if ring == Ring::Access {
                    let set = format!(r#"{{"keys":[{document}]}}"#);
                    let read = || drop(KeySet::parse(set.as_bytes(), provenance(ring)));
                    assert_eq!(blocks_with_the_secret(read), 0, "{alg}, {spelling}, {more:?}: in a set");
                }
            }
        }
    }
}
