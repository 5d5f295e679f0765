//! The figures that the filter is to keep, and whether it does.

use crate::lane::Lane;
use crate::run::CaseTurns;
use crate::statistics::Figure;

/// A limit of a lane in a case.
pub struct Limit {
    /// The case's name.
    pub case: String,
    /// Whose limit it is.
    pub lane: Lane,
    /// What is limited.
    pub measure: Measure,
    /// What it may be at most.
    pub limit: f64,
    /// What it should be at most, where that is less.
    pub goal: Option<f64>,
}

/// What is measured against a limit.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Added CPU as a multiple of this lane's.
    Times(Lane),
    /// CPU in microseconds over this lane's.
    Over(Lane),
}

/// What came out.
pub struct Finding {
    /// The case's name.
    pub case: String,
    /// What was measured, with its unit.
    pub measure: String,
    /// The figure.
    pub figure: Figure,
    /// Digits of the figure behind the point.
    pub digits: usize,
    /// What it may be at most.
    pub limit: f64,
    /// What it should be at most, where that is less.
    pub goal: Option<f64>,
}

impl Limit {
    /// What is limited, as it was found.
    pub fn finding(self, outcome: &[CaseTurns]) -> Finding {
        let turns = outcome.iter().find(|turns| turns.case == self.case).expect("a limit names a case");
        let (what, figure) = match self.measure {
            Measure::Times(lane) => (format!("× {}", lane.0), turns.ratio(self.lane, lane)),
            Measure::Over(lane) => (format!("µs over {}", lane.0), turns.over(self.lane, lane)),
        };
        let measure = if self.lane == Lane::FILTER { what } else { format!("{}: {what}", self.lane.0) };
        Finding { case: self.case, measure, figure, digits: 2, limit: self.limit, goal: self.goal }
    }
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
