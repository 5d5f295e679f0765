//! What Prometheus saw, as input of `promtool test rules`: the alert rules are tested on an outage that took place.

use std::fmt::Write;

use super::prometheus::{Prometheus, Series};

/// Seconds between two samples, and between two evaluations of the rules.
const STEP: usize = 5;
/// Samples that follow, all like the last one: alerts wait before they fire.
const AFTER: usize = 60;
/// Every series that a rule asks for, but the buckets of histograms.
const SERIES: &str = r#"{__name__=~"mdrm_authz_.+|envoy_wasm_vm_reload|envoy_server_concurrency|envoy_http_downstream_rq_total", __name__!~".+_(bucket|sum)", envoy_http_conn_manager_prefix=~"|proxy"}"#;

/// The file, to be read from the folder of the results.
pub fn file(prometheus: &Prometheus, begin: f64, end: f64) -> Result<String, String> {
    let samples = ((end - begin) / STEP as f64) as usize;
    let mut text = String::from(
        "# Recorded by the suite `operations` of the benchmark, and what the alert rules make of it. Not written by hand.\n\
         rule_files: [../../../envoy/prometheus/rules.yml]\nevaluation_interval: 5s\ntests:\n\
         - name: an outage, an attack and a disabled session key, as they took place\n  interval: 5s\n  input_series:\n",
    );
    for series in prometheus.range(SERIES, begin, end)? {
        writeln!(text, "  - series: '{}'\n    values: '{}'", selector(&series), values(&series, begin, samples))
            .unwrap();
    }
    let time = (samples + 18) * STEP;
    let firing = |text: &mut String, alerts: &str, count: usize| {
        writeln!(
            text,
            "  - expr: count(ALERTS{{alertname=~\"{alerts}\", alertstate=\"firing\"}}) or vector(0)\n    eval_time: {time}s\n    \
             exp_samples: [ {{ labels: '{{}}', value: {count} }} ]"
        )
        .unwrap();
    };
    text += "  promql_expr_test:\n";
    firing(&mut text, "MdrmAuthzSessionKeysFailing|MdrmAuthzUnableToDecide", 2);
    firing(&mut text, "MdrmAuthzVmDied|MdrmAuthzNotDeciding|MdrmAuthzClocksDisagree|MdrmAuthzWaitingNearLimit", 0);
    Ok(text)
}

fn selector(series: &Series) -> String {
    let labels = series.labels.as_object().into_iter().flatten();
    // The address of the run's Envoy is of no interest.
    let shown = |(name, value): (&String, &serde_json::Value)| match name.as_str() {
        "__name__" => None,
        "instance" => Some(r#"instance="proxy-1""#.to_owned()),
        _ => Some(format!("{name}={value}")),
    };
    let labels: Vec<String> = labels.filter_map(shown).collect();
    format!("{}{{{}}}", series.labels["__name__"].as_str().unwrap_or_default(), labels.join(", "))
}

/// One value each [`STEP`], runs of equal ones in short.
fn values(series: &Series, begin: f64, samples: usize) -> String {
    let at = |sample: usize| {
        let time = begin + (sample * STEP) as f64;
        let known = series.points.iter().take_while(|(when, _)| *when <= time + 0.5).last();
        known.or(series.points.first()).map_or(0.0, |(_, value)| *value)
    };
    let mut runs: Vec<(f64, usize)> = Vec::new();
    for value in (0..samples + AFTER).map(|sample| at(sample.min(samples))) {
        match runs.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => runs.push((value, 1)),
        }
    }
    let run =
        |(value, count): &(f64, usize)| if *count == 1 { value.to_string() } else { format!("{value}x{}", count - 1) };
    runs.iter().map(run).collect::<Vec<_>>().join(" ")
}
