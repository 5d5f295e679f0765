//! Canonical forms of whole documents against those of lxml (libxml2).

use mdrm_authz::cpix::Document;
use mdrm_authz::cpix::c14n::{Form, NoForm};

use super::{CANONICAL, entries, text};

fn canonical(document: &str, form: &Form) -> String {
    String::from_utf8(Document::parse(document.as_bytes()).unwrap().canonical_form(form).unwrap()).unwrap()
}

fn exclusive(prefix_list: &str) -> Form {
    Form::Exclusive { prefix_list: prefix_list.into() }
}

#[test]
fn every_document_has_the_canonical_forms_that_lxml_gives_it() {
    assert!(entries(&CANONICAL).len() >= 100);
    for entry in entries(&CANONICAL) {
        let document = text(entry, "document");
        for (member, form) in [
            ("inclusive", Form::Inclusive10),
            ("inclusive", Form::Inclusive11),
            ("exclusive", exclusive("")),
            ("with_prefixes", exclusive("a c\n z  unknown")),
        ] {
            assert_eq!(canonical(document, &form), text(entry, member), "{}: {form:?} of {document}", entry["name"]);
        }
    }
}

#[test]
fn a_canonical_form_is_its_own_canonical_form() {
    for entry in entries(&CANONICAL) {
        for form in [Form::Inclusive10, exclusive("")] {
            let once = canonical(text(entry, "document"), &form);
            assert_eq!(canonical(&once, &form), once, "{}", entry["name"]);
        }
    }
}

/// Canonical XML 1.0 section 2.3: a namespace node is written as an attribute is. libxml2 writes an ampersand bare.
#[test]
fn a_namespace_is_escaped_as_an_attribute_is() {
    let document = r#"<CPIX xmlns="urn:dashif:org:cpix"><b xmlns="urn:&amp;&lt;>&quot;&#9;&#10;&#13;"/></CPIX>"#;
    let expected = r#"<CPIX xmlns="urn:dashif:org:cpix"><b xmlns="urn:&amp;&lt;>&quot;&#x9;&#xA;&#xD;"></b></CPIX>"#;
    for form in [Form::Inclusive10, exclusive("")] {
        assert_eq!(canonical(document, &form), expected);
    }
}

#[test]
fn a_relative_namespace_has_no_canonical_form() {
    for namespace in ["a", "../a", "#a", "//a/b", "1a:b", ":a", "a/b:c"] {
        let document = format!(r#"<CPIX xmlns="urn:dashif:org:cpix"><b xmlns:c="{namespace}"/></CPIX>"#);
        let document = Document::parse(document.as_bytes()).unwrap();
        assert_eq!(document.canonical_form(&Form::Inclusive10), Err(NoForm::RelativeNamespace), "{namespace}");
    }
}
