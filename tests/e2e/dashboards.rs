//! The alert rules and the dashboard ask for what Envoy shows: their queries are Prometheus' own, and each metric and label is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::hardening::ask;
use crate::keys::{new_key, request};
use crate::metrics::scrape;
use crate::support::key_service::Answer;
use crate::support::reference::Reference;
use crate::support::table::Request;
use crate::support::wait;

const RULES: &str = "envoy/prometheus/rules.yml";
const DASHBOARD: &str = "envoy/grafana/mdrm-authz.json";
/// What the alerts lead to.
const GUIDE: &str = "envoy/guides/alerts.md";

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What promtool says to these arguments.
///
/// # Panics
///
/// If it says no.
fn promtool(arguments: &[&str]) -> String {
    let fetch = Command::new("envoy/prometheus/fetch-prometheus.sh").output().unwrap();
    assert!(fetch.status.success(), "no promtool: {}", String::from_utf8_lossy(&fetch.stderr));
    let folder = String::from_utf8(fetch.stdout).unwrap();
    let output = Command::new(Path::new(folder.trim()).join("promtool")).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

/// The member of this name of each rule, blocks of several lines as one.
fn members_of_rules(member: &str) -> Vec<String> {
    let text = read(RULES);
    let mut lines = text.lines().peekable();
    let mut found = Vec::new();
    let depth = |line: &str| line.len() - line.trim_start().len();
    while let Some(line) = lines.next() {
        let Some(value) = line.trim_start().trim_start_matches("- ").strip_prefix(&format!("{member}: ")) else {
            continue;
        };
        let mut value = value.to_owned();
        if value == "|" {
            value.clear();
            while let Some(more) = lines.next_if(|more| depth(more) > depth(line)) {
                value = format!("{value}{} ", more.trim());
            }
        }
        found.push(value.trim().to_owned());
    }
    found
}

/// The queries of the dashboard, with something in place of its variables.
fn queries_of_the_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().filter_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().map(|target| target["expr"].as_str().unwrap());
    let variables = [("$__rate_interval", "1m"), ("$job", ".*"), ("$instance", ".*"), ("$prefix", "proxy")];
    let filled = |query: &str| variables.iter().fold(query.to_owned(), |text, (name, value)| text.replace(name, value));
    queries.map(filled).collect()
}

/// A metric that a query names, with its label matchers: name, operator, value.
type Selector = (String, Vec<(String, String, String)>);

/// The metrics and the labels to group by that a query names. Enough of the language for the queries at hand: a name that
/// neither a parenthesis nor `by` follows is a metric, unless it is one of the language's own.
fn named_in(query: &str) -> (Vec<Selector>, Vec<String>) {
    const WORDS: [&str; 5] = ["and", "or", "unless", "offset", "bool"];
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    let (mut selectors, mut labels, mut rest) = (Vec::new(), Vec::new(), query);
    while let Some(start) = rest.find(is_name) {
        let (name, after) = rest[start..].split_at(rest[start..].find(|l| !is_name(l)).unwrap_or(rest.len() - start));
        let next = after.trim_start();
        let list = |open, close| next.strip_prefix(open).and_then(|inner: &str| inner.split_once(close));
        if let (true, Some((inner, behind))) = (["by", "on", "group_left"].contains(&name), list('(', ')')) {
            labels.extend(inner.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()));
            rest = behind;
        } else if next.starts_with('(')
            || next.starts_with("by ")
            || WORDS.contains(&name)
            || name.starts_with(|l: char| l.is_ascii_digit())
        {
            rest = after;
        } else if let Some((inner, behind)) = list('{', '}') {
            selectors.push((name.to_owned(), inner.split(", ").map(matcher).collect()));
            rest = behind;
        } else {
            selectors.push((name.to_owned(), Vec::new()));
            rest = after;
        }
        // The length of a range.
        rest = rest.strip_prefix('[').and_then(|range| range.split_once(']')).map_or(rest, |(_, behind)| behind);
    }
    (selectors, labels)
}

fn matcher(text: &str) -> (String, String, String) {
    let at = text.find(['=', '!']).unwrap_or_else(|| panic!("no matcher: {text}"));
    let operator: String = text[at..].chars().take_while(|letter| "=!~".contains(*letter)).collect();
    let value = text[at + operator.len()..].trim_matches('"').to_owned();
    (text[..at].trim().to_owned(), operator, value)
}

#[test]
fn queries_are_taken_apart_as_they_are_meant() {
    let query = r#"sum by (job, le) (rate(a_b{c="d", e=~"f"}[5m])) / on (job) group_left () (1000 * g) > 0.5 unless x:y offset 15m"#;
    let (selectors, labels) = named_in(query);
    let names: Vec<&str> = selectors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, labels.as_slice()), (vec!["a_b", "g", "x:y"], &["job", "le", "job"].map(str::to_owned)[..]));
    let [(c, is, d), (e, like, f)] = &selectors[0].1[..] else { panic!("{selectors:?}") };
    assert_eq!([c, is, d, e, like, f], ["c", "=", "d", "e", "=~", "f"]);
}

