"""Makes CPIX requests whose documents are nearly right, and writes them with the oracle's decisions: one JSON value a line, as
generate.py does, and the body with each request.

    cpix_requests.py SEED COUNT
"""

import base64
import hashlib
import json
import random
import sys

import cpix
from keys import KeyPool, encode

NOW = 1_764_000_000
SUBJECT = "content-1"
OWNER = "company1"
CONFIG = {
    "keys": {"cluster": "keys"},
    "routes": [{"path_prefix": "/signed", "service": "signed_cpix"}, {"path_prefix": "/cpix", "service": "cpix"}],
    "services": {"cpix": {"bind_content": True}},
    "default_service": "deny",
}
CHARSETS = [
    b"application/xml; charset=utf-8", b"text/xml;charset=\"UTF-8\"", b"application/xml; Charset=Utf-8; v=1", b"application/xml;charset=utf-8;charset=utf-8",
    b"application/xml; charset=utf-7", b"text/xml; charset=iso-8859-1", b"application/xml; charset=\"utf-16\"", b"application/xml; charset=", b"application/xml; CHARSET=us-ascii",
    b"application/xml; charset=utf-8; charset=utf-7", b"application/xml; charset*=utf-7''x", b"application/xml; x=\"; charset=utf-7\"",
]
#: What is put in somewhere before a document is signed, or after.
INSERTED = [
    "<!-- c -->", "<?p?>", "text", " ", "&#13;", "<![CDATA[x]]>", "<x/>", "<a xmlns='urn:a'>b</a>", '<ContentKey contentId="content-1"/>', '<ContentKey contentId="content-2"/>',
    '<CPIX xmlns="" contentId="content-2"/>', "<ds:KeyInfo><ds:KeyName>n</ds:KeyName></ds:KeyInfo>", "<ds:KeyName>n</ds:KeyName>", "<ds:X509Data>t</ds:X509Data>", "<ds:Object/>",
    "<ds:KeyValue><k:ECKeyValue xmlns:k='http://www.w3.org/2009/xmldsig11#'><k:PublicKey>AA==</k:PublicKey></k:ECKeyValue></ds:KeyValue>", "<ds:Unknown/>", "<ds:X509SKI>t<ds:P/></ds:X509SKI>",
    "<ds:Signature/>", '<ds:Signature><ds:SignedInfo><ds:Reference URI="#x"/></ds:SignedInfo></ds:Signature>', "<i:InclusiveNamespaces xmlns:i='http://www.w3.org/2001/10/xml-exc-c14n#' PrefixList='a'/>",
]
ATTRIBUTES = [' Id="i"', ' contentId="content-2"', ' contentId="content-1"', ' id="content-1"', ' id="content-2"', ' xml:lang="en"', ' xmlns:u="urn:u"', ' ds:Id="i"', ' Type="t"', ' URI="u"', ' x=""']
REPLACED = [
    ("rsa-sha256", "rsa-sha1"), ("ecdsa-sha256", "ecdsa-sha384"), ("rsa-sha256", "ecdsa-sha256"), ("xmlenc#sha256", "xmlenc#sha512"), ("enveloped-signature", "base64"),
    ('URI=""', 'URI="#x"'), ("<ds:SignatureValue>", "<ds:SignatureValue>A"), ("<ds:DigestValue>", "<ds:DigestValue>!"), ("content-1", "content-2"), ("<b>", "<b >"), ("</b>", "<!-- --></b>"),
]


def names(rng, prefix):
    """Attributes of the root element, and keys in it."""
    content = lambda: rng.choices([SUBJECT, "content-2", "", "Content-1"], [20, 2, 1, 1])[0]
    root = ""
    if rng.random() < 0.75:
        root += f' contentId="{content()}"'
    if rng.random() < 0.25:
        root += f' id="{content()}"'
    keys = ""
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        name = rng.choice([f"{prefix}ContentKey", f"{prefix}ContentKey", f"{prefix}ContentKey", f"{prefix}DRMSystem", "x:ContentKey"])
        attribute = rng.choice(["contentId", "contentId", "x:contentId", "contentID", "id"])
        said = f' {attribute}="{content()}"' if rng.random() < 0.5 else ""
        keys += f"<{name}{said}/>"
    return root, keys


def unsigned(rng):
    # One prefix for a namespace: Python's canonical form has no more.
    prefix, declared = rng.choice([("", "xmlns"), ("", "xmlns"), ("c:", "xmlns:c")])
    root, keys = names(rng, prefix)
    inside = f"<{prefix}ContentKeyList>{keys}</{prefix}ContentKeyList><b>text</b>"
    return f'<{prefix}CPIX {declared}="{cpix.CPIX}" xmlns:x="urn:x" xmlns:ds="{cpix.DSIG}"{root}>{inside}</{prefix}CPIX>'


