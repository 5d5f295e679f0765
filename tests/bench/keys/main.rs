//! What keys cost natively: the time of a look-up, the memory of a key, and a flood of names that no key has.
//!
//! `cargo bench --bench keys` runs it and writes `tests/bench/results/keys.md`.
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

mod flood;
mod heap;
mod lookup;
#[path = "../fleet/place.rs"]
mod place;
mod report;
mod store;
#[allow(dead_code, reason = "the simulation of a fleet uses the rest")]
#[path = "../fleet/traffic.rs"]
mod traffic;

use std::fs;
use std::path::Path;

use flood::Names;
use store::Store;

/// How many keys are held when the memory of one is measured.
const KEYS: usize = 10_000;

/// Heap bytes of the store.
pub struct Memory {
    /// Without a key.
    pub empty: usize,
    /// With [`KEYS`] keys.
    pub full: usize,
}

fn main() {
    let before = heap::live();
    let store = Store::new("{}");
    let empty = heap::live() - before;
    drop(store);
    let store = Store::with_keys(KEYS);
    let memory = Memory { empty, full: heap::live() - before };
    drop(store);
    let lookups = lookup::measure();
    let floods = [(1_000, Names::Once), (1_000, Names::Twice), (400, Names::Twice), (290, Names::InTurn)];
    let floods = floods.map(|(rate, names)| flood::run(rate, names));
    let report = report::markdown(&lookups, &memory, &floods);
    println!("{report}");
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/results");
    fs::create_dir_all(&results).expect("the folder of results");
    fs::write(results.join("keys.md"), report).expect("the report");
}
