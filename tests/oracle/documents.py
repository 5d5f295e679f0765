"""Key documents, right and nearly right, and the answers of the key service that hold them."""

import json
import re

OWNERS = ["company1", "company2", "Ünternehmen & Söhne"]
SCOPES = [
    ["urn:verimatrix:multidrm", "urn:verimatrix:cpix", "urn:example:a"],
    ["urn:verimatrix:multidrm"],
    ["urn:verimatrix:cpix"],
    ["urn:example:a"],
    [],
]
KIDS = ["k", "key 1", "kid/../x", "ключ", "%41", "a.b", "..a", "x" * 256, "?#&=", "~-_."]
SMALL_ORDER = ["AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]


class Held:
    """A name, the key that signs for it, the text of its document (none: it is inline), and whether that was left as it should be."""

    def __init__(self, kid, key, owner, text, good):
        self.kid, self.key, self.owner, self.text, self.good = kid, key, owner, text, good


def held(rng, pool, config, now):
    """About 40 keys of one key service; half of them are as they should be."""
    found = []
    for index in range(40):
        kid = rng.choice(KIDS) + (str(index) if rng.random() < 0.97 else "")
        kid = kid if len(kid.encode()) <= 256 else kid[-256:]
        key = pool.any(rng)
        owner, scope = rng.choice(OWNERS), rng.choice(SCOPES[:1] * 5 + SCOPES)
        members = {**key.jwk, "kid": kid, "iss": owner, "aud": scope}
        if rng.random() < 0.2:
            members |= {"use": "sig", "key_ops": ["sign", "verify"], "status": "enabled", "session_kid": "s"}
        if rng.random() < 0.2 and key.alg in ("RS256", "ES256", "ES384", "ES512", "EdDSA"):
            del members["alg"]
        if rng.random() < 0.1:
            del members["aud"]
        if rng.random() < 0.1:
            members["exp"] = now + rng.choice([-2000, -200, 0, 300, 2000, 10**6])
        text, good = None, rng.random() < 0.65
        if not good:
            text = changed(rng, members)
        found.append(Held(kid, key, owner, text or json.dumps(members), good))
    return found


def changed(rng, members):
    """Changes one thing; gives the text if the members alone cannot say it."""
    kind = rng.choice(["member", "member", "state", "drop", "material", "text", "private"])
    if kind == "member":
        name, value = rng.choice([
            ("use", "enc"), ("use", None), ("use", "SIG"), ("use", ["sig"]), ("key_ops", ["sign"]), ("key_ops", []), ("key_ops", "verify"),
            ("key_ops", None), ("iss", ""), ("iss", None), ("iss", 7), ("iss", ["company1"]), ("aud", "urn:verimatrix:multidrm"),
            ("aud", None), ("aud", [1]), ("aud", {}), ("exp", None), ("exp", "1"), ("exp", 0), ("exp", -1), ("exp", 1e15), ("exp", 1763999999.5),
            ("exp", True), ("session_kid", 1), ("session_kid", None), ("kid", "other"), ("kid", None), ("kid", 1), ("alg", None), ("alg", "none"),
            ("alg", "ES521"), ("alg", "RS256"), ("alg", "PS512"), ("alg", "ES384"), ("alg", "HS256"), ("alg", "EdDSA"), ("alg", 1), ("kty", "rsa"),
            ("kty", None), ("kty", "oct"), ("kty", "EC"), ("kty", "OKP"), ("crv", "P-384"), ("crv", "secp256k1"), ("crv", None), ("crv", {}), ("crv", 1), ("crv", []), ("crv", "Ed448"),
            ("x5c", ["MII"]), ("unknown", {"a": [1]}), ("aud", ["urn:verimatrix:multidrm", "urn:verimatrix:multidrm"]),
        ])
        members[name] = value
    elif kind == "state":
        members["status"] = rng.choice(["disabled", "deleted", "disabled", "deleted", "Disabled", "", None, True, "revoked", ["enabled"]])
        if rng.random() < 0.3:
            members.pop(rng.choice(["kty", "kid", "iss"]), None)
    elif kind == "drop":
        members.pop(rng.choice(["kid", "iss", "aud", "kty", "alg", "x", "y", "n", "e", "k", "crv"]), None)
    elif kind == "private":
        members[rng.choice(["d", "p", "q", "dp", "dq", "qi", "oth", "k"])] = rng.choice(["AQAB", None, ""])
    elif kind == "material":
        change_material(rng, members)
    else:
        text = json.dumps(members)
        return rng.choice([
            text[:-1], text + "x", "[" + text + "]", '"' + members["kid"] + '"', "", "null", text.replace("{", "{,", 1), "\ufeff" + text,
            text.replace('"kid"', '"kid":"a","kid"', 1), text.replace('"kty"', '"\\u006bty"', 1), text + " \n", "\t" + text,
            text.replace("{", '{"a":NaN,', 1), text.replace("{", '{"a":{"b":1,"b":2},', 1), text.replace("{", '{"a":01,', 1),
        ])
    return None


def change_material(rng, members):
    name = rng.choice([name for name in ("n", "e", "x", "y", "k") if name in members])
    value = members[name]
    members[name] = rng.choice([
        value[:-1], value + "=", value + "A", value[:-2], "", None, value[1:], "A" + value[1:], value.swapcase(), value[:-1] + "!",
        "AAAA" + value, "AQAB", "Aw", "AQ", "Ag", value[: len(value) // 2], value + value, value.replace("-", "+").replace("_", "/"),
    ])
    if members.get("crv") == "Ed25519" and rng.random() < 0.5:
        members["x"] = rng.choice(SMALL_ORDER)


def inline(rng, pool, found):
    """Usable keys, and keys that are disabled or deleted, all with owner and scope; some under names that the key service knows too."""
    names = rng.sample(sorted({one.kid for one in found}), 3) + ["inline"]
    documents = []
    for kid in names:
        key = rng.choice(pool.keys[rng.choice(["ES256", "ES256", "EdDSA", "EdDSA", "HS256", "HS256", "HS512", "RS256"])])
        owner, scope = rng.choice(OWNERS), SCOPES[0]
        members = {**key.jwk, "kid": kid, "iss": owner, "aud": scope}
        if rng.random() < 0.2:
            members["status"] = rng.choice(["disabled", "deleted"])
        documents.append(members)
        found.append(Held(kid, key, owner, None, True))
    return documents


def answers(rng, found, config):
    """What the key service answers, by path."""
    keys = config["keys"]
    template = keys.get("path", "/keys/{kid}")
    served = [one for one in found if one.text is not None]
    if "{kid}" not in template:
        texts = [one.text for one in served if is_object(one.text)]
        texts += rng.sample(["{}", "null", "7", '"key"', "[]"], 2)
        rng.shuffle(texts)
        whole = '{"keys": [' + ",".join(texts) + "]}"
        if rng.random() < 0.1:
            whole = rng.choice(['{"keys": []}', '{"keys": [{}]}', '{"keys": {}}', "{}", "[]", whole[:-1], '{"keys": null}', whole + "x"])
        return {template: (200 if rng.random() < 0.97 else rng.choice([404, 410, 500, 204]), whole.encode())}
    said = {}
    for one in served:
        status = 200 if rng.random() < 0.95 else rng.choice([404, 410, 500, 503, 204, 302, 400])
        path = template.replace("{kid}", re.sub(rb"[^A-Za-z0-9._~-]", lambda m: b"%%%02X" % m[0][0], one.kid.encode()).decode())
        said[path] = (status, one.text.encode())
    return said


def is_object(text):
    """Whether a text can stand in a set without breaking the set: JSON, and no more."""
    try:
        return isinstance(json.loads(text, parse_constant=lambda _: 1 / 0), dict)
    except (ValueError, ZeroDivisionError):
        return False
