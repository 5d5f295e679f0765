//! The keys of the table's rows and what the key service answers about them. One set of keys a process, made when first asked for.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{cpix_documents, key_documents, signatures};
use crate::support::signer::{Alg, CPIX, Document, LICENSE, SigningKey};
use crate::support::tunnel::{KeyManagement, MasterKey};

/// An answer of the key service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers besides the framing.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl KeyAnswer {
    /// 200 with a JSON document.
    pub fn document(document: &Value) -> KeyAnswer {
        KeyAnswer::status(200, document.to_string())
    }

    /// A status with a body.
    pub fn status(status: u16, body: impl AsRef<[u8]>) -> KeyAnswer {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        KeyAnswer { status, headers, body: body.as_ref().to_vec() }
    }
}

/// The keys that rows sign with.
pub struct Keyring {
    by_alg: Vec<SigningKey>,
    stranger: SigningKey,
    sessions: Vec<SigningKey>,
    masters: Vec<MasterKey>,
}

/// The keys of this process.
pub fn keyring() -> &'static Keyring {
    static KEYS: OnceLock<Keyring> = OnceLock::new();
    KEYS.get_or_init(|| Keyring {
        by_alg: Alg::ALL.iter().map(|alg| SigningKey::generate(&format!("k-{}", alg.name()), *alg)).collect(),
        stranger: SigningKey::generate("stranger", Alg::ES256),
        sessions: vec![SigningKey::generate("s-es256", Alg::ES256), SigningKey::generate("s-eddsa", Alg::EdDSA)],
        masters: KeyManagement::ALL.iter().map(|alg| MasterKey::generate(&format!("m-{}", alg.name()), *alg)).collect(),
    })
}

/// The key that session tokens of this kid are signed with.
pub fn session_key(kid: &str) -> &'static SigningKey {
    keyring().sessions.iter().find(|key| key.kid() == kid).unwrap_or_else(|| panic!("no session key {kid}"))
}

impl Keyring {
    /// The key of rows that are not about keys: ES256, known to every key service and set of the table.
    pub fn main(&self) -> &SigningKey {
        self.of_alg(Alg::ES256)
    }

    /// The key with kid `k-<alg>`.
    pub fn of_alg(&self, alg: Alg) -> &SigningKey {
        self.by_alg.iter().find(|key| key.alg() == alg).unwrap()
    }

    /// An ES256 key that no key service knows.
    pub fn stranger(&self) -> &SigningKey {
        &self.stranger
    }
}

