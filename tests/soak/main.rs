//! Nothing falls over: traffic for as long as one likes, and the faults one by one, in a real Envoy.
//!
//! `make soak` runs it: `MINUTES` (10) says how long the traffic lasts, `RATE` (3000) how many requests come a second, `PARTS` which of
//! `load` (see [`load`]) and `faults` (see [`faults`]) run; without, both. Interrupted (Ctrl-C), a load ends with what it has. `ENVOY`,
//! `MDRM_WASM` and `MDRM_WASM_TEST_SWITCHES` name the binary and the modules. Reports go to `tests/soak/results/`, those of a load of less
//! than ten minutes to `target/soak/`. It fails if anything came out that must not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "as in tests, a wrong assumption shall end the run"
)]

mod faults;
mod load;
mod report;
#[path = "../support/mod.rs"]
mod support;

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use faults::scenarios::Extent;
use load::Size;
use support::server::runtime;

/// A shorter load is no soak: VMs are still warming up.
const SOAK: Duration = Duration::from_secs(600);
/// A worker's keys, names without one, and tokens have reached their bounds by then.
const WARM_UP: Duration = Duration::from_secs(900);
/// The share by which linear memory may grow after a whole warm-up: what is held changes places, and an allocator has gaps.
const GROWTH: f64 = 0.02;

fn main() -> ExitCode {
    match soak() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn soak() -> Result<(), String> {
    let parts: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(part) = parts.iter().find(|part| !["load", "faults"].contains(&part.as_str())) {
        return Err(format!("there is no part {part:?}, only load and faults"));
    }
    let is_chosen = |name: &str| parts.is_empty() || parts.iter().any(|part| part == name);
    if is_chosen("load") {
        let time = Duration::from_secs_f64(number("SOAK_MINUTES", 10.0)? * 60.0);
        let size = Size {
            time,
            rate: number("SOAK_RATE", 3000.0)?,
            clients: 40,
            keys: 10_000,
            aborts: 20.0,
            warm_up: (time / 2).min(WARM_UP),
        };
        let outcome = load::run(size, interrupted(), |line| eprintln!("{line}"));
        write("soak.md", outcome.time >= SOAK, &report::soak(size, &outcome))?;
        outcome.check()?;
        let (first, most) = (outcome.first.linear, outcome.most.linear);
        if size.warm_up == WARM_UP && most as f64 > first as f64 * (1.0 + GROWTH) {
            return Err(format!("linear memory grew from {first} to {most} bytes"));
        }
    }
    if is_chosen("faults") {
        let extent = Extent { time: Duration::from_secs(20), aborts: 100_000, panics: 5 };
        write("faults.md", true, &report::faults(extent, |line| eprintln!("{line}")))?;
    }
    Ok(())
}

/// Set when somebody interrupts the run (Ctrl-C), which then ends with what it has.
fn interrupted() -> &'static AtomicBool {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    runtime().spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
    });
    &INTERRUPTED
}

/// The time in seconds.
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn number(name: &str, default: f64) -> Result<f64, String> {
    match env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => match text.parse() {
            Ok(number) if number > 0.0 => Ok(number),
            _ => Err(format!("{name} is {text:?}, but must be a number above 0")),
        },
    }
}

/// Prints a report and writes it where it belongs.
fn write(name: &str, shown: bool, text: &str) -> Result<(), String> {
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(if shown { "tests/soak/results" } else { "target/soak" });
    let path = directory.join(name);
    fs::create_dir_all(&directory)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{text}\nwritten to {}", path.display());
    Ok(())
}
