"""Makes requests that are nearly right, and writes them with the oracle's decisions: one JSON value a line.

    generate.py SEED COUNT

A line with `config` starts a world: a plugin configuration, and what its key service answers. The lines after it are
requests to it. Bytes are written as the characters of the same numbers (Latin-1).
"""

import json
import random
import sys

import documents
import oracle
import traffic
from keys import KeyPool

REQUESTS_PER_WORLD = 400
#: Some moment: the core has no clock of its own.
NOW = 1_764_000_000


def config_of(rng):
    """A plugin configuration, and whether its keys come in a set."""
    keys = {"cluster": "keys"}
    config = {"keys": keys}
    if rng.random() < 0.8:
        config["routes"] = traffic.ROUTES
        if rng.random() < 0.7:
            config["default_service"] = rng.choice(["deny", "license"])
    if rng.random() < 0.5:
        config["allow_slow_algorithms"] = True
    if rng.random() < 0.3:
        config["clock_skew"] = rng.choice(["0s", "1s", "30s", "2m", "5m"])
    if rng.random() < 0.2:
        config["max_token_bytes"] = rng.choice([256, 300, 512, 1024, 1024, 65536, 65536, 65536])
    if rng.random() < 0.3:
        config["services"] = {
            "license": {
                "audiences": ["urn:example:a", "urn:verimatrix:multidrm"],
                "max_age": rng.choice(["1s", "10m", "24h"]),
                "versions": rng.choice([[1], [2, 3], [1, 7]]),
            },
            "cpix": {"audiences": ["urn:verimatrix:cpix", "urn:example:a"], "versions": [1, 2]},
        }
    if rng.random() < 0.3:
        config["upstream"] = {"forward_token": True}
    shape = rng.random()
    if shape < 0.25:
        keys["path"] = "/jwks.json"
    elif shape < 0.4:
        keys["path"] = "/v1/keys/{kid}/document"
    if rng.random() < 0.3:
        keys["issuer"] = "owner-of-all"
    if rng.random() < 0.3:
        keys["audiences"] = ["urn:verimatrix:multidrm", "urn:verimatrix:cpix"]
    return config


def world(rng, pool, now):
    config = config_of(rng)
    held = documents.held(rng, pool, config, now)
    if rng.random() < 0.25:
        config["keys"]["inline"] = {"keys": documents.inline(rng, pool, held)}
        if rng.random() < 0.4:
            del config["keys"]["cluster"]
            config["keys"].pop("path", None)
            for one in held:
                one.good = one.text is None
    return config, held, documents.answers(rng, held, config)


def latin(data):
    return data.decode("latin-1")


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    pool = KeyPool(rng)
    out = sys.stdout
    made = 0
    while made < count:
        config, held, answers = world(rng, pool, NOW)
        judge = oracle.World(json.loads(json.dumps(config)), answers)
        bodies = {path: [status, latin(body)] for path, (status, body) in answers.items()}
        out.write(json.dumps({"config": config, "answers": bodies}) + "\n")
        now = NOW + rng.randrange(-1000, 1000)
        for _ in range(min(REQUESTS_PER_WORLD, count - made)):
            now += rng.choice([0, 0, 0, 1, 1, -1, 7])
            headers, body = traffic.request(rng, pool, config, held, now)
            expected, explained = judge.decide(headers, body, now)
            pairs = [[latin(name.encode()), latin(value)] for name, value in headers]
            line = {"now": now, "headers": pairs, "body": body, "expected": expected, "explained": explained}
            out.write(json.dumps(line) + "\n")
            made += 1


if __name__ == "__main__":
    main()
