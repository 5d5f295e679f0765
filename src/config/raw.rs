//! The plugin configuration as it is written: names and JSON types, nothing checked beyond them.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub(super) keys: Keys,
    #[serde(default)]
    pub(super) routes: Vec<Route>,
    pub(super) default_service: Option<DefaultService>,
    #[serde(default)]
    pub(super) services: Services,
    pub(super) allow_slow_algorithms: Option<bool>,
    pub(super) access_log: Option<super::AccessLog>,
    pub(super) clock_skew: Option<DurationText>,
    pub(super) max_token_bytes: Option<u64>,
    pub(super) max_body_bytes: Option<u64>,
    pub(super) body_timeout: Option<DurationText>,
    #[serde(default)]
    pub(super) upstream: Upstream,
    pub(super) session: Option<Session>,
    #[serde(default)]
    pub(super) trust_tunnel: TrustTunnel,
    pub(super) report_only: Option<bool>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) cluster: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) headers: Headers,
    pub(super) timeout: Option<DurationText>,
    pub(super) max_age: Option<DurationText>,
    pub(super) max_age_limit: Option<DurationText>,
    pub(super) stale_if_error: Option<DurationText>,
    pub(super) negative_max_age: Option<DurationText>,
    pub(super) refetch_interval: Option<DurationText>,
    pub(super) max_entries: Option<u64>,
    pub(super) max_waiting: Option<u64>,
    pub(super) issuer: Option<String>,
    pub(super) audiences: Option<Vec<String>>,
    pub(super) inline: Option<Box<RawValue>>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) path: Option<String>,
    pub(super) path_prefix: Option<String>,
    pub(super) host: Option<String>,
    pub(super) service: RouteService,
    pub(super) drm: Option<crate::route::Drm>,
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RouteService {
    License,
    Cpix,
    SignedCpix,
    Open,
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DefaultService {
    License,
    Deny,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Services {
    pub(super) license: Service,
    pub(super) cpix: Cpix,
    pub(super) signed_cpix: SignedCpix,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) audiences: Option<Vec<String>>,
    pub(super) max_age: Option<DurationText>,
    pub(super) versions: Option<Vec<u32>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cpix {
    pub(super) audiences: Option<Vec<String>>,
    pub(super) max_age: Option<DurationText>,
    pub(super) versions: Option<Vec<u32>>,
    pub(super) bind_content: Option<bool>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignedCpix {
    pub(super) audiences: Option<Vec<String>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) forward_token: Option<bool>,
    pub(super) payload_header: Option<String>,
    #[serde(default)]
    pub(super) claim_headers: Headers,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    pub(super) keys: PrivateKeys,
    pub(super) kid: Option<String>,
    pub(super) header: Option<String>,
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) lifetime: Option<DurationText>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrustTunnel {
    pub(super) mode: Option<super::TunnelMode>,
    pub(super) keys: Option<PrivateKeys>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrivateKeys {
    pub(super) cluster: String,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) headers: Headers,
    pub(super) timeout: Option<DurationText>,
    pub(super) max_age: Option<DurationText>,
    pub(super) max_entries: Option<u64>,
}

/// Names and values as they were written, a repeated name included.
#[derive(Debug, Default)]
pub(super) struct Headers(pub(super) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Headers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some(header) = map.next_entry()? {
                    headers.push(header);
                }
                Ok(Headers(headers))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A duration as in Envoy's JSON: a decimal number and a unit (`ms`, `s`, `m`, `h`), in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DurationText(pub(super) Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = DurationText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"90s\", \"0.5s\", \"10m\" or \"1h\", in whole milliseconds")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<DurationText, E> {
                let duration = parse_duration(text);
                duration.map(DurationText).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
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
