//! From markup to a tree: nesting, namespaces, and the limits of a document.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::reader::{Fault, InTag, Markup, QName, Reader, is_space};
use super::tree::{Attribute, Element, ElementId, Node, Prefix, Tree, Uri};
use super::value::{Place, decode};

/// Levels of elements, the root included. CPIX has nine.
const MAX_DEPTH: usize = 128;
/// Tags, texts, comments, instructions, attributes and declarations of a document: bounds the memory of a tree to some
/// 50 MiB in the VM. A CPIX document of 8 MiB, the most that a body may have, has fewer than half as many.
const MAX_PIECES: usize = 1 << 19;

/// The namespace of the prefix `xml` (Namespaces in XML 1.0 section 3).
pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of the prefix `xmlns`, which nothing can be bound to.
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Reads a text without a byte order mark as one document.
pub(super) fn build(text: &str) -> Result<Tree<'_>, Fault> {
    let mut reader = Reader::new(text)?;
    let mut builder = Builder::new();
    loop {
        let at = text.len().saturating_sub(reader.left());
        match reader.markup()? {
            Markup::Open(name) => builder.element(name, &mut reader, text.len())?,
            Markup::Close(name) => builder.close(name, at)?,
            Markup::Text(text) if builder.open.is_empty() => {
                if !text.trim_matches(is_space).is_empty() {
                    return Err("text outside of the root element");
                }
            }
            Markup::CData(_) if builder.open.is_empty() => return Err("text outside of the root element"),
            Markup::Text(text) => builder.node(Node::Text(decode(text, Place::Content)?))?,
            Markup::CData(text) => builder.node(Node::Text(decode(text, Place::Literal)?))?,
            Markup::Instruction { target, data } => {
                builder.node(Node::Instruction { target, data: decode(data, Place::Literal)? })?;
            }
            Markup::Comment => builder.node(Node::Comment)?,
            Markup::End => return builder.finish(),
        }
    }
}

/// Numbers for texts; equal texts get equal numbers.
#[derive(Default)]
struct Interner<'a>(BTreeMap<Cow<'a, str>, usize>);

impl<'a> Interner<'a> {
    fn intern(&mut self, text: Cow<'a, str>) -> usize {
        let next = self.0.len();
        *self.0.entry(text).or_insert(next)
    }

    /// The texts in order, and the place of each number's text among them.
    fn sort(self) -> (Vec<Cow<'a, str>>, Vec<usize>) {
        let mut places = vec![0; self.0.len()];
        let mut texts = Vec::with_capacity(self.0.len());
        for (text, number) in self.0 {
            if let Some(place) = places.get_mut(number) {
                *place = texts.len();
            }
            texts.push(text);
        }
        (texts, places)
    }
}

/// A binding that is in force again once the element that declared it is closed.
struct Shadowed {
    prefix: usize,
    uri: Option<usize>,
}

struct OpenElement<'a> {
    id: ElementId,
    name: QName<'a>,
    /// How many bindings were shadowed when it was opened.
    shadowed: usize,
}

struct Builder<'a> {
    nodes: Vec<Node<'a>>,
    elements: Vec<Element<'a>>,
    uris: Interner<'a>,
    prefixes: Interner<'a>,
    /// The namespace of each prefix, by its number, here and now.
    bindings: Vec<Option<usize>>,
    shadowed: Vec<Shadowed>,
    open: Vec<OpenElement<'a>>,
    pieces: usize,
    root_end: usize,
}

impl<'a> Builder<'a> {
    fn new() -> Self {
        let mut builder = Self {
            nodes: Vec::new(),
            elements: Vec::new(),
            uris: Interner::default(),
            prefixes: Interner::default(),
            bindings: Vec::new(),
            shadowed: Vec::new(),
            open: Vec::new(),
            pieces: 0,
            root_end: 0,
        };
        for (prefix, uri) in [("", ""), ("xml", XML)] {
            let uri = builder.uris.intern(uri.into());
            builder.bind(prefix, uri);
        }
        builder.shadowed.clear();
        builder
    }

    fn piece(&mut self) -> Result<(), Fault> {
        self.pieces = self.pieces.saturating_add(1);
        if self.pieces > MAX_PIECES { Err("too many elements and attributes") } else { Ok(()) }
    }

    fn node(&mut self, node: Node<'a>) -> Result<(), Fault> {
        self.piece()?;
        self.nodes.push(node);
        Ok(())
    }

