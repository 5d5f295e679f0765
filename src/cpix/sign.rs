//! Signs a CPIX document as a whole: an enveloped signature, exclusive canonicalisation, SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::c14n::{Form, NoForm};
use super::document::Document;
use super::signature::{ENVELOPED, EXCLUSIVE, SHA256, is_signed};
use super::tree::Tree;
use super::{DSIG, unsigned};
use crate::denial::Denial;
use crate::jose::xmldsig::SignatureMethod;

/// Why a document could not be signed.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSigned<E> {
    /// Not a CPIX document.
    Document(Denial),
    /// A comment, which no signature covers, stands beside text in one element: it would be refused.
    Comment,
    /// It has no canonical form.
    NoForm(NoForm),
    /// A signature over the whole document is there already; two would be refused.
    AlreadySigned,
    /// The key failed.
    Key(E),
}

/// Returns the document with a signature over the whole of it as the last child of its root element. `sign` makes the
/// signature over what it gets, by `method`, as XML-DSig lays it out (ECDSA: r and s). Everything else of the document
/// stays as it is, but for a byte order mark.
///
/// # Errors
/// [`NotSigned`].
pub fn enveloped<E>(
    body: &[u8],
    method: SignatureMethod,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, NotSigned<E>> {
    let form = Form::Exclusive { prefix_list: "".into() };
    let document = Document::parse(body).map_err(NotSigned::Document)?;
    if is_signed(&document.tree) {
        return Err(NotSigned::AlreadySigned);
    }
    unsigned::check_comments(document.tree.nodes.iter()).map_err(|_| NotSigned::Comment)?;
    let digest = Sha256::digest(document.canonical_form(&form).map_err(NotSigned::NoForm)?);
    // Written in its canonical form, so that it is signed as it stands: no attribute or namespace of the document gets
    // into an exclusive one.
    let signed_info = format!(
        "<ds:SignedInfo xmlns:ds=\"{DSIG}\">\
         <ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>\
         <ds:Reference URI=\"\"><ds:Transforms><ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
         <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{SHA256}\"></ds:DigestMethod>\
         <ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
        method.identifier(),
        STANDARD.encode(digest),
    );
    let value = STANDARD.encode(sign(signed_info.as_bytes()).map_err(NotSigned::Key)?);
    let (before, after) = surroundings(&document);
    Ok(format!(
        "{before}<ds:Signature xmlns:ds=\"{DSIG}\">{signed_info}\
         <ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>{after}"
    ))
}

/// The text before and after the place of the signature.
fn surroundings(document: &Document<'_>) -> (String, String) {
    let (before, after) = document.text.split_at_checked(document.tree.root_end).unwrap_or_default();
    match (after.strip_prefix("/>"), document.tree.element(Tree::ROOT)) {
        (Some(after), Some(root)) => {
            let prefix = document.tree.prefix(root.prefix);
            let colon = if prefix.is_empty() { "" } else { ":" };
            (format!("{before}>"), format!("</{prefix}{colon}{}>{after}", root.local))
        }
        _ => (before.into(), after.into()),
    }
}
