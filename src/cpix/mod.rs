//! CPIX documents: reading one, checking the signature over the whole of it, and signing one.
//!
//! [`Document::parse`] makes a tree. [`Document::verify`] digests the canonical form of that tree and consumes it into a
//! [`VerifiedDocument`], whose names of the content come from the very nodes that were digested: there is no second parser,
//! no look-up by `Id`, and no way from a signature to a part of the document. That is what signature wrapping needs. What
//! is not digested, the signature and comments, cannot carry anything (`unsigned`).
//!
//! Why no library (measured on `wasm32-wasip1`; this module adds 79 kB to the filter): `xml-sec` 0.4 adds 2 690 kB to an
//! empty module, its canonicaliser alone 280 kB, and needs a newer compiler than this crate; `bergshamra` 0.11 adds
//! 3 220 kB. Both are complete: `Id` references, XPath, manifests, keys from `KeyInfo`, each of which would have to be
//! shut off again. `roxmltree` 0.21 (64 kB) keeps no prefixes, which a canonical form is made of, and compares each
//! attribute with each; `quick-xml` 0.42 (42 kB) leaves well-formedness to its caller. A document without a DTD needs
//! little of XML, and the contract allows little of XML-DSig: what is here reads exactly that, and has no code for the
//! rest.
//!
//! Everything is linear in the body, but for sorting (`make instructions` counts it): elements and attributes are counted
//! and nesting is bounded (`builder`), namespaces and prefixes are compared as numbers, and a canonical form that grows to many times the
//! document is given up (`c14n`).
//!
//! Sources: XML 1.0 (fifth edition), Namespaces in XML 1.0 (third edition), Canonical XML 1.0 and 1.1, Exclusive XML
//! Canonicalization 1.0, XML Signature 1.1, RFC 4051.

mod builder;
pub mod c14n;
mod document;
mod reader;
pub mod sign;
mod signature;
mod tree;
mod unsigned;
mod value;

pub use document::{Document, VerifiedDocument};

/// The namespace of CPIX.
const CPIX: &str = "urn:dashif:org:cpix";
/// The namespace of XML-DSig.
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The namespace of what version 1.1 adds to it.
const DSIG11: &str = "http://www.w3.org/2009/xmldsig11#";
