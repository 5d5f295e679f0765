//! The figures that the filter is to keep, and whether it does.

use crate::case::Kind;
use crate::lane::Lane;
use crate::run::CaseTurns;
use crate::statistics::Figure;
use crate::support::signer::Alg;

/// What is measured against a limit.
#[derive(Clone, Copy)]
enum Measure {
    /// Added CPU as a multiple of this lane's.
    Times(Lane),
    /// CPU in microseconds over this lane's.
    Over(Lane),
}

/// A limit, and what came out.
pub struct Finding {
    /// The case's name.
    pub case: String,
    /// What was measured, with its unit.
    pub measure: String,
    /// The figure.
    pub figure: Figure,
    /// What it may be at most.
    pub limit: f64,
    /// What it should be at most, where that is less.
    pub goal: Option<f64>,
}

impl Finding {
    /// Whether the limit is kept: by the whole spread.
    pub fn verdict(&self) -> &'static str {
        match self.goal {
            _ if self.figure.high > self.limit || self.figure.high.is_nan() => "missed",
            Some(goal) if self.figure.high > goal => "kept, goal missed",
            Some(_) => "kept, goal reached",
            None => "kept",
        }
    }
}

/// Every limit that a case has.
pub fn findings(outcome: &[CaseTurns]) -> Vec<Finding> {
    let limits = outcome.iter().flat_map(|turns| {
        let limits = of(turns.case.kind, turns.case.alg);
        limits.iter().map(move |limit| (turns, *limit))
    });
    limits
        .map(|(turns, (measure, limit, goal))| {
            let (measure, figure) = match measure {
                Measure::Times(lane) => (format!("× {}", lane.name()), turns.ratio(Lane::Filter, lane)),
                Measure::Over(lane) => (format!("µs over {}", lane.name()), turns.over(Lane::Filter, lane)),
            };
            Finding { case: turns.case.name(), measure, figure, limit, goal }
        })
        .collect()
}

fn of(kind: Kind, alg: Alg) -> &'static [(Measure, f64, Option<f64>)] {
    match (kind, alg) {
        (Kind::Repeated, _) => {
            &[(Measure::Times(Lane::Empty), 2.2, Some(1.6)), (Measure::Times(Lane::JwtAuthn), 0.25, None)]
        }
        (Kind::FirstSeen, Alg::RS256 | Alg::ES256) => &[(Measure::Times(Lane::JwtAuthn), 1.1, Some(0.9))],
        (Kind::FirstSeen, Alg::EdDSA) => &[(Measure::Times(Lane::JwtAuthn), 2.0, None)],
        (Kind::Absent, _) => &[(Measure::Over(Lane::EmptyReply), 10.0, None)],
        _ => &[],
    }
}