    /// A start tag, and the end tag too if the element is empty.
    fn element(&mut self, name: QName<'a>, reader: &mut Reader<'a>, length: usize) -> Result<(), Fault> {
        if self.open.is_empty() && !self.elements.is_empty() {
            return Err("more than one root element");
        }
        if self.open.len() == MAX_DEPTH {
            return Err("nested too deep");
        }
        let shadowed = self.shadowed.len();
        let mut written = Vec::new();
        let mut declarations = Vec::new();
        let empty = loop {
            match reader.attribute()? {
                InTag::Attribute(QName { prefix: "", local: "xmlns" }, uri) => {
                    self.declare("", uri, &mut declarations)?
                }
                InTag::Attribute(QName { prefix: "xmlns", local }, uri) => {
                    self.declare(local, uri, &mut declarations)?
                }
                InTag::Attribute(name, value) => {
                    self.piece()?;
                    written.push((name, decode(value, Place::Attribute)?));
                }
                InTag::Opened => break false,
                InTag::Empty => break true,
            }
        };
        // Only now: a declaration also holds for the attributes before it.
        let mut attributes = Vec::with_capacity(written.len());
        for (QName { prefix, local }, value) in written {
            // The default namespace is not for attributes (Namespaces in XML 1.0 section 6.2).
            let (prefix, namespace) =
                if prefix.is_empty() { (Prefix::DEFAULT, Uri::NONE) } else { self.resolve(prefix)? };
            attributes.push(Attribute { prefix, local, namespace, value });
        }
        let (prefix, namespace) = self.resolve(name.prefix)?;
        let id = ElementId(self.elements.len());
        let (parent, open) = (self.open.last().map(|parent| parent.id), self.nodes.len());
        self.node(Node::Open(id))?;
        let local = name.local;
        self.elements.push(Element { prefix, local, namespace, attributes, declarations, parent, open, close: open });
        self.open.push(OpenElement { id, name, shadowed });
        if empty { self.close(name, length.saturating_sub(reader.left()).saturating_sub("/>".len())) } else { Ok(()) }
    }

    /// Namespaces in XML 1.0 sections 2.2, 3 and 5.
    fn declare(&mut self, prefix: &'a str, uri: &'a str, declarations: &mut Vec<(Prefix, Uri)>) -> Result<(), Fault> {
        self.piece()?;
        let uri = decode(uri, Place::Attribute)?;
        if (prefix == "xml") != (uri == XML) || prefix == "xmlns" || uri == XMLNS {
            return Err("a reserved prefix or namespace is declared");
        }
        if uri.is_empty() && !prefix.is_empty() {
            return Err("a prefix is undeclared");
        }
        let uri = self.uris.intern(uri);
        let prefix = self.bind(prefix, uri);
        declarations.push((Prefix(prefix), Uri(uri)));
        Ok(())
    }

    fn bind(&mut self, prefix: &'a str, uri: usize) -> usize {
        let prefix = self.prefixes.intern(prefix.into());
        if prefix == self.bindings.len() {
            self.bindings.push(None);
        }
        if let Some(binding) = self.bindings.get_mut(prefix) {
            self.shadowed.push(Shadowed { prefix, uri: binding.replace(uri) });
        }
        prefix
    }

    fn resolve(&self, prefix: &str) -> Result<(Prefix, Uri), Fault> {
        let number = self.prefixes.0.get(prefix).copied();
        let bound = number.and_then(|number| Some((Prefix(number), Uri((*self.bindings.get(number)?)?))));
        bound.ok_or("a prefix without a namespace")
    }

    fn close(&mut self, name: QName<'a>, at: usize) -> Result<(), Fault> {
        let open = self.open.pop().filter(|open| open.name == name).ok_or("an end tag without its start tag")?;
        while self.shadowed.len() > open.shadowed {
            let Some(Shadowed { prefix, uri }) = self.shadowed.pop() else { break };
            if let Some(binding) = self.bindings.get_mut(prefix) {
                *binding = uri;
            }
        }
        let close = self.nodes.len();
        if let Some(element) = self.elements.get_mut(open.id.0) {
            element.close = close;
        }
        self.root_end = at;
        self.node(Node::Close(open.id))
    }

    /// Sorts what is to be sorted, and with that finds what stands twice.
    fn finish(self) -> Result<Tree<'a>, Fault> {
        if !self.open.is_empty() {
            return Err("an element without an end");
        }
        if self.elements.is_empty() {
            return Err("no root element");
        }
        let (uris, uri_places) = self.uris.sort();
        let (prefixes, prefix_places) = self.prefixes.sort();
        let sorted_uri = |uri: Uri| Uri(uri_places.get(uri.0).copied().unwrap_or_default());
        let sorted_prefix = |prefix: Prefix| Prefix(prefix_places.get(prefix.0).copied().unwrap_or_default());
        let mut elements = self.elements;
        for element in &mut elements {
            element.prefix = sorted_prefix(element.prefix);
            element.namespace = sorted_uri(element.namespace);
            for attribute in &mut element.attributes {
                attribute.prefix = sorted_prefix(attribute.prefix);
                attribute.namespace = sorted_uri(attribute.namespace);
            }
            for (prefix, uri) in &mut element.declarations {
                (*prefix, *uri) = (sorted_prefix(*prefix), sorted_uri(*uri));
            }
            Attribute::sort(&mut element.attributes);
            element.declarations.sort_unstable();
            let pairs = element.attributes.iter().zip(element.attributes.iter().skip(1));
            let twice = pairs.into_iter().any(|(a, b)| a.cmp_name(b).is_eq());
            let declarations = element.declarations.iter().zip(element.declarations.iter().skip(1));
            if twice || declarations.into_iter().any(|((a, _), (b, _))| a == b) {
                return Err("an attribute stands twice");
            }
        }
        Ok(Tree { nodes: self.nodes, elements, uris, prefixes, root_end: self.root_end })
    }
}
