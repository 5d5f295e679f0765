//! The plugin configuration. Input: the JSON text.

use mdrm_authz::config::{Config, KeySource, Keys};
use serde_json::Value;

#[path = "../../../src/bin/mdrm/effective.rs"]
mod effective;

use super::log;

/// What is read holds valid values alone, prints no secret, and is printed by `mdrm check-config` as a configuration that
/// means the same; what is refused is refused in one line. Gives whether it is read.
pub fn check(input: &[u8]) -> bool {
    let config = match Config::from_json(input, &environment) {
        Ok(config) => config,
        Err(refusal) => {
            let line = refusal.to_string();
            assert!(!refusal.path().is_empty() && line.starts_with("configuration refused: "));
            // It quotes what was found, but as one line.
            assert!(!line.contains(char::is_control), "{line:?}");
            assert!(!line.contains(VARIABLE), "a refusal tells the value of a variable");
            return false;
        }
    };
    check_bounds(&config);
    let shown = format!("{config:?}");
    assert!(!shown.contains(VARIABLE), "a header's value is shown");

    let printed = effective::effective(&config);
    assert!(!printed.to_string().contains(VARIABLE));
    let again = with_inline_keys(printed.clone(), input);
    let again = Config::from_json(again.to_string().as_bytes(), &|_| None).unwrap_or_else(|refusal| {
        panic!("what is printed is refused: {refusal}");
    });
    assert_eq!(effective::effective(&again), printed);
    // Members of an object come back sorted.
    let sources = sources(&config);
    let sorted = sources.iter().all(|source| source.headers.is_sorted());
    let claims = config.upstream.claim_headers.is_sorted_by(|a, b| a.header <= b.header);
    if claims && sorted {
        assert_eq!(format!("{again:?}"), shown);
    }
    true
}

/// The value of every variable whose name is written in capitals.
const VARIABLE: &str = "the value of a variable";

fn environment(name: &str) -> Option<String> {
    let capitals = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
    capitals.then(|| VARIABLE.to_owned())
}

fn all_keys(config: &Config) -> Vec<&Keys> {
    let session = config.session.as_ref().map(|session| &*session.keys);
    [Some(&*config.keys), session, config.tunnel.keys.as_deref()].into_iter().flatten().collect()
}

fn sources(config: &Config) -> Vec<&KeySource> {
    all_keys(config).into_iter().filter_map(|keys| keys.source.as_ref()).collect()
}

/// The ranges of the documentation.
fn check_bounds(config: &Config) {
    let within = |low, value, high| assert!(low <= value && value <= high, "{value} is not within {low} to {high}");
    for keys in all_keys(config) {
        within(1, keys.max_age.as_secs(), 86_400);
        within(1, keys.max_age_limit.as_secs(), 86_400);
        within(1, keys.min_age.as_secs(), keys.max_age_limit.as_secs().min(3_600));
        within(0, keys.stale_if_error.as_secs(), 86_400);
        within(1, keys.negative_max_age.as_secs(), 3_600);
        within(1, keys.refetch_interval.as_secs(), 3_600);
        within(1, keys.max_entries as u64, 100_000);
        within(0, keys.max_waiting as u64, 100_000);
        assert!(keys.source.is_some() || keys.inline.is_some());
    }
    for source in sources(config) {
        within(1, u64::try_from(source.timeout.as_millis()).unwrap_or(u64::MAX), 60_000);
        assert!(!source.cluster.is_empty() && !source.authority.is_empty());
        for (name, value) in &source.headers {
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
            assert!(value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
        }
    }
    for rules in [&config.license, &config.cpix] {
        within(1, rules.max_age.as_secs(), 86_400);
        assert!(!rules.audiences.is_empty() && !rules.versions.is_empty());
    }
    within(0, config.clock_skew.as_secs(), 300);
    within(256, config.max_token_bytes as u64, 65_536);
    within(1_024, config.max_body_bytes as u64, 8 << 20);
    within(1 << 20, config.max_held_bytes as u64, 1 << 30);
    assert!(config.max_held_bytes >= config.max_body_bytes);
    within(1, config.body_timeout.as_secs(), 60);
    for session in config.session.iter() {
        within(1, session.lifetime.as_secs(), 3_600);
    }
    let session = config.session.iter().map(|session| &*session.header);
    let claims = config.upstream.claim_headers.iter().map(|header| &*header.header);
    let mut written: Vec<&str> = session.chain(config.upstream.payload_header.as_deref()).chain(claims).collect();
    for name in &written {
        log::check_line(name);
        assert!(!name.contains([':', ' ']) && *name == name.to_lowercase(), "{name}");
    }
    let headers = written.len();
    written.sort_unstable();
    written.dedup();
    assert_eq!(written.len(), headers, "a header is written twice");
}

/// What is printed redacts the inline keys: puts back those of the input.
fn with_inline_keys(mut printed: Value, input: &[u8]) -> Value {
    if !printed["keys"]["inline"].is_null() {
        let input: Value = serde_json::from_slice(input).expect("a configuration is JSON");
        printed["keys"]["inline"] = input["keys"]["inline"].clone();
    }
    printed
}
