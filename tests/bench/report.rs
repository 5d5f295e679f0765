//! A suite's report in Markdown.

use crate::lane::Lane;
use crate::limits::Finding;
use crate::machine::Machine;
use crate::run::CaseTurns;
use crate::support::markdown::table;

/// A report. The table of costs comes first, then sections of the suite's own, then limits.
pub struct Report<'a> {
    /// The title.
    pub title: &'a str,
    /// What was compared and how, a sentence or two.
    pub about: &'a str,
    /// What was measured.
    pub outcome: &'a [CaseTurns],
    /// Headings and texts.
    pub sections: Vec<(&'a str, String)>,
    /// What the filter is to keep, if there is any.
    pub findings: Vec<Finding>,
}

impl Report<'_> {
    /// The whole text.
    pub fn markdown(&self, machine: &Machine) -> String {
        let mut text = format!("# {}\n\n{}\n", self.title, machine.list());
        let mut section = |heading: &str, body: &str| text += &format!("## {heading}\n\n{body}\n");
        section("CPU of the Envoy process and latency, in µs per request", &self.costs());
        self.sections.iter().for_each(|(heading, body)| section(heading, body));
        if !self.findings.is_empty() {
            let table = limits(&self.findings);
            section("Limits", &format!("A limit is kept if the whole spread keeps it.\n\n{table}"));
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }

    fn costs(&self) -> String {
        let mut rows = Vec::new();
        for turns in self.outcome {
            for (at, lane) in turns.lanes.iter().enumerate() {
                let has_floor = turns.lanes.contains(&Lane::NONE) && *lane != Lane::NONE;
                rows.push(vec![
                    if at == 0 { turns.case.clone() } else { String::new() },
                    lane.0.into(),
                    turns.cpu(*lane).text(1),
                    if has_floor { turns.added(*lane).text(1) } else { String::new() },
                    format!("{:.0}", turns.quartile(*lane, |turn| turn.p50)),
                    format!("{:.0}", turns.quartile(*lane, |turn| turn.p99)),
                ]);
            }
        }
        let about = self.about;
        let table = table(&["case", "filter", "CPU", "added", "p50", "p99"], &rows);
        format!(
            "{about}\n\nCPU is the lower quartile of the turns (from the least to the median); added is CPU over no filter, with \
             the spread of that difference: the middle 80 % of what it is for rounds drawn at random from those measured. p50 and \
             p99 are the lower quartiles of the turns' own.\n\n{table}"
        )
    }
}

/// What was found, and whether it is within its limit, a row for each.
pub fn limits(findings: &[Finding]) -> String {
    let row = |finding: &Finding| {
        vec![
            finding.case.clone(),
            finding.measure.clone(),
            finding.figure.text(finding.digits),
            finding.limit.to_string(),
            finding.goal.map(|goal| goal.to_string()).unwrap_or_default(),
            finding.verdict().into(),
        ]
    };
    table(&["case", "measure", "found", "limit", "goal", ""], &findings.iter().map(row).collect::<Vec<_>>())
}

/// Added CPU of a lane as a multiple of what each of the others adds, a row for each case.
pub fn ratios(outcome: &[CaseTurns], lane: Lane, others: &[Lane]) -> String {
    let ratio = |turns: &CaseTurns, other: &Lane| match turns.of(*other) {
        [] => String::new(),
        _ => turns.ratio(lane, *other).text(2),
    };
    let row = |turns: &CaseTurns| {
        std::iter::once(turns.case.clone()).chain(others.iter().map(|other| ratio(turns, other))).collect()
    };
    let names: Vec<String> = others.iter().map(|other| format!("× {}", other.0)).collect();
    let names: Vec<&str> = std::iter::once("case").chain(names.iter().map(String::as_str)).collect();
    table(&names, &outcome.iter().map(row).collect::<Vec<Vec<String>>>())
}