#[test]
fn promtool_takes_the_rules_their_tests_and_each_query_of_the_dashboard() {
    promtool(&["check", "rules", RULES]);
    promtool(&["check", "config", "envoy/prometheus/prometheus.yml"]);
    promtool(&["test", "rules", "envoy/prometheus/rules_test.yml"]);
    promtool(&["test", "rules", "tests/bench/results/operations.yml"]);
    let queries = queries_of_the_dashboard();
    assert!(queries.len() > 30, "{} queries", queries.len());
    let rules: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(place, query)| serde_json::json!({"record": format!("query:{place}"), "expr": query}))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dashboard.yml");
    // JSON is YAML.
    fs::write(&file, serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string()).unwrap();
    let said = promtool(&["check", "rules", &file.display().to_string()]);
    assert!(said.contains(&format!("{} rules found", queries.len())), "{said}");
}

#[test]
fn every_alert_says_what_to_do_has_a_test_and_leads_to_its_section_of_the_guide() {
    let (alerts, tests, guide) = (members_of_rules("alert"), read("envoy/prometheus/rules_test.yml"), read(GUIDE));
    assert!(alerts.len() >= 10, "{alerts:?}");
    for member in ["summary", "description", "action", "runbook"] {
        assert_eq!(members_of_rules(member).len(), alerts.len(), "{member}");
    }
    let headings: BTreeSet<&str> =
        guide.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim()).collect();
    for (alert, runbook) in alerts.iter().zip(members_of_rules("runbook")) {
        assert_eq!(runbook, format!("{GUIDE}#{}", alert.to_lowercase()), "{alert}");
        assert!(headings.contains(alert.as_str()), "{GUIDE} has no heading {alert}");
        assert!(tests.contains(alert.as_str()), "{alert} has no test");
    }
}

#[test]
fn every_metric_and_label_of_the_queries_is_in_what_envoy_shows() {
    let rig = Reference::whole().start();
    let key = new_key("k");
    rig.keys.register(&key);
    rig.keys.set("/session-keys/demo-session", Answer::document(&new_key("demo-session").private_jwk()));
    assert_eq!(ask(&rig, &request(&key)).status, 200);
    assert_eq!(ask(&rig, &Request::post("/license")).code(), Some(501));
    wait::until_true("histograms are merged", || {
        let samples = scrape(&rig.envoy);
        let has = |name: &str| samples.keys().any(|sample| sample.starts_with(name));
        has("mdrm_authz_keys_fetch_ms_bucket") && has("envoy_http_downstream_rq_time_bucket")
    });

    // Labels of each metric: those that Envoy shows, with their values.
    let mut shown: BTreeMap<String, Vec<BTreeMap<String, String>>> = BTreeMap::new();
    for sample in scrape(&rig.envoy).keys() {
        let (name, labels) = sample.strip_suffix('}').unwrap().split_once('{').unwrap();
        let labels = labels.split("\",").filter(|label| !label.is_empty()).map(matcher);
        shown.entry(name.to_owned()).or_default().push(labels.map(|(name, _, value)| (name, value)).collect());
    }
    // Prometheus adds these two.
    let of_prometheus = ["job", "instance"];
    let recorded = members_of_rules("record");
    let rules = members_of_rules("expr");
    assert_eq!(rules.len(), recorded.len() + members_of_rules("alert").len());
    for query in rules.into_iter().chain(queries_of_the_dashboard()) {
        let (selectors, labels) = named_in(&query);
        assert!(!selectors.is_empty(), "{query}");
        let mut with_labels: BTreeSet<&str> = of_prometheus.into();
        for (name, matchers) in &selectors {
            if recorded.contains(name) {
                with_labels.insert("code");
                continue;
            }
            let samples = shown.get(name).unwrap_or_else(|| panic!("Envoy shows no {name}: {query}"));
            with_labels.extend(samples.iter().flat_map(|sample| sample.keys().map(String::as_str)));
            for (label, operator, value) in
                matchers.iter().filter(|(label, ..)| !of_prometheus.contains(&label.as_str()))
            {
                let is_there = |sample: &BTreeMap<String, String>| match operator.as_str() {
                    "=" => sample.get(label) == Some(value),
                    _ => sample.contains_key(label),
                };
                assert!(samples.iter().any(is_there), "no {name} has {label}{operator}{value:?}: {query}");
            }
        }
        for label in &labels {
            assert!(with_labels.contains(label.as_str()), "nothing has the label {label}: {query}");
        }
    }
}
