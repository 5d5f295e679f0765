#!/usr/bin/env python3
"""Writes forged_rsa.json: RSA signatures that only somebody with the private key and bad intentions would make.

A verifier that is too lenient would accept them, and some did. All tokens were issued long ago: a filter that took such a signature
would go on to the claims and answer MDRM-508 instead of MDRM-505. The rows named "control" are right and must get that 508.

Needs nothing but Python. The private key is made up here, used, and forgotten.
"""
import base64, hashlib, json, pathlib, secrets


def is_prime(n):
    if any(n % p == 0 for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)):
        return False
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for _ in range(40):
        x = pow(secrets.randbelow(n - 3) + 2, d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def prime(bits):
    while True:
        p = secrets.randbits(bits) | 1 | 3 << (bits - 2)
        if p % 65537 != 1 and is_prime(p):
            return p


E = 65537
P, Q = prime(1024), prime(1024)
N = P * Q
D = pow(E, -1, (P - 1) * (Q - 1))
SIZE = 256


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def message(kid, alg, jti="forged"):
    header = {"alg": alg, "typ": "JWT", "kid": kid}
    payload = {"ver": 1, "iss": "company1", "sub": "content-1", "iat": 1541974706, "exp": 1542061106, "jti": jti,
               "aud": "urn:verimatrix:multidrm"}
    return b64(json.dumps(header).encode()) + "." + b64(json.dumps(payload).encode())


def raw(em):
    return pow(int.from_bytes(em, "big"), D, N)


SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")
RS, PS = message("forged-RS256", "RS256"), message("forged-PS256", "PS256")
H = hashlib.sha256(RS.encode()).digest()
tokens = []


def add(msg, name, signature, code=505):
    if isinstance(signature, int):
        signature = signature.to_bytes(SIZE, "big")
    tokens.append({"name": name, "token": msg + "." + b64(signature), "code": code})


def v15(info, kind=1, pad=b"\xff", length=None, end=b"", separator=b"\0"):
    length = SIZE - 2 - len(separator) - len(info) - len(end) if length is None else length
    em = bytes([0, kind]) + pad * length + separator + info + end
    return em + b"\0" * (SIZE - len(em))


# PKCS#1 v1.5 (RFC 8017 section 8.2)
right = raw(v15(SHA256 + H))
add(RS, "control: right PKCS#1 padding", right, 508)
add(RS, "block type 0", raw(v15(SHA256 + H, kind=0, pad=b"\0")))
add(RS, "block type 2", raw(v15(SHA256 + H, kind=2, pad=b"\x5a")))
add(RS, "padding of other bytes", raw(v15(SHA256 + H, pad=b"\xfe")))
em = bytearray(v15(SHA256 + H)); em[100] = 0xfe
add(RS, "one other byte in the padding", raw(em))
add(RS, "no separator", raw(v15(SHA256 + H, separator=b"\xff")))
add(RS, "short padding and bytes behind the hash", raw(v15(SHA256 + H, length=8)))
add(RS, "one byte behind the hash", raw(v15(SHA256 + H, end=b"\0")))
add(RS, "the hash without its algorithm", raw(v15(H)))
add(RS, "an algorithm without NULL", raw(v15(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + H)))
add(RS, "an algorithm with other parameters", raw(v15(bytes.fromhex("3031300d060960864801650304020104000420") + H)))
add(RS, "long parameters", raw(v15(bytes.fromhex("3033300f06096086480165030402010502ffff0420") + H)))
add(RS, "lengths in long form", raw(v15(bytes.fromhex("308131300d060960864801650304020105000420") + H)))
add(RS, "the hash's length in long form", raw(v15(bytes.fromhex("3032300d06096086480165030402010500048120") + H)))
add(RS, "an indefinite length", raw(v15(bytes.fromhex("3080300d060960864801650304020105000420") + H + b"\0\0")))
add(RS, "SHA-512 in SHA-256's place", raw(v15(bytes.fromhex("3051300d060960864801650304020305000440")
                                              + hashlib.sha512(RS.encode()).digest())))
add(RS, "SHA-1 in SHA-256's place", raw(v15(bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(RS.encode()).digest())))
add(RS, "the OID of SHA-1 on a SHA-256 hash", raw(v15(bytes.fromhex("302d300906052b0e03021a05000420") + H)))
add(RS, "the value 0", 0)
add(RS, "the value 1", 1)
add(RS, "the value n - 1", N - 1)
add(RS, "the value n", N)
add(RS, "the value n + 1", (N + 1))
add(RS, "n minus the right value", N - right)
add(RS, "the padded hash itself, unsigned", int.from_bytes(v15(SHA256 + H), "big"))
add(RS, "the right value plus n", (right + N).to_bytes(SIZE + 1, "big"))
SMALL, small, tries = RS, right, 0
while small + N >= 1 << 8 * SIZE:
    tries += 1
    SMALL = message("forged-RS256", "RS256", jti=f"small-{tries}")
    small = raw(v15(SHA256 + hashlib.sha256(SMALL.encode()).digest()))
add(SMALL, "control: a small right value", small, 508)
add(SMALL, "a small right value plus n, no longer than n", small + N)
add(RS, "a zero byte before the right value", b"\0" + right.to_bytes(SIZE, "big"))
add(RS, "a zero byte behind the right value", right.to_bytes(SIZE, "big") + b"\0")
add(RS, "all bits set", b"\xff" * SIZE)
add(RS, "4096 bits of zero", b"\0" * 512)
while True:
    short = message("forged-RS256", "RS256", secrets.token_hex(8))
    value = raw(v15(SHA256 + hashlib.sha256(short.encode()).digest()))
    if value < 1 << (8 * (SIZE - 1)):
        break
add(short, "control: a value that starts with a zero byte", value, 508)
add(short, "a value without its first zero byte", value.to_bytes(SIZE - 1, "big"))


# PSS (RFC 8017 section 8.1)
def mgf1(seed, length, digest):
    out = b""
    for counter in range(length):
        out += digest(seed + counter.to_bytes(4, "big")).digest()
        if len(out) >= length:
            return out[:length]
    return out[:length]


def pss(salt_length, digest=hashlib.sha256, mask=None, trailer=0xBC, top=False, separator=1, padding=0):
    hashed = digest(PS.encode()).digest()
    salt = secrets.token_bytes(salt_length)
    h = digest(b"\0" * 8 + hashed + salt).digest()
    db = bytes([padding]) * (SIZE - salt_length - len(h) - 2) + bytes([separator]) + salt
    masked = bytearray(a ^ b for a, b in zip(db, mgf1(h, len(db), mask or digest)))
    masked[0] = masked[0] & 0x7F
    em = int.from_bytes(bytes(masked) + h + bytes([trailer]), "big")
    if top:
        em |= 1 << (8 * SIZE - 1)
        if em >= N:
            return None
    return pow(em, D, N)


value = pss(32)
add(PS, "control: PSS with the salt as long as the hash", value, 508)
for length in (0, 1, 20, 31, 33, 48, 64, 222):
    add(PS, f"PSS with a salt of {length} bytes", pss(length))
add(PS, "PSS with SHA-1 in the mask", pss(32, mask=hashlib.sha1))
add(PS, "PSS with SHA-512 in the mask", pss(32, mask=hashlib.sha512))
add(PS, "PSS with SHA-384", pss(48, digest=hashlib.sha384))
add(PS, "PSS with another trailer", pss(32, trailer=0xCC))
add(PS, "PSS with another separator", pss(32, separator=2))
add(PS, "PSS with padding that is not zero", pss(32, padding=1))
set_bit = None
while set_bit is None:
    set_bit = pss(32, top=True)
add(PS, "PSS with the top bit set", set_bit)
add(PS, "PSS plus n", (value + N).to_bytes(SIZE + 1, "big"))
while value + N >= 1 << 8 * SIZE:
    value = pss(32)
add(PS, "control: PSS with a small value", value, 508)
add(PS, "a small PSS value plus n, no longer than n", value + N)
add(PS, "PKCS#1 padding under PS256", raw(v15(SHA256 + hashlib.sha256(PS.encode()).digest())))

n = b64(N.to_bytes(SIZE, "big"))
keys = [{"kid": f"forged-{alg}", "alg": alg, "kty": "RSA", "n": n, "e": "AQAB", "iss": "company1",
         "aud": ["urn:verimatrix:multidrm"]} for alg in ("RS256", "PS256")]
out = pathlib.Path(__file__).with_name("forged_rsa.json")
out.write_text(json.dumps({"keys": keys, "tokens": tokens}, indent=1) + "\n")
