"""Tokens: a right one for the service, with up to three things changed."""

import json

from keys import encode

TIMES = [
    "null", '"1"', "true", "[1]", "{}", "-1", "-0.5", "-0", "-0.0", "0", "0.5", "1e3", "253402300799", "253402300800", "253402300799.5", "1e20", "1e400", "-1e400",
    "9223372036854775808", "18446744073709551616", "1.5e9", "1e-400", "1764000000.9",
]
NAMES_OF_TYPES = ["JWT", "mdrm-session+jwt", "MDRM-Session+JWT", "application/mdrm-session+jwt", "Application/MDRM-session+jwt", "text/mdrm-session+jwt", "mdrm-session", ""]
ODD_VALUES = ["null", "1", "true", "[]", "{}", '""', '"x"', '[""]', "1.0", '"\\u0000"', '"\\ud83d\\ude00"']


class Draft:
    """A token before it is signed: JSON texts of the members, so that anything can be said."""

    def __init__(self, header, claims):
        self.header, self.claims = header, claims
        self.key = None
        #: Applied to the texts of header and payload, the encoded parts, and the signature.
        self.texts, self.parts, self.signed = [], [], []


def token(rng, pool, config, held, now, service):
    good = [one for one in held if one.good]
    one = rng.choice(good if rng.random() < 0.75 and good else held)
    audience = "urn:verimatrix:cpix" if service == "cpix" else "urn:verimatrix:multidrm"
    rules = config.get("services", {}).get(service, {})
    version = rng.choice(rules.get("versions", [1]))
    header = {"alg": f'"{one.key.alg}"', "kid": json.dumps(one.kid, ensure_ascii=rng.random() < 0.5)}
    claims = {
        "iss": json.dumps(one.owner, ensure_ascii=rng.random() < 0.5),
        "sub": '"movie-1"',
        "jti": f'"{rng.getrandbits(32):08x}"',
        "iat": str(now - rng.choice([0, 0, 1, 2])),
        "aud": json.dumps(rng.choice([audience, [audience], ["urn:x", audience], audience])),
        "ver": str(version),
    }
    if rng.random() < 0.3:
        header["typ"] = '"JWT"'
    draft = Draft(header, claims)
    draft.key = one.key
    for _ in range(rng.choices([0, 1, 2, 3], [40, 40, 15, 5])[0]):
        rng.choice(CHANGES)(rng, pool, held, now, draft, config)
    return finished(rng, draft)


def text_of(members):
    return "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"


def finished(rng, draft):
    texts = [text_of(draft.header).encode("utf-8", "surrogatepass"), text_of(draft.claims).encode("utf-8", "surrogatepass")]
    for change in draft.texts:
        texts = change(texts)
    parts = [encode(text) for text in texts]
    for change in draft.parts:
        parts = change(parts)
    message = ".".join(parts).encode("utf-8")
    signature = draft.key.sign(message)
    encoded = None
    for change in draft.signed:
        signature, encoded = change(signature)
    return message + b"." + (encode(signature) if encoded is None else encoded).encode()


def header_member(rng, pool, held, now, draft, config):
    name, values = rng.choice([
        ("alg", ["null", '"none"', '"None"', '""', "1", '["ES256"]', '"es256"', '"HS256"', '"RS256"', '"PS256"', '"ES384"', '"EdDSA"', '"RS1"', None]),
        ("kid", ["null", "1", '""', '"."', '"..."', '"unknown"', '["k"]', json.dumps("x" * 257), '"' + "é" * 129 + '"', '"../../dev/null"', None]),
        ("typ", [f'"{name}"' for name in NAMES_OF_TYPES] + ["null", "1"]),
        ("crit", ['["b64"]', "[]", "null", '"x"', '["exp"]']),
        ("b64", ["true", "false", "null"]),
        ("jwk", ['{"kty":"oct","k":"AAAA"}']),
        ("jku", ['"https://evil.example"']),
        ("x5c", ["1e400", '["MII"]']),
        ("cty", ['"JWT"', "1"]),
    ])
    change(draft.header, name, rng.choice(values))


def change(members, name, value):
    if value is None:
        members.pop(name, None)
    else:
        members[name] = value


