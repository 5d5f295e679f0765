//! A configuration as the filter uses it -> JSON, defaults written out.

use std::time::Duration;

use mdrm_authz::config::{Config, KeyPath, KeySource, Keys, TokenRules};
use mdrm_authz::route::{DefaultService, Matcher};
use serde_json::{Map, Value, json};

/// Every member as the filter uses it, secrets redacted. Reads as a configuration that means the same, but for what is redacted.
pub(crate) fn effective(config: &Config) -> Value {
    let upstream = &config.upstream;
    let claim_headers: Map<String, Value> =
        upstream.claim_headers.iter().map(|header| (header.header.to_string(), (*header.claim).into())).collect();
    json!({
        "keys": keys(&config.keys),
        "routes": config.routes.iter().map(|route| {
            let (name, path) = match &route.matcher {
                Matcher::Exact(path) => ("path", path),
                Matcher::Prefix(path) => ("path_prefix", path),
            };
            let host = route.host.as_ref().map(ToString::to_string);
            json!({name: path, "host": host, "service": route.service.name(), "drm": route.drm.map(|drm| drm.name())})
        }).collect::<Vec<_>>(),
        "default_service": match config.default_service {
            DefaultService::License => "license",
            DefaultService::Deny => "deny",
        },
        "services": {
            "license": rules(&config.license),
            "cpix": with(rules(&config.cpix), "bind_content", config.bind_content.into()),
            "signed_cpix": {"audiences": config.signed_cpix_audiences},
        },
        "allow_slow_algorithms": config.keys.slow_algorithms,
        "access_log": format!("{:?}", config.access_log).to_lowercase(),
        "clock_skew": duration(config.clock_skew),
        "max_token_bytes": config.max_token_bytes,
        "max_body_bytes": config.max_body_bytes,
        "max_held_bytes": config.max_held_bytes,
        "body_timeout": duration(config.body_timeout),
        "upstream": {
            "forward_token": upstream.forward_token,
            "payload_header": upstream.payload_header.as_deref(),
            "claim_headers": claim_headers,
        },
        "session": config.session.as_ref().map(|session| json!({
            "keys": private_keys(&session.keys),
            "kid": session.kid.as_ref().map(|kid| kid.as_str()),
            "header": &*session.header,
            "issuer": session.issuer,
            "audience": session.audience,
            "lifetime": duration(session.lifetime),
        })),
        "trust_tunnel": {
            "mode": format!("{:?}", config.tunnel.mode).to_lowercase(),
            "keys": config.tunnel.keys.as_ref().map(|master| private_keys(master)),
        },
        "report_only": config.report_only,
    })
}

/// The members that `session.keys` and `trust_tunnel.keys` have; the others' values are those of `keys`.
fn private_keys(keys: &Keys) -> Value {
    let members = json!({"max_age": duration(keys.max_age), "max_entries": keys.max_entries});
    with_source(members, keys)
}

fn keys(keys: &Keys) -> Value {
    let members = json!({
        "max_age": duration(keys.max_age),
        "max_age_limit": duration(keys.max_age_limit),
        "min_age": duration(keys.min_age),
        "stale_if_error": duration(keys.stale_if_error),
        "negative_max_age": duration(keys.negative_max_age),
        "refetch_interval": duration(keys.refetch_interval),
        "max_entries": keys.max_entries,
        "max_waiting": keys.max_waiting,
        "issuer": keys.issuer,
        "audiences": (!keys.audiences.is_empty()).then_some(&keys.audiences),
        "inline": keys.inline.as_ref().map(|_| "<redacted>"),
    });
    with_source(members, keys)
}

fn with_source(members: Value, keys: &Keys) -> Value {
    let source = keys.source.as_ref().map(source_members);
    source.into_iter().flatten().fold(members, |members, (name, value)| with(members, name, value))
}

fn source_members(source: &KeySource) -> [(&'static str, Value); 5] {
    let path = match &source.path {
        KeyPath::OneKey(before, after) => format!("{before}{{kid}}{after}"),
        KeyPath::Set(path) => path.to_string(),
    };
    let headers: Map<String, Value> =
        source.headers.iter().map(|(name, _)| (name.to_string(), "<redacted>".into())).collect();
    [
        ("cluster", (*source.cluster).into()),
        ("authority", (*source.authority).into()),
        ("path", path.into()),
        ("headers", headers.into()),
        ("timeout", duration(source.timeout)),
    ]
}

fn rules(rules: &TokenRules) -> Value {
    json!({"audiences": rules.audiences, "max_age": duration(rules.max_age), "versions": rules.versions})
}

/// As the configuration spells it.
fn duration(duration: Duration) -> Value {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", duration.as_secs()).into() } else { format!("{millis}ms").into() }
}

fn with(mut members: Value, name: &str, value: Value) -> Value {
    if let Value::Object(members) = &mut members {
        members.insert(name.to_owned(), value);
    }
    members
}
