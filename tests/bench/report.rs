//! The report: Markdown whose tables are aligned, so that it reads the same in a terminal.

use std::fmt::Write;

use crate::lane::Lane;
use crate::limits;
use crate::machine::Machine;
use crate::run::CaseTurns;
use crate::statistics::Figure;

/// The whole report.
pub fn markdown(outcome: &[CaseTurns], machine: &Machine) -> String {
    let mut text = format!("# Cost of the filter in Envoy\n\n{}\n", machine.list());
    text += "## CPU of the Envoy process and latency, in µs per request\n\n\
             CPU is the lower quartile of the turns (from the least to the median); added is CPU over no filter, with the spread of that \
             difference. p50 and p99 are the lower quartiles of the turns' own.\n\n";
    text += &costs(outcome);
    text += "\n## Added CPU of mdrm-authz as a multiple of others'\n\n\
             In brackets the middle 80 % of what the ratio is for rounds drawn at random from those measured. The empty wasm filter is one that \
             passes requests on where they are allowed, and one that answers them itself where they are refused.\n\n";
    text += &ratios(outcome);
    text += "\n## Limits\n\nA limit is kept if the whole spread keeps it.\n\n";
    text += &limits_kept(outcome, machine);
    text
}

fn costs(outcome: &[CaseTurns]) -> String {
    let mut rows = Vec::new();
    for turns in outcome {
        for lane in turns.case.lanes() {
            let added = match lane {
                Lane::None => String::new(),
                _ => spread(turns.added(*lane), 1),
            };
            rows.push(vec![
                if *lane == Lane::None { turns.case.name() } else { String::new() },
                lane.name().into(),
                spread(turns.cpu(*lane), 1),
                added,
                format!("{:.0}", turns.quartile(*lane, |turn| turn.p50)),
                format!("{:.0}", turns.quartile(*lane, |turn| turn.p99)),
            ]);
        }
    }
    table(&["case", "filter", "CPU", "added", "p50", "p99"], &rows)
}

fn ratios(outcome: &[CaseTurns]) -> String {
    let row = |turns: &CaseTurns| {
        let lanes = [turns.case.floor(), Lane::JwtAuthn, Lane::JwtAuthnCached];
        let ratio = |lane: Lane| match turns.of(lane) {
            [] => String::new(),
            _ => spread(turns.ratio(Lane::Filter, lane), 2),
        };
        [vec![turns.case.name()], lanes.map(ratio).to_vec()].concat()
    };
    let rows: Vec<_> = outcome.iter().map(row).collect();
    table(&["case", "× empty wasm filter", "× jwt_authn", "× jwt_authn, token cache"], &rows)
}

fn limits_kept(outcome: &[CaseTurns], machine: &Machine) -> String {
    let row = |finding: limits::Finding| {
        vec![
            finding.case.clone(),
            finding.measure.clone(),
            spread(finding.figure, 2),
            finding.limit.to_string(),
            finding.goal.map(|goal| goal.to_string()).unwrap_or_default(),
            finding.verdict().into(),
        ]
    };
    let mut rows: Vec<_> = limits::findings(outcome).into_iter().map(row).collect();
    let size = machine.module.div_ceil(1000);
    let verdict = match size {
        0..=600 => "kept, goal reached",
        601..=900 => "kept, goal missed",
        _ => "missed",
    };
    rows.push(["module", "kB", &size.to_string(), "900", "600", verdict].map(String::from).to_vec());
    table(&["case", "measure", "found", "limit", "goal", ""], &rows)
}

fn spread(figure: Figure, digits: usize) -> String {
    let Figure { value, low, high } = figure;
    let text = |value: f64| if value.is_finite() { format!("{value:.digits$}") } else { "∞".into() };
    format!("{} ({} – {})", text(value), text(low), text(high))
}

/// The first two columns are words, the others figures.
fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&names]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(2)
    };
    let is_text =
        |column: usize| rows.iter().all(|row| !row[column].starts_with(|c: char| c.is_ascii_digit() || c == '-'));
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        for (column, cell) in cells.iter().enumerate() {
            let width = width(column);
            if is_text(column) {
                write!(text, "| {cell:<width$} ").unwrap();
            } else {
                write!(text, "| {cell:>width$} ").unwrap();
            }
        }
        text.push_str("|\n");
    };
    line(&names);
    let rule = |column: usize| {
        let dashes = "-".repeat(width(column) - 1);
        if is_text(column) { format!("{dashes}-") } else { format!("{dashes}:") }
    };
    line(&(0..names.len()).map(rule).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
    text
}
