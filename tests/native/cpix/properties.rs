//! What holds for any body: nothing panics, and nothing that was not signed is taken for signed.

use mdrm_authz::cpix::Document;
use mdrm_authz::cpix::c14n::Form;
use proptest::prelude::*;

use super::{CANONICAL, CONTENT, all_signed, entries, key, text, verify};
use crate::fuzz::properties::unsigned;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// A signed document and its key.
fn any_signed() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(all_signed().map(|entry| (text(entry, "document"), text(entry, "key"))).collect::<Vec<_>>())
}

/// Pieces that mean something to a reader of XML.
fn markup() -> impl Strategy<Value = String> {
    let pieces = [
        "<CPIX xmlns='urn:dashif:org:cpix' contentId='c'>",
        "</CPIX>",
        "<a",
        "</a>",
        "/>",
        ">",
        "<",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<!DOCTYPE",
        " ",
        "\r\n",
        "=",
        "'",
        "\"",
        "&",
        "&amp;",
        "&#",
        "&#x41;",
        ";",
        ":",
        "xmlns",
        "xmlns:p='urn:p'",
        "p:b='c'",
        "xml:lang='en'",
        "<p:a>",
        "</p:a>",
        "é",
        "\u{FEFF}",
        "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'>",
        "</Signature>",
        "<SignedInfo>",
        "</SignedInfo>",
        "<Reference URI=''>",
        "</Reference>",
        "<SignatureValue/>",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
}

/// What somebody might put into a signature that is right.
fn unsigned_markup() -> impl Strategy<Value = String> {
    let pieces = [
        "<KeyInfo><KeyName>evil</KeyName></KeyInfo>",
        "<ds:KeyInfo><ds:KeyName>evil</ds:KeyName></ds:KeyInfo>",
        "<KeyName>evil</KeyName>",
        "<ds:X509Data>evil</ds:X509Data>",
        "<X509Data><X509SKI>AA==</X509SKI></X509Data>",
        "<evil xmlns=''/>",
        "<CPIX xmlns='urn:dashif:org:cpix' contentId='evil'/>",
        "<Object>evil</Object>",
        "evil",
        " ",
        "&#13;\n",
        "<![CDATA[evil]]>",
        "<!-- evil -->",
        "<?evil?>",
        " contentId='evil'",
        " Id='evil'",
        " xmlns:evil='urn:evil'",
        " xml:lang='evil'",
        " xmlns:evil='urn:evil' evil:Id='evil'",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..3).prop_map(|pieces| pieces.concat())
}

fn read_all(body: &[u8]) {
    if let Ok(document) = Document::parse(body) {
        let _ = document.check_subject(CONTENT);
        for form in [Form::Inclusive10, Form::Inclusive11, Form::Exclusive { prefix_list: "p #default".into() }] {
            let _ = document.canonical_form(&form);
        }
        assert!(document.verify(&key("p256")).is_err());
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn random_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&body);
    }

    #[test]
    fn random_markup_is_read_without_a_panic(inside in markup(), rooted in any::<bool>()) {
        let body = if rooted { format!("<CPIX xmlns='urn:dashif:org:cpix'>{inside}</CPIX>") } else { inside };
        read_all(body.as_bytes());
    }

    #[test]
    fn a_document_that_is_read_is_read_the_same_in_its_canonical_form(
        at in 0..entries(&CANONICAL).len(), inside in markup(),
    ) {
        let document = text(&entries(&CANONICAL)[at], "document");
        let body = document.replacen("</", &format!("{inside}</"), 1);
        for form in [Form::Inclusive10, Form::Exclusive { prefix_list: "a".into() }] {
            if let Ok(once) = Document::parse(body.as_bytes()).map(|document| document.canonical_form(&form).unwrap()) {
                let twice = Document::parse(&once).unwrap().canonical_form(&form).unwrap();
                prop_assert_eq!(String::from_utf8(twice).unwrap(), String::from_utf8(once).unwrap());
            }
        }
    }

    #[test]
    fn a_signed_document_with_one_byte_changed_never_verifies_with_other_content(
        (document, name) in any_signed(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut body = document.as_bytes().to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        assert_still_signed(document, &body, name);
    }

    #[test]
    fn what_is_put_where_nothing_is_signed_carries_nothing_or_is_refused(
        (document, name) in any_signed(), at in any::<prop::sample::Index>(), insert in unsigned_markup(),
    ) {
        // Where markup begins or ends, in the signature and around it.
        let start = document.find("Signature").unwrap();
        let places: Vec<usize> = document.match_indices(['<', '>', ' ']).map(|(place, _)| place).filter(|place| *place > start).collect();
        let place = places[at.index(places.len())];
        for place in [place, place + 1] {
            let body = format!("{}{insert}{}", &document[..place], &document[place..]);
            assert_still_signed(document, body.as_bytes(), name);
        }
    }

    #[test]
    fn a_signed_document_with_bytes_cut_out_or_put_in_never_verifies_with_other_content(
        (document, name) in any_signed(), at in any::<prop::sample::Index>(), cut in 0..40_usize, insert in markup(),
    ) {
        let mut body = document.as_bytes().to_vec();
        let at = at.index(body.len());
        let end = (at + cut).min(body.len());
        body.splice(at..end, insert.bytes());
        assert_still_signed(document, &body, name);
    }
}

/// If `body` still verifies, it is the signed document in another spelling: the same content and, but for what stands in
/// the signature, the same canonical form.
fn assert_still_signed(original: &str, body: &[u8], name: &str) {
    let Ok(verified) = Document::parse(body).and_then(|document| document.verify(&key(name))) else { return };
    assert_eq!(verified.check_subject(CONTENT), Ok(()));
    unsigned::check(std::str::from_utf8(body).unwrap());
    let canonical = |body: &[u8]| {
        let form = Document::parse(body).unwrap().canonical_form(&Form::Exclusive { prefix_list: "".into() }).unwrap();
        let form = String::from_utf8(form).unwrap();
        // The last signature is the one over the whole, but where it stands in front of all.
        let start = form
            .find("<Signature ")
            .or_else(|| form.find("<ds:Signature "))
            .map_or(0, |first| form.rfind("<Signature ").or_else(|| form.rfind("<ds:Signature ")).unwrap_or(first));
        let end = form.rfind("Signature>").unwrap() + "Signature>".len();
        format!("{}{}", &form[..start], &form[end..])
    };
    assert_eq!(canonical(body), canonical(original.as_bytes()), "{}", String::from_utf8_lossy(body));
}

/// The properties above would hold of a verifier that refuses all: other spellings of the same do verify.
#[test]
fn what_a_canonical_form_does_not_show_does_not_matter() {
    let document = super::signed("xmlsec exclusive ecdsa-sha256");
    for (old, new) in [
        (r#"contentId="content-1""#, "contentId='content&#x2D;1'"),
        (r#"contentId="content-1""#, "\n contentId\t=\r\n \"content-1\" "),
        ("<ContentKeyList>", "<!-- a comment --><ContentKeyList  >"),
        ("<VideoFilter/>", "<VideoFilter></VideoFilter>"),
        ("WADwG2qCqkq5TVml+U5PXw==", "<![CDATA[WADwG2qCqkq5TVml+U5PXw==]]>"),
        ("<SignedInfo>", "<SignedInfo >"),
        ("</Signature>", "<KeyInfo Id='&#x65;vil'><KeyName><![CDATA[x]]></KeyName> </KeyInfo></Signature>"),
        ("\n", "\r\n"),
    ] {
        assert!(document.contains(old), "{old}");
        assert_eq!(verify(&document.replace(old, new), &key("p256")).as_deref(), Ok(CONTENT), "{old}");
    }
}
