//! The plugin configuration as it is written: names and JSON types, nothing checked beyond them.

use std::time::Duration;

use super::reader::{Member, Read};
use super::{AccessLog, Result, TunnelMode};
use crate::route::{DefaultService, Drm, Service as RouteService};

/// A struct that is an object with members of the names of its fields. `default`: where it is absent, it is as if it were
/// empty.
macro_rules! object {
    (default $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        object!(@ $name { $($field: $type),* } Some(Self { $($field: Read::absent()?),* }));
    };
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        object!(@ $name { $($field: $type),* } None);
    };
    (@ $name:ident { $($field:ident: $type:ty),* } $absent:expr) => {
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
    };
}

object!(Plugin {
    keys: Keys,
    routes: Vec<Route>,
    default_service: Option<DefaultService>,
    services: Services,
    allow_slow_algorithms: Option<bool>,
    access_log: Option<AccessLog>,
    clock_skew: Option<DurationText>,
    max_token_bytes: Option<u64>,
    max_body_bytes: Option<u64>,
    body_timeout: Option<DurationText>,
    upstream: Upstream,
    session: Option<Session>,
    trust_tunnel: TrustTunnel,
    report_only: Option<bool>,
});

object!(Keys {
    cluster: Option<String>,
    authority: Option<String>,
    path: Option<String>,
    headers: Headers,
    timeout: Option<DurationText>,
    max_age: Option<DurationText>,
    max_age_limit: Option<DurationText>,
    stale_if_error: Option<DurationText>,
    negative_max_age: Option<DurationText>,
    refetch_interval: Option<DurationText>,
    max_entries: Option<u64>,
    max_waiting: Option<u64>,
    issuer: Option<String>,
    audiences: Option<Vec<String>>,
    inline: Option<JsonText>,
});

object!(Route {
    path: Option<String>,
    path_prefix: Option<String>,
    host: Option<String>,
    service: RouteService,
    drm: Option<Drm>,
});

object!(default Services {
    license: Service,
    cpix: Cpix,
    signed_cpix: SignedCpix,
});

object!(default Service {
    audiences: Option<Vec<String>>,
    max_age: Option<DurationText>,
    versions: Option<Vec<u32>>,
});

object!(default Cpix {
    audiences: Option<Vec<String>>,
    max_age: Option<DurationText>,
    versions: Option<Vec<u32>>,
    bind_content: Option<bool>,
});

object!(default SignedCpix {
    audiences: Option<Vec<String>>,
});

object!(default Upstream {
    forward_token: Option<bool>,
    payload_header: Option<String>,
    claim_headers: Headers,
});

object!(Session {
    keys: PrivateKeys,
    kid: Option<String>,
    header: Option<String>,
    issuer: String,
    audience: String,
    lifetime: Option<DurationText>,
});

object!(default TrustTunnel {
    mode: Option<TunnelMode>,
    keys: Option<PrivateKeys>,
});

object!(PrivateKeys {
    cluster: String,
    authority: Option<String>,
    path: Option<String>,
    headers: Headers,
    timeout: Option<DurationText>,
    max_age: Option<DurationText>,
    max_entries: Option<u64>,
});

/// An enum that is one of these names.
macro_rules! choice {
    ($type:ident { $($name:literal => $variant:ident),* $(,)? }) => {
        impl Read for $type {
            fn read(member: &Member<'_>) -> Result<Self> {
                member.choice(&[$(($name, Self::$variant)),*])
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
