//! The signature over a whole CPIX document (XML Signature 1.1), read strictly: what the contract allows has a type here,
//! anything else is refused before a digest is computed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

use super::c14n::{Form, NoForm};
use super::document::Document;
use super::reader::is_space;
use super::tree::{ElementId, Tree};
use super::{DSIG, unsigned};
use crate::denial::CpixFault;
use crate::jose::verify::VerifyingKey;
use crate::jose::xmldsig::SignatureMethod;

/// The namespace of `InclusiveNamespaces`, and the identifier of its canonicalisation.
pub(super) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const INCLUSIVE_1_0: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const INCLUSIVE_1_1: &str = "http://www.w3.org/2006/12/xml-c14n11";
pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
pub(super) const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";

/// Checks the one signature over the whole document.
pub(super) fn verify(document: &Document<'_>, key: &VerifyingKey) -> Result<(), CpixFault> {
    let signature = Signature::read(&document.tree, overall(&document.tree)?)?;
    let signed_info = document.canonical_subset(signature.signed_info, &signature.canonicalization).map_err(no_form)?;
    // Not base64 is as good as empty: neither verifies, and a key of the wrong type is told first.
    let value = decode(signature.value).unwrap_or_default();
    if !key.verify_xml(signature.method, &signed_info, &value).ok_or(CpixFault::KeyType)? {
        return Err(CpixFault::SignatureInvalid);
    }
    // What the key has signed is now the digest alone; it has to be the digest of this document.
    let digest = signature.digest_method.of_document(document, signature.element, &signature.transform)?;
    if decode(signature.digest).is_some_and(|signed| signed == digest) {
        Ok(())
    } else {
        Err(CpixFault::SignatureInvalid)
    }
}

/// The signature that covers the whole document: the only one, anywhere, with a reference to all of it, and a child of
/// the root element as CPIX has it. Other signatures are content, which this one covers too.
fn overall(tree: &Tree<'_>) -> Result<ElementId, CpixFault> {
    let mut signatures = tree.named(DSIG, "Signature").peekable();
    if signatures.peek().is_none() {
        return Err(CpixFault::NoSignatures);
    }
    let mut overall = signatures.filter(|id| covers_all(tree, *id));
    match (overall.next(), overall.next()) {
        (Some(id), None) if tree.element(id).and_then(|signature| signature.parent) == Some(Tree::ROOT) => Ok(id),
        _ => Err(CpixFault::NoOverallSignature),
    }
}

/// Whether any reference of the signature is to the whole document (XML Signature 1.1 section 4.4.3.2).
fn covers_all(tree: &Tree<'_>, signature: ElementId) -> bool {
    let named = |parent, local| tree.child_elements(parent).filter(move |id| tree.is(*id, DSIG, local));
    named(signature, "SignedInfo")
        .flat_map(|signed_info| named(signed_info, "Reference"))
        .any(|reference| tree.attribute(reference, "URI") == Some(""))
}

/// Whether a document holds a signature that claims to cover all of it.
pub(super) fn is_signed(tree: &Tree<'_>) -> bool {
    tree.named(DSIG, "Signature").any(|id| covers_all(tree, id))
}

/// A signature of the allowed form.
struct Signature<'t> {
    element: ElementId,
    signed_info: ElementId,
    canonicalization: Form,
    method: SignatureMethod,
    /// The canonical form that is digested.
    transform: Form,
    digest_method: DigestMethod,
    /// Base64.
    digest: &'t str,
    /// Base64.
    value: &'t str,
}

#[derive(Debug, Clone, Copy)]
enum DigestMethod {
    Sha256,
    Sha512,
}

impl<'t> Signature<'t> {
    fn read(tree: &'t Tree<'_>, element: ElementId) -> Result<Self, CpixFault> {
        let allowed = CpixFault::Algorithm;
        unsigned::check(tree, element)?;
        let [signed_info, value, rest @ ..] = &*elements(tree, element) else {
            return Err(allowed("a Signature without SignedInfo and SignatureValue"));
        };
        expect(tree, *signed_info, "SignedInfo")?;
        expect(tree, *value, "SignatureValue")?;
        match rest {
            [] => {}
            [key_info] => expect(tree, *key_info, "KeyInfo")?,
            _ => return Err(allowed("an Object, or more than one KeyInfo")),
        }

        let [canonicalization, method, references @ ..] = &*elements(tree, *signed_info) else {
            return Err(allowed("a SignedInfo without its methods"));
        };
        expect(tree, *canonicalization, "CanonicalizationMethod")?;
        expect(tree, *method, "SignatureMethod")?;
        let [reference] = references else { return Err(allowed("more than one Reference")) };
        expect(tree, *reference, "Reference")?;

        let [transforms, digest_method, digest] = *elements(tree, *reference) else {
            return Err(allowed("a Reference without Transforms, DigestMethod and DigestValue"));
        };
        expect(tree, transforms, "Transforms")?;
        expect(tree, digest_method, "DigestMethod")?;
        expect(tree, digest, "DigestValue")?;

        Ok(Self {
            element,
            signed_info: *signed_info,
            canonicalization: form(tree, *canonicalization)?,
            method: SignatureMethod::from_identifier(bare_algorithm(tree, *method)?)
                .ok_or(allowed("a SignatureMethod that is not listed"))?,
            transform: transform(tree, transforms)?,
            digest_method: match bare_algorithm(tree, digest_method)? {
                SHA256 => DigestMethod::Sha256,
                SHA512 => DigestMethod::Sha512,
                _ => return Err(allowed("a DigestMethod that is not listed")),
            },
            digest: tree.only_text(digest).ok_or(allowed("a DigestValue that is not one text"))?,
            value: tree.only_text(*value).ok_or(allowed("a SignatureValue that is not one text"))?,
        })
    }
}

