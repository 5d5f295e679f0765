//! The finished module in a real Envoy.
//!
//! `ENVOY` and `MDRM_WASM` name the binary and the module, `make test` sets both. Key service, upstream and clients are the tests' own,
//! everything is on 127.0.0.1 and on ports that happened to be free.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "in tests a wrong assumption shall end the test"
)]

mod access_log;
mod capabilities;
mod carriage;
mod config;
mod cpix;
mod crowds;
mod dashboards;
mod decisions;
mod differential;
mod documents;
#[path = "../soak/faults/mod.rs"]
mod faults;
mod hardening;
mod held;
mod hosts;
mod keys;
mod leaks;
#[path = "../soak/load/mod.rs"]
mod load;
mod metrics;
mod module;
mod mutations;
mod other_host;
mod outage;
mod pieces;
mod reply;
mod robustness;
mod rollout;
mod sbom;
mod session;
mod soak;
#[path = "../support/mod.rs"]
mod support;
mod traffic;
mod tunnel;
mod workers;

use std::time::{SystemTime, UNIX_EPOCH};

/// The time in seconds, by the clock that Envoy reads too.
fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
