//! The time of a callback, by one host call where two clocks are wanted.

use std::cell::Cell;
use std::time::Duration;

use super::host;
use crate::clock::Now;

/// How long the two clocks are taken to run alike. The root's tick looks at both more often than that.
const ALIKE: Duration = Duration::from_secs(2);

/// Both clocks, read at about the same moment.
#[derive(Clone, Copy)]
struct Reading {
    wall: Duration,
    monotonic: Duration,
}

thread_local! {
    static LAST: Cell<Option<Reading>> = const { Cell::new(None) };
}

/// The host's clocks; none if the host has no time to give.
///
/// A host call costs more than all else that is done for a token that was seen before, so the monotonic clock is told from the
/// wall clock for a moment. If the wall clock was set meanwhile, by less than that moment, it is off for as long.
pub(super) fn now() -> Option<Now> {
    let wall = host::wall_clock()?;
    let since = |last: Reading| wall.checked_sub(last.wall).filter(|passed| *passed < ALIKE);
    let told = LAST.get().and_then(|last| Some(last.monotonic.saturating_add(since(last)?)));
    Some(at(wall, told.unwrap_or_else(|| read(wall))))
}

/// As [`now`], by both clocks.
pub(super) fn exactly_now() -> Option<Now> {
    let wall = host::wall_clock()?;
    Some(at(wall, read(wall)))
}

/// Without a monotonic clock, the wall clock has to do.
fn read(wall: Duration) -> Duration {
    let monotonic = host::monotonic_clock().unwrap_or(wall);
    LAST.set(Some(Reading { wall, monotonic }));
    monotonic
}

fn at(wall: Duration, monotonic: Duration) -> Now {
    Now { unix: i64::try_from(wall.as_secs()).unwrap_or(i64::MAX), monotonic }
}

/// How long the work of one callback may take that other requests have made due. Envoy serves nobody else meanwhile.
const TURN: Duration = Duration::from_millis(3);

/// How many requests one callback may decide on behalf of others.
///
/// Envoy carries the replies out once the callback has returned, each inside the one before: a reply ends its stream, the
/// end of a stream calls the module, and after that call Envoy goes on with the next reply. Some hundred exhaust the stack
/// of V8, and with it the VM.
const DECISIONS: u32 = 32;

/// What one callback may still do for other requests than its own.
pub(super) struct Turn {
    until: Option<Duration>,
    decisions: Cell<u32>,
}

impl Turn {
    /// A turn that begins now.
    pub(super) fn begin() -> Self {
        let until = host::monotonic_clock().map(|now| now.saturating_add(TURN));
        Self { until, decisions: Cell::new(DECISIONS) }
    }

    /// One more request was decided.
    pub(super) fn decided(&self) {
        self.decisions.set(self.decisions.get().saturating_sub(1));
    }

    /// Whether the rest is for a later callback.
    pub(super) fn is_over(&self) -> bool {
        // On a host without a monotonic clock only the decisions count.
        let late = || self.until.zip(host::monotonic_clock()).is_some_and(|(until, now)| now >= until);
        self.decisions.get() == 0 || late()
    }
}