def claim(rng, pool, held, now, draft, config):
    name = rng.choice(["iss", "sub", "jti", "ver", "drm_protocol", "other"])
    values = ODD_VALUES + [None, '"company1"', '"company2"', '"COMPANY1"', '"REST"', '"Trust Tunnel"', '"rest"', "2", "1e0", "1e400", "0.1e1", "1.5", "7", "-1", "10e-1"]
    change(draft.claims, name, rng.choice(values))


def audience(rng, pool, held, now, draft, config):
    draft.claims["aud"] = rng.choice([
        '"urn:verimatrix:multidrm"', '"urn:verimatrix:cpix"', '["urn:verimatrix:cpix","urn:verimatrix:multidrm"]', "[]", "null", '["urn:verimatrix:multidrm",1]',
        '"urn:example:a"', '"urn:verimatrix:multidr"', '"URN:verimatrix:multidrm"', '["urn:example:a","x"]', "1", "{}", '""', '[null]', '["urn:verimatrix:multidrm",null]',
        json.dumps([f"a{i}" for i in range(50)] + ["urn:verimatrix:cpix"]), '"urn:verimatrix:multidrm "', '[["urn:verimatrix:multidrm"]]',
    ])
    if rng.random() < 0.1:
        del draft.claims["aud"]


def edge(rng, pool, held, now, draft, config):
    """A time near an edge of the rules in force."""
    offsets = [0, 1, 2, 5, 6, 7, 30, 31, 85, 86, 90, 91, 95, 96, 119, 120, 121, 122, 300, 301, 600, 605, 606, 720, 721, 1800, 1805, 1806, 86400, 86405, 86406, 10**6]
    offset = rng.choice(offsets) * rng.choice([1, -1])
    fraction = rng.choice(["", "", "", ".5", ".999", "e0"])
    draft.claims[rng.choice(["iat", "iat", "exp", "nbf"])] = f"{now + offset}{fraction}"


def odd_time(rng, pool, held, now, draft, config):
    change(draft.claims, rng.choice(["iat", "exp", "nbf"]), rng.choice(TIMES + [None]))


def other_key(rng, pool, held, now, draft, config):
    """Signed by another key, or by the same under another algorithm's name."""
    if rng.random() < 0.5:
        draft.key = rng.choice(pool.keys[draft.key.alg])
    else:
        draft.key = pool.any(rng)
        if rng.random() < 0.5:
            draft.header["alg"] = f'"{draft.key.alg}"'


def other_kid(rng, pool, held, now, draft, config):
    draft.header["kid"] = json.dumps(rng.choice(held).kid)


def json_text(rng, pool, held, now, draft, config):
    part = rng.randrange(2)
    name = b"kid" if part == 0 else b"sub"
    changes = [
        lambda t: t[:-1], lambda t: t + b" ", lambda t: b"\n\t " + t, lambda t: t + b"x", lambda t: b"\xef\xbb\xbf" + t, lambda t: b"[" + t + b"]", lambda t: b"null",
        lambda t: b'"' + t.replace(b'"', b"'") + b'"', lambda t: t.replace(b"{", b"{,", 1), lambda t: t[:-1] + b",}", lambda t: t.replace(b":", b"=", 1),
        lambda t: t[:-1] + b',"%s":"x"}' % name, lambda t: t[:-1] + b',"\\u%04x%s":1}' % (name[0], name[1:]), lambda t: t[:-1] + b',"a":{"b":1,"b":2}}',
        lambda t: t[:-1] + b',"a":NaN}', lambda t: t[:-1] + b',"a":Infinity}', lambda t: t[:-1] + b',"a":01}', lambda t: t[:-1] + b',"a":1.}', lambda t: t[:-1] + b',"a":+1}',
        lambda t: t[:-1] + b',"a":.5}', lambda t: t[:-1] + b',"a":1e}', lambda t: t[:-1] + b',"a":"\\ud800"}', lambda t: t[:-1] + b',"a":"\\udc00\\ud800"}',
        lambda t: t[:-1] + b',"a":"\\ud83d\\ude00"}', lambda t: t[:-1] + b',"a":["\\udfff"]}', lambda t: t[:-1] + b',"a":{"\\ud800":1}}', lambda t: t[:-1] + b',"\\ud800":1}',
        lambda t: t[:-1] + b',"a":"\xff"}', lambda t: t[:-1] + b',"a":"\xc0\x80"}', lambda t: t[:-1] + b',"a":"\xed\xa0\x80"}', lambda t: t[:-1] + b',"a":"\n"}',
        lambda t: t[:-1] + b',"a":"\\x"}', lambda t: t[:-1] + b',"a":"\\u12"}', lambda t: t[:-1] + b',"a":"\\u00e9\\/\\b"}', lambda t: t[:-1] + b',"a":\'x\'}', lambda t: t + b"\0",
        lambda t: t[:-1] + b',"a":/*c*/1}', lambda t: t[:-1] + b',"a":1e400}', lambda t: t[:-1] + b',"a":tru}', lambda t: t[:-1] + b',a:1}', lambda t: b"{}", lambda t: b"",
        lambda t: nested(t, 126), lambda t: nested(t, 127), lambda t: nested(t, 128), lambda t: nested(t, 500), lambda t: t[:-1] + b',"a":"' + b"[" * 200 + b'"}',
        lambda t: t[:-1] + b',"a":"\\"[{"}', lambda t: t[:-1] + b',"":1,"":2}', lambda t: t[:-1] + b',"a":"\x7f"}', lambda t: t.replace(b"{", b"{\x0c", 1), lambda t: t.replace(b"{", b"{\xc2\xa0", 1),
        lambda t: t[:-1] + b',"A":1,"a":2}', lambda t: t[:-1] + b',"p":"' + b"x" * rng.choice([50, 200, 500, 5000, 7000]) + b'"}',
    ]
    chosen = rng.choice(changes)
    draft.texts.append(lambda texts: [chosen(text) if index == part else text for index, text in enumerate(texts)])


