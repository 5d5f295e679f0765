//! What is measured, a report for each.

mod chart;
mod cpix;
mod empty;
mod filters;
mod in_vm;
mod keys;
mod observability;
mod operations;
mod session;
mod start;
mod steps;
mod tunnel;

use std::env;
use std::path::PathBuf;

use crate::machine::Machine;
use crate::run::Bench;

/// Names and contents of a suite's files.
pub type Files = Vec<(String, String)>;

/// A comparison with a report of its own.
pub struct Suite {
    /// The name on the command line.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(Bench, &Machine) -> Result<Files, String>,
}

/// All of them.
pub const SUITES: [Suite; 10] = [
    Suite { name: "filters", run: filters::run },
    Suite { name: "steps", run: steps::run },
    Suite { name: "in-vm", run: in_vm::run },
    Suite { name: "session", run: session::run },
    Suite { name: "tunnel", run: tunnel::run },
    Suite { name: "cpix", run: cpix::run },
    Suite { name: "keys", run: keys::run },
    Suite { name: "observability", run: observability::run },
    Suite { name: "operations", run: operations::run },
    Suite { name: "start", run: start::run },
];

/// The path of the module under test.
pub fn module() -> Result<PathBuf, String> {
    let path = env::var_os("MDRM_WASM").map(PathBuf::from);
    path.ok_or_else(|| "MDRM_WASM is not set. Run the benchmark with `make bench`.".into())
}
