//! What a fleet of proxies asks of the key service, by simulation.
//!
//! The real store ([`mdrm_authz::keys::Resolver`]) of every worker of every proxy runs in virtual time through a cold start,
//! rolling restarts, a rotation wave and a 10-minute outage of the key service ([`script`]). Beside it runs the naive
//! policy ([`naive`]) with the very same requests.
//!
//! `cargo bench --bench fleet` runs it and writes `tests/bench/results/fleet.md`. `FLEET_PROXIES` makes the fleet smaller:
//! then nothing is written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "as in tests, a wrong assumption shall end the simulation"
)]

mod fleet;
mod naive;
mod place;
mod proxy;
mod report;
mod script;
mod tally;
mod traffic;

use std::env;
use std::fs;
use std::path::Path;
use std::time::Instant;

use report::Runs;
use script::{Outage, Script};

/// Proxies that are simulated one by one.
const PROXIES: usize = 100;

fn main() {
    let shorter: Option<usize> = env::var("FLEET_PROXIES").ok().and_then(|proxies| proxies.parse().ok());
    let proxies = shorter.unwrap_or(PROXIES);
    let begin = Instant::now();
    let usual = Script { outage: Outage::Refuses, rate: 100.0, tags: true, own_places: false };
    // Not one of the fleet: what it does is not in the fleet's figures.
    let one = |script| fleet::run(script, proxies..proxies + 1).sum;
    let runs = Runs {
        script: usual,
        fleet: fleet::run(usual, 0..proxies),
        variants: vec![
            ("as above", one(usual)),
            ("key service silent in the outage", one(Script { outage: Outage::Silent, ..usual })),
            ("1 000 requests a second", one(Script { rate: 1000.0, ..usual })),
            ("key service without entity tags", one(Script { tags: false, ..usual })),
            ("a place of its own for each key", one(Script { own_places: true, ..usual })),
        ],
    };
    let report = report::markdown(&runs, begin.elapsed());
    println!("{report}");
    if shorter.is_none() {
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/results");
        fs::create_dir_all(&results).expect("the folder of results");
        fs::write(results.join("fleet.md"), report).expect("the report");
    }
}
