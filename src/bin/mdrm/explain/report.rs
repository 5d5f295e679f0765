//! What was decided, step by step: as text for people and as JSON for programs.

use anstyle::{AnsiColor, Style};
use mdrm_authz::authorizer::{Decision, Edits};
use mdrm_authz::denial::Denial;
use mdrm_authz::route::Service;
use serde_json::{Value, json};

use super::decide::{Course, Ending};
use super::facts::Facts;
use super::show::{date, text};
use super::steps::{Step, course, denial, failed_at};
use crate::advice::advice;

/// Columns of a line of text.
const WIDTH: usize = 120;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// Nobody could be asked.
    Open,
    NotReached,
}

/// A step with what it looked at.
struct Row {
    step: Step,
    outcome: Outcome,
    facts: Vec<String>,
}

/// The whole explanation.
pub(super) struct Report<'a> {
    facts: &'a Facts<'a>,
    ending: &'a Ending,
    rows: Vec<Row>,
}

impl<'a> Report<'a> {
    /// Lays the course of a request beside the table of decisions.
    pub(super) fn new(facts: &'a Facts<'a>, course_taken: &'a Course) -> Self {
        let asked = course_taken.questions.last().map(|question| question.ring);
        let steps = course(facts.config, facts.service, facts.is_tunnel());
        let (stands_at, stands) = match &course_taken.ending {
            Ending::Decided(decision) => {
                let denial = denial(decision);
                (denial.and_then(|denial| failed_at(denial, facts.service, asked)), Outcome::Failed)
            }
            Ending::NobodyToAsk => {
                let unanswered = Denial::KeyServiceUnavailable { retry_after: 0 };
                (failed_at(&unanswered, facts.service, asked), Outcome::Open)
            }
        };
        let at = stands_at.and_then(|stands_at| steps.iter().position(|step| *step == stands_at));
        let rows = steps.iter().enumerate().map(|(number, step)| {
            let outcome = match at {
                Some(at) if number == at => stands,
                Some(at) if number > at => Outcome::NotReached,
                _ => Outcome::Passed,
            };
            Row { step: *step, outcome, facts: facts.of(*step) }
        });
        Self { facts, ending: &course_taken.ending, rows: rows.collect() }
    }

