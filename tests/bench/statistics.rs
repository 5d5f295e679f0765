//! Figures from turns: quartiles, costs over no filter, and ratios with their spread.

use crate::lane::Lane;
use crate::run::{CaseTurns, Turn};

/// A figure and where it may lie as well.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// The lower end of its spread.
    pub low: f64,
    /// The upper end of its spread.
    pub high: f64,
}

impl Figure {
    /// One that has no spread.
    pub fn exact(value: f64) -> Figure {
        Figure { value, low: value, high: value }
    }

    /// With so many digits, and its spread in brackets.
    pub fn text(self, digits: usize) -> String {
        let Figure { value, low, high } = self;
        let text = |value: f64| if value.is_finite() { format!("{value:.digits$}") } else { "∞".into() };
        if low == high { text(value) } else { format!("{} ({} – {})", text(value), text(low), text(high)) }
    }
}

/// How many times the rounds are drawn anew to find the spread of a figure.
const DRAWS: usize = 2000;

impl CaseTurns {
    /// The lower quartile of a figure of the turns of a lane.
    pub fn quartile(&self, lane: Lane, of: impl Fn(&Turn) -> f64) -> f64 {
        lower_quartile(self.of(lane).iter().map(of).collect())
    }

    /// CPU time of a lane in microseconds per request: the lower quartile of its turns, from the least to the median.
    pub fn cpu(&self, lane: Lane) -> Figure {
        let values = sorted(self.of(lane).iter().map(|turn| turn.cpu).collect());
        Figure { value: quantile(&values, 0.25), low: quantile(&values, 0.0), high: quantile(&values, 0.5) }
    }

    /// What a lane costs over no filter, in microseconds of CPU per request.
    pub fn added(&self, lane: Lane) -> Figure {
        self.over(lane, Lane::NONE)
    }

    /// What a lane costs over another one, in microseconds of CPU per request.
    pub fn over(&self, lane: Lane, base: Lane) -> Figure {
        self.estimate(|rounds| self.cpu_in(rounds, lane) - self.cpu_in(rounds, base))
    }

    /// What a lane costs over no filter, as a multiple of what another one does.
    pub fn ratio(&self, lane: Lane, to: Lane) -> Figure {
        self.estimate(|rounds| {
            let cost = self.added_in(rounds, to);
            // Noise larger than the cost itself: no ratio is too large to be true.
            if cost > 0.0 { self.added_in(rounds, lane) / cost } else { f64::INFINITY }
        })
    }

    /// CPU time of a lane in these rounds, for [`estimate`].
    pub fn cpu_in(&self, rounds: &[usize], lane: Lane) -> f64 {
        let turns = self.of(lane);
        lower_quartile(rounds.iter().map(|round| turns[*round].cpu).collect())
    }

    /// What a lane costs over no filter in these rounds, for [`estimate`].
    pub fn added_in(&self, rounds: &[usize], lane: Lane) -> f64 {
        self.cpu_in(rounds, lane) - self.cpu_in(rounds, Lane::NONE)
    }

    fn estimate(&self, figure: impl Fn(&[usize]) -> f64) -> Figure {
        estimate(self.of(self.lanes[0]).len(), figure)
    }
}

/// The figure of all rounds, and the middle 80 % of what it is for rounds drawn at random from them (bootstrap).
/// Lanes are compared within the same rounds, so what disturbed a whole round does not count as a difference.
pub fn estimate(rounds: usize, figure: impl Fn(&[usize]) -> f64) -> Figure {
    let all: Vec<usize> = (0..rounds).collect();
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let draws = (0..DRAWS).map(|_| {
        let drawn: Vec<usize> = all.iter().map(|_| random.below(rounds)).collect();
        figure(&drawn)
    });
    let draws = sorted(draws.collect());
    Figure { value: figure(&all), low: quantile(&draws, 0.1), high: quantile(&draws, 0.9) }
}

/// The lower quartile.
pub fn lower_quartile(values: Vec<f64>) -> f64 {
    quantile(&sorted(values), 0.25)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Between two values, the share of the way from one to the other. The largest may be infinite.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() - 1) as f64 * share;
    let (below, part) = (at as usize, at.fract());
    match sorted.get(below + 1) {
        Some(above) if part > 0.0 && *above > sorted[below] => sorted[below] + (above - sorted[below]) * part,
        _ => sorted[below],
    }
}

/// Marsaglia's generator: the same draws in every run.
struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // Casts: the bound is a number of rounds.
        (self.0 % bound as u64) as usize
    }
}
