"""Requests: a right one, with up to three things changed."""

import json

import tokens

ROUTES = [
    {"path": "/healthz", "service": "open"},
    {"path_prefix": "/fairplay/certificate", "service": "open"},
    {"path_prefix": "/license", "service": "license", "drm": "widevine"},
    {"path_prefix": "/fairplay", "service": "license", "drm": "fairplay"},
    {"path_prefix": "/cpix", "service": "cpix"},
    {"path": "/first", "service": "open"},
    {"path_prefix": "/first", "service": "license"},
    {"path": "/exact", "service": "cpix"},
    {"path_prefix": "/tenant", "host": "tenant.example.com", "service": "license"},
    {"path": "/status", "host": "status.example.com", "service": "open"},
    {"path": "/status", "host": "status.example.com:8443", "service": "cpix"},
    {"path_prefix": "/below", "host": "*.Example.com", "service": "license"},
    {"path_prefix": "/below", "host": "[2001:db8::1]:443", "service": "open"},
    {"path_prefix": "/below", "host": "*.example.net:443", "service": "open"},
    {"path_prefix": "/below", "service": "cpix"},
]
LICENSE_PATHS = ["/license", "/license/", "/license/a/b", "/fairplay", "/fairplay/", "/first/x", "/below"]
CPIX_PATHS = ["/cpix", "/cpix/x", "/exact", "/below/x"]
OTHER_PATHS = [
    "/", "/healthz", "/healthz/", "/healthz/x", "/first", "/fairplay/certificate", "/fairplay/certificate/1", "/fairplay/certificates", "/licenses", "/LICENSE",
    "/exact/", "/tenant", "/tenant/1", "/status", "/elsewhere", "/%68ealthz", "/x/../healthz", "//healthz", "/healthz/.", "/healthz%2F", "/healthz;x",
    "/license%2Fx", "/license%2fx", "/license\\x", "/license;v=1", "/license%3Bx", "/license%3bx", "/license%5Cx", "/license%00", "/license/\xe9", "/license/ x", "/license/%C3%A9",
    "/%6Cicense", "/cpix/../license", "/license/../cpix", "/cpix/%2e%2e/license/x", "//license", "/license//x", "/./license", "/license/..", "/cpi%78",
    "/license%", "/license%zz", "/license%4", "/license%252F", "/license/%7E", "/..", "/../license", "/cpix/.", "/cpix/..", "/first/..//first", "/license/%2E",
    "/license//../cpix", "/license//..", "/license//%2e%2e/license", "//../license", "/license/%252e", "/license/%25", "/license/%25%32e", "/license/%2541", "/license/%25zz",
]
QUERIES = ["", "", "", "?", "?a=b", "?a=b&c", "?&&", "?authorization=x", "?Authorizatio=x", "?x=%zz", "?a?b", "?%zz=1"]
HOSTS = ["license.example.com", "license.example.com", "tenant.example.com", "status.example.com", "TENANT.example.com", "example.com", "a.b.example.com"]
ODD_HOSTS = [
    "", ".", "..", "a..example.com", ".example.com", "example.com..", "user@example.com", "@", "a b", "a,b", "*.example.com", "[2001:db8::1]", "[2001:DB8::1]:443", "[2001:db8:0::1]:443",
    "[2001:db8::1].:443", "[2001:db8::g]", "[]", "[", "[::1%eth0]", "10.0.0.1", "10.0.0.1:443", "a.example.net:443", "a.example.net", "a.example.net.:443", "example.net:443", "a_b.Example.net:443",
]
PORTS = [":443", ":8443", ":80", ":", ":0", ":00", ":0443", ":65535", ":65536", ":999999", ":x", ":4 43", ":443:443", ":+443"]


def host(rng):
    if rng.random() < 0.03:
        return rng.choice(ODD_HOSTS)
    name = rng.choice(HOSTS)
    if rng.random() < 0.05:
        name += "."
    if rng.random() < 0.08:
        name += rng.choice(PORTS)
    return name


def request(rng, pool, config, held, now):
    """Headers (name and bytes) as a filter sees them, and whether there is a body: `none`, `some`, or `empty`."""
    cpix = rng.random() < 0.3 and "routes" in config
    paths = (CPIX_PATHS if cpix else LICENSE_PATHS) if "routes" in config else LICENSE_PATHS + CPIX_PATHS
    path = rng.choice(paths) if rng.random() < 0.85 else rng.choice(OTHER_PATHS)
    token = tokens.token(rng, pool, config, held, now, "cpix" if cpix else "license")
    method = "POST"
    headers = [(":authority", host(rng).encode())]
    body = "none" if rng.random() < 0.3 else rng.choice(["some", "some", "empty"])
    if rng.random() < 0.05:
        method = rng.choice(["GET", "OPTIONS", "HEAD", "PUT"])
    if rng.random() < 0.03:
        method = "OPTIONS"
        headers += [("origin", b"https://player.example.com"), ("access-control-request-method", b"POST")]
        if rng.random() < 0.4:
            headers.pop(rng.randrange(1, 3))
        if rng.random() < 0.2:
            headers.append((rng.choice(["x-http-method-override", "x-http-method", "x_method.override", "x-method"]), b"POST"))
        if rng.random() < 0.2:
            blank = rng.choice(["origin", "access-control-request-method"])
            headers = [(name, rng.choice([b"", b" ", b"x"]) if name == blank else value) for name, value in headers]
        body = rng.choice(["none", "none", "none", "empty", "empty", "some"])
    if rng.random() < 0.05:
        types = [b"application/jose", b"Application/JOSE; x=y", b"application/json", b"application/jose+json", b"application/octet-stream", b"application/jose ;a"]
        headers.append(("content-type", rng.choice(types)))
    if rng.random() < 0.05:
        headers.append((rng.choice(["x-mdrm-session", "cookie", "x-authorization", "proxy-authorization"]), token))
    carried, query = carriage(rng, token)
    headers += [("authorization", value) for value in carried]
    target = path.encode("latin-1") + query
    rng.shuffle(headers)
    return [(":method", method.encode()), (":path", target), *headers], body


