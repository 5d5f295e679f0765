//! What one event costs among waiting requests, each of which waits for a key of its own.

use std::fmt::Write as _;
use std::time::Duration;

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../support/crowd.rs"]
mod crowd;

use crowd::Crowd;

/// How many requests wait.
const SIZES: [u32; 3] = [10, 1_000, 99_000];
/// How often each event happens.
const TIMES: u32 = 100;

/// An event: its name, what must have happened before it, and itself.
type Event = (&'static str, fn(&mut Crowd), fn(&mut Crowd));

const EVENTS: [Event; 5] = [
    ("a request with an unknown kid arrives, waits, and its client goes away", nothing, |crowd| {
        let id = crowd.arrives();
        crowd.leaves(id);
    }),
    ("a piece of a body", nothing, |crowd| crowd.piece(crowd.last())),
    ("an answer: the key is unknown, the request that waited is denied", next_is_asked_for, Crowd::answered),
    ("the timer rings, and an unknown kid may be asked for", nothing, |crowd| {
        crowd.pass(Duration::from_millis(11));
        crowd.ticks();
    }),
    ("the timer rings, and nothing is due", nothing, Crowd::ticks),
];

fn nothing(_: &mut Crowd) {}

/// All keys that the limit on unknown kids allows are asked for, one for each event.
fn next_is_asked_for(crowd: &mut Crowd) {
    for _ in 0..TIMES {
        crowd.arrives();
        crowd.pass(Duration::from_millis(11));
        crowd.ticks();
    }
}

/// Prepares an event, and has it happen if it is counted.
pub fn run(counted: bool, event: usize, waiting: u32) {
    let mut crowd = Crowd::of(waiting);
    let (_, before, happen) = EVENTS[event];
    before(&mut crowd);
    if counted {
        (0..TIMES).for_each(|_| happen(&mut crowd));
    }
}

/// The section about them. `count` gives the instructions of many runs.
pub fn report(count: impl Fn(&[Vec<String>]) -> Vec<u64>) -> String {
    let jobs: Vec<Vec<String>> = (0..EVENTS.len())
        .flat_map(|event| SIZES.map(|waiting| vec!["waiting".to_owned(), event.to_string(), waiting.to_string()]))
        .collect();
    let counts = count(&jobs);
    let mut text = String::from(
        "\n## One event among waiting requests\n\nInstructions of the core for each event, the mean of 100, where so many other \
         requests wait, each for a key of its own. The limit is 1.5 times as many.\n\n| | 10 | 1 000 | 99 000 |\n| --- | ---: | ---: | ---: |\n",
    );
    for (number, (name, ..)) in EVENTS.iter().enumerate() {
        let each = [0, 1, 2].map(|at| counts[number * SIZES.len() + at] as f64 / f64::from(TIMES));
        writeln!(text, "| {name} | {:.0} | {:.0} | {:.0} |", each[0], each[1], each[2]).unwrap();
        let (least, most) = (each.into_iter().fold(f64::MAX, f64::min), each.into_iter().fold(0.0, f64::max));
        assert!(most < least * 1.5, "{name} is not flat: {each:?}");
    }
    text
}
