//! Waiting for something to become true, without fixed sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks every few milliseconds until the answer is there.
///
/// # Panics
///
/// After [`DEADLINE`], with `what` in the message.
pub fn until<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Asks every few milliseconds until the answer is yes, or this time is over. Gives the last answer.
pub fn within(time: Duration, mut answer: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !answer() {
        if start.elapsed() >= time {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Asks every few milliseconds until the answer is yes.
///
/// # Panics
///
/// After [`DEADLINE`], with `what` in the message.
pub fn until_true(what: &str, mut answer: impl FnMut() -> bool) {
    until(what, || answer().then_some(()));
}
