//! A CPIX document. Input: the body.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mdrm_authz::cpix::Document;
use mdrm_authz::cpix::c14n::Form;
use mdrm_authz::denial::Code;
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::verify::VerifyingKey;
use serde_json::Value;

use super::{log, unsigned};

/// The content of every signed document of the fixtures.
const CONTENT: &str = "content-1";

static OPENJDK: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../native/cpix/fixtures/openjdk.json")).expect("fixtures"));

static KEYS: LazyLock<[VerifyingKey; 4]> = LazyLock::new(|| {
    let keys: Value = serde_json::from_str(include_str!("../../native/cpix/fixtures/keys.json")).expect("fixtures");
    let number =
        |key: &Value, member: &str| URL_SAFE_NO_PAD.decode(key[member].as_str().expect("a key")).expect("a key");
    let p256 =
        |key: &Value| VerifyingKey::ecdsa(Alg::Es256, &number(key, "x"), &number(key, "y"), None).expect("a key");
    let rsa = |key: &Value| VerifyingKey::rsa(Alg::Rs256, &number(key, "n"), &number(key, "e"), None).expect("a key");
    let openjdk = &OPENJDK["keys"];
    [p256(&keys["p256"]), rsa(&keys["rsa"]), p256(&openjdk["openjdk-p256"]), rsa(&openjdk["openjdk-rsa"])]
});

/// What the keys have signed: canonical forms less the signature.
static SIGNED: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let signed: Value = serde_json::from_str(include_str!("../../native/cpix/fixtures/signed.json")).expect("fixtures");
    let documents = [&signed, &OPENJDK["signed"]].into_iter().flat_map(|signed| signed.as_array().expect("fixtures"));
    let documents = documents.map(|entry| entry["document"].as_str().expect("a document").as_bytes());
    documents.filter_map(without_signature).collect()
});

fn forms() -> [Form; 4] {
    let exclusive = |prefix_list: &str| Form::Exclusive { prefix_list: prefix_list.into() };
    [Form::Inclusive10, Form::Inclusive11, exclusive(""), exclusive("a #default")]
}

/// A canonical form is canonical and means the same, and what verifies is what was signed. Gives whether it verifies.
pub fn check(input: &[u8]) -> bool {
    let document = match Document::parse(input) {
        Err(denial) => {
            assert_eq!(denial.code(), Code::Mdrm910);
            log::check_refusal(&denial);
            return false;
        }
        Ok(document) => document,
    };
    let content_ids: Vec<&str> = document.content_ids().collect();
    check_names(&document, &content_ids);
    for form in forms() {
        let Ok(once) = document.canonical_form(&form) else { continue };
        assert!(once.len() <= 8 * input.len() + (1 << 16), "{form:?} grows to {} bytes", once.len());
        let again = Document::parse(&once).expect("a canonical form is a document");
        assert!(again.content_ids().eq(content_ids.iter().copied()));
        assert_eq!(again.canonical_form(&form).as_deref(), Ok(&*once), "{form:?}");
    }
    let mut verifies = false;
    for key in &*KEYS {
        let verified = Document::parse(input).expect("it was read before").verify(key);
        match verified {
            Err(denial) => {
                log::check_refusal(&denial);
                let codes = [Code::Mdrm914, Code::Mdrm915, Code::Mdrm916, Code::Mdrm917, Code::Mdrm918];
                assert!(codes.contains(&denial.code()), "{denial:?}");
            }
            Ok(verified) => {
                assert_eq!(verified.check_subject(CONTENT), Ok(()));
                unsigned::check(std::str::from_utf8(input).expect("it was read as UTF-8"));
                let form = without_signature(input).expect("a signed document has a canonical form");
                assert!(SIGNED.contains(&form), "nobody has signed {form}");
                verifies = true;
            }
        }
    }
    verifies
}

/// A document is about a subject if each of its names is it.
fn check_names(document: &Document<'_>, content_ids: &[&str]) {
    for subject in content_ids.iter().copied().chain([CONTENT]).take(10) {
        match document.check_subject(subject).map_err(|denial| denial.code()) {
            Ok(()) => assert!(!subject.is_empty() && content_ids.iter().all(|name| *name == subject)),
            Err(Code::Mdrm903) => assert!(content_ids.iter().all(|name| name.is_empty())),
            Err(Code::Mdrm904) => assert!(!content_ids.is_empty()),
            Err(code) => assert!(code == Code::Mdrm905 && content_ids.iter().any(|name| *name != subject)),
        }
    }
}

/// The exclusive canonical form less the signature over the whole, which is a child of the root element.
fn without_signature(document: &[u8]) -> Option<String> {
    let form = Document::parse(document).ok()?.canonical_form(&Form::Exclusive { prefix_list: "".into() }).ok()?;
    let form = String::from_utf8(form).ok()?;
    // An empty URI stands in the signature over the whole alone, whose first child is SignedInfo.
    let is_whole = |at: &usize| {
        let tag = form.get(..*at).and_then(|before| before.rsplit('<').next());
        tag.and_then(|tag| tag.split(' ').next()).is_some_and(|name| matches!(name, "Reference" | "ds:Reference"))
    };
    let reference = form.match_indices(r#" URI="""#).map(|(at, _)| at).find(is_whole)?;
    let signed_info = form.get(..reference)?.rfind("SignedInfo").and_then(|at| form.get(..at)?.rfind('<'))?;
    let start = form.get(..signed_info)?.rfind('<')?;
    let end = reference + form.get(reference..)?.find("Signature>")? + "Signature>".len();
    Some(format!("{}{}", form.get(..start)?, form.get(end..)?))
}
