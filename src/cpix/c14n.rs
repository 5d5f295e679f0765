//! The canonical forms of XML that XML-DSig digests: Canonical XML 1.0 and 1.1, and Exclusive XML Canonicalization 1.0,
//! each without comments.

use super::builder::XML;
use super::tree::{Attribute, Element, ElementId, Node, Prefix, Tree, Uri};

/// A canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// Canonical XML 1.0.
    Inclusive10,
    /// Canonical XML 1.1.
    Inclusive11,
    /// Exclusive XML Canonicalization 1.0.
    Exclusive {
        /// The `PrefixList` of `InclusiveNamespaces`, separated by white space: prefixes that are treated as Canonical
        /// XML treats all. `#default` is the absence of a prefix.
        prefix_list: Box<str>,
    },
}

/// Why there is no canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoForm {
    /// A namespace name is a relative reference, which has no canonical form (Canonical XML 1.0 section 1.3).
    RelativeNamespace,
    /// Several `xml:base` would have to be joined (Canonical XML 1.1 section 2.4).
    JoinedBase,
    /// Many times as long as the document: one long namespace, rendered again and again.
    TooLong,
}

/// Takes a canonical form piece by piece.
pub(super) type Sink<'s> = &'s mut dyn FnMut(&[u8]);

/// How many times as long as the document a canonical form may be, beside [`FREE`] bytes. One of a CPIX document is
/// not even twice as long.
const MAX_GROWTH: usize = 8;
const FREE: usize = 1 << 16;

/// The whole document, but for one element and all that is in it (the transform enveloped-signature).
pub(super) fn document(
    tree: &Tree<'_>,
    without: Option<ElementId>,
    form: &Form,
    length: usize,
    sink: Sink<'_>,
) -> Result<(), NoForm> {
    let nodes = tree.nodes.as_slice();
    let (before, after) = match without.and_then(|id| tree.element(id)) {
        Some(left_out) => (nodes.get(..left_out.open), nodes.get(left_out.close.saturating_add(1)..)),
        None => (Some(nodes), None),
    };
    let writer = Writer::new(tree, form, length, sink)?;
    writer.nodes(before.into_iter().chain(after).flatten())
}

/// One element and all that is in it, as a document subset.
pub(super) fn subset(
    tree: &Tree<'_>,
    apex: ElementId,
    form: &Form,
    length: usize,
    sink: Sink<'_>,
) -> Result<(), NoForm> {
    let mut writer = Writer::new(tree, form, length, sink)?;
    let Some(element) = tree.element(apex) else { return Ok(()) };
    writer.apex = Some(writer.inherited(element)?);
    writer.nodes(tree.nodes.get(element.open..=element.close).into_iter().flatten())
}

/// What the start tag of an apex shows beside its own, from elements that are not part of the subset.
#[derive(Default)]
struct Inherited<'a> {
    namespaces: Vec<(Prefix, Uri)>,
    /// Its own among them, sorted; empty: only its own.
    attributes: Vec<Attribute<'a>>,
}

struct Writer<'t, 'a, 's> {
    tree: &'t Tree<'a>,
    /// The prefixes treated as Canonical XML treats all, by number; none: all are.
    inclusive: Option<Vec<bool>>,
    /// Whether `xml:` attributes are inherited, and by which version.
    form: &'t Form,
    /// The namespace of each prefix that the output has here and now, by its number.
    rendered: Vec<Uri>,
    /// What [`Writer::rendered`] was before, latest last.
    shadowed: Vec<(Prefix, Uri)>,
    /// For each open element, how many were shadowed when it was opened.
    open: Vec<usize>,
    /// To be written with the next element.
    apex: Option<Inherited<'a>>,
    root_seen: bool,
    /// How long the rest may be; none: too long.
    left: Option<usize>,
    sink: Sink<'s>,
}

