//! What goes on with a signed document although no digest covers it: the signature itself, and comments.
//!
//! The canonical forms keep no comment, and enveloped-signature leaves the whole `Signature` out; `SignedInfo` is signed,
//! but nobody who reads a document knows that. So there stands what makes a signature, and no content, in words or markup
//! that a reader of CPIX could take for the document's.

use super::reader::is_space;
use super::signature::EXCLUSIVE;
use super::tree::{Element, ElementId, Node, Tree, Uri};
use super::{DSIG, DSIG11};
use crate::denial::CpixFault;

/// What attributes may stand in a signature, in no namespace.
const ATTRIBUTES: [&str; 5] = ["Id", "Algorithm", "URI", "Type", "PrefixList"];

/// The elements of XML-DSig 1.0 that hold text (XML Signature 1.1 section 4, its schema), but for the parameters of
/// algorithms that are not allowed.
const TEXTS: [&str; 22] = [
    "DigestValue",
    "Exponent",
    "G",
    "J",
    "KeyName",
    "MgmtData",
    "Modulus",
    "P",
    "PGPKeyID",
    "PGPKeyPacket",
    "PgenCounter",
    "Q",
    "SPKISexp",
    "Seed",
    "SignatureValue",
    "X509CRL",
    "X509Certificate",
    "X509IssuerName",
    "X509SKI",
    "X509SerialNumber",
    "X509SubjectName",
    "Y",
];
/// Those of XML-DSig 1.1.
const TEXTS_11: [&str; 16] = [
    "A",
    "B",
    "Base",
    "CoFactor",
    "DEREncodedKeyValue",
    "K",
    "K1",
    "K2",
    "K3",
    "M",
    "OCSPResponse",
    "Order",
    "P",
    "PublicKey",
    "X509Digest",
    "seed",
];

/// Checks the signature, and where comments stand in the rest of the document. Linear in the document.
///
/// # Errors
/// [`CpixFault::Algorithm`].
pub(super) fn check(tree: &Tree<'_>, signature: ElementId) -> Result<(), CpixFault> {
    let Some(element) = tree.element(signature) else { return Ok(()) };
    let (open, close) = (element.open, element.close);
    Namespaces::of(tree).check(tree, signature, tree.nodes.get(open..=close).unwrap_or_default())?;
    let before = tree.nodes.get(..open).unwrap_or_default();
    let after = tree.nodes.get(close.saturating_add(1)..).unwrap_or_default();
    check_comments(before.iter().chain(after))
}

/// The namespaces of what may stand in a signature, as far as the document has them.
struct Namespaces {
    dsig: Option<Uri>,
    dsig11: Option<Uri>,
    exclusive: Option<Uri>,
}

impl Namespaces {
    fn of(tree: &Tree<'_>) -> Self {
        Self { dsig: tree.find_uri(DSIG), dsig11: tree.find_uri(DSIG11), exclusive: tree.find_uri(EXCLUSIVE) }
    }

    fn check(&self, tree: &Tree<'_>, signature: ElementId, nodes: &[Node<'_>]) -> Result<(), CpixFault> {
        // The element that the next node stands in.
        let mut around = None;
        for node in nodes {
            match node {
                Node::Open(id) => {
                    let Some(element) = tree.element(*id) else { continue };
                    if *id != signature {
                        self.check_place(tree, element, around)?;
                    }
                    check_attributes(element)?;
                    around = Some((*id, element));
                }
                Node::Close(id) => {
                    let parent = tree.element(*id).and_then(|element| element.parent);
                    around = parent.and_then(|parent| Some((parent, tree.element(parent)?)));
                }
                Node::Text(text) if is_blank(text) => {}
                Node::Text(_) if around.is_some_and(|(_, element)| self.holds_text(element)) => {}
                Node::Text(_) => return refused("text between the elements of a Signature"),
                Node::Comment => return refused("a comment in the Signature, where nothing is signed"),
                Node::Instruction { .. } => return refused("a processing instruction in the Signature"),
            }
        }
        Ok(())
    }

    /// Whether the element may stand where it does.
    fn check_place(
        &self,
        tree: &Tree<'_>,
        element: &Element<'_>,
        around: Option<(ElementId, &Element<'_>)>,
    ) -> Result<(), CpixFault> {
        let Some((id, parent)) = around.filter(|(_, parent)| self.is_dsig(parent) && !self.holds_text(parent)) else {
            return refused("an element inside of one that holds none");
        };
        let of_exclusive = || {
            Some(element.namespace) == self.exclusive
                && element.local == "InclusiveNamespaces"
                && Some(parent.namespace) == self.dsig
                && matches!(parent.local, "CanonicalizationMethod" | "Transform")
                && tree.attribute(id, "Algorithm") == Some(EXCLUSIVE)
        };
        if self.is_dsig(element) || of_exclusive() {
            Ok(())
        } else {
            refused("an element of another namespace in the Signature, where nothing is signed")
        }
    }

    fn is_dsig(&self, element: &Element<'_>) -> bool {
        let namespace = Some(element.namespace);
        namespace == self.dsig || namespace == self.dsig11
    }

    fn holds_text(&self, element: &Element<'_>) -> bool {
        let namespace = Some(element.namespace);
        (namespace == self.dsig && TEXTS.contains(&element.local))
            || (namespace == self.dsig11 && TEXTS_11.contains(&element.local))
    }
}

fn check_attributes(element: &Element<'_>) -> Result<(), CpixFault> {
    let allowed = element
        .attributes
        .iter()
        .all(|attribute| attribute.namespace == Uri::NONE && ATTRIBUTES.contains(&attribute.local));
    if allowed { Ok(()) } else { refused("an attribute of another name in the Signature, where nothing is signed") }
}

/// Beside text in one element, a comment divides what one reader takes for one text and another for two.
///
/// # Errors
/// [`CpixFault::Algorithm`].
pub(super) fn check_comments<'t, 'a: 't>(nodes: impl Iterator<Item = &'t Node<'a>>) -> Result<(), CpixFault> {
    #[derive(Default)]
    struct Seen {
        text: bool,
        comment: bool,
    }
    // The last is the element that the next node stands in; at first it is the document, which holds no text.
    let mut open = vec![Seen::default()];
    for node in nodes {
        match node {
            Node::Open(_) => open.push(Seen::default()),
            Node::Close(_) => drop(open.pop()),
            Node::Text(text) if is_blank(text) => {}
            Node::Text(_) => open.last_mut().into_iter().for_each(|seen| seen.text = true),
            Node::Comment => open.last_mut().into_iter().for_each(|seen| seen.comment = true),
            Node::Instruction { .. } => {}
        }
        if open.last().is_some_and(|seen| seen.text && seen.comment) {
            return refused("a comment, which nobody signed, beside text in one element");
        }
    }
    Ok(())
}

fn is_blank(text: &str) -> bool {
    text.trim_start_matches(is_space).is_empty()
}

fn refused<T>(what: &'static str) -> Result<T, CpixFault> {
    Err(CpixFault::Algorithm(what))
}
