//! The plugin configuration as it is written: names and JSON types, nothing checked beyond them, and what
//! the schema says of each.

use std::time::Duration;

use super::reader::{Member, Read};
use super::{AccessLog, Result, TunnelMode};
#[cfg(not(target_arch = "wasm32"))]
use super::{limits, schema};
use crate::route::{DefaultService, Drm, Service as RouteService};

/// A struct that is an object with members of the names of its fields. `default`: where it is absent, it is as if it were
/// empty. A docstring, and the rule after a `=`, go into the schema; the reader's own rules stand where it reads.
macro_rules! object {
    (default $name:ident { $($members:tt)* }) => {
        object!(@ $name { $($members)* } object!(@ absent $($members)*));
    };
    ($name:ident { $($members:tt)* }) => {
        object!(@ $name { $($members)* } None);
    };
    (@ absent $($(#[doc = $about:literal])* $field:ident: $type:ty $(= $rule:expr)?),* $(,)?) => {
        Some(Self { $($field: Read::absent()?),* })
    };
    (@ $name:ident { $($(#[doc = $about:literal])* $field:ident: $type:ty $(= $rule:expr)?),* $(,)? } $absent:expr) => {
        pub(super) struct $name {
            $(pub(super) $field: $type),*
        }

        impl Read for $name {
            fn read(member: &Member<'_>) -> Result<Self> {
                let object = member.object(&[$(stringify!($field)),*])?;
                Ok(Self { $($field: object.get(stringify!($field))?),* })
            }

            fn absent() -> Option<Self> {
                $absent
            }
        }

        #[cfg(not(target_arch = "wasm32"))]
        impl schema::Describe for $name {
            fn schema() -> serde_json::Value {
                schema::object(vec![$(schema::MemberSchema::new::<$type>(
                    stringify!($field),
                    &[$($about),*],
                    <$type as Read>::absent().is_none(),
                    &[$(&$rule)?],
                )),*])
            }
        }
    };
}

object!(Plugin {
    /// Where keys come from, and how long they are held.
    keys: Keys = schema::AnyOf(["cluster", "inline"]),
    /// What each request is handled as; the first match wins.
    routes: Vec<Route> = schema::EachOneOf(["path", "path_prefix"]),
    /// What a request is that no route matches: a license request, or denied. By default license if there are no routes,
    /// else deny.
    default_service: Option<DefaultService>,
    /// What each service asks of a token.
    services: Services,
    /// Accept ES384 and ES512 keys on hosts where only the VM can verify them.
    allow_slow_algorithms: Option<bool> = limits::ALLOW_SLOW_ALGORITHMS,
    /// For which requests filter state is written, which an access log can print.
    access_log: Option<AccessLog> = limits::ACCESS_LOG,
    /// Leeway of every comparison of times.
    clock_skew: Option<DurationText> = limits::CLOCK_SKEW,
    /// Longest token in bytes; longer ones are MDRM-502.
    max_token_bytes: Option<u64> = limits::MAX_TOKEN_BYTES,
    /// Largest body in bytes that the filter reads (Trust Tunnel, CPIX). Envoy's per_connection_buffer_limit_bytes must be
    /// 65536 larger.
    max_body_bytes: Option<u64> = limits::MAX_BODY_BYTES,
    /// Copies of bodies in bytes that a worker keeps for requests that wait for a key, in all; a request over it is MDRM-500.
    /// At least max_body_bytes.
    max_held_bytes: Option<u64> = limits::MAX_HELD_BYTES,
    /// How long a body that is read may take to be complete.
    body_timeout: Option<DurationText> = limits::BODY_TIMEOUT,
    /// What the upstream gets of a token.
    upstream: Upstream,
    /// Session tokens for the upstream.
    session: Option<Session>,
    /// Encrypted license requests.
    trust_tunnel: TrustTunnel,
    /// Decide, log and tell the upstream (x-mdrm-would-deny), and let every request go on.
    report_only: Option<bool> = limits::REPORT_ONLY,
});

object!(Keys {
    /// Envoy's name of the cluster of the key service. Required unless inline is there.
    cluster: Option<String> = schema::Text,
    /// :authority of the callout; the name of the cluster, after its last |, if absent.
    authority: Option<String> = schema::AUTHORITY,
    /// With {kid}: one key a request; without: a JWK Set.
    path: Option<String> = (schema::KEY_PATH, limits::KEYS_PATH),
    /// More headers of the callout. ${NAME} in a value is an environment variable of the VM, $${ a literal ${.
    headers: Headers,
    /// How long the whole answer may take.
    timeout: Option<DurationText> = limits::KEYS_TIMEOUT,
    /// Freshness where the answer says nothing usable.
    max_age: Option<DurationText> = limits::KEYS_MAX_AGE,
    /// Cap on the freshness that an answer may give.
    max_age_limit: Option<DurationText> = limits::KEYS_MAX_AGE_LIMIT,
    /// Floor under the freshness that an answer may give, no-store and max-age=0 included. At most max_age_limit.
    min_age: Option<DurationText> = limits::KEYS_MIN_AGE,
    /// How long a key serves past its freshness while the key service fails.
    stale_if_error: Option<DurationText> = limits::KEYS_STALE_IF_ERROR,
    /// How long 404, 410 and unusable documents are remembered.
    negative_max_age: Option<DurationText> = limits::KEYS_NEGATIVE_MAX_AGE,
    /// JWK Set: an unknown kid fetches the set at most this often.
    refetch_interval: Option<DurationText> = limits::KEYS_REFETCH_INTERVAL,
    /// Keys held per worker; the least recently used goes.
    max_entries: Option<u64> = limits::KEYS_MAX_ENTRIES,
    /// Requests per worker that may wait for keys; more are MDRM-500.
    max_waiting: Option<u64> = limits::KEYS_MAX_WAITING,
    /// Owner of keys in sets and inline whose document names none.
    issuer: Option<String> = schema::Text,
    /// Purposes of keys whose document names none.
    audiences: Option<Vec<String>> = schema::Audiences(None),
    /// A JWK Set in the configuration; it shadows the key service, revocations included.
    inline: Option<JsonText>,
});

object!(Route {
    /// The whole path, as it is compared: no query, no dot segments, no //.
    path: Option<String> = schema::ROUTE_PATH,
    /// Whole segments from the start of the path: /a matches /a and /a/b, not /ab.
    path_prefix: Option<String> = schema::ROUTE_PATH,
    /// A DNS name, an IP address (IPv6 in brackets), or *. and a DNS name; any host if absent. A port counts only if it is
    /// named here.
    host: Option<String> = schema::HOST,
    /// What requests are handled as.
    service: RouteService,
    /// The DRM system that the session token names.
    drm: Option<Drm>,
});

object!(default Services {
    /// License requests.
    license: License,
    /// CPIX requests with a token.
    cpix: Cpix,
    /// CPIX requests whose document is signed.
    signed_cpix: SignedCpix,
});

object!(default License {
    /// Accepted values of aud.
    audiences: Option<Vec<String>> = schema::Audiences(Some(limits::LICENSE_AUDIENCE)),
    /// Longest time since iat.
    max_age: Option<DurationText> = limits::LICENSE_MAX_AGE,
    /// Accepted values of ver.
    versions: Option<Vec<u32>> = schema::Versions(limits::VERSION),
});

object!(default Cpix {
    /// Accepted values of aud.
    audiences: Option<Vec<String>> = schema::Audiences(Some(limits::CPIX_AUDIENCE)),
    /// Longest time since iat.
    max_age: Option<DurationText> = limits::CPIX_MAX_AGE,
    /// Accepted values of ver.
    versions: Option<Vec<u32>> = schema::Versions(limits::VERSION),
    /// The document's contentId must be the token's sub.
    bind_content: Option<bool> = limits::BIND_CONTENT,
});

object!(default SignedCpix {
    /// The key must have one of these as a purpose.
    audiences: Option<Vec<String>> = schema::Audiences(Some(limits::CPIX_AUDIENCE)),
});

object!(default Upstream {
    /// Leave the client's token on the request.
    forward_token: Option<bool> = limits::FORWARD_TOKEN,
    /// The header that carries the token's payload in base64url.
    payload_header: Option<String> = schema::HEADER,
    /// Names of headers, and of the claims that they carry.
    claim_headers: Headers = schema::Texts,
});

object!(Session {
    /// Where session keys come from. The rest is as keys says.
    keys: PrivateKeys = schema::DefaultPath(limits::SESSION_KEYS_PATH),
    /// The session key for access keys that name none. Neither: MDRM-506.
    kid: Option<String> = schema::KID,
    /// The header that carries the token; in authorization it is Bearer and the token.
    header: Option<String> = (schema::HEADER, limits::SESSION_HEADER),
    /// iss of the token.
    issuer: String = schema::Text,
    /// aud of the token.
    audience: String = schema::Text,
    /// From iat to exp at most.
    lifetime: Option<DurationText> = limits::SESSION_LIFETIME,
});

object!(default TrustTunnel {
    /// Which license requests may come: encrypted ones alone, both, plain ones alone.
    mode: Option<TunnelMode> = limits::TUNNEL_MODE,
    /// Where master keys come from. Without it encrypted requests are MDRM-518.
    keys: Option<PrivateKeys> = schema::DefaultPath(limits::MASTER_KEYS_PATH),
});

object!(PrivateKeys {
    /// Envoy's name of the cluster of the key service.
    cluster: String = schema::Text,
    /// :authority of the callout; the name of the cluster, after its last |, if absent.
    authority: Option<String> = schema::AUTHORITY,
    /// Holds {kid}.
    path: Option<String> = schema::ONE_KEY_PATH,
    /// More headers of the callout. ${NAME} in a value is an environment variable of the VM, $${ a literal ${.
    headers: Headers,
    /// How long the whole answer may take.
    timeout: Option<DurationText> = limits::KEYS_TIMEOUT,
    /// Freshness where the answer says nothing usable.
    max_age: Option<DurationText> = limits::KEYS_MAX_AGE,
    /// Keys held per worker; the least recently used goes.
    max_entries: Option<u64> = limits::KEYS_MAX_ENTRIES,
});

/// An enum that is one of these names.
macro_rules! choice {
    ($type:ident { $($name:literal => $variant:ident),* $(,)? }) => {
        impl Read for $type {
            fn read(member: &Member<'_>) -> Result<Self> {
                member.choice(&[$(($name, Self::$variant)),*])
            }
        }

        #[cfg(not(target_arch = "wasm32"))]
        impl schema::Describe for $type {
            fn schema() -> serde_json::Value {
                schema::choice(&[$($name),*])
            }
        }

        /// The default.
        #[cfg(not(target_arch = "wasm32"))]
        impl schema::Rule for $type {
            fn apply(&self, schema: &mut serde_json::Map<String, serde_json::Value>) {
                let name = match self { $(Self::$variant => $name),* };
                schema.insert("default".to_owned(), name.into());
            }
        }
    };
}

choice!(RouteService { "license" => License, "cpix" => Cpix, "signed_cpix" => SignedCpix, "open" => Open });
choice!(DefaultService { "license" => License, "deny" => Deny });
choice!(AccessLog { "off" => Off, "denied" => Denied, "all" => All });
choice!(TunnelMode { "enforcing" => Enforcing, "permissive" => Permissive, "off" => Off });
choice!(Drm { "widevine" => Widevine, "playready" => PlayReady, "fairplay" => FairPlay });

/// Names and values as they were written, a repeated name included.
#[derive(Default)]
pub(super) struct Headers(pub(super) Vec<(String, String)>);

impl Read for Headers {
    fn read(member: &Member<'_>) -> Result<Self> {
        member.texts().map(Self)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// A value that is read elsewhere.
pub(super) struct JsonText(pub(super) String);

impl Read for JsonText {
    fn read(member: &Member<'_>) -> Result<Self> {
        Ok(Self(member.spelling().to_owned()))
    }
}

/// A duration as in Envoy's JSON: a decimal number and a unit (`ms`, `s`, `m`, `h`), in whole milliseconds.
#[derive(Clone, Copy)]
pub(super) struct DurationText(pub(super) Duration);

impl Read for DurationText {
    fn read(member: &Member<'_>) -> Result<Self> {
        let allowed = "a duration such as \"90s\", \"0.5s\", \"10m\" or \"1h\", in whole milliseconds";
        let duration = parse_duration(&member.text(allowed)?);
        duration.map_or_else(|| member.wrong(allowed), |duration| Ok(Self(duration)))
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(unit_at)?;
    let unit_millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = fraction.parse::<u64>().ok()?.checked_mul(unit_millis)?;
    if parts.checked_rem(scale)? != 0 {
        return None;
    }
    let millis = whole.parse::<u64>().ok()?.checked_mul(unit_millis)?.checked_add(parts.checked_div(scale)?)?;
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_in_whole_milliseconds() {
        for (text, millis) in
            [("90s", 90_000), ("0.5s", 500), ("10m", 600_000), ("1h", 3_600_000), ("1ms", 1), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("1.5m"), Some(Duration::from_secs(90)));
        for text in ["", "s", "90", "-1s", "1 s", "1s ", "1.s", ".5s", "1e3s", "0.0005s", "1d", "1S", "99999999999s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