impl<'t, 'a, 's> Writer<'t, 'a, 's> {
    fn new(tree: &'t Tree<'a>, form: &'t Form, length: usize, sink: Sink<'s>) -> Result<Self, NoForm> {
        if tree.uris.iter().skip(1).any(|uri| !has_scheme(uri)) {
            return Err(NoForm::RelativeNamespace);
        }
        let inclusive = match form {
            Form::Inclusive10 | Form::Inclusive11 => None,
            Form::Exclusive { prefix_list } => {
                let mut listed = vec![false; tree.prefixes.len()];
                for name in prefix_list.split_ascii_whitespace() {
                    let prefix = if name == "#default" { Some(Prefix::DEFAULT) } else { tree.find_prefix(name) };
                    if let Some(listed) = prefix.and_then(|prefix| listed.get_mut(prefix.0)) {
                        *listed = true;
                    }
                }
                Some(listed)
            }
        };
        let mut rendered = vec![Uri::NONE; tree.prefixes.len()];
        // The prefix xml is never declared: as if that were done already.
        if let Some(uri) = tree.find_uri(XML)
            && let Some(rendered) = tree.find_prefix("xml").and_then(|prefix| rendered.get_mut(prefix.0))
        {
            *rendered = uri;
        }
        let left = Some(length.saturating_mul(MAX_GROWTH).saturating_add(FREE));
        let (shadowed, open) = (Vec::new(), Vec::new());
        Ok(Self { tree, inclusive, form, rendered, shadowed, open, apex: None, root_seen: false, left, sink })
    }

    fn nodes(mut self, nodes: impl Iterator<Item = &'t Node<'a>>) -> Result<(), NoForm> {
        for node in nodes {
            self.node(node);
            if self.left.is_none() {
                return Err(NoForm::TooLong);
            }
        }
        Ok(())
    }

    fn is_inclusive(&self, prefix: Prefix) -> bool {
        self.inclusive.as_ref().is_none_or(|listed| listed.get(prefix.0).copied().unwrap_or_default())
    }

    fn node(&mut self, node: &Node<'a>) {
        let tree = self.tree;
        match node {
            Node::Open(id) => {
                if let Some(element) = tree.element(*id) {
                    self.start_tag(element);
                }
            }
            Node::Close(id) => {
                if let Some(element) = tree.element(*id) {
                    self.end_tag(element);
                }
            }
            Node::Text(text) => self.escaped(text, text_escape),
            Node::Instruction { target, data } => self.instruction(target, data),
            Node::Comment => {}
        }
    }

    fn start_tag(&mut self, element: &'t Element<'a>) {
        self.root_seen = true;
        self.open.push(self.shadowed.len());
        let inherited = self.apex.take().unwrap_or_default();
        self.put("<");
        self.name(element.prefix, element.local);
        for (prefix, uri) in self.namespaces(element, inherited.namespaces) {
            self.declaration(prefix, uri);
        }
        let attributes = if inherited.attributes.is_empty() { &element.attributes } else { &inherited.attributes };
        for attribute in attributes {
            self.attribute(attribute);
        }
        self.put(">");
    }

    fn end_tag(&mut self, element: &Element<'a>) {
        self.put("</");
        self.name(element.prefix, element.local);
        self.put(">");
        let shadowed = self.open.pop().unwrap_or_default();
        while self.shadowed.len() > shadowed {
            let Some((prefix, uri)) = self.shadowed.pop() else { break };
            if let Some(rendered) = self.rendered.get_mut(prefix.0) {
                *rendered = uri;
            }
        }
    }

    /// The namespaces that this start tag may have to declare, sorted; those that the output has already among them.
    /// `inherited` comes from outside of the subset.
    fn namespaces(&self, element: &Element<'a>, inherited: Vec<(Prefix, Uri)>) -> Vec<(Prefix, Uri)> {
        let mut namespaces = inherited;
        namespaces.extend(element.declarations.iter().filter(|(prefix, _)| self.is_inclusive(*prefix)));
        if self.inclusive.is_some() {
            // Visibly utilized (Exclusive XML Canonicalization 1.0 section 1.1). A prefix that has not changed since it
            // was rendered is left out by `declaration`.
            namespaces.push((element.prefix, element.namespace));
            let prefixed = element.attributes.iter().filter(|attribute| attribute.prefix != Prefix::DEFAULT);
            namespaces.extend(prefixed.map(|attribute| (attribute.prefix, attribute.namespace)));
        }
        namespaces.sort_unstable();
        namespaces
    }

    /// A declaration, unless the output has it already.
    fn declaration(&mut self, prefix: Prefix, uri: Uri) {
        let tree = self.tree;
        let Some(rendered) = self.rendered.get_mut(prefix.0).filter(|rendered| **rendered != uri) else { return };
        self.shadowed.push((prefix, std::mem::replace(rendered, uri)));
        self.put(" xmlns");
        if prefix != Prefix::DEFAULT {
            self.put(":");
            self.put(tree.prefix(prefix));
        }
        self.put("=\"");
        self.escaped(tree.uri(uri), attribute_escape);
        self.put("\"");
    }