impl DigestMethod {
    fn of_document(self, document: &Document<'_>, without: ElementId, form: &Form) -> Result<Vec<u8>, CpixFault> {
        fn digest<D: Digest>(document: &Document<'_>, without: ElementId, form: &Form) -> Result<Vec<u8>, NoForm> {
            let mut digest = D::new();
            document.write_canonical(Some(without), form, &mut |piece| digest.update(piece))?;
            Ok(digest.finalize().to_vec())
        }
        match self {
            Self::Sha256 => digest::<Sha256>(document, without, form),
            Self::Sha512 => digest::<Sha512>(document, without, form),
        }
        .map_err(no_form)
    }
}

/// enveloped-signature, and at most one canonicalisation after it. Without one it is Canonical XML 1.0 (XML Signature 1.1
/// section 4.4.3.2).
fn transform(tree: &Tree<'_>, transforms: ElementId) -> Result<Form, CpixFault> {
    let transforms = elements(tree, transforms);
    for transform in &transforms {
        expect(tree, *transform, "Transform")?;
    }
    let (enveloped, form) = match *transforms {
        [enveloped] => (enveloped, Form::Inclusive10),
        [enveloped, canonicalization] => (enveloped, form(tree, canonicalization)?),
        _ => return Err(CpixFault::Algorithm("no transform, or more than two")),
    };
    if bare_algorithm(tree, enveloped)? == ENVELOPED {
        Ok(form)
    } else {
        Err(CpixFault::Algorithm("a first transform that is not enveloped-signature"))
    }
}

/// The canonical form that `CanonicalizationMethod` or `Transform` asks for.
fn form(tree: &Tree<'_>, method: ElementId) -> Result<Form, CpixFault> {
    match algorithm(tree, method)? {
        EXCLUSIVE => {}
        INCLUSIVE_1_0 => return bare_algorithm(tree, method).map(|_| Form::Inclusive10),
        INCLUSIVE_1_1 => return bare_algorithm(tree, method).map(|_| Form::Inclusive11),
        _ => return Err(CpixFault::Algorithm("a canonicalisation or transform that is not listed")),
    }
    let prefix_list = match *elements(tree, method) {
        [] => Some(""),
        // Exclusive XML Canonicalization 1.0 section 4.
        [parameter] if tree.is(parameter, EXCLUSIVE, "InclusiveNamespaces") => tree.attribute(parameter, "PrefixList"),
        _ => None,
    };
    let prefix_list = prefix_list.ok_or(CpixFault::Algorithm("parameters of a canonicalisation that are not known"))?;
    Ok(Form::Exclusive { prefix_list: prefix_list.into() })
}

fn algorithm<'t>(tree: &'t Tree<'_>, method: ElementId) -> Result<&'t str, CpixFault> {
    tree.attribute(method, "Algorithm").ok_or(CpixFault::Algorithm("a method without an Algorithm"))
}

/// The algorithm of a method without parameters.
fn bare_algorithm<'t>(tree: &'t Tree<'_>, method: ElementId) -> Result<&'t str, CpixFault> {
    if elements(tree, method).is_empty() {
        algorithm(tree, method)
    } else {
        Err(CpixFault::Algorithm("parameters of a method that has none"))
    }
}

fn elements(tree: &Tree<'_>, parent: ElementId) -> Box<[ElementId]> {
    tree.child_elements(parent).collect()
}

fn expect(tree: &Tree<'_>, id: ElementId, local: &str) -> Result<(), CpixFault> {
    if tree.is(id, DSIG, local) {
        Ok(())
    } else {
        Err(CpixFault::Algorithm("an element that is not expected in a Signature"))
    }
}

fn no_form(reason: NoForm) -> CpixFault {
    CpixFault::Algorithm(match reason {
        NoForm::RelativeNamespace => "a canonicalisation of relative namespace names",
        NoForm::JoinedBase => "Canonical XML 1.1 where several xml:base would have to be joined",
        NoForm::TooLong => "a canonical form many times as long as the document",
    })
}

/// Base64 with white space anywhere (XML Signature 1.1 section 4.1).
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.replace(is_space, "")).ok()
}
