//! Signatures of other implementations, and what is refused.

use mdrm_authz::cpix::Document;
use mdrm_authz::denial::{CpixFault, Denial};
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::verify::VerifyingKey;

use super::{CONTENT, PLAIN, REFUSED, all_signed, entries, key, key_for, signed, text, verify};

/// One signature of each method.
const RSA256: &str = "xmlsec exclusive rsa-sha256";
const RSA512: &str = "signxml c14n10 rsa-sha512";
const ECDSA: &str = "xmlsec c14n11 ecdsa-sha256";

#[test]
fn every_signature_of_signxml_xmlsec_xml_crypto_and_openjdk_verifies() {
    for maker in ["signxml", "xmlsec", "xml-crypto", "openjdk"] {
        assert!(all_signed().any(|entry| text(entry, "name").starts_with(maker)), "{maker}");
    }
    for entry in all_signed() {
        let document = text(entry, "document");
        let content_id = verify(document, &key(text(entry, "key")));
        assert_eq!(content_id.as_deref(), Ok(CONTENT), "{}: {document}", entry["name"]);
    }
}

#[test]
fn no_signature_verifies_with_another_key_of_its_type() {
    for entry in all_signed() {
        let other = key(&format!("other-{}", text(entry, "key").trim_start_matches("openjdk-")));
        assert_eq!(verify(text(entry, "document"), &other), Err("MDRM-916"), "{}", entry["name"]);
    }
}

#[test]
fn refuses_every_right_signature_that_has_not_the_allowed_form() {
    for entry in entries(&REFUSED) {
        let document = text(entry, "document");
        assert_eq!(verify(document, &key(text(entry, "key"))), Err(text(entry, "code")), "{}", entry["name"]);
    }
}

#[test]
fn a_key_of_another_type_cannot_verify_and_is_told_before_a_broken_value() {
    let eddsa = VerifyingKey::ed25519(
        Alg::EdDsa,
        // RFC 8037 appendix A.2.
        &[
            0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1,
            0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
        ],
    )
    .unwrap();
    let hmac = VerifyingKey::hmac(Alg::Hs256, &[7; 32]).unwrap();
    for name in [RSA256, RSA512, ECDSA] {
        for key in [&eddsa, &hmac, &key(if name == ECDSA { "rsa" } else { "p256" })] {
            assert_eq!(verify(signed(name), key), Err("MDRM-917"), "{name}");
            let broken = signed(name).replacen("SignatureValue>", "SignatureValue>!", 1);
            assert_eq!(verify(&broken, key), Err("MDRM-917"), "{name}");
        }
    }
}

#[test]
fn an_rsa_key_verifies_both_rsa_methods_whatever_its_alg() {
    for alg in [Alg::Rs256, Alg::Rs384, Alg::Rs512, Alg::Ps256, Alg::Ps384, Alg::Ps512] {
        let key = key_for("rsa", Some(alg));
        for name in [RSA256, RSA512] {
            assert_eq!(verify(signed(name), &key).as_deref(), Ok(CONTENT), "{alg:?} {name}");
        }
    }
}

#[test]
fn the_host_is_asked_with_the_digest_of_the_method_where_it_can_verify() {
    use mdrm_authz::jose::native::{Hash, Question};
    fn sha512_alone(question: Question<'_>) -> Option<bool> {
        Some(question.hash == Hash::Sha512 && question.signature.len() == 256 && !question.spki.is_empty())
    }
    use base64::Engine as _;
    let number = |member| {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text(&super::KEYS["other-rsa"], member)).unwrap()
    };
    for alg in [Alg::Rs256, Alg::Ps256] {
        let key = VerifyingKey::rsa(alg, &number("n"), &number("e"), Some(sha512_alone)).unwrap();
        assert_eq!(verify(signed(RSA512), &key).as_deref(), Ok(CONTENT), "{alg:?}");
        assert_eq!(verify(signed(RSA256), &key), Err("MDRM-916"), "{alg:?}");
    }
}

#[test]
fn a_document_without_a_signature_is_914() {
    assert_eq!(verify(PLAIN, &key("rsa")), Err("MDRM-914"));
    // The name alone is not enough.
    let other = PLAIN.replace("<a ", r#"<Signature xmlns="urn:other"/><a "#);
    assert_eq!(verify(&other, &key("rsa")), Err("MDRM-914"));
}

#[test]
fn a_digest_or_signature_value_that_is_wrong_or_no_base64_is_916() {
    for name in [RSA256, RSA512, ECDSA] {
        let key = key(if name == ECDSA { "p256" } else { "rsa" });
        for element in ["DigestValue", "SignatureValue"] {
            let document = signed(name);
            let start = document.find(&format!("{element}>")).unwrap() + element.len() + 1;
            let end = start + document[start..].find('<').unwrap();
            let value = &document[start..end];
            let with = |value: &str| format!("{}{value}{}", &document[..start], &document[end..]);
            let spaced: Vec<String> = value.chars().map(|char| format!("{char}\n")).collect();
            for wrong in [
                "!",
                "AAAA",
                "AAAAA",
                "A",
                &value[4..],
                &format!("{value}AAAA"),
                &format!("AAAA{value}"),
                &value.replace('=', ""),
                &format!("{value}="),
                &value.replace('+', "-").replace('/', "_").replace('=', "."),
                &value.to_lowercase(),
            ] {
                assert_eq!(verify(&with(wrong), &key), Err("MDRM-916"), "{name} {element} {wrong}");
            }
            // White space is signed along with a digest, and no part of a signature's value.
            let expected = if element == "DigestValue" { Err("MDRM-916") } else { Ok(CONTENT) };
            assert_eq!(
                verify(&with(&spaced.concat()), &key).as_deref().map_err(|code| *code),
                expected,
                "{name} {element}"
            );
        }
    }
}

#[test]
fn a_signed_document_without_a_content_id_is_903_after_its_signature() {
    for attribute in
        ["", r#" contentId="""#, r#" x:contentId="content-1" xmlns:x="urn:x""#, r#" contentID="content-1""#]
    {
        let document = PLAIN.replace(r#" contentId="content-1""#, attribute);
        let parsed = Document::parse(document.as_bytes()).unwrap();
        assert_eq!(parsed.check_subject(CONTENT), Err(Denial::Cpix(CpixFault::ContentIdMissing)), "{attribute}");
        let signer = super::signing::Signer::new();
        let signed = signer.sign(&document);
        assert_eq!(verify(&signed, signer.key()), Err("MDRM-903"), "{attribute}");
        assert_eq!(verify(&signed.replace("<a ", "<b "), signer.key()), Err("MDRM-910"), "{attribute}");
        assert_eq!(verify(&signed.replace("d</a>", "e</a>"), signer.key()), Err("MDRM-916"), "{attribute}");
    }
}

#[test]
fn a_document_of_250_kib_verifies_by_each_method() {
    for entry in entries(&super::fixture(include_str!("fixtures/large.json"))) {
        let count = usize::try_from(entry["count"].as_u64().unwrap()).unwrap();
        let each: String = (0..count).map(|i| text(entry, "each").replace("{:012}", &format!("{i:012}"))).collect();
        let document = format!("{}{each}{}", text(entry, "head"), text(entry, "tail"));
        assert!(document.len() > 250 * 1024);
        assert_eq!(verify(&document, &key(text(entry, "key"))).as_deref(), Ok(CONTENT));
        assert_eq!(verify(&document.replacen("cenc", "cens", 1), &key(text(entry, "key"))), Err("MDRM-916"));
    }
}
