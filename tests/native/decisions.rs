//! The table of requests and decisions against the core.

use std::collections::HashMap;

use mdrm_authz::authorizer::Platform;
use mdrm_authz::denial::Code;
use serde_json::json;

use crate::proxy::{Outcome, Proxy};
use crate::support::signer::Document;
use crate::support::table::{Arrived, Case, Outcome as Expected, Plugin, table};

/// A moment of the past: the core has no clock of its own.
const NOW: i64 = 1_764_000_000;

#[test]
fn decides_every_row_of_the_table_twice_alike_with_tokens_remembered() {
    decides_every_row(true);
}

#[test]
fn decides_every_row_of_the_table_twice_alike_with_each_token_verified() {
    decides_every_row(false);
}

fn decides_every_row(remember_tokens: bool) {
    let platform = Platform { remember_tokens, ..Platform::default() };
    let mut proxies: HashMap<Plugin, Proxy> = HashMap::new();
    let mut failures = Vec::new();
    let rows = table(NOW);
    assert!(rows.len() > 400, "the table has lost rows: {}", rows.len());
    for case in &rows {
        let proxy =
            proxies.entry(case.plugin).or_insert_with(|| Proxy::on(&case.plugin.configuration(), NOW, platform));
        for time in ["first", "second"] {
            let body = case.request.has_body().then_some(&*case.request.body);
            let outcome = proxy.run_with(case.request.as_a_filter_sees_it(), body);
            if let Err(problem) = judge(case, &outcome) {
                let Case { name, plugin, request, .. } = case;
                failures.push(format!("{name} [{plugin:?}, the {time} time]\n    {problem}\n    {request:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {} rows failed:\n{}", failures.len(), rows.len(), failures.join("\n"));
    // Attack 26: a name of dots would be another path.
    let is_dots = |path: &&String| path.rsplit('/').next().is_some_and(|kid| kid.bytes().all(|byte| byte == b'.'));
    let asked: Vec<&String> = proxies.values().flat_map(|proxy| &proxy.asked).filter(is_dots).collect();
    assert!(asked.is_empty(), "asked for {asked:?}");
}

#[test]
fn report_only_lets_every_row_pass_and_tells() {
    let mut proxies: HashMap<Plugin, Proxy> = HashMap::new();
    let mut failures = Vec::new();
    for case in table(NOW).into_iter().map(Case::report_only) {
        let configuration = case.plugin.configuration().with("report_only", json!(true));
        let proxy = proxies.entry(case.plugin).or_insert_with(|| Proxy::new(&configuration, NOW));
        let body = case.request.has_body().then_some(&*case.request.body);
        let outcome = proxy.run_with(case.request.as_a_filter_sees_it(), body);
        if let Err(problem) = judge(&case, &outcome) {
            failures.push(format!("{} [{:?}]\n    {problem}\n    {:?}", case.name, case.plugin, case.request));
        }
    }
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_table_reaches_every_code_that_a_plain_request_can_get() {
    let mut reached: Vec<u16> = table(NOW)
        .iter()
        .filter_map(|case| match case.expect.outcome {
            Expected::Denied(code) => Some(code),
            Expected::Allowed | Expected::Passed => None,
        })
        .collect();
    reached.sort_unstable();
    reached.dedup();
    assert_eq!(
        reached,
        [
            500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 512, 513, 514, 517, 518, 519, 520, 521, 903,
            904, 905, 910, 914, 915, 916, 917, 918
        ]
    );
}

#[test]
fn the_codes_are_the_vendors_to_the_letter() {
    let rows = include_str!("../codes.tsv").lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        (columns[0], columns[1].parse().unwrap(), columns[2])
    });
    let codes = Code::ALL.iter().map(|code| (code.name(), code.status(), code.message()));
    assert_eq!(codes.collect::<Vec<_>>(), rows.collect::<Vec<_>>());
}

fn judge(case: &Case, outcome: &Outcome) -> Result<(), String> {
    let (headers, body) = match (case.expect.outcome, outcome) {
        (Expected::Denied(code), Outcome::Denied(denial)) if denial.code().name() == format!("MDRM-{code}") => {
            return Ok(());
        }
        (Expected::Allowed, Outcome::Forwarded { headers, body, allowed: true })
        | (Expected::Passed, Outcome::Forwarded { headers, body, allowed: false }) => (headers, body),
        (expected, outcome) => return Err(format!("expected {expected:?}, got {outcome:?}")),
    };
    let paths: Vec<&[u8]> = headers.iter().filter(|(name, _)| name == ":path").map(|(_, path)| &path[..]).collect();
    let [path] = paths[..] else { return Err(format!("the paths are {paths:?}")) };
    // What the client itself wrongly says of its length is none of this filter's business.
    let replaced = case.expect.upstream.body.is_some();
    let headers: Vec<(String, Vec<u8>)> =
        headers.iter().filter(|(name, _)| replaced || name != "content-length").cloned().collect();
    case.expect.upstream.check(Arrived { path, headers: &headers, body }, &case.request.body, NOW)
}
