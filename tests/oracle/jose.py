"""Strict JSON, strict base64url, key documents (section 9 of the contract) and signatures, on Python's `cryptography`."""

import base64
import functools
import hashlib
import hmac
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"P-256": (ec.SECP256R1, 32, "ES256"), "P-384": (ec.SECP384R1, 48, "ES384"), "P-521": (ec.SECP521R1, 66, "ES512")}
ECDSA_LENGTHS = {alg: 2 * size for _, size, alg in CURVES.values()}
RSA_ALGORITHMS = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


class NameTwice(ValueError):
    """A name stands twice at the top level."""


class Number:
    """A number as a double; infinite if it is too large for one."""

    def __init__(self, text):
        self.value = float(text)


class Object(dict):
    """A JSON object, and whether a name stood twice in it."""

    repeated = False


def has_repeated_name(members):
    return getattr(members, "repeated", False)


def base64url(text):
    """The bytes of canonical base64url without padding (RFC 7515 section 2)."""
    if not re.fullmatch("[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        raise ValueError("alphabet or length")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise ValueError("trailing bits")
    return data


def pairs(found):
    members = Object(found)
    members.repeated = len(members) != len(found)
    return members


def refuse(text):
    raise ValueError(f"{text} is no JSON")


DECODER = json.JSONDecoder(object_pairs_hook=pairs, parse_float=Number, parse_int=Number, parse_constant=refuse)
STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def json_object(data):
    """One object in UTF-8 (RFC 8259), no name twice at its top level, not deeper than 128, no lone surrogate."""
    text = data.decode("utf-8")
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > 128:
            raise ValueError("depth")
    members = DECODER.decode(text)
    if not isinstance(members, Object):
        raise ValueError("no object")
    if "\\u" in text:
        check_surrogates(members)
    if members.repeated:
        raise NameTwice
    return members


def check_surrogates(value):
    if isinstance(value, str):
        value.encode("utf-8")
    elif isinstance(value, dict):
        for name, member in value.items():
            name.encode("utf-8")
            check_surrogates(member)
    elif isinstance(value, list):
        for member in value:
            check_surrogates(member)


# The end of the year 9999, in seconds.
LATEST_TIME = 253_402_300_799


class KeyDocument:
    """What a usable document says."""

    def __init__(self, state, alg=None, owner=None, scope=(), expires=None, verifies=None):
        self.state, self.alg, self.owner, self.scope, self.expires = state, alg, owner, scope, expires
        self.verifies = verifies


def read_key(members, owner, scope, symmetric, slow):
    """Raises ValueError for a document that is unusable."""
    # A member that is null counts as absent, but a null status is none.
    members = {name: value for name, value in members.items() if value is not None or name == "status"}
    if "status" in members:
        status = members["status"]
        if status in ("disabled", "deleted"):
            return KeyDocument(status)
        need(status == "enabled")
    need(members.get("use", "sig") == "sig")
    need("key_ops" not in members or (isinstance(members["key_ops"], list) and "verify" in members["key_ops"]))
    for name in ("iss", "session_kid"):
        need(name not in members or isinstance(members[name], str))
    owner = members.get("iss", owner)
    need(owner)
    if "aud" in members:
        scope = members["aud"]
        need(isinstance(scope, list) and all(isinstance(one, str) for one in scope))
    expires = None
    if "exp" in members:
        need(isinstance(members["exp"], Number) and 0 <= members["exp"].value <= LATEST_TIME)
        expires = members["exp"].value
    alg, verifies = material(members, symmetric, slow)
    return KeyDocument("enabled", alg, owner, scope, expires, verifies)


def serves_another(members):
    """Whether a key says that it is not for verifying signatures."""
    purpose, operations = members.get("use"), members.get("key_ops")
    if purpose is not None and not isinstance(purpose, str):
        return False
    if purpose not in (None, "sig"):
        return True
    return isinstance(operations, list) and all(isinstance(name, str) for name in operations) and "verify" not in operations


def need(condition):
    if not condition:
        raise ValueError("unusable")


def member(members, name):
    need(isinstance(members.get(name), str))
    return base64url(members[name])


def material(members, symmetric, slow):
    """The algorithm that the key fixes, and its check of message and signature."""
    kty, alg = members.get("kty"), members.get("alg")
    need("alg" not in members or isinstance(alg, str))
    need(not any(name in members for name in PRIVATE - ({"k"} if kty == "oct" else set())))
    if kty == "RSA":
        alg = alg if "alg" in members else "RS256"
        need(alg in RSA_ALGORITHMS)
        n, e = (int.from_bytes(member(members, name), "big") for name in "ne")
        need(2048 <= n.bit_length() <= 4096 and n % 2 == 1 and e in (3, 65537))
        return alg, rsa_check(alg, rsa.RSAPublicNumbers(e, n).public_key())
    if kty == "EC":
        need(isinstance(members.get("crv"), str) and members["crv"] in CURVES)
        curve, size, implied = CURVES[members["crv"]]
        need(alg in (None, implied))
        need(implied == "ES256" or slow)
        x, y = member(members, "x"), member(members, "y")
        need(len(x) == len(y) == size)
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve())
        return implied, ecdsa_check(implied, size, numbers.public_key())
    if kty == "OKP":
        need(members.get("crv") == "Ed25519" and alg in (None, "EdDSA"))
        x = member(members, "x")
        need(len(x) == 32 and is_fit_point(x))
        return "EdDSA", check_with(ed25519.Ed25519PublicKey.from_public_bytes(x).verify)
    need(kty == "oct" and symmetric and alg in ("HS256", "HS384", "HS512"))
    k, digest = member(members, "k"), "sha" + alg[2:]
    need(len(k) * 8 >= int(alg[2:]))
    tag = lambda message: hmac.new(k, message, getattr(hashlib, digest)).digest()
    return alg, functools.lru_cache(4096)(lambda message, signature: hmac.compare_digest(tag(message), signature))


def check_with(verify):
    """A remembered check, of a function that takes signature and message and raises for a wrong one."""

    @functools.lru_cache(4096)
    def check(message, signature):
        try:
            verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check


def rsa_check(alg, key):
    digest = HASHES[alg[2:]]()
    pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
    scheme = pss if alg.startswith("PS") else padding.PKCS1v15()
    return check_with(lambda signature, message: key.verify(signature, message, scheme, digest))


def ecdsa_check(alg, size, key):
    scheme = ec.ECDSA(HASHES[alg[2:]]())

    def verify(signature, message):
        if len(signature) != 2 * size:
            raise InvalidSignature
        r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
        key.verify(utils.encode_dss_signature(r, s), message, scheme)

    return check_with(verify)


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def is_fit_point(encoded):
    """Whether this is a point of Ed25519 (RFC 8032 section 5.1.3), and not one of small order."""
    y, sign = int.from_bytes(encoded, "little") & (1 << 255) - 1, encoded[31] >> 7
    if y >= P:
        return False
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square or (x == 0 and sign):
        return False
    for _ in range(3):
        x, y = doubled(x, y)
    return (x, y) != (0, 1)


def doubled(x, y):
    product = D * x * x * y * y % P
    return 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P
