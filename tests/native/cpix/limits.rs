//! Time and memory are linear in the body, whatever it holds, but for sorting. `make instructions` counts instructions.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mdrm_authz::cpix::Document;
use mdrm_authz::cpix::c14n::{Form, NoForm};

use super::{key, not_cpix, verify};
use crate::support::hostile::{DOCUMENTS, repeated, root};

/// The most that a configuration allows for a body.
const MAX_BODY: usize = 8 << 20;

fn forms() -> [Form; 3] {
    let prefix_list = repeated(100_000, |i| format!("p{i} ")).into();
    [Form::Inclusive10, Form::Exclusive { prefix_list: "".into() }, Form::Exclusive { prefix_list }]
}

/// Parses and canonicalises within a time that a quadratic way would exceed many times, in a build without optimisation.
fn in_time(what: &str, body: &str) {
    assert!(body.len() <= MAX_BODY, "{what}");
    let start = Instant::now();
    if let Ok(document) = Document::parse(body.as_bytes()) {
        for form in forms() {
            let _ = document.canonical_form(&form);
        }
        let _ = document.verify(&key("rsa"));
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(30), "{what} took {took:?}");
}

#[test]
fn hostile_documents_take_linear_time() {
    // In a build without optimisation, what is not linear shows at an eighth of the most.
    for (what, document) in DOCUMENTS {
        in_time(what, &document(MAX_BODY / 8));
    }
}

#[test]
fn xml_attributes_are_inherited_in_linear_time() {
    let inherited = repeated(MAX_BODY / 32, |i| format!(" xml:a{i}=''"));
    let signature = r#"<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"/><SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><Reference URI=""><Transforms><Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/></Transforms><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>AA==</DigestValue></Reference></SignedInfo><SignatureValue>AA==</SignatureValue></Signature>"#;
    let start = Instant::now();
    assert_eq!(verify(&root(&inherited, signature), &key("rsa")), Err("MDRM-916"));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[test]
fn a_canonical_form_that_repeats_a_long_namespace_is_given_up() {
    let long = format!("urn:{}", "n".repeat(100_000));
    let body = root(&format!(" xmlns:p='{long}'"), &"<p:a/>".repeat(10_000));
    let document = Document::parse(body.as_bytes()).unwrap();
    let exclusive = Form::Exclusive { prefix_list: "".into() };
    let start = Instant::now();
    assert_eq!(document.canonical_form(&exclusive), Err(NoForm::TooLong));
    assert!(start.elapsed() < Duration::from_secs(10));
    // The form that declares it once is short.
    assert!(document.canonical_form(&Form::Inclusive10).unwrap().len() < body.len() * 2);
    let listed = Form::Exclusive { prefix_list: "p".into() };
    assert!(document.canonical_form(&listed).unwrap().len() < body.len() * 2);
}

#[test]
fn nesting_and_the_number_of_pieces_are_bounded() {
    let nested = |levels: usize| root("", &format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels)));
    assert!(Document::parse(nested(127).as_bytes()).is_ok());
    assert_eq!(not_cpix(nested(128).as_bytes()), "nested too deep");
    assert_eq!(not_cpix("<a>".repeat(MAX_BODY / 3).as_bytes()), "nested too deep");
    // Two tags each, and three for the root: its tags and contentId, with the declaration four.
    let elements = |count: usize| root("", &"<a/>".repeat(count));
    let most = ((1 << 19) - 4) / 2;
    assert!(Document::parse(elements(most).as_bytes()).is_ok());
    assert_eq!(not_cpix(elements(most + 1).as_bytes()), "too many elements and attributes");
    let mut attributes = String::new();
    for number in 0..1 << 19 {
        write!(attributes, " a{number}=''").unwrap();
    }
    assert_eq!(not_cpix(root(&attributes, "").as_bytes()), "too many elements and attributes");
    assert_eq!(not_cpix(root("", &"<!---->".repeat(1 << 19)).as_bytes()), "too many elements and attributes");
}
