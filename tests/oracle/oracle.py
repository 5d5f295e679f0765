"""Decides requests as the contract says. Shares nothing with the crate: neither code nor libraries.

Covered are the services `license`, `cpix` and `open`, denied paths, and the rows 7 to 19 of the table of decisions, with
Trust Tunnel in mode permissive and without keys. An answer of `decide` is a code, `ok` (authorised) or `pass` (unchecked).
"""

import ipaddress
import itertools
import re

import jose

HEADER_SPACE = b" \t"
#: The last second of the year 9999: times end here.
LAST_SECOND = 253402300799
DEFAULTS = {
    "license": {"audiences": ["urn:verimatrix:multidrm"], "max_age": 90, "versions": [1]},
    "cpix": {"audiences": ["urn:verimatrix:cpix"], "max_age": 1800, "versions": [1]},
}


class Denied(Exception):
    """The request is answered with this code, by this rule of the contract."""

    def __init__(self, code, rule):
        super().__init__(code, rule)
        self.code, self.rule = code, rule


def seconds(duration):
    """A duration of the configuration; whole seconds are all that the generator writes."""
    number, unit = re.fullmatch(r"(\d+)(s|m|h)", duration).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


class World:
    """One plugin configuration and what its key service answers, by path: status and body."""

    def __init__(self, config, answers):
        self.keys = config["keys"]
        self.answers = answers
        self.routes = config.get("routes", [])
        self.default_service = config.get("default_service", "deny" if self.routes else "license")
        self.skew = seconds(config.get("clock_skew", "5s"))
        self.max_token_bytes = config.get("max_token_bytes", 8192)
        self.slow = config.get("allow_slow_algorithms", False)
        self.services = {"deny": {**DEFAULTS["license"], "audiences": []}}
        for name, defaults in DEFAULTS.items():
            rules = {**defaults, **config.get("services", {}).get(name, {})}
            if isinstance(rules["max_age"], str):
                rules["max_age"] = seconds(rules["max_age"])
            self.services[name] = rules
        license_rules = self.services["license"]
        self.services["deny"] = {**license_rules, "audiences": []}
        self.owner = self.keys.get("issuer")
        self.scope = self.keys.get("audiences", [])
        self.rules, self.silent, self.fetched = (), set(), {}
        #: The rule by which the last decision denied; none if it did not.
        self.rule = None
        inline = self.keys.get("inline")
        self.inline = self.read_set(inline, symmetric=True) if inline is not None else {}

    def decide(self, headers, body, now):
        """The decision (`body`: `none`, `some`, or `empty`, announced and not there); and each other one that rules of explained.md come to where the contract is silent, with the rules."""
        decision, explained = self.decide_by((), headers, body, now), {}
        silent, rule = sorted(self.silent), self.rule
        for count in range(1, len(silent) + 1):
            for rules in itertools.combinations(silent, count):
                explained.setdefault(self.decide_by(rules, headers, body, now), rules)
        explained.pop(decision, None)
        self.rule = rule
        return decision, explained

    def decide_by(self, rules, headers, body, now):
        self.rules, self.silent, self.rule = rules, set(), None
        try:
            return self.run(headers, body, now)
        except Denied as denied:
            self.rule = denied.rule
            return denied.code

    def holds(self, rule):
        """Called where the contract is silent: whether this rule is to decide."""
        self.silent.add(rule)
        return rule in self.rules

    def run(self, headers, body, now):
        values = lambda name: [value for found, value in headers if found == name]
        target = values(":path")[0]
        service = self.service_of(headers, body)
        if service in ("open", "preflight"):
            return "pass"
        if service in ("license", "deny"):
            media_type = (values("content-type") or [b""])[0].split(b";")[0].strip(HEADER_SPACE).lower()
            if media_type == b"application/jose":
                raise Denied("MDRM-518", "no-master-keys")  # row 4
        token = carried_token(values("authorization"), target)
        header, claims, signing_input, signature = self.parse(token)
        if is_session_type(header.get("typ")):
            raise Denied("MDRM-505", "session-token")
        key = self.key(header.get("kid"), now)
        self.authenticate(key, header, claims, signing_input, signature, service)
        self.check_times(claims, service, now)
        self.authorise(key, claims, service)
        return "ok"

    # Section 2.

    def service_of(self, headers, body):
        """The service of a request, or `preflight`."""
        values = lambda name: [value for found, value in headers if found == name]
        if is_preflight(headers, values, body):
            return "preflight"
        path = values(":path")[0].split(b"?", 1)[0]
        if percent_decoded(path) is None and self.holds("broken-escape"):
            return "deny"
        return self.service(path, values(":authority")[0])

    def service(self, path, authority):
        if re.search(rb"[\\;]|%2f|%5c|%3b|%00|[^\x21-\x7e]", path, re.IGNORECASE):
            return "deny"
        normal = normalise(path)
        if normal is None:
            return "deny"
        if authority or any("host" in route for route in self.routes):
            authority = read_authority(authority)
            if authority is None:
                return "deny"
        for route in self.routes:
            if "host" in route and not is_host(route["host"], authority, route["service"] == "open"):
                continue
            if route["service"] == "open" and normal != path:
                continue
            if "path" in route:
                matches = normal == route["path"].encode()
            else:
                prefix = route["path_prefix"].encode().rstrip(b"/")
                matches = normal == prefix or normal.startswith(prefix + b"/")
            if matches:
                return route["service"]
        return self.default_service

    # Row 8.

    def parse(self, token):
        try:
            text = token.decode("ascii")
        except UnicodeDecodeError:
            raise Denied("MDRM-502", "form") from None
        if len(token) > self.max_token_bytes:
            raise Denied("MDRM-502", "max-token-bytes")
        parts = text.split(".")
        if len(parts) != 3 or not parts[0] or not parts[1]:
            raise Denied("MDRM-502", "form")
        try:
            header, payload, signature = map(jose.base64url, parts)
        except ValueError:
            raise Denied("MDRM-502", "form") from None
        try:
            header, claims = jose.json_object(header), jose.json_object(payload)
        except jose.NameTwice:
            raise Denied("MDRM-502", "name-twice") from None
        except ValueError:
            raise Denied("MDRM-502", "strict-json") from None
        return header, claims, text.rpartition(".")[0].encode(), signature

    # Rows 10 to 12, and section 9.

    def key(self, kid, now):
        if not isinstance(kid, str) or not 1 <= len(kid.encode()) <= 256 or not kid.strip("."):
            raise Denied("MDRM-504", "kid")
        document = self.inline[kid] if kid in self.inline else self.ask(kid)
        if document is None:
            raise Denied("MDRM-504", "no-usable-key")
        if document.state == "deleted":
            raise Denied("MDRM-512", "key-deleted")
        if document.state == "disabled" or (document.expires is not None and now > document.expires):
            raise Denied("MDRM-513", "key-disabled")
        return document

    def ask(self, kid):
        """The document that the key service has for this name; none if it has none that can be used."""
        if "cluster" not in self.keys:
            return None
        template = self.keys.get("path", "/keys/{kid}")
        if "{kid}" not in template:
            status, body = self.answers.get(template, (404, b""))
            if status != 200:
                raise Denied("MDRM-500", "key-service-fails")
            return self.remembered(template, self.read_set_answer, body).get(kid)
        path = template.replace("{kid}", re.sub(rb"[^A-Za-z0-9._~-]", lambda m: b"%%%02X" % m[0][0], kid.encode()).decode())
        status, body = self.answers.get(path, (404, b""))
        if status == 404:
            return None
        if status == 410:
            return jose.KeyDocument("deleted")
        if status != 200 or len(body) > 65536:
            raise Denied("MDRM-500", "key-service-fails")
        return self.remembered(path, self.read_one, kid, body)

    def remembered(self, path, read, *arguments):
        """What `read` makes of an answer, be it a denial; and the silence that it met."""
        if (path, self.rules) not in self.fetched:
            before, self.silent = self.silent, set()
            try:
                found = read(*arguments)
            except Denied as denied:
                found = denied
            self.fetched[path, self.rules] = (found, self.silent)
            self.silent = before
        found, silent = self.fetched[path, self.rules]
        self.silent |= silent
        if isinstance(found, Denied):
            raise Denied(*found.args)
        return found

    def read_one(self, kid, body):
        try:
            members = jose.json_object(body)
        except jose.NameTwice:
            if self.holds("name-twice-in-key"):
                return None
            raise Denied("MDRM-500", "key-service-fails") from None
        except ValueError:
            raise Denied("MDRM-500", "key-service-fails") from None
        scope = self.scope if members.get("aud") is None and self.scope and self.holds("audiences-of-one-key") else []
        try:
            document = self.read_key(members, None, scope, symmetric=True)
        except ValueError:
            return None
        return document if document.state != "enabled" or members.get("kid") == kid else None

    def read_key(self, members, owner, scope, symmetric):
        document = jose.read_key(members, owner, scope, symmetric, self.slow)
        curve = members.get("crv")
        if document.state == "enabled" and curve is not None and not isinstance(curve, str) and self.holds("crv-of-another-type"):
            raise ValueError("unusable")
        return document

    def read_set_answer(self, body):
        try:
            members = jose.json_object(body)
        except ValueError:
            raise Denied("MDRM-500", "key-service-fails") from None
        keys = members.get("keys")
        if not isinstance(keys, list):
            raise Denied("MDRM-500", "key-service-fails")
        documents = self.read_set({"keys": keys}, symmetric=False)
        if keys and not documents:
            raise Denied("MDRM-500", "key-service-fails")
        return documents

    def read_set(self, document, symmetric):
        found, seen = {}, {}
        for members in document["keys"]:
            kid = members.get("kid") if isinstance(members, dict) and not jose.has_repeated_name(members) else None
            if not isinstance(kid, str) or jose.serves_another(members):
                continue
            seen[kid] = seen.get(kid, 0) + 1
            try:
                found[kid] = self.read_key(members, self.owner, self.scope, symmetric)
            except ValueError:
                pass
        return {kid: key for kid, key in found.items() if seen[kid] == 1}

    # Row 13.

    def authenticate(self, key, header, claims, signing_input, signature, service):
        if header.get("alg") != key.alg:
            raise Denied("MDRM-505", "alg-of-the-key")
        if "crit" in header or "b64" in header:
            raise Denied("MDRM-505", "crit-or-b64")
        if not signature or not key.verifies(signing_input, signature):
            right_length = len(signature) == jose.ECDSA_LENGTHS.get(key.alg, len(signature))
            raise Denied("MDRM-505", "signature" if right_length else "ecdsa-signature-of-another-length")
        for name in ("iss", "sub", "jti"):
            if not isinstance(claims.get(name), str) or not claims[name]:
                raise Denied("MDRM-505", "required-claims")
        if claims["iss"] != key.owner:
            raise Denied("MDRM-505", "owner")
        version = claims.get("ver")
        if not isinstance(version, jose.Number) or version.value not in self.services[service]["versions"]:
            raise Denied("MDRM-505", "version")
        for name in ("iat", "exp", "nbf"):
            if name not in claims or (name == "iat" and claims[name] is None):
                continue
            time = claims[name]
            if not isinstance(time, jose.Number) or not 0 <= time.value <= LAST_SECOND:
                raise Denied("MDRM-505", "times-in-range")

    # Rows 14 to 17.

    def check_times(self, claims, service, now):
        time = lambda name: int(claims[name].value) if claims.get(name) is not None else None
        issued, starts, ends = time("iat"), time("nbf"), time("exp")
        if issued is None:
            raise Denied("MDRM-509", "iat-required")
        if issued > now + self.skew:
            raise Denied("MDRM-510", "iat-in-the-future")
        if starts is not None and starts > now + self.skew:
            raise Denied("MDRM-511", "nbf")
        if ends is not None and now > ends + self.skew:
            raise Denied("MDRM-508", "exp" if ends else "exp-of-0")
        if now > issued + self.services[service]["max_age"] + self.skew:
            raise Denied("MDRM-508", "max-age")

    # Rows 18 and 19.

    def authorise(self, key, claims, service):
        audience = claims.get("aud")
        if isinstance(audience, str):
            audience = [audience]
        if not isinstance(audience, list) or not all(isinstance(one, str) for one in audience):
            raise Denied("MDRM-503", "aud-strings")
        matching = [one for one in audience if one in self.services[service]["audiences"]]
        if not matching:
            raise Denied("MDRM-503", "audience")
        if not any(one in key.scope for one in matching):
            raise Denied("MDRM-503", "scope-of-the-key")
        if service == "license" and "drm_protocol" in claims and claims["drm_protocol"] != "REST":
            raise Denied("MDRM-521", "drm-protocol")