    fn attribute(&mut self, attribute: &Attribute<'a>) {
        self.put(" ");
        self.name(attribute.prefix, attribute.local);
        self.put("=\"");
        self.escaped(&attribute.value, attribute_escape);
        self.put("\"");
    }

    /// Beside the root element, a line feed separates (Canonical XML 1.0 section 2.3).
    fn instruction(&mut self, target: &str, data: &str) {
        let outside = self.open.is_empty();
        self.put(if outside && self.root_seen { "\n<?" } else { "<?" });
        self.put(target);
        if !data.is_empty() {
            self.put(" ");
            self.put(data);
        }
        self.put(if outside && !self.root_seen { "?>\n" } else { "?>" });
    }

    /// What `apex` inherits from its ancestors, none of which is part of the subset.
    fn inherited(&self, apex: &Element<'a>) -> Result<Inherited<'a>, NoForm> {
        let tree = self.tree;
        let xml = tree.find_uri(XML);
        let is_base = |attribute: &&Attribute<'a>| Some(attribute.namespace) == xml && attribute.local == "base";
        let is_inherited = |attribute: &&Attribute<'a>| {
            Some(attribute.namespace) == xml
                && match self.form {
                    Form::Inclusive10 => true,
                    Form::Inclusive11 => matches!(attribute.local, "lang" | "space" | "base"),
                    Form::Exclusive { .. } => false,
                }
        };
        let mut in_scope: Vec<Option<Uri>> = vec![None; tree.prefixes.len()];
        let mut attributes = apex.attributes.clone();
        let mut bases: Vec<&Attribute<'a>> = apex.attributes.iter().filter(is_base).collect();
        let mut parent = apex.parent;
        // From the nearest ancestor outwards: what comes first hides what comes later.
        while let Some(ancestor) = parent.and_then(|id| tree.element(id)) {
            parent = ancestor.parent;
            for (prefix, uri) in &ancestor.declarations {
                if let Some(slot) = in_scope.get_mut(prefix.0) {
                    slot.get_or_insert(*uri);
                }
            }
            bases.extend(ancestor.attributes.iter().filter(is_base));
            let hidden =
                |attribute: &&Attribute<'a>| attributes.binary_search_by(|own| own.cmp_name(attribute)).is_ok();
            let new: Vec<_> =
                ancestor.attributes.iter().filter(is_inherited).filter(|new| !hidden(new)).cloned().collect();
            attributes.extend(new);
            Attribute::sort(&mut attributes);
        }
        // An empty one would have to be resolved as well.
        let joined = bases.len() > 1 || bases.iter().any(|base| base.value.is_empty());
        if joined && *self.form == Form::Inclusive11 {
            return Err(NoForm::JoinedBase);
        }
        for (own, _) in &apex.declarations {
            if let Some(slot) = in_scope.get_mut(own.0) {
                *slot = None;
            }
        }
        let namespaces = in_scope.into_iter().enumerate().filter_map(|(prefix, uri)| Some((Prefix(prefix), uri?)));
        let namespaces = namespaces.filter(|(prefix, _)| self.is_inclusive(*prefix)).collect();
        Ok(Inherited { namespaces, attributes })
    }

    fn name(&mut self, prefix: Prefix, local: &str) {
        if prefix != Prefix::DEFAULT {
            let tree = self.tree;
            self.put(tree.prefix(prefix));
            self.put(":");
        }
        self.put(local);
    }

    fn escaped(&mut self, text: &str, escape: fn(u8) -> Option<&'static str>) {
        let mut rest = text;
        while let Some((at, escaped)) = rest.bytes().enumerate().find_map(|(at, byte)| Some((at, escape(byte)?))) {
            let (plain, special) = rest.split_at_checked(at).unwrap_or_default();
            self.put(plain);
            self.put(escaped);
            rest = special.get(1..).unwrap_or_default();
        }
        self.put(rest);
    }

    fn put(&mut self, text: &str) {
        self.left = self.left.and_then(|left| left.checked_sub(text.len()));
        if self.left.is_some() {
            (self.sink)(text.as_bytes());
        }
    }
}

/// Canonical XML 1.0 section 2.3, text nodes.
const fn text_escape(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    }
}

/// Canonical XML 1.0 section 2.3, attribute nodes.
const fn attribute_escape(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'"' => Some("&quot;"),
        b'\t' => Some("&#x9;"),
        b'\n' => Some("&#xA;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    }
}

/// Whether a reference is absolute: it begins with a scheme (RFC 3986 section 3.1).
fn has_scheme(uri: &str) -> bool {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}
