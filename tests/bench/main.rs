//! What the filter costs in a real Envoy, beside no filter, an empty wasm filter and Envoy's own `jwt_authn`.
//!
//! One Envoy with one worker has a listener for each of them ([`lane::Lane`]). They answer by `direct_response`, so
//! that only the filter differs. Envoy has a core to itself, load generator and key service have another. Each round
//! visits every case ([`case::Case`]), and within a case one lane after the other for a short turn, so that whatever
//! else the machine does meets all of them alike. Tokens are signed between the turns.
//!
//! What counts is the CPU time of the Envoy process per request, not wall time. The lower quartile of the turns stands
//! for a lane: what disturbs a turn only ever adds to it.
//!
//! `make bench` runs it; `ENVOY` and `MDRM_WASM` name the binary and the module. `BENCH_TURNS` and `BENCH_REQUESTS` (of
//! a turn) make it shorter: then the report goes to `target/bench/` and not to `tests/bench/results/`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "as in tests, a wrong assumption shall end the benchmark"
)]

mod case;
mod chart;
mod cores;
mod empty;
mod lane;
mod limits;
mod load;
mod machine;
mod report;
mod run;
mod statistics;
#[path = "../support/mod.rs"]
mod support;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use machine::Machine;
use run::Size;

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
    let size = Size::from_environment()?;
    let machine = Machine::of_this_run(size);
    let outcome = run::run(size)?;
    let report = report::markdown(&outcome, &machine);
    println!("\n{report}");

    let directory = directory(size);
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    write("envoy.md", &report)?;
    write("envoy.svg", &chart::svg(&outcome, &machine))?;
    println!("written to {}/envoy.md and envoy.svg", directory.display());
    Ok(())
}

/// Where the report goes: only a run of full size may replace the one that the README shows.
fn directory(size: Size) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join(if size.is_full() { "tests/bench/results" } else { "target/bench" })
}
