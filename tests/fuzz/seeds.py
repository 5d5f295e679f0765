#!/usr/bin/env python3
"""Writes tests/fuzz/seeds: small inputs of each kind, from the corpus of tokens, the demo's keys, the CPIX fixtures and by hand."""

import json
import pathlib
import shutil

here = pathlib.Path(__file__).parent
tests = here.parent
seeds = here / "seeds"


def write(target, texts):
    folder = seeds / target
    folder.mkdir(parents=True)
    for number, text in enumerate(texts):
        (folder / f"{number:02}").write_bytes(text.encode() if isinstance(text, str) else text)


def load(path):
    return json.loads((tests / path).read_text())


def compact(value):
    return json.dumps(value, separators=(",", ":"))


NOW = 1764000000
CLAIMS = {"iss": "an owner", "sub": "movie", "jti": "1", "ver": 1, "iat": NOW, "aud": "urn:verimatrix:multidrm"}
HEADER = {"alg": "HS256", "kid": "properties"}


def claims(**changes):
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value != "absent"}


def tokens():
    for case in load("corpus.json")["cases"]:
        if len(case["token"]) < 700:
            yield case["token"]
    yield "Bearer a.b.c"
    for header in [HEADER, {**HEADER, "typ": "mdrm-session+jwt"}, {**HEADER, "crit": ["b64"]}, {**HEADER, "alg": "none"}]:
        yield "s" + compact(header) + "\n" + compact(CLAIMS)
    for changes in [
        {"exp": NOW + 60, "nbf": NOW - 60},
        {"exp": NOW - 6},
        {"iat": NOW - 95.5},
        {"iat": "absent"},
        {"iat": None},
        {"aud": ["urn:verimatrix:multidrm", "other"]},
        {"aud": []},
        {"drm_protocol": "Trust Tunnel"},
        {"drm_protocol": "REST", "x": {"y": [1e300]}},
        {"ver": 1.0},
    ]:
        yield "s" + compact(HEADER) + "\n" + compact(claims(**changes))


def documents():
    for path in sorted((tests.parent / "envoy/keys").glob("*.jwk")):
        yield compact(json.loads(path.read_text()))
    for key in load("corpus.json")["keys"]:
        yield compact(key)
    k = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    yield compact({"kid": "h", "kty": "oct", "alg": "HS512", "k": k, "iss": "o", "key_ops": ["verify"], "exp": NOW})
    yield '{"kid":"a","status":"disabled"}'
    yield '{"kid":"a","status":"deleted"}'


def sets():
    keys = load("corpus.json")["keys"]
    small = [key for key in keys if key["kty"] != "RSA"]
    yield '{"keys":[]}'
    yield compact({"keys": small[:2]})
    yield compact({"keys": [small[0], {**small[1], "kid": small[0]["kid"]}, small[2]]})
    yield compact({"keys": [small[0], {**small[1], "d": "AA"}, 7, {"kid": "x"}]})
    yield compact({"keys": [key for key in keys if key["kty"] in ("OKP", "oct")]})
    yield '{"keys":[7]}'
    yield '{"keys":{}}'
    yield '{"keys":[{"kid":"a","status":"disabled"},{"kid":"b","status":"deleted"},{"kid":"a","kid":"a"}]}'


def configurations():
    inline = {"keys": [{"kid": "s", "kty": "oct", "alg": "HS256", "k": "c2VjcmV0LW9mLXRoZS1vcGVyYXRvci1pcy1sb25nLWVub3VnaA", "iss": "me"}]}
    yield '{"keys":{"cluster":"keys"}}'
    yield '{"":1}'
    yield '{"keys":{"cluster":"keys","headers":{"a":"${nobody}"}}}'
    yield '{"keys":{"cluster":"keys","timeout":"0.5ms"}}'
    yield compact({"keys": {"inline": inline}})
    yield compact({
        "keys": {
            "cluster": "outbound|443||keys.example.com", "authority": "keys.example.com:8443", "path": "/v1/{kid}?a",
            "headers": {"x-api-key": "${TOKEN}$${"}, "timeout": "500ms", "max_age": "5m", "max_age_limit": "2h",
            "min_age": "2s", "stale_if_error": "0s", "negative_max_age": "10s", "refetch_interval": "1m", "max_entries": 100,
            "max_waiting": 10, "issuer": "me", "audiences": ["urn:a"], "inline": inline,
        },
        "routes": [{"path": "/healthz", "service": "open"},
                   {"path_prefix": "/widevine", "host": "h.example.com", "service": "license", "drm": "widevine"}],
        "default_service": "deny",
    })
    yield compact({
        "keys": {"cluster": "keys", "path": "/set"},
        "services": {"license": {"audiences": ["urn:a"], "max_age": "90s", "versions": [1, 2]},
                     "cpix": {"audiences": ["urn:b"], "max_age": "1h", "versions": [1], "bind_content": True},
                     "signed_cpix": {"audiences": ["urn:b"]}},
        "allow_slow_algorithms": True, "access_log": "all", "clock_skew": "0.5s", "max_token_bytes": 256,
        "max_body_bytes": 1024, "max_held_bytes": 1048576, "body_timeout": "1s", "report_only": True,
    })
    yield compact({
        "keys": {"cluster": "keys"},
        "session": {"keys": {"cluster": "sessions", "path": "/s/{kid}", "max_entries": 5}, "kid": "s1", "header": "Authorization",
                    "issuer": "proxy", "audience": "server", "lifetime": "10s"},
        "trust_tunnel": {"mode": "enforcing", "keys": {"cluster": "masters", "headers": {"a": "b"}}},
        "upstream": {"forward_token": False, "payload_header": "x-payload", "claim_headers": {"x-content-id": "sub"}},
    })


