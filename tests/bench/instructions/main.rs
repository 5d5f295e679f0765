//! Instructions, counted by valgrind: of hostile texts at one, two and four times a size, of every cause of MDRM-519, and of one
//! event among few and among many waiting requests.
//!
//! `make instructions` runs it and writes `tests/bench/results/instructions.md`. Each text is read by a process of its own, twice:
//! once read, and once only prepared; the difference counts. This is the native build: the module has the same ways, but
//! other instructions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "as in tests, a wrong assumption shall end the benchmark"
)]

mod causes;
#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../../support/hostile.rs"]
mod hostile;
mod read;
mod waiting;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs, thread};

use hostile::Hostile;

/// The smallest size; the others are two and four times as large.
const SIZE: usize = 64 << 10;

/// What may be read: its name, and how it is read.
type Suite = (&'static str, &'static [Hostile], fn(&[u8]));

const SUITES: [Suite; 3] = [
    ("CPIX documents", hostile::DOCUMENTS, read::document),
    ("JSON objects", hostile::OBJECTS, read::object),
    ("JWK Sets", hostile::SETS, read::set),
];

fn main() {
    let arguments: Vec<String> = env::args().filter(|argument| argument != "--bench").skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => report(),
        [what, "waiting", event, waiting] => {
            waiting::run(*what == "read", event.parse().unwrap(), waiting.parse().unwrap());
        }
        [what, suite, number, size] => {
            let (_, texts, read) = SUITES[suite.parse::<usize>().unwrap()];
            let text = texts[number.parse::<usize>().unwrap()].1(size.parse().unwrap());
            if *what == "read" {
                read(text.as_bytes());
            }
        }
        [what, cause] => causes::run(*what == "read", cause.parse().unwrap()),
        other => panic!("{other:?}"),
    }
}

/// Instructions that this program needs with these arguments behind `read`, less those with `prepare`.
fn instructions(arguments: &[String]) -> u64 {
    let [read, prepare] = ["read", "prepare"].map(|what| {
        let output = Command::new("valgrind")
            .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
            .arg(env::current_exe().unwrap())
            .arg(what)
            .args(arguments)
            .output()
            .expect("valgrind");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        let line = text.lines().find(|line| line.contains("I ") && line.contains("refs:")).expect("a count");
        line.rsplit(':').next().unwrap().trim().replace(',', "").parse::<u64>().unwrap()
    });
    read.saturating_sub(prepare)
}

/// As [`instructions`], of many, on all cores.
fn all(jobs: &[Vec<String>]) -> Vec<u64> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let running: Vec<_> = jobs
            .chunks(jobs.len().div_ceil(cores).max(1))
            .map(|jobs| scope.spawn(|| jobs.iter().map(|job| instructions(job)).collect::<Vec<_>>()))
            .collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn report() {
    let mut text = String::from(
        "# Instructions\n\nWritten by `make instructions`, counted by valgrind in the native build. The module is made of the \
         same code.\n\n",
    );
    for (suite, (name, texts, _)) in SUITES.iter().enumerate() {
        let jobs: Vec<Vec<String>> = (0..texts.len())
            .flat_map(|number| {
                [1, 2, 4].map(|times| vec![suite.to_string(), number.to_string(), (SIZE * times).to_string()])
            })
            .collect();
        let counts = all(&jobs);
        write!(
            text,
            "## {name}\n\nInstructions for each byte, where the text has {} KiB, twice as much, and four times. Linear: all \
             alike; n log n: a tenth more each time; quadratic: twice as many.\n\n| | 1 x | 2 x | 4 x |\n| --- | ---: | ---: | ---: |\n",
            SIZE >> 10
        )
        .unwrap();
        for (number, (name, make)) in texts.iter().enumerate() {
            let each = [0, 1, 2].map(|at| counts[number * 3 + at] as f64 / make(SIZE << at).len() as f64);
            writeln!(text, "| {name} | {:.1} | {:.1} | {:.1} |", each[0], each[1], each[2]).unwrap();
            // A sort adds log 4 / log n.
            assert!(each[2] < each[0].max(1.0) * 1.5, "{name} is not linear: {each:?}");
        }
        text.push('\n');
    }
    text += &causes::report(all);
    text += &waiting::report(all);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/results/instructions.md");
    fs::write(file, &text).unwrap();
    print!("{text}");
}
