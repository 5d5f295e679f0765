//! The module in another host than Envoy, which has the least of the ABI that a host can have: no metrics, no shared data, no foreign
//! functions, no properties, no monotonic clock. It decides alike, and what it cannot do without is known.

mod host;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use crate::module::module;
use crate::reply::ensure;
use crate::support::table::{Arrived, Case, Outcome, Plugin, table};
use host::{Ended, Host};

/// Without one of these the module decides all alike; it may only do less that nobody sees in an answer.
const OPTIONAL: [&str; 15] = [
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_write",
    "proc_exit",
    "proxy_call_foreign_function",
    "proxy_define_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// When the rows are made and decided: the host has no other clock.
const NOW: i64 = 1_764_000_000;

/// The rows with this configuration.
fn rows(plugin: Plugin) -> Vec<Case> {
    table(NOW).into_iter().filter(|case| case.plugin == plugin).collect()
}

fn decide(hosts: &mut HashMap<Plugin, Host>, module: &[u8], case: &Case, missing: &[&str]) -> Result<(), String> {
    let host = match hosts.entry(case.plugin) {
        Entry::Occupied(running) => running.into_mut(),
        Entry::Vacant(place) => {
            place.insert(Host::start(module, &case.plugin.configuration().to_string(), NOW, missing)?)
        }
    };
    let body = case.request.has_body().then_some(&*case.request.body);
    let ended = host.request(case.request.as_a_filter_sees_it(), body)?;
    match (case.expect.outcome, ended) {
        (Outcome::Denied(code), Ended::Answered(headers)) => {
            let codes: Vec<&[u8]> =
                headers.iter().filter(|(name, _)| name == "x-mdrm-error-code").map(|(_, value)| &value[..]).collect();
            ensure(codes == [format!("MDRM-{code}").as_bytes()], || format!("{headers:?}"))
        }
        (Outcome::Allowed | Outcome::Passed, Ended::Forwarded(headers, body)) => {
            let path = headers.iter().find(|(name, _)| name == ":path").map(|(_, path)| path.clone());
            let path = path.ok_or("no path")?;
            let replaced = case.expect.upstream.body.is_some();
            let headers: Vec<_> =
                headers.into_iter().filter(|(name, _)| replaced || name != "content-length").collect();
            let arrived = Arrived { path: &path, headers: &headers, body: &body };
            case.expect.upstream.check(arrived, &case.request.body, NOW)
        }
        (expected, ended) => Err(format!("expected {expected:?}, got {ended:?}")),
    }
}

#[test]
fn a_host_with_the_least_of_the_abi_gets_the_decisions_of_the_table() {
    let (module, mut hosts) = (module(), HashMap::new());
    let (mut decided, mut failures) = (0, Vec::new());
    // Keys in the configuration, and every other way to a decision; what most rows are about is quicker to see in Envoy.
    for plugin in [
        Plugin::Inline,
        Plugin::InlineBesideService,
        Plugin::KeySet,
        Plugin::MissingCluster,
        Plugin::Session,
        Plugin::Claims,
        Plugin::TunnelPermissive,
        Plugin::BindContent,
    ] {
        for case in rows(plugin) {
            decided += 1;
            if let Err(problem) = decide(&mut hosts, &module, &case, &OPTIONAL) {
                failures.push(format!("{} [{plugin:?}]: {problem}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {decided} rows failed:\n{}", failures.len(), failures.join("\n"));
    assert!(decided > 100, "{decided} rows");
}

/// Without one of these some request is not decided as it should be.
const NEEDED: [&str; 11] = [
    "proxy_continue_stream",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_http_call",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "random_get",
];

#[test]
fn without_what_the_module_needs_it_decides_less_and_lets_nothing_through() {
    let module = module();
    let known: BTreeSet<String> = OPTIONAL.into_iter().chain(NEEDED).map(str::to_owned).collect();
    assert_eq!(Host::imports(&module), known);
    let tunnel = rows(Plugin::TunnelPermissive).into_iter().find(|case| case.expect.upstream.body.is_some());
    let rows: Vec<Case> = rows(Plugin::Inline).into_iter().chain(tunnel).collect();
    for name in NEEDED {
        let mut hosts = HashMap::new();
        let wrong: Vec<(&Case, String)> =
            rows.iter().filter_map(|case| Some((case, decide(&mut hosts, &module, case, &[name]).err()?))).collect();
        assert!(!wrong.is_empty(), "{name} is not needed");
        let passed = wrong
            .iter()
            .find(|(case, problem)| matches!(case.expect.outcome, Outcome::Denied(_)) && problem.contains("Forwarded"));
        assert!(passed.is_none(), "without {name}: {passed:?}");
    }
}
