//! The main panels of the dashboard, with their own queries.

use std::fs;

use serde_json::Value;

use super::prometheus::{Prometheus, Series};

const DASHBOARD: &str = "envoy/grafana/mdrm-authz.json";
/// Those that are drawn, by their titles in the dashboard.
const DRAWN: [&str; 8] = [
    "Requests by decision",
    "Refusals by code",
    "Look-ups of keys",
    "Requests to the key service",
    "Tokens that were verified before",
    "Signature checks",
    "Time of a request in Envoy",
    "Time of the key service",
];

/// A panel to be filled.
pub struct Panel {
    /// Its title.
    pub title: String,
    /// What its numbers count, as Grafana names it.
    pub unit: String,
    /// Query and legend of each target.
    targets: Vec<(String, String)>,
}

/// A panel with what Prometheus knows.
pub struct Filled {
    /// The panel.
    pub panel: Panel,
    /// Legend and points of each line that is not 0 throughout.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// The panels that are drawn, in the order of [`DRAWN`].
pub fn of_the_dashboard() -> Result<Vec<Panel>, String> {
    let text = fs::read_to_string(DASHBOARD).map_err(|error| format!("{DASHBOARD}: {error}"))?;
    let dashboard: Value = serde_json::from_str(&text).map_err(|error| format!("{DASHBOARD}: {error}"))?;
    let all = dashboard["panels"].as_array().ok_or("no panels")?;
    let find = |title: &&str| {
        let panel = all.iter().find(|panel| panel["title"] == **title)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let target = |target: &Value| Some((filled(target["expr"].as_str()?), text(&target["legendFormat"])?));
        Some(Panel {
            title: text(&panel["title"])?,
            unit: text(&panel["fieldConfig"]["defaults"]["unit"])?,
            targets: panel["targets"].as_array()?.iter().filter_map(target).collect(),
        })
    };
    DRAWN.iter().map(|title| find(title).ok_or_else(|| format!("{DASHBOARD} has no panel {title:?}"))).collect()
}

/// A query with values for the dashboard's variables.
fn filled(query: &str) -> String {
    let variables = [("$__rate_interval", "10s"), ("$job", ".*"), ("$instance", ".*"), ("$prefix", "proxy")];
    variables.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value))
}

impl Panel {
    /// Asks Prometheus.
    pub fn fill(self, prometheus: &Prometheus, begin: f64, end: f64) -> Result<Filled, String> {
        let mut lines = Vec::new();
        for (query, legend) in &self.targets {
            for Series { labels, points } in prometheus.range(query, begin, end)? {
                if points.iter().any(|(_, value)| *value > 0.0) {
                    lines.push((named(legend, &labels), points));
                }
            }
        }
        if lines.is_empty() {
            return Err(format!("{}: Prometheus knows nothing", self.title));
        }
        Ok(Filled { panel: self, lines })
    }
}

/// A legend such as `{{code}}` with the labels' values.
fn named(legend: &str, labels: &Value) -> String {
    let labels = labels.as_object().into_iter().flatten();
    labels.fold(legend.to_owned(), |legend, (name, value)| {
        legend.replace(&format!("{{{{{name}}}}}"), value.as_str().unwrap_or_default())
    })
}
