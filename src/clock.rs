//! Time as an argument: the core never reads a clock.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The times that tokens and key documents may name, in seconds since the epoch: to the last second of the year 9999. Later
/// ones are most often milliseconds, and would bring arithmetic on times near an overflow.
pub(crate) const TIMES: RangeInclusive<f64> = 0.0..=253_402_300_799.0;

/// One reading of the host's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Whole seconds since the epoch. Decisions on tokens and keys follow it, also when it is set.
    pub unix: i64,
    /// Time since some fixed point. Freshness, time-outs and back-off follow it, so that a set clock does not move them.
    pub monotonic: Duration,
}
