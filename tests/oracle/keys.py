"""Keys to sign with, made once a run, and their signatures."""

import base64
import hashlib
import hmac
import random

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

ALGORITHMS = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA HS256 HS384 HS512".split()
#: An RSA signature takes twenty times as long as any other.
WEIGHTS = [1, 1, 1, 1, 1, 1, 40, 6, 6, 30, 16, 6, 6]
CURVES = {"ES256": (ec.SECP256R1, 32, "P-256"), "ES384": (ec.SECP384R1, 48, "P-384"), "ES512": (ec.SECP521R1, 66, "P-521")}


def encode(data):
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def number(value, size=None):
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A key of one algorithm: `jwk` is the public document without `kid`, owner and scope."""

    def __init__(self, alg, private):
        self.alg, self.private, self.jwk = alg, private, {"alg": alg}
        if alg[:2] in ("RS", "PS"):
            public = private.public_key().public_numbers()
            self.jwk |= {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
        elif alg in CURVES:
            _, size, crv = CURVES[alg]
            public = private.public_key().public_numbers()
            self.jwk |= {"kty": "EC", "crv": crv, "x": number(public.x, size), "y": number(public.y, size)}
        elif alg == "EdDSA":
            self.jwk |= {"kty": "OKP", "crv": "Ed25519", "x": encode(private.public_key().public_bytes_raw())}
        else:
            self.jwk |= {"kty": "oct", "k": encode(private)}

    def sign(self, message):
        digest = "SHA" + self.alg[2:]
        if self.alg[:2] == "RS":
            return self.private.sign(message, padding.PKCS1v15(), getattr(hashes, digest)())
        if self.alg[:2] == "PS":
            hash_ = getattr(hashes, digest)()
            return self.private.sign(message, padding.PSS(padding.MGF1(hash_), hash_.digest_size), hash_)
        if self.alg in CURVES:
            _, size, _ = CURVES[self.alg]
            sha = {"ES256": hashes.SHA256, "ES384": hashes.SHA384, "ES512": hashes.SHA512}[self.alg]
            r, s = utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(sha())))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if self.alg == "EdDSA":
            return self.private.sign(message)
        return hmac.new(self.private, message, getattr(hashlib, digest.lower())).digest()


class KeyPool:
    """Two keys for each algorithm."""

    def __init__(self, rng: random.Random):
        rsa_keys = [rsa.generate_private_key(65537, 2048), rsa.generate_private_key(3, 2056)]
        self.keys = {alg: [self.make(alg, index, rng, rsa_keys) for index in (0, 1)] for alg in ALGORITHMS}

    @staticmethod
    def make(alg, index, rng, rsa_keys):
        if alg[:2] in ("RS", "PS"):
            return Key(alg, rsa_keys[index])
        if alg in CURVES:
            return Key(alg, ec.derive_private_key(rng.getrandbits(250) + 1, CURVES[alg][0]()))
        if alg == "EdDSA":
            return Key(alg, ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32)))
        return Key(alg, rng.randbytes(int(alg[2:]) // 8 + index * 16))

    def any(self, rng):
        alg = rng.choices(ALGORITHMS, WEIGHTS)[0]
        return rng.choice(self.keys[alg])