def carriages():
    return [
        "/widevine\na.b.c", "/widevine?Authorization=a.b.c&x=1", "/w?x=1&Authorization=a.b.c#f", "/w?Authorization=Bearer%20a.b.c",
        "/w?%41uthorization=a.b.c", "/w?Authorization=a&Authorization=a", "/w?Authorization=a.b.c\nBearer a.b.c",
        "/w?Authorization=a.b.c\nAWS4-HMAC-SHA256 Credential=x", "/w\nBearer", "/w\na\nb", "/w?Authorization=", "/w?Authorization=%zz",
        "/healthz", "/health%7a", "/public/a", "/public/../healthz", "//public/.", "/public%2fa?x#y", "/w? \n\t Bearer  a",
    ]


def tunnels():
    payload = {"license_request": "CAQ=", "jwt": "a.b.c", "content_type": "application/json"}
    for kind, alg in [("d", "dir"), ("w", "A256KW"), ("d", "A256KW"), ("w", "dir")]:
        yield kind + compact({"alg": alg, "enc": "A256GCM", "kid": "m1"}) + "\n" + compact(payload)
    header = compact({"alg": "dir", "enc": "A256GCM", "kid": "m1", "cty": "json", "x": [1]})
    for license_request in ["-_8", "-_8=", "+/8", "+/8=", "", "AB"]:
        yield "d" + header + "\n" + compact({"license_request": license_request, "jwt": "t"})
    for changes in [{"zip": "DEF"}, {"crit": []}, {"kid": ""}, {"kid": ".."}, {"enc": "A128GCM"}]:
        yield "d" + compact({"alg": "dir", "enc": "A256GCM", "kid": "m1", **changes}) + "\n{}"
    yield "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoibTEifQ..dHdlbHZlIGJ5dGVz.AAAA.AAAAAAAAAAAAAAAAAAAAAA"
    yield "e30.e30.e30.e30.e30"


def cpix():
    for entry in load("native/cpix/fixtures/signed.json"):
        if len(entry["document"].encode()) < 790 or entry["name"] in ("xmlsec exclusive ecdsa-sha256", "xmlsec c14n10 rsa-sha256"):
            yield entry["document"]
    for entry in load("native/cpix/fixtures/refused.json"):
        if len(entry["document"].encode()) < 830:
            yield entry["document"]
    for entry in load("native/cpix/fixtures/canonical.json")[::3]:
        if len(entry["document"].encode()) < 400:
            yield entry["document"]


# The numbers of the events in properties/events.rs.
HEAD, PIECE, END, ABORT, ANSWER, LEARN, AGAIN, TICK, PASS, SHARED, FAULT = 0, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15


def story(configuration, workers, *events):
    return bytes([configuration, workers, *(byte for event in events for byte in event)])


def events():
    for configuration in range(5):
        # Every request, its keys, its body, and keys again.
        for first in range(0, 22, 4):
            heads = [(HEAD, request, request) for request in range(first, min(first + 4, 22))]
            ends = [(END, stream, stream) for stream in range(4)]
            answers = [(ANSWER, 0, 60)] * 4
            yield story(configuration, first // 4, *heads, *answers, *ends, *answers)
    # Nobody answers, time passes, somebody does; a client goes away; an answer comes twice; keys grow old.
    yield story(0, 0, (HEAD, 0, 0), (HEAD, 1, 0), (ANSWER, 0, 10), (TICK, 200, 100), (HEAD, 0, 0), (ANSWER, 0, 0))
    yield story(0, 0, (HEAD, 10, 0), (PIECE, 0, 9), (ABORT, 0, 0), (HEAD, 10, 0), (TICK, 100, 200), (END, 1, 1))
    yield story(0, 1, (HEAD, 0, 0), (HEAD, 0, 1), (ANSWER, 0, 1), (AGAIN, 0, 7), (TICK, 250, 10), (HEAD, 1, 1))
    yield story(1, 1, (HEAD, 0, 0), (HEAD, 5, 1), (LEARN, 0, 2), (TICK, 4, 4), (PASS, 255, 100), (HEAD, 0, 1), (ANSWER, 0, 6))
    yield story(2, 0, (FAULT, 0, 0), (HEAD, 15, 0), (ANSWER, 0, 3), (END, 0, 0), (FAULT, 1, 0), (HEAD, 17, 0), (TICK, 2, 2))
    yield story(3, 1, (HEAD, 11, 0), (END, 0, 0), (ANSWER, 0, 3), (SHARED, 0, 2), (SHARED, 1, 1), (HEAD, 11, 1), (ANSWER, 0, 9))
    yield story(4, 0, (HEAD, 0, 0), (ANSWER, 0, 3), (HEAD, 2, 0), (ANSWER, 0, 12), (HEAD, 0, 0), (HEAD, 17, 0))


if seeds.exists():
    shutil.rmtree(seeds)
for target, texts in {
    "token": tokens(), "key_document": documents(), "key_set": sets(), "configuration": configurations(),
    "carriage": carriages(), "jwe": tunnels(), "cpix": cpix(), "events": events(),
}.items():
    write(target, texts)