def nested(text, depth):
    return text[:-1] + b',"a":' + b"[" * depth + b"]" * depth + b"}"


def encoding(rng, pool, held, now, draft, config):
    part = rng.randrange(2)
    changes = [
        lambda p: p + "=", lambda p: p + "==", lambda p: p[:-1], lambda p: p + "A", lambda p: p + "AA", lambda p: "", lambda p: p + ".", lambda p: p[:5] + "." + p[5:],
        lambda p: p[:4] + "+" + p[5:], lambda p: p[:4] + "/" + p[5:], lambda p: p[:-1] + neighbour(p[-1:]), lambda p: p + "\n", lambda p: p + " ", lambda p: p[:3] + "é" + p[3:],
        lambda p: p + "?", lambda p: p + "%3D",
    ]
    chosen = rng.choice(changes)
    draft.parts.append(lambda parts: [chosen(one) if index == part else one for index, one in enumerate(parts)])


def neighbour(character):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[(alphabet.index(character) + 1) % 64] if character in alphabet and character else character


def signature(rng, pool, held, now, draft, config):
    def flip(signature):
        if not signature:
            return signature, None
        at = rng.randrange(len(signature))
        return signature[:at] + bytes([signature[at] ^ 1 << rng.randrange(8)]) + signature[at + 1 :], None

    draft.signed.append(rng.choice([
        flip, flip, flip,
        lambda s: (b"", None), lambda s: (s[:-1], None), lambda s: (s + b"\0", None), lambda s: (b"\0" + s, None), lambda s: (b"\0" * len(s), None),
        lambda s: (s[len(s) // 2 :] + s[: len(s) // 2], None), lambda s: (s, encode(s) + "="), lambda s: (s, encode(s) + "."), lambda s: (s, encode(s)[:-1] + neighbour(encode(s)[-1:])),
        lambda s: (s, encode(s) + ".AAAA"), lambda s: (s, encode(s) + "\n"), lambda s: (high_s(s), None), lambda s: (b"\xff" * len(s), None),
    ]))


def high_s(signature):
    """The other valid signature of ECDSA on P-256; rubbish anywhere else."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    if len(signature) != 64:
        return signature
    return signature[:32] + ((order - int.from_bytes(signature[32:], "big")) % order).to_bytes(32, "big")


def no_issue_time(rng, pool, held, now, draft, config):
    change(draft.claims, "iat", rng.choice([None, "null"]))


CHANGES = [no_issue_time, header_member, header_member, claim, claim, audience, edge, edge, edge, odd_time, other_key, other_kid, json_text, json_text, encoding, signature, signature]
