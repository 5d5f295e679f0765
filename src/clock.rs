//! Time as an argument: the core never reads a clock.

use std::time::Duration;

/// One reading of the host's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Whole seconds since the epoch. Decisions on tokens and keys follow it, also when it is set.
    pub unix: i64,
    /// Time since some fixed point. Freshness, time-outs and back-off follow it, so that a set clock does not move them.
    pub monotonic: Duration,
}
