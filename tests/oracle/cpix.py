"""Decides about CPIX documents as section 9 of the contract says, on Python's own XML (expat, minidom, canonicalize).

What `canonicalize` makes (Canonical XML 2.0 as it is by default) is for these documents what exclusive canonicalisation
makes, so that is the one form that is checked here.
"""

import base64
import binascii
import hashlib
import re
import xml.dom.minidom as minidom
from xml.dom import Node
from xml.etree.ElementTree import canonicalize
from xml.parsers import expat

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

CPIX = "urn:dashif:org:cpix"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
DSIG11 = "http://www.w3.org/2009/xmldsig11#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DSIG + "enveloped-signature"
FORMS = {EXCLUSIVE, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11"}
DIGESTS = {"http://www.w3.org/2001/04/xmlenc#sha256": hashlib.sha256, "http://www.w3.org/2001/04/xmlenc#sha512": hashlib.sha512}
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
METHODS = {MORE + "rsa-sha256": ("RSA", hashes.SHA256), MORE + "rsa-sha512": ("RSA", hashes.SHA512), MORE + "ecdsa-sha256": ("EC", hashes.SHA256)}
ATTRIBUTES = {"Id", "Algorithm", "URI", "Type", "PrefixList"}
#: The elements that the schemas of XML-DSig give no text; the parameters of algorithms that are not allowed are none either.
WITHOUT_TEXT = {
    DSIG: "Signature SignedInfo CanonicalizationMethod SignatureMethod Reference Transforms Transform DigestMethod KeyInfo KeyValue DSAKeyValue RSAKeyValue "
    "RetrievalMethod X509Data X509IssuerSerial PGPData SPKIData Object Manifest SignatureProperties SignatureProperty HMACOutputLength XPath".split(),
    DSIG11: "ECKeyValue NamedCurve ECParameters FieldID Prime GnB TnB PnB Curve ValidationData KeyInfoReference".split(),
}
SPACE = " \t\r\n"


class Refused(Exception):
    """The request is answered with this code."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def check_charset(content_types):
    """A charset of the media type other than UTF-8, as a parser of parameters reads it."""
    for value in content_types:
        for parameter in value.decode("latin-1").split(";")[1:]:
            name, _, said = parameter.partition("=")
            if name.strip().lower().rstrip("*") == "charset" and said.strip().strip('"').lower() != "utf-8":
                raise Refused("MDRM-910")


def read(body):
    """The DOM of a CPIX document."""
    try:
        body.decode()
        found = minidom.parseString(body)
    except (UnicodeDecodeError, expat.ExpatError, ValueError):
        raise Refused("MDRM-910") from None
    root = found.documentElement
    if found.doctype is not None or (found.encoding or "utf-8").lower() != "utf-8" or (root.namespaceURI, root.localName) != (CPIX, "CPIX"):
        raise Refused("MDRM-910")
    return found


def check_names(document, subject):
    root = document.documentElement
    names = []
    if root.hasAttribute("contentId"):
        names.append(root.getAttribute("contentId"))
    elif root.hasAttribute("id"):
        names.append(root.getAttribute("id"))
    for key in document.getElementsByTagNameNS(CPIX, "ContentKey"):
        if key.hasAttribute("contentId"):
            names.append(key.getAttribute("contentId"))
    if not any(names):
        raise Refused("MDRM-903")
    if root.hasAttribute("contentId") and root.hasAttribute("id") and root.getAttribute("contentId") != root.getAttribute("id"):
        raise Refused("MDRM-904")
    if set(names) != {subject}:
        raise Refused("MDRM-905")


# Signatures.


def check_signature(document, body, key):
    """All that comes between 910 and the owner."""
    root = document.documentElement
    signatures = document.getElementsByTagNameNS(DSIG, "Signature")
    if not signatures:
        raise Refused("MDRM-914")
    whole = [one for one in signatures if any(reference.getAttributeNode("URI") and reference.getAttribute("URI") == "" for reference in references(one))]
    if len(whole) != 1 or whole[0].parentNode is not root:
        raise Refused("MDRM-915")
    method, digest_method, digest, value = allowed(whole[0])
    check_comments(root, whole[0])
    kty, hash_ = METHODS[method]
    if key["kty"] != kty:
        raise Refused("MDRM-917")
    rest, signed_info = parts(body.decode(), whole[0])
    if not verifies(key["public"], hash_(), signed_info, value) or DIGESTS[digest_method](canonicalize(rest).encode()).digest() != digest:
        raise Refused("MDRM-916")


def is_named(node, local):
    return node.nodeType == Node.ELEMENT_NODE and node.namespaceURI == DSIG and node.localName == local


def references(signature):
    infos = [child for child in signature.childNodes if is_named(child, "SignedInfo")]
    return [child for info in infos for child in info.childNodes if is_named(child, "Reference")]


def elements(parent, *names):
    """The elements in `parent`, which are named so; a name in brackets may be missing."""
    found = [child for child in parent.childNodes if child.nodeType == Node.ELEMENT_NODE]
    wanted = [name.strip("[]") for name in names]
    least = sum(not name.startswith("[") for name in names)
    if not least <= len(found) <= len(names) or not all(is_named(child, name) for child, name in zip(found, wanted)):
        raise Refused("MDRM-918")
    return found


def allowed(signature):
    """Algorithms and values of a signature in which nothing stands that must not."""
    for child in signature.childNodes:
        check_place(child, signature)
    check_attributes(signature)
    info, value = elements(signature, "SignedInfo", "SignatureValue", "[KeyInfo]")[:2]
    canonicalization, method, reference = elements(info, "CanonicalizationMethod", "SignatureMethod", "Reference")
    transforms, digest_method, digest = elements(reference, "Transforms", "DigestMethod", "DigestValue")
    enveloped, *form = elements(transforms, "Transform", "[Transform]")
    for one in [canonicalization, *form]:
        parameters = [child for child in one.childNodes if child.nodeType == Node.ELEMENT_NODE]
        listed = [child for child in parameters if child.namespaceURI == EXCLUSIVE and child.hasAttribute("PrefixList")]
        if one.getAttribute("Algorithm") not in FORMS or len(parameters) > 1 or parameters != listed:
            raise Refused("MDRM-918")
    for one in [enveloped, method, digest_method]:
        elements(one)
    method, digest_method = method.getAttribute("Algorithm"), digest_method.getAttribute("Algorithm")
    if enveloped.getAttribute("Algorithm") != ENVELOPED or method not in METHODS or digest_method not in DIGESTS:
        raise Refused("MDRM-918")
    return method, digest_method, decoded(digest), decoded(value)


def check_place(node, parent):
    if node.nodeType in (Node.TEXT_NODE, Node.CDATA_SECTION_NODE):
        if node.data.strip(SPACE) and parent.localName in WITHOUT_TEXT.get(parent.namespaceURI, [parent.localName]):
            raise Refused("MDRM-918")
        return
    if node.nodeType != Node.ELEMENT_NODE:
        raise Refused("MDRM-918")
    if node.namespaceURI == EXCLUSIVE and node.localName == "InclusiveNamespaces":
        if parent.localName not in ("Transform", "CanonicalizationMethod") or parent.getAttribute("Algorithm") != EXCLUSIVE:
            raise Refused("MDRM-918")
    elif node.namespaceURI not in (DSIG, DSIG11):
        raise Refused("MDRM-918")
    if parent.localName not in WITHOUT_TEXT.get(parent.namespaceURI, []):
        raise Refused("MDRM-918")
    check_attributes(node)
    for child in node.childNodes:
        check_place(child, node)


def check_attributes(element):
    for attribute in element.attributes.values():
        if attribute.namespaceURI != "http://www.w3.org/2000/xmlns/" and (attribute.namespaceURI or attribute.name not in ATTRIBUTES):
            raise Refused("MDRM-918")


def decoded(element):
    """The bytes of a value in Base64; empty, which never verifies, if it is none."""
    if any(child.nodeType != Node.TEXT_NODE for child in element.childNodes) or not element.childNodes:
        raise Refused("MDRM-918")
    text = re.sub(f"[{SPACE}]", "", "".join(child.data for child in element.childNodes))
    try:
        found = base64.b64decode(text, validate=True)
        return found if base64.b64encode(found).decode() == text else b""
    except (binascii.Error, ValueError):
        return b""


def check_comments(element, signature):
    """A comment beside text in one element."""
    if element is signature:
        return
    texts = [child for child in element.childNodes if child.nodeType in (Node.TEXT_NODE, Node.CDATA_SECTION_NODE)]
    comments = [child for child in element.childNodes if child.nodeType == Node.COMMENT_NODE]
    if comments and any(child.data.strip(SPACE) for child in texts):
        raise Refused("MDRM-918")
    for child in element.childNodes:
        if child.nodeType == Node.ELEMENT_NODE:
            check_comments(child, signature)


def parts(text, signature):
    """The text without the signature over all of it, and the canonical form of its SignedInfo."""
    spans, open_, body = [], [], text.encode()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.namespace_prefixes = True
    parser.StartElementHandler = lambda name, attributes: open_.append((name, parser.CurrentByteIndex))

    def ended(name):
        _, start = open_.pop()
        spans.append((name.split(" ")[:2], len(open_), start, parser.CurrentByteIndex))

    parser.EndElementHandler = ended
    parser.Parse(body, True)
    # An end tag begins where the handler is told; that of an empty element is its start.
    after = lambda at: body.index(b">", at) + 1
    order = [child for child in signature.parentNode.childNodes if is_named(child, "Signature")].index(signature)
    start, end = sorted((start, after(end)) for name, depth, start, end in spans if name == [DSIG, "Signature"] and depth == 1)[order]
    infos = [(at, after(to)) for name, depth, at, to in spans if name == [DSIG, "SignedInfo"] and depth == 2 and start < at < end]
    info_start, info_end = infos[0]
    scope = {}
    for element in (signature.parentNode, signature):
        for attribute in element.attributes.values():
            if attribute.namespaceURI == "http://www.w3.org/2000/xmlns/":
                scope[attribute.name] = attribute.value
    declared = "".join(f' {name}="{value}"' for name, value in scope.items())
    around = canonicalize(f'<around:around xmlns:around="urn:around"{declared}>{body[info_start:info_end].decode()}</around:around>')
    inside = around.removeprefix('<around:around xmlns:around="urn:around">').removesuffix("</around:around>")
    return (body[:start] + body[end:]).decode(), inside.encode()


def verifies(public, hash_, message, signature):
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            if len(signature) != 64:
                return False
            der = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            public.verify(der, message, ec.ECDSA(hash_))
        else:
            public.verify(signature, message, padding.PKCS1v15(), hash_)
    except (InvalidSignature, ValueError):
        return False
    return True