def carriage(rng, token):
    """Values of the header, and the query."""
    other_query = rng.choice(QUERIES).encode()
    shape = rng.random()
    if shape < 0.55:
        return [token], other_query
    if shape < 0.72:
        scheme = rng.choice([b"Bearer ", b"bearer ", b"BEARER ", b"bEaReR "])
        return [scheme + token], other_query
    if shape < 0.92:
        return [], with_parameter(rng, other_query, escaped(rng, token))
    return odd_carriage(rng, token, other_query)


def with_parameter(rng, query, value, name=b"Authorization"):
    pair = name + b"=" + value
    if not query:
        return b"?" + pair
    return rng.choice([query + b"&" + pair, b"?" + pair + b"&" + query[1:]])


def escaped(rng, token):
    if rng.random() < 0.7:
        # What a query cannot hold as it is.
        return b"".join(bytes([c]) if c > 32 and c < 127 and c not in b"%&#" else b"%%%02x" % c for c in token)
    at = rng.randrange(len(token) + 1)
    return escaped_all(token[:at], 0) + escaped_all(token[at : at + 1], 1) + escaped_all(token[at + 1 :], 0)


def escaped_all(text, everything):
    plain = lambda c: not everything and 32 < c < 127 and c not in b"%&#"
    return b"".join(bytes([c]) if plain(c) else b"%%%02X" % c for c in text)


def odd_carriage(rng, token, query):
    parameter = escaped_all(token, 0)
    other = parameter[:-1] + (b"A" if parameter[-1:] != b"A" else b"B")
    header = lambda *values: (list(values), query)
    both = lambda value, text: ([value], with_parameter(rng, query, text))
    return rng.choice([
        lambda: header(),
        lambda: header(b""),
        lambda: header(b"Bearer"),
        lambda: header(b"bearer "),
        lambda: header(b"  "),
        lambda: header(b" " + token + b"\t"),
        lambda: header(b"Bearer  " + token),
        lambda: header(b"bearer" + b" " * rng.randrange(1, 9) + token),
        lambda: header(b"Bearer+" + token),
        lambda: header(b"Bearer\t" + token),
        lambda: header(b"Bearer" + token),
        lambda: header(b"Basic dXNlcjpwYXNz"),
        lambda: header(b"AWS4-HMAC-SHA256 Credential=x/y, Signature=z"),
        lambda: header(token, token),
        lambda: header(b"", token),
        lambda: header(token + b"," + token),
        lambda: header(token[:20] + b" " + token[20:]),
        lambda: header(b"Bearer " + token[:20] + b" " + token[20:]),
        lambda: header(token + b"\xff"),
        lambda: header(b"," + token),
        lambda: both(token, parameter),
        lambda: both(b"Bearer " + token, parameter),
        lambda: both(token, other),
        lambda: both(b"", parameter),
        lambda: both(b"Bearer", parameter),
        lambda: both(b"Basic dXNlcjpwYXNz", parameter),
        lambda: both(b"AWS4-HMAC-SHA256 Credential=x/y", parameter),
        lambda: both(token, b""),
        lambda: both(b"Basic dXNlcjpwYXNz", b""),
        lambda: both(token, b"%zz"),
        lambda: ([], with_parameter(rng, query, b"Bearer%20" + parameter)),
        lambda: ([], with_parameter(rng, query, rng.choice([b"Bearer", b"bEARER", b"B%65arer"]) + rng.choice([b"+", b"+%20", b"++", b"%20+", b"%2B", b"%20%20"]) + parameter)),
        lambda: ([], with_parameter(rng, query, rng.choice([b"Bearer+", b"Bearer%20", b"Bearer+%20"]))),
        lambda: ([], with_parameter(rng, query, b"bearer " + parameter) if rng.random() < 0.2 else query),
        lambda: ([], with_parameter(rng, query, b"")),
        lambda: ([], with_parameter(rng, query, b"Bearer")),
        lambda: ([], with_parameter(rng, query, b"Basic%20dXNlcg")),
        lambda: ([], with_parameter(rng, query, parameter + b"%")),
        lambda: ([], with_parameter(rng, query, parameter + b"%00")),
        lambda: ([], with_parameter(rng, query, parameter + b"%C3%A9")),
        lambda: ([], with_parameter(rng, query, parameter + b"%C0%AE")),
        lambda: ([], with_parameter(rng, query, b"%20" + parameter)),
        lambda: ([], with_parameter(rng, query, parameter + b"+")),
        lambda: ([], with_parameter(rng, with_parameter(rng, query, parameter), parameter)),
        lambda: ([], with_parameter(rng, with_parameter(rng, query, parameter), b"")),
        lambda: ([], with_parameter(rng, query, parameter, rng.choice([b"%41uthorization", b"Authorizatio%6e", b"authorization", b"Authorization%20", b"xAuthorization"]))),
        lambda: ([token], with_parameter(rng, query, parameter, b"%41uthorization")),
        lambda: ([], (query or b"?") + b"&Authorization"),
        lambda: ([], (query or b"?") + b";Authorization=" + parameter),
    ])()
