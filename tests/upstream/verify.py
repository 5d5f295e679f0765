"""Verifies a session token: `verify.py KEYS ISSUER AUDIENCE TOKEN` prints its claims, or exits with 1.

KEYS is a file: the JWK Set of the public session keys. Needs `pip install pyjwt[crypto]`.
"""

import json
import sys

import jwt

# The key fixes the algorithm, never the token.
ALGORITHMS = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}


def verify(keys, issuer, audience, token):
    header = jwt.get_unverified_header(token)
    if header.get("typ") != "mdrm-session+jwt":
        raise jwt.InvalidTokenError("not a session token")
    key = next((key for key in keys["keys"] if key["kid"] == header.get("kid")), None)
    algorithm = key and ALGORITHMS.get((key["kty"], key.get("crv")))
    if not algorithm:
        raise jwt.InvalidTokenError("not signed by a session key")
    return jwt.decode(
        token,
        jwt.PyJWK(key, algorithm=algorithm),
        algorithms=[algorithm],
        issuer=issuer, audience=audience,
        leeway=5,  # seconds
        options={"require": ["iss", "aud", "sub", "exp"]},
    )


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        keys = json.load(file)
    try:
        print(json.dumps(verify(keys, *sys.argv[2:])))
    except jwt.PyJWTError as error:
        sys.exit(f"refused: {error}")