def is_preflight(headers, values, body):
    filled = lambda name: values(name) and all(value.strip(HEADER_SPACE) for value in values(name))
    overrides = {"x-http-method-override", "x-http-method", "x-method-override"}
    overridden = any(re.sub("[^a-z0-9]", "-", name.lower()) in overrides for name, _ in headers)
    needed = values(":method") == [b"OPTIONS"] and filled("origin") and filled("access-control-request-method")
    return bool(needed and body != "some" and not overridden)


def read_authority(text):
    """Name in lower case, port or none, and whether there was a final dot. None if it is no authority of a request."""
    match = re.fullmatch(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+?)(\.?)(?::([1-9][0-9]{0,4}))?", text)
    if not match or int(match[3] or 0) > 65535:
        return None
    name, dot = match[1].lower().decode(), match[2]
    if name[0] == "[":
        try:
            ipaddress.IPv6Address(name[1:-1])
        except ValueError:
            return None
        if dot:
            return None
    elif not all(name.split(".")):
        return None
    return name, int(match[3]) if match[3] else None, bool(dot)


def is_host(host, authority, is_open):
    """Whether the host of a route is that of a request."""
    name, port, dot = authority
    wanted, _, wanted_port = host.lower().rpartition(":") if re.search(r":\d+$", host) and not host.endswith("]") else (host.lower(), "", "")
    if wanted_port and port != int(wanted_port):
        return False
    if is_open and (dot or (port is not None and not wanted_port)):
        return False
    if wanted.startswith("*."):
        return name.endswith(wanted[1:]) and len(name) > len(wanted[1:]) and not name.startswith("[")
    return name == wanted


