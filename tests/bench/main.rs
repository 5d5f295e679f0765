//! What the filter costs in a real Envoy.
//!
//! Each suite ([`suites`]) compares listeners that differ in their filters alone ([`lane::Lane`]). They answer by
//! `direct_response`. Envoy has one worker and a core to itself, load generator and key service have another. Each round
//! visits every case ([`case::Case`]), and within a case one lane after the other for a short turn, so that whatever
//! else the machine does meets all of them alike. Tokens are signed between the turns.
//!
//! What counts is the CPU time of the Envoy process per request, not wall time. The lower quartile of the turns stands
//! for a lane: what disturbs a turn only ever adds to it.
//!
//! `make bench` runs it; `ENVOY` and `MDRM_WASM` name the binary and the module. Arguments name suites; without, all
//! run. `BENCH_TURNS` and `BENCH_REQUESTS` (of a turn) make it shorter: then the reports go to `target/bench/` and not
//! to `tests/bench/results/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "as in tests, a wrong assumption shall end the benchmark"
)]

mod case;
mod cores;
mod lane;
mod limits;
mod load;
mod machine;
mod proxy;
mod report;
mod run;
mod statistics;
mod suites;
#[path = "../support/mod.rs"]
mod support;
mod traffic;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use cores::Cores;
use machine::Machine;
use run::{Bench, Size};
use suites::{SUITES, Suite};

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), String> {
    let suites = chosen()?;
    let size = Size::from_environment()?;
    let bench = Bench { size, cores: Cores::pick()? };
    cores::pin(bench.cores.load)?;
    let directory = directory(size);
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    for suite in suites {
        let begin = Instant::now();
        let machine = Machine::of_this_run(size);
        for (name, text) in (suite.run)(bench, &machine).map_err(|problem| format!("{}: {problem}", suite.name))? {
            let path = directory.join(&name);
            fs::write(&path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
            if name.ends_with(".md") {
                println!("\n{text}");
            }
            println!("written to {}", path.display());
        }
        eprintln!("{}: {:.0} s", suite.name, begin.elapsed().as_secs_f64());
    }
    Ok(())
}

/// The suites that the arguments name, or all. Cargo adds options of its own.
fn chosen() -> Result<Vec<&'static Suite>, String> {
    let names: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let Some(name) = names.iter().find(|name| SUITES.iter().all(|suite| suite.name != **name)) {
        let known: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        return Err(format!("there is no suite {name:?}, only {}", known.join(", ")));
    }
    let is_chosen = |suite: &&Suite| names.is_empty() || names.iter().any(|name| name == suite.name);
    Ok(SUITES.iter().filter(is_chosen).collect())
}

/// Where the reports go: only a run of full size may replace those that the README shows.
fn directory(size: Size) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join(if size.is_full() { "tests/bench/results" } else { "target/bench" })
}
