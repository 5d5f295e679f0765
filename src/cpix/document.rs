//! A CPIX document before and after its signature was checked.

use super::c14n::{self, Form, NoForm};
use super::tree::{ElementId, Tree};
use super::{CPIX, builder, signature, value};
use crate::denial::{CpixFault, Denial};
use crate::jose::verify::VerifyingKey;

/// A well-formed CPIX document. Nothing is known about who made it.
#[derive(Debug)]
pub struct Document<'a> {
    pub(super) text: &'a str,
    pub(super) tree: Tree<'a>,
}

/// A CPIX document whose signature over the whole of it was verified.
#[derive(Debug)]
pub struct VerifiedDocument<'a>(Document<'a>);

impl<'a> Document<'a> {
    /// Reads a body as one XML 1.0 document in UTF-8, with or without a byte order mark, whose root element is `CPIX` in
    /// `urn:dashif:org:cpix`. A DTD is refused, and with it every entity but the five predefined ones. Linear in the
    /// length of the body, but for sorting the attributes of an element.
    ///
    /// # Errors
    /// [`CpixFault::NotCpix`].
    pub fn parse(body: &'a [u8]) -> Result<Self, Denial> {
        Self::read(body).map_err(|fault| Denial::Cpix(CpixFault::NotCpix(fault)))
    }

    fn read(body: &'a [u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(body).map_err(|_| "not UTF-8")?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        if !value::is_all_chars(text) {
            return Err("a character that XML does not allow");
        }
        let tree = builder::build(text)?;
        if tree.is(Tree::ROOT, CPIX, "CPIX") {
            Ok(Self { text, tree })
        } else {
            Err("the root element is not CPIX of urn:dashif:org:cpix")
        }
    }

    /// Every name of the content that the document is about, in document order: `contentId` of the root element (where
    /// absent its `id`, as SPEKE v1 writes it), then of each `ContentKey` of CPIX, wherever it stands. The attributes are
    /// those in no namespace.
    pub fn content_ids(&self) -> impl Iterator<Item = &str> {
        let root = self.tree.attribute(Tree::ROOT, "contentId").or_else(|| self.tree.attribute(Tree::ROOT, "id"));
        root.into_iter()
            .chain(self.tree.named(CPIX, "ContentKey").filter_map(|key| self.tree.attribute(key, "contentId")))
    }

    /// Whether the document is about `subject` and nothing else, byte for byte.
    ///
    /// # Errors
    /// In this order: [`CpixFault::ContentIdMissing`] (an empty name names nothing), [`CpixFault::ContentIdNotId`],
    /// [`CpixFault::ContentIdNotSubject`].
    pub fn check_subject(&self, subject: &str) -> Result<(), Denial> {
        let root = |name| self.tree.attribute(Tree::ROOT, name);
        let fault = if self.content_ids().all(str::is_empty) {
            CpixFault::ContentIdMissing
        } else if root("contentId").zip(root("id")).is_some_and(|(content_id, id)| content_id != id) {
            CpixFault::ContentIdNotId
        } else if self.content_ids().any(|content_id| content_id != subject) {
            CpixFault::ContentIdNotSubject
        } else {
            return Ok(());
        };
        Err(Denial::Cpix(fault))
    }

    /// Checks the XML-DSig signature over the whole document with the registered key; what a `KeyInfo` says does not
    /// matter. An RSA key verifies RSA methods whatever its `alg`, which speaks of tokens.
    ///
    /// # Errors
    /// In this order: [`CpixFault::NoSignatures`], [`CpixFault::NoOverallSignature`], [`CpixFault::Algorithm`],
    /// [`CpixFault::KeyType`], [`CpixFault::SignatureInvalid`].
    pub fn verify(self, key: &VerifyingKey) -> Result<VerifiedDocument<'a>, Denial> {
        signature::verify(&self, key).map_err(Denial::Cpix)?;
        Ok(VerifiedDocument(self))
    }

    /// The canonical form of the whole document.
    ///
    /// # Errors
    /// [`NoForm`].
    pub fn canonical_form(&self, form: &Form) -> Result<Vec<u8>, NoForm> {
        let mut octets = Vec::with_capacity(self.text.len());
        self.write_canonical(None, form, &mut |piece| octets.extend_from_slice(piece))?;
        Ok(octets)
    }

    /// Hands over the canonical form of the document without one element.
    pub(super) fn write_canonical(
        &self,
        without: Option<ElementId>,
        form: &Form,
        sink: c14n::Sink<'_>,
    ) -> Result<(), NoForm> {
        c14n::document(&self.tree, without, form, self.text.len(), sink)
    }

    /// The canonical form of one element as a document subset.
    pub(super) fn canonical_subset(&self, apex: ElementId, form: &Form) -> Result<Vec<u8>, NoForm> {
        let mut octets = Vec::new();
        c14n::subset(&self.tree, apex, form, self.text.len(), &mut |piece| octets.extend_from_slice(piece))?;
        Ok(octets)
    }
}

impl VerifiedDocument<'_> {
    /// As [`Document::content_ids`], from the nodes that were digested.
    pub fn content_ids(&self) -> impl Iterator<Item = &str> {
        self.0.content_ids()
    }

    /// As [`Document::check_subject`], from the nodes that were digested.
    ///
    /// # Errors
    /// Those of [`Document::check_subject`].
    pub fn check_subject(&self, subject: &str) -> Result<(), Denial> {
        self.0.check_subject(subject)
    }
}