def normalise(path):
    """Unreserved characters decoded, dot segments removed, repeated slashes merged. None if the latter two come to another path in the other
    order, or if what is escaped is an escape."""
    unreserved = re.compile(rb"[A-Za-z0-9._~-]")
    decode = lambda m: bytes([int(m[1], 16)]) if unreserved.fullmatch(bytes([int(m[1], 16)])) else m[0]
    decoded = re.sub(rb"%([0-9A-Fa-f]{2})", decode, path)
    merge = lambda path: re.sub(rb"/+", b"/", path)
    normal = merge(without_dots(decoded))
    if normal != without_dots(merge(decoded)) or re.search(rb"%25[0-9A-Fa-f]{2}", decoded):
        return None
    return normal


def without_dots(path):
    """RFC 3986 section 5.2.4."""
    segments, out = path.split(b"/")[1:], []
    for segment in segments:
        if segment == b"..":
            out[-1:] = []
        elif segment != b".":
            out.append(segment)
    if segments[-1] in (b".", b".."):
        out.append(b"")
    return b"/" + b"/".join(out)


# Section 4.

def carried_token(values, target):
    """The one token of header and query. Raises 501 for none and 502 for an ambiguous or malformed carriage."""
    if len(values) > 1:
        raise Denied("MDRM-502", "carriage")
    kind, in_header = credential(values[0].strip(HEADER_SPACE)) if values else ("absent", None)
    in_query = query_token(target)
    if kind == "scheme":
        if in_query is None:
            raise Denied("MDRM-502", "carriage")
        return in_query
    if in_header is None and in_query is None:
        raise Denied("MDRM-501", "no-token")
    if in_header is not None and in_query is not None and in_header != in_query:
        raise Denied("MDRM-502", "carriage")
    return in_header if in_header is not None else in_query