def put(rng, text, pieces):
    """One of the pieces where a tag begins, or an attribute in a start tag."""
    places = [at for at, character in enumerate(text) if character == "<" and text[at : at + 2] != "<!" and at]
    if rng.random() < 0.7:
        at = rng.choice(places)
        return text[:at] + rng.choice(pieces) + text[at:]
    starts = [text.index(">", at) for at in places if text[at + 1] not in "/?"]
    at = rng.choice(starts)
    at -= text[at - 1] == "/"
    return text[:at] + rng.choice(ATTRIBUTES) + text[at:]


def sign(text, key):
    digest = base64.b64encode(hashlib.sha256(cpix.canonicalize(text).encode()).digest()).decode()
    method = "rsa-sha256" if key.alg == "RS256" else "ecdsa-sha256"
    info = (
        f'<ds:SignedInfo xmlns:ds="{cpix.DSIG}"><ds:CanonicalizationMethod Algorithm="{cpix.EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{cpix.MORE}{method}"></ds:SignatureMethod><ds:Reference URI=""><ds:Transforms>'
        f'<ds:Transform Algorithm="{cpix.ENVELOPED}"></ds:Transform><ds:Transform Algorithm="{cpix.EXCLUSIVE}"></ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>'
    )
    value = base64.b64encode(key.sign(info.encode())).decode()
    at = text.rindex("</")
    return text[:at] + f'<ds:Signature xmlns:ds="{cpix.DSIG}">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>' + text[at:]


def document(rng, key, signed):
    text = unsigned(rng)
    if rng.random() < 0.2:
        # Not an element of no namespace: Python leaves its xmlns="" out.
        text = put(rng, text, INSERTED[:10])
    if signed and rng.random() < 0.95:
        try:
            text = sign(text, key)
        except Exception:  # An attribute stands twice: it is no document.
            return text
    for _ in range(rng.choice([0, 0, 0, 1, 1, 1, 2])):
        if rng.random() < 0.7:
            text = put(rng, text, INSERTED)
        else:
            old, new = rng.choice(REPLACED)
            text = text.replace(old, new, 1)
    return text


def decide(service, content_types, body, key):
    try:
        cpix.check_charset(content_types)
        if not body:
            raise cpix.Refused("MDRM-910")
        found = cpix.read(body)
        if service == "signed_cpix":
            cpix.check_signature(found, body, {"kty": key.jwk["kty"], "public": key.private.public_key()})
        cpix.check_names(found, SUBJECT)
    except cpix.Refused as refused:
        return refused.code
    return "ok"


def token(key, kid):
    claims = {"iss": OWNER, "sub": SUBJECT, "jti": "1", "ver": 1, "iat": NOW, "aud": "urn:verimatrix:cpix"}
    text = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": key.alg, "kid": kid}, claims)).encode()
    return text + b"." + encode(key.sign(text)).encode()


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    pool = KeyPool(rng)
    keys = {f"{alg}-{index}": pool.keys[alg][index] for alg in ("ES256", "RS256") for index in (0, 1)}
    documents = {kid: {**key.jwk, "kid": kid, "iss": OWNER, "aud": ["urn:verimatrix:cpix"]} for kid, key in keys.items()}
    answers = {f"/keys/{kid}": [200, json.dumps(members)] for kid, members in documents.items()}
    tokens = {kid: token(key, kid).decode() for kid, key in keys.items()}
    print(json.dumps({"config": CONFIG, "answers": answers}))
    for _ in range(count):
        service = rng.choice(["cpix", "signed_cpix", "signed_cpix", "signed_cpix"])
        signer = rng.choices(list(keys), [6, 6, 1, 1])[0]
        registered = signer if rng.random() < 0.95 else rng.choice(list(keys))
        body = document(rng, keys[signer], service == "signed_cpix").encode()
        headers = [(":method", "POST"), (":authority", "license.example.com")]
        if service == "cpix":
            headers += [(":path", "/cpix"), ("authorization", tokens[registered])]
        else:
            headers.append((":path", f"/signed?kid={registered}&sub={SUBJECT}&iss={OWNER}"))
        content_types = [rng.choice(CHARSETS)] if rng.random() < 0.15 else [b"application/xml"] if rng.random() < 0.5 else []
        headers += [("content-type", value.decode()) for value in content_types]
        expected = decide(service, content_types, body, keys[registered])
        print(json.dumps({"now": NOW, "headers": headers, "end": False, "body": body.decode("latin-1"), "expected": expected}))


if __name__ == "__main__":
    main()
