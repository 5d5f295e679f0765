//! What one event costs among so many waiting requests, for a counter of instructions: `run.py` beside this file runs it
//! under callgrind and writes the table.
//!
//! Each event is a function of its own that is never inlined, so that the counter finds it by its name.

#[path = "../../support/crowd.rs"]
mod crowd;

use std::hint::black_box;
use std::time::Duration;

use crowd::Crowd;
use mdrm_authz::keys::WaiterId;

/// How often each event happens.
const TIMES: u32 = 100;

#[inline(never)]
fn event_arrives(crowd: &mut Crowd) -> WaiterId {
    black_box(crowd).arrives()
}

#[inline(never)]
fn event_leaves(crowd: &mut Crowd, id: WaiterId) {
    black_box(crowd).leaves(id);
}

#[inline(never)]
fn event_answered(crowd: &mut Crowd) {
    black_box(crowd).answered();
}

#[inline(never)]
fn event_piece(crowd: &mut Crowd, id: WaiterId) {
    black_box(crowd).piece(id);
}

#[inline(never)]
fn event_ticks(crowd: &mut Crowd) {
    black_box(crowd).ticks();
}

#[inline(never)]
fn event_expires(crowd: &mut Crowd) -> bool {
    black_box(crowd).polled()
}

fn main() {
    // Cargo adds `--bench`.
    let waiting = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let waiting: u32 = waiting.expect("how many requests wait, for example 1000");
    let mut crowd = Crowd::of(waiting);
    for _ in 0..TIMES {
        // Long enough for the next unknown kid to be asked for.
        crowd.pass(Duration::from_millis(11));
        event_ticks(&mut crowd);
        event_answered(&mut crowd);
        let stays = event_arrives(&mut crowd);
        event_piece(&mut crowd, stays);
        let id = event_arrives(&mut crowd);
        event_leaves(&mut crowd, id);
    }
    assert!(crowd.waiting() >= waiting as usize);
    crowd.pass(Duration::from_secs(61));
    let expired = (0..2 * TIMES).filter(|_| event_expires(&mut crowd)).count();
    println!("{waiting} waiting, {TIMES} of each event, {expired} pieces of work about keys that were never asked for");
}
