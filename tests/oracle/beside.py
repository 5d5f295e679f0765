"""Makes requests for an Envoy that runs the filter and `jwt_authn`, and says afterwards what the contract decides.

    beside.py SEED WORLDS

First a line for each world: the plugin configuration, what its key service answers, and what `jwt_authn` needs to know of
it. Then for each world in turn: a number comes in, and so many requests go out, a line each, made for the present second;
a JSON list comes in, the second in which each was decided (null: not sent), and a line with its decision goes out for each.
"""

import json
import random
import re
import sys
import time

import generate
import oracle
import traffic
from keys import KeyPool


def world(rng, pool, index):
    config, held, answers = generate.world(rng, pool, int(time.time()))
    if "cluster" in config["keys"]:
        config["keys"]["cluster"] = f"keys-{index}"
    if config.get("clock_skew") == "0s":
        # For jwt_authn 0 means its default.
        config["clock_skew"] = "1s"
    # Envoy verifies ES384 and ES512 itself: they are not slow there.
    judge = oracle.World(json.loads(json.dumps({**config, "allow_slow_algorithms": True})), answers)
    jwt_authn = {
        "jwks": key_set(pool, config, answers),
        "skew": judge.skew,
        "license": judge.services["license"]["audiences"],
        "cpix": judge.services["cpix"]["audiences"],
    }
    return config, held, answers, judge, jwt_authn


def key_set(pool, config, answers):
    """The keys that the filter may meet, as one JWK Set, good or bad: all that have a name, but for those that `keys.inline` shadows."""
    inline = config["keys"].get("inline", {"keys": []})["keys"]
    shadowed = {one["kid"] for one in inline}
    documents = []
    for status, body in answers.values():
        if status != 200 or "cluster" not in config["keys"]:
            continue
        try:
            whole = json.loads(body, parse_constant=oracle.jose.refuse)
        except ValueError:
            continue
        members = whole.get("keys", whole) if isinstance(whole, dict) else whole
        documents += members if isinstance(members, list) else [members]
    named = lambda one: isinstance(one, dict) and isinstance(one.get("kid"), str) and one["kid"] not in shadowed
    documents = [one for one in documents if named(one)]
    # jwt_authn wants one key that it can use at least.
    spare = {**pool.keys["ES256"][0].jwk, "kid": "nobody's"}
    return json.dumps({"keys": [*inline, *documents, spare]})


def folded(headers):
    """Envoy folds repeated Authorization headers into one, and an empty one into nothing."""
    filled = any(name == "authorization" and value.strip(b" \t") for name, value in headers)
    return [(name, value) for name, value in headers if name != "authorization" or value.strip(b" \t") or not filled]


def leniency(headers):
    """The rule by which the contract lets a request pass that `jwt_authn` may refuse; none if there is no such rule."""
    values = lambda name: [value.strip(b" \t") for found, value in headers if found == name]
    in_query = b"Authorization=" in values(":path")[0]
    if re.search(rb"[?&]Authorization=(&|$)", values(":path")[0]):
        return "empty-parameter-beside-the-header"
    for value in values("authorization"):
        kind, token = oracle.credential(value)
        if kind == "scheme" and in_query:
            return "other-scheme-beside-the-parameter"
        if kind == "absent" and in_query:
            return "empty-header-beside-the-parameter"
        if kind == "token" and token != value and not value.startswith(b"Bearer "):
            return "scheme-in-any-case"
    token = oracle.carried_token(values("authorization"), values(":path")[0]).decode()
    # The token is good, so what stands before a blank is the scheme.
    if re.search(rb"[?&]Authorization=[^&]*(%20|\+)", values(":path")[0]):
        return "scheme-in-the-parameter"
    texts = b" ".join(oracle.jose.base64url(part) for part in token.split(".")[:2])
    if b"e400" in texts:
        return "number-too-large-for-a-double"
    if b'{"b":1,"b":2}' in texts:
        return "name-twice-further-down"
    if b"[" * 100 in texts and b"]" * 100 in texts:
        return "nesting-of-100-to-128"
    return None


def line(value):
    sys.stdout.write(json.dumps(value) + "\n")


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    pool = KeyPool(rng)
    worlds = [world(rng, pool, index) for index in range(count)]
    for config, _, answers, _, jwt_authn in worlds:
        body = {path: [status, generate.latin(body)] for path, (status, body) in answers.items()}
        line({"config": config, "answers": body, "jwt_authn": jwt_authn})
    sys.stdout.flush()
    for config, held, _, judge, _ in worlds:
        requests = []
        for _ in range(int(sys.stdin.readline())):
            headers, body = traffic.request(rng, pool, config, held, int(time.time()))
            headers = folded(headers)
            requests.append((headers, body))
            pairs = [[generate.latin(name.encode()), generate.latin(value)] for name, value in headers]
            bearer = any(name == "authorization" and value.startswith(b"Bearer ") for name, value in headers)
            provider = f"{judge.service_of(headers, body)} {'bearer' if bearer else 'plain'}"
            line({"headers": pairs, "body": body, "provider": provider})
        sys.stdout.flush()
        for (headers, body), second in zip(requests, json.loads(sys.stdin.readline())):
            if second is None:
                line(None)
                continue
            expected, explained = judge.decide(headers, body, second)
            lenient = leniency(headers) if "ok" in (expected, *explained) else None
            line({"expected": expected, "explained": explained, "rule": judge.rule, "leniency": lenient})
        sys.stdout.flush()


if __name__ == "__main__":
    main()
