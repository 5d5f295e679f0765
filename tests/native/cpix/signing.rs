//! Documents that `cpix::sign` signs, with keys of another library.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use mdrm_authz::cpix::sign::{NotSigned, enveloped};
use mdrm_authz::denial::{CpixFault, Denial};
use mdrm_authz::jose::algorithm::Alg;
use mdrm_authz::jose::verify::VerifyingKey;
use mdrm_authz::jose::xmldsig::SignatureMethod;

use super::{CANONICAL, PLAIN, entries, signed, text, verify};

/// A P-256 key pair.
pub(super) struct Signer {
    pair: EcdsaKeyPair,
    key: VerifyingKey,
}

impl Signer {
    pub(super) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let key = VerifyingKey::ecdsa(Alg::Es256, &point[1..33], &point[33..], None).unwrap();
        Self { pair, key }
    }

    pub(super) fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// `document` with a right signature.
    pub(super) fn sign(&self, document: &str) -> String {
        self.try_sign(document).unwrap()
    }

    fn try_sign(&self, document: &str) -> Result<String, NotSigned<aws_lc_rs::error::Unspecified>> {
        enveloped(document.as_bytes(), SignatureMethod::EcdsaSha256, |message| {
            Ok(self.pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
        })
    }
}

#[test]
fn every_document_verifies_once_it_is_signed_and_not_once_it_is_changed() {
    let signer = Signer::new();
    let mut with_comments = 0;
    for entry in entries(&CANONICAL) {
        let signed = match signer.try_sign(text(entry, "document")) {
            Err(NotSigned::Comment) => {
                with_comments += 1;
                continue;
            }
            signed => signed.unwrap(),
        };
        assert_eq!(verify(&signed, signer.key()).as_deref(), Ok("content-1"), "{}: {signed}", entry["name"]);
        let changed = signed.replacen("content", "Content", 1);
        assert_ne!(changed, signed);
        assert!(verify(&changed, signer.key()).is_err(), "{}", entry["name"]);
    }
    assert!(with_comments * 4 < entries(&CANONICAL).len(), "{with_comments}");
}

#[test]
fn everything_but_the_signature_stays_as_it_was() {
    let signer = Signer::new();
    let signed = signer.sign(PLAIN);
    let (before, rest) = signed.split_once("<ds:Signature ").unwrap();
    let (_, after) = rest.split_once("</ds:Signature>").unwrap();
    assert_eq!(format!("{before}{after}"), PLAIN);
    let empty = signer.sign(r#"<x:CPIX xmlns:x="urn:dashif:org:cpix" /><!-- end -->"#);
    assert!(empty.starts_with(r#"<x:CPIX xmlns:x="urn:dashif:org:cpix" ><ds:Signature "#), "{empty}");
    assert!(empty.ends_with("</ds:Signature></x:CPIX><!-- end -->"), "{empty}");
}

#[test]
fn refuses_to_sign_what_would_be_refused() {
    let signer = Signer::new();
    let fault = |document: &str| signer.try_sign(document).unwrap_err();
    assert_eq!(fault(&signer.sign(PLAIN)), NotSigned::AlreadySigned);
    assert!(matches!(fault("<CPIX/>"), NotSigned::Document(Denial::Cpix(CpixFault::NotCpix(_)))));
    assert_eq!(fault(&PLAIN.replace("d</a>", "d<!-- --></a>")), NotSigned::Comment);
    assert!(matches!(fault(&PLAIN.replace("<a ", r#"<a xmlns:r="relative" "#)), NotSigned::NoForm(_)));
    // A signature of a part is no obstacle.
    let partial = signed("a partial signature before");
    let at = partial.rfind("<Signature ").unwrap();
    let only_partial = format!("{}</CPIX>", &partial[..at]);
    assert_eq!(verify(&only_partial, signer.key()), Err("MDRM-915"));
    assert_eq!(verify(&signer.sign(&only_partial), signer.key()).as_deref(), Ok("content-1"));
}