def credential(value):
    """`absent`, `token` with the token, or `scheme` for a credential of another scheme."""
    if value == b"" or value.lower() == b"bearer":
        return "absent", None
    if value[:7].lower() == b"bearer ":
        return "token", value[7:].lstrip(b" ")
    if re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ .*", value, re.DOTALL):
        return "scheme", None
    return "token", value


def query_token(target):
    found = []
    for pair in target.partition(b"?")[2].split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"Authorization":
            found.append(value)
        elif percent_decoded(name) == b"Authorization":
            raise Denied("MDRM-502", "carriage")
    if len(found) > 1:
        raise Denied("MDRM-502", "carriage")
    if not found:
        return None
    scheme, plus, rest = found[0].partition(b"+")
    if plus and (percent_decoded(scheme) or b"").lower() == b"bearer":
        # As a form writes the space.
        found[0] = b"Bearer%20" + rest
    value = percent_decoded(found[0])
    if value is None:
        raise Denied("MDRM-502", "carriage")
    kind, token = credential(value)
    if kind == "scheme":
        raise Denied("MDRM-502", "carriage")
    return token


def percent_decoded(text):
    if re.search(rb"%(?![0-9A-Fa-f]{2})", text):
        return None
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text)


# Row 9.

def is_session_type(typ):
    return isinstance(typ, str) and typ.lower() in ("mdrm-session+jwt", "application/mdrm-session+jwt")
