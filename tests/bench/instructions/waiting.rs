//! What one event costs among waiting requests, each of which waits for a key of its own.

use std::fmt::Write as _;
use std::time::Duration;

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../support/crowd.rs"]
mod crowd;

use crowd::Crowd;

/// How many requests wait.
const SIZES: [u32; 3] = [10, 1_000, 99_000];
/// Cheap events happen more often: hash tables are seeded at random, so two runs differ by some hundred thousand instructions.
const OFTEN: u32 = 10_000;
/// How often others happen.
const TIMES: u32 = 100;

/// An event.
struct Event {
    name: &'static str,
    times: u32,
    /// The fewest waiting requests among which it is the same event.
    from: u32,
    /// What must have happened before.
    before: fn(&mut Crowd),
    happen: fn(&mut Crowd),
}

const EVENTS: [Event; 5] = [
    Event {
        name: "a request with an unknown kid arrives, waits, and its client goes away",
        times: TIMES,
        from: 10,
        before: nothing,
        happen: |crowd| {
            let id = crowd.arrives();
            crowd.leaves(id);
        },
    },
    Event {
        name: "a piece of a body",
        times: OFTEN,
        from: 10,
        before: nothing,
        happen: |crowd| crowd.piece(crowd.last()),
    },
    Event {
        name: "an answer: the key is unknown, the request that waited is denied",
        times: TIMES,
        from: 10,
        before: next_is_asked_for,
        happen: Crowd::answered,
    },
    Event {
        name: "the timer rings, and the next unknown kid is asked for",
        times: TIMES,
        // Fewer are all asked for at once.
        from: 1_000,
        before: nothing,
        happen: |crowd| {
            crowd.pass(Duration::from_millis(11));
            crowd.ticks();
        },
    },
    Event {
        name: "the timer rings, and nothing is due",
        times: OFTEN,
        // Among fewer, every key was asked for at once, and nothing can become due.
        from: 1_000,
        before: nothing,
        happen: Crowd::ticks,
    },
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
    let Event { before, happen, times, .. } = EVENTS[event];
    before(&mut crowd);
    if counted {
        (0..times).for_each(|_| happen(&mut crowd));
    }
}

/// The section about them. `count` gives the instructions of many runs.
pub fn report(count: impl Fn(&[Vec<String>]) -> Vec<u64>) -> String {
    let jobs: Vec<Vec<String>> = (0..EVENTS.len())
        .flat_map(|event| SIZES.map(|waiting| vec!["waiting".to_owned(), event.to_string(), waiting.to_string()]))
        .collect();
    let counts = count(&jobs);
    let mut text = String::from(
        "\n## One event among waiting requests\n\nInstructions of the core for each event, the mean of 100 or more, where so many other \
         requests wait, each for a key of its own. The limit is 1.5 times as many.\n\n| | 10 | 1 000 | 99 000 |\n| --- | ---: | ---: | ---: |\n",
    );
    for (number, Event { name, times, from, .. }) in EVENTS.iter().enumerate() {
        let each = [0, 1, 2].map(|at| counts[number * SIZES.len() + at] as f64 / f64::from(*times));
        let compared: Vec<f64> =
            SIZES.iter().zip(each).filter(|(size, _)| *size >= from).map(|(_, each)| each).collect();
        let shown = compared.iter().map(|each| format!(" {each:.0} |")).collect::<String>();
        writeln!(text, "| {name} |{}{shown}", " – |".repeat(SIZES.len() - compared.len())).unwrap();
        let (least, most) =
            (compared.iter().copied().fold(f64::MAX, f64::min), compared.iter().copied().fold(0.0, f64::max));
        assert!(most < least * 1.5, "{name} is not flat: {each:?}");
    }
    text
}
