//! The tree of a document: elements, their attributes and namespaces, text and processing instructions.
//!
//! Namespace names and prefixes are numbers that sort as their texts do, so that whoever sorts or compares them has
//! nothing to do with how long they are.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A namespace name (Namespaces in XML 1.0 section 2.1), sorted as its text is. [`Uri::NONE`] is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Uri(pub(super) usize);

impl Uri {
    /// No namespace, the empty text: it sorts before any other.
    pub(super) const NONE: Self = Self(0);
}

/// A prefix, sorted as its text is. [`Prefix::DEFAULT`] is the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Prefix(pub(super) usize);

impl Prefix {
    /// No prefix, the empty text: it sorts before any other.
    pub(super) const DEFAULT: Self = Self(0);
}

/// Names an element of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ElementId(pub(super) usize);

/// A node in document order.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Open(ElementId),
    Close(ElementId),
    Text(Cow<'a, str>),
    Instruction {
        target: &'a str,
        data: Cow<'a, str>,
    },
    /// Where a comment stood, for who must not read past one.
    Comment,
}

#[derive(Debug)]
pub(super) struct Element<'a> {
    pub(super) prefix: Prefix,
    pub(super) local: &'a str,
    pub(super) namespace: Uri,
    /// Sorted by namespace and local name; no two are equal in both.
    pub(super) attributes: Vec<Attribute<'a>>,
    /// The namespaces that this element declares; sorted, no prefix stands twice.
    pub(super) declarations: Vec<(Prefix, Uri)>,
    pub(super) parent: Option<ElementId>,
    /// Where its start tag is among the nodes.
    pub(super) open: usize,
    /// Where its end tag is among the nodes.
    pub(super) close: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Attribute<'a> {
    pub(super) prefix: Prefix,
    pub(super) local: &'a str,
    pub(super) namespace: Uri,
    pub(super) value: Cow<'a, str>,
}

impl Attribute<'_> {
    /// The order of canonical forms: by namespace and local name (Canonical XML 1.0 section 2.2).
    pub(super) fn cmp_name(&self, other: &Self) -> Ordering {
        (self.namespace, self.local).cmp(&(other.namespace, other.local))
    }

    /// Sorts by name. Not generic, for the sake of the module's size.
    pub(super) fn sort(attributes: &mut [Self]) {
        attributes.sort_unstable_by(Self::cmp_name);
    }
}

/// A whole document.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// The first is the root element.
    pub(super) elements: Vec<Element<'a>>,
    /// Namespace names, sorted; the first is empty.
    pub(super) uris: Vec<Cow<'a, str>>,
    /// Prefixes, sorted; the first is empty.
    pub(super) prefixes: Vec<Cow<'a, str>>,
    /// Where the end tag of the root element begins in the text, or the `/>` of its only tag.
    pub(super) root_end: usize,
}

/// What stands directly inside an element.
#[derive(Debug, Clone, Copy)]
pub(super) enum Child<'t> {
    Element(ElementId),
    Text(&'t str),
    Other,
}

impl<'a> Tree<'a> {
    pub(super) const ROOT: ElementId = ElementId(0);

    pub(super) fn element(&self, id: ElementId) -> Option<&Element<'a>> {
        self.elements.get(id.0)
    }

    pub(super) fn uri(&self, uri: Uri) -> &str {
        self.uris.get(uri.0).map_or("", AsRef::as_ref)
    }

    pub(super) fn prefix(&self, prefix: Prefix) -> &str {
        self.prefixes.get(prefix.0).map_or("", AsRef::as_ref)
    }

    /// The prefix of this text, if it occurs in the document.
    pub(super) fn find_prefix(&self, text: &str) -> Option<Prefix> {
        self.prefixes.binary_search_by(|prefix| prefix.as_ref().cmp(text)).ok().map(Prefix)
    }

    /// The namespace of this name, if it occurs in the document.
    pub(super) fn find_uri(&self, text: &str) -> Option<Uri> {
        self.uris.binary_search_by(|uri| uri.as_ref().cmp(text)).ok().map(Uri)
    }

    /// Every element of this expanded name, in document order.
    pub(super) fn named<'t>(&'t self, namespace: &str, local: &'t str) -> impl Iterator<Item = ElementId> {
        let namespace = self.find_uri(namespace);
        let elements = self.elements.iter().enumerate();
        elements
            .filter(move |(_, element)| Some(element.namespace) == namespace && element.local == local)
            .map(|(number, _)| ElementId(number))
    }

    /// Whether the element has this expanded name.
    pub(super) fn is(&self, id: ElementId, namespace: &str, local: &str) -> bool {
        self.element(id).is_some_and(|element| element.local == local && self.uri(element.namespace) == namespace)
    }

    /// The value of the attribute of this name without a namespace.
    pub(super) fn attribute(&self, id: ElementId, local: &str) -> Option<&str> {
        let attributes = &self.element(id)?.attributes;
        let at =
            attributes.binary_search_by(|attribute| (attribute.namespace, attribute.local).cmp(&(Uri::NONE, local)));
        attributes.get(at.ok()?).map(|attribute| attribute.value.as_ref())
    }

    /// What stands directly inside an element, in order.
    pub(super) fn children(&self, id: ElementId) -> impl Iterator<Item = Child<'_>> {
        let (mut at, end) = self.element(id).map_or((0, 0), |element| (element.open.saturating_add(1), element.close));
        std::iter::from_fn(move || {
            let node = self.nodes.get(at).filter(|_| at < end)?;
            let (child, last) = match node {
                Node::Open(id) => (Child::Element(*id), self.element(*id)?.close),
                Node::Text(text) => (Child::Text(text), at),
                Node::Instruction { .. } | Node::Comment => (Child::Other, at),
                Node::Close(_) => return None,
            };
            at = last.saturating_add(1);
            Some(child)
        })
    }

    /// The elements directly inside an element.
    pub(super) fn child_elements(&self, id: ElementId) -> impl Iterator<Item = ElementId> {
        self.children(id).filter_map(|child| if let Child::Element(id) = child { Some(id) } else { None })
    }

    /// The text of an element that holds one undivided text and nothing else, not even a comment.
    pub(super) fn only_text(&self, id: ElementId) -> Option<&str> {
        let mut children = self.children(id);
        match (children.next(), children.next()) {
            (Some(Child::Text(text)), None) => Some(text),
            _ => None,
        }
    }
}