/// What the key service knows, by kid. Every other kid is 404.
pub fn key_documents() -> Vec<(String, KeyAnswer)> {
    let keys = keyring();
    let main = |kid: &str| keys.main().under_kid(kid).jwk();
    let mut documents: Vec<(String, KeyAnswer)> = Vec::new();
    let mut add = |kid: &str, answer: KeyAnswer| documents.push((kid.to_owned(), answer));
    for alg in Alg::ALL {
        let key = keys.of_alg(alg);
        add(key.kid(), KeyAnswer::document(&key.jwk()));
    }
    for (kid, document) in [
        ("disabled", main("disabled").with("status", json!("disabled"))),
        ("deleted", main("deleted").with("status", json!("deleted"))),
        ("expired", main("expired").with("exp", json!(1_000_000_000))),
        ("expires-late", main("expires-late").with("exp", json!(253_402_300_799_i64))),
        ("expired-and-deleted", main("expired-and-deleted").with("exp", json!(1)).with("status", json!("deleted"))),
        ("owned", main("owned").with("iss", json!("company2"))),
        ("for-cpix", main("for-cpix").with("aud", json!([CPIX]))),
        ("for-licenses", main("for-licenses").with("aud", json!([LICENSE]))),
        ("for-b", main("for-b").with("aud", json!(["urn:example:b"]))),
        ("for-c", main("for-c").with("aud", json!(["urn:example:c"]))),
        ("for-nothing", main("for-nothing").with("aud", json!([]))),
        ("unscoped", main("unscoped").without("aud")),
        ("sp ace/ü?#%&=+", main("sp ace/ü?#%&=+")),
        ("for-eddsa", main("for-eddsa").with("session_kid", json!("s-eddsa"))),
        ("for-no-session", main("for-no-session").with("session_kid", json!("s-nobody"))),
        ("for-dots", main("for-dots").with("session_kid", json!(".."))),
        ("for-disabled", main("for-disabled").with("session_kid", json!("s-disabled"))),
        ("for-deleted", main("for-deleted").with("session_kid", json!("s-deleted"))),
        ("for-gone", main("for-gone").with("session_kid", json!("s-gone"))),
        ("for-public", main("for-public").with("session_kid", json!("s-public"))),
        ("for-rsa", main("for-rsa").with("session_kid", json!("s-rsa"))),
        ("for-expired", main("for-expired").with("session_kid", json!("s-expired"))),
        ("for-misnamed", main("for-misnamed").with("session_kid", json!("s-misnamed"))),
        ("for-encrypts", main("for-encrypts").with("session_kid", json!("s-encrypts"))),
        ("for-mismatch", main("for-mismatch").with("session_kid", json!("s-mismatch"))),
        ("for-fails", main("for-fails").with("session_kid", json!("s-fails"))),
        ("for-traversal", main("for-traversal").with("session_kid", json!("../keys/k-ES256"))),
        ("with-unknown-members", main("with-unknown-members").with("x5t", json!(7)).with("friend", json!({"a": [1]}))),
    ] {
        add(kid, KeyAnswer::document(&document));
    }
    let longest = "x".repeat(256);
    add(&longest, KeyAnswer::document(&main(&longest)));
    add("gone", KeyAnswer::status(410, "{}"));
    add("fails-500", KeyAnswer::status(500, "{}"));
    add("fails-503", KeyAnswer::status(503, "no healthy upstream"));
    add("redirected", KeyAnswer::status(302, ""));
    add("html", KeyAnswer::status(200, "<html>key</html>"));
    add("empty", KeyAnswer::status(200, ""));
    add("cut", KeyAnswer::status(200, &keys.main().under_kid("cut").jwk().to_string()[..60]));
    let others = signatures::forged_keys().into_iter().chain(cpix_documents::keys());
    for (kid, document) in key_documents::variants().into_iter().chain(others) {
        add(&kid, KeyAnswer::document(&document));
    }
    documents
}

/// What the key service knows of session keys, by kid.
fn session_documents() -> Vec<(String, KeyAnswer)> {
    let [es256, eddsa] = ["s-es256", "s-eddsa"].map(|kid| session_key(kid).private_jwk());
    let es256_as = |kid: &str| es256.clone().with("kid", json!(kid));
    let other = SigningKey::generate("other", Alg::ES256).private_jwk();
    let documents = [
        ("s-es256", es256.clone()),
        ("s-eddsa", eddsa),
        ("s-disabled", es256_as("s-disabled").with("status", json!("disabled"))),
        ("s-deleted", es256_as("s-deleted").with("status", json!("deleted"))),
        ("s-public", es256_as("s-public").without("d")),
        ("s-rsa", keyring().of_alg(Alg::RS256).under_kid("s-rsa").jwk()),
        ("s-expired", es256_as("s-expired").with("exp", json!(1))),
        ("s-misnamed", es256.clone()),
        ("s-encrypts", es256_as("s-encrypts").with("use", json!("enc"))),
        ("s-mismatch", es256_as("s-mismatch").with("d", other["d"].clone())),
    ];
    let mut answers: Vec<(String, KeyAnswer)> =
        documents.into_iter().map(|(kid, document)| (kid.to_owned(), KeyAnswer::document(&document))).collect();
    answers.push(("s-gone".to_owned(), KeyAnswer::status(410, "{}")));
    answers.push(("s-fails".to_owned(), KeyAnswer::status(503, "{}")));
    answers
}

/// The master key of this `alg`, with kid `m-<alg>`.
pub fn master_key(alg: KeyManagement) -> &'static MasterKey {
    keyring().masters.iter().find(|key| key.alg() == alg).unwrap()
}