    /// One word: what became of the request.
    pub(super) fn decision(&self) -> &'static str {
        match self.ending {
            Ending::Decided(Decision::Pass(_)) => "passed",
            Ending::Decided(Decision::Allow(_)) => "allowed",
            Ending::Decided(Decision::Deny(_)) => "denied",
            Ending::Decided(Decision::Report(_)) => "would be denied",
            Ending::NobodyToAsk => "undecided",
        }
    }

    fn denial(&self) -> Option<&Denial> {
        match self.ending {
            Ending::Decided(decision) => denial(decision),
            Ending::NobodyToAsk => None,
        }
    }

    fn edits(&self) -> Option<&Edits> {
        match self.ending {
            Ending::Decided(Decision::Allow(edits)) => Some(edits),
            _ => None,
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let outcome = match row.outcome {
                    Outcome::Passed => "passed",
                    Outcome::Failed => "failed",
                    Outcome::Open => "undecided",
                    Outcome::NotReached => "not reached",
                };
                json!({"code": row.step.code().name(), "step": row.step.name(), "outcome": outcome, "facts": row.facts})
            })
            .collect();
        let mut report = json!({
            "decision": self.decision(),
            "at": self.facts.now,
            "service": self.facts.service.name(),
            "steps": rows,
        });
        let members = self.denial().map(|denial| {
            let code = denial.code();
            json!({
                "code": code.name(), "status": code.status(), "message": code.message(),
                "cause": denial.to_string(), "advice": advice(code),
            })
        });
        if let (Value::Object(report), Some(Value::Object(members))) = (&mut report, members) {
            report.extend(members);
        }
        if let (Value::Object(report), Some(edits)) = (&mut report, self.edits()) {
            let set: Vec<&str> = edits.set.iter().map(|(name, _)| &**name).collect();
            report.insert("upstream_headers".to_owned(), set.into());
        }
        report
    }

    /// For people. Styled; whoever prints it takes the styles away where they are not shown.
    pub(super) fn text(&self) -> String {
        let bold = Style::new().bold();
        let dim = Style::new().dimmed();
        let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
        let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
        let yellow = Style::new().fg_color(Some(AnsiColor::Yellow.into())).bold();
        let mut out = format!("{}\n", self.title());
        for row in &self.rows {
            let (mark, style) = match row.outcome {
                Outcome::Passed => ('✓', green),
                Outcome::Failed => ('✗', red),
                Outcome::Open => ('?', yellow),
                Outcome::NotReached => ('·', dim),
            };
            let plain = if row.outcome == Outcome::NotReached { dim } else { Style::new() };
            let name = format!("{}  {:<29}", row.step.code().name(), row.step.name());
            let line = name.clone() + &wrapped(&row.facts, name.chars().count().saturating_add(4));
            out += &format!("  {style}{mark}{style:#} {plain}{}{plain:#}\n", line.trim_end());
        }
        if !self.rows.is_empty() {
            out.push('\n');
        }
        match self.ending {
            Ending::Decided(Decision::Pass(_)) => {
                out += &format!("{green}PASSED{green:#} unchecked: no token is asked for\n");
            }
            Ending::Decided(Decision::Allow(edits)) => {
                out += &format!("{green}{bold}ALLOWED{bold:#}{green:#}\n");
                for line in self.upstream(edits) {
                    out += &format!("the upstream gets {line}\n");
                }
            }
            Ending::Decided(Decision::Deny(denial) | Decision::Report(denial)) => {
                let code = denial.code();
                out += &format!("{red}DENIED{red:#} {} {bold}{code}{bold:#} {}\n", code.status(), code.message());
                out += &format!("why: {denial}\n");
                for row in self.rows.iter().filter(|row| row.outcome == Outcome::Failed) {
                    for fact in &row.facts {
                        out += &format!("     {fact}\n");
                    }
                }
                out += &format!("do:  {}\n", advice(code));
            }
            Ending::NobodyToAsk => {
                out += &format!("{yellow}UNDECIDED{yellow:#} the key service would be asked now\n");
                out += "do:  name key documents with --keys (--session-keys, --master-keys), or --key-service http://HOST:PORT\n";
            }
        }
        if let Ending::Decided(Decision::Report(_)) = self.ending {
            out += "report_only is set: the filter lets the request go on, and tells the upstream\n";
        }
        out
    }

    fn title(&self) -> String {
        let preflight =
            matches!(self.ending, Ending::Decided(Decision::Pass(_))) && self.facts.service != Service::Open;
        let kind = match self.facts.service {
            _ if preflight => "CORS preflight",
            Service::License if self.facts.is_tunnel() => "license request, encrypted",
            Service::License => "license request",
            Service::Cpix => "CPIX request",
            Service::SignedCpix => "signed CPIX request",
            Service::Open => "request to an open route",
        };
        // Nobody said a path: another one may have another route, or none.
        let path = match self.facts.head.target().path {
            b"/" => " on any path".to_owned(),
            path => format!(", {}", text(&String::from_utf8_lossy(path))),
        };
        let route = self.facts.unrouted.map_or_else(String::new, |unrouted| format!(" ({unrouted})"));
        let at = date(self.facts.now as f64).unwrap_or_else(|| self.facts.now.to_string());
        let issued = self.facts.issued().map_or_else(String::new, |ago| format!(", token issued {ago}"));
        format!("{kind}{path}{route}, at {at}{issued}\n")
    }

    /// What is set on an allowed request. Nothing of a token.
    fn upstream(&self, edits: &Edits) -> Vec<String> {
        let session = self.facts.config.session.as_ref().map(|session| &*session.header);
        let is_token = |name: &str| Some(name) == session || matches!(name, "authorization" | ":path");
        let set = edits.set.iter().map(|(name, value)| {
            let value = if is_token(name) { "a token".to_owned() } else { text(&String::from_utf8_lossy(value)) };
            format!("{name}: {value}")
        });
        let body = edits.body.as_ref().map(|body| format!("the license request from inside, {} bytes", body.len()));
        let lines: Vec<String> = set.chain(body).collect();
        if lines.is_empty() { vec!["the request without its token".to_owned()] } else { lines }
    }
}

/// Facts beside each other as far as they fit into a line, the others below.
fn wrapped(facts: &[String], indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for (at, fact) in facts.iter().enumerate() {
        let length = fact.chars().count();
        if at > 0 && column.saturating_add(length).saturating_add(2) > WIDTH {
            out.push_str(";\n");
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if at > 0 {
            out.push_str("; ");
            column = column.saturating_add(2);
        }
        out.push_str(fact);
        column = column.saturating_add(length);
    }
    out
}