/// What the key service knows of master keys, by kid.
fn master_documents() -> Vec<(String, KeyAnswer)> {
    let wrapping = master_key(KeyManagement::A256KW);
    let wrapping_as = |kid: &str| wrapping.under_kid(kid).jwk();
    let documents = [
        ("m-A256KW", wrapping.jwk()),
        ("m-dir", master_key(KeyManagement::Dir).jwk()),
        ("m-disabled", wrapping_as("m-disabled").with("status", json!("disabled"))),
        ("m-deleted", wrapping_as("m-deleted").with("status", json!("deleted"))),
        ("m-short", wrapping_as("m-short").with("k", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("m-signs", wrapping_as("m-signs").with("use", json!("sig"))),
        ("m-misnamed", wrapping.jwk()),
        ("m-public", keyring().main().under_kid("m-public").jwk()),
        ("m-without-alg", wrapping_as("m-without-alg").without("alg")),
    ];
    let mut answers: Vec<(String, KeyAnswer)> =
        documents.into_iter().map(|(kid, document)| (kid.to_owned(), KeyAnswer::document(&document))).collect();
    answers.push(("m-gone".to_owned(), KeyAnswer::status(410, "{}")));
    answers.push(("m-fails".to_owned(), KeyAnswer::status(503, "{}")));
    answers
}

/// The set at `/jwks.json`: the keys of each algorithm, and among them bad ones that must not harm the others.
pub fn key_set() -> KeyAnswer {
    let keys = keyring();
    let twice = keys.main().under_kid("twice").jwk();
    let mut set: Vec<Value> = vec![json!({}), json!("not a key"), json!(null), twice.clone()];
    set.extend(Alg::ALL.iter().map(|alg| keys.of_alg(*alg).jwk()));
    set.extend([
        twice.with("kty", json!("EC")),
        keys.main().under_kid("disabled").jwk().with("status", json!("disabled")),
        keys.main().under_kid("deleted").jwk().with("status", json!("deleted")),
        keys.main().under_kid("ownerless").jwk().without("iss"),
        keys.of_alg(Alg::RS256).under_kid("encrypts-too").jwk().with("use", json!("enc")).without("alg"),
        keys.main().under_kid("encrypts-too").jwk(),
        keys.main().under_kid("encrypted-before").jwk(),
        keys.of_alg(Alg::RS256)
            .under_kid("encrypted-before")
            .jwk()
            .with("key_ops", json!(["decrypt"]))
            .with("status", json!("disabled")),
        keys.main().jwk().without("kid"),
    ]);
    set.extend(key_documents::variants().into_iter().map(|(_, document)| document));
    KeyAnswer::document(&json!({"keys": set}))
}

/// The set at `/owned.json`: keys that name neither owner nor scope, and one that names both.
pub fn owned_key_set() -> KeyAnswer {
    let main = |kid: &str| keyring().main().under_kid(kid).jwk();
    KeyAnswer::document(&json!({"keys": [
        main("bare").without("iss").without("aud"),
        main("own-words").with("iss", json!("company2")).with("aud", json!([CPIX])),
    ]}))
}

/// The keys in the configuration of `Plugin::Inline`.
pub(super) fn inline_set() -> Value {
    let keys = keyring();
    let bare = |alg| keys.of_alg(alg).jwk().without("iss").without("aud");
    json!({"keys": [bare(Alg::ES256), bare(Alg::RS256), bare(Alg::HS256), keys.main().under_kid("for-cpix").jwk().with("aud", json!([CPIX]))]})
}

/// The key in the configuration of `Plugin::InlineBesideService`: the service says that it is deleted.
pub(super) fn shadowing_set() -> Value {
    json!({"keys": [keyring().main().under_kid("deleted").jwk()]})
}

/// What the key service answers at a path, as the filter writes it: every byte of the kid outside `A-Z a-z 0-9 - . _ ~` escaped.
pub fn answer(path: &str) -> KeyAnswer {
    static ANSWERS: OnceLock<BTreeMap<String, KeyAnswer>> = OnceLock::new();
    let answers = ANSWERS.get_or_init(answers);
    answers.get(path).cloned().unwrap_or_else(|| KeyAnswer::status(404, r#"{"error":"no such key"}"#))
}

/// Every answer that is not 404, by path.
pub fn answers() -> BTreeMap<String, KeyAnswer> {
    let one_by_one = key_documents().into_iter().map(|(kid, answer)| (format!("/keys/{}", escaped(&kid)), answer));
    let sessions =
        session_documents().into_iter().map(|(kid, answer)| (format!("/session-keys/{}", escaped(&kid)), answer));
    let masters =
        master_documents().into_iter().map(|(kid, answer)| (format!("/master-keys/{}", escaped(&kid)), answer));
    let one_by_one = one_by_one.chain(sessions).chain(masters);
    let sets = [("/jwks.json".to_owned(), key_set()), ("/owned.json".to_owned(), owned_key_set())];
    one_by_one.chain(sets).collect()
}

/// Percent-encoding of everything but the unreserved characters of RFC 3986.
pub fn escaped(kid: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    kid.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
