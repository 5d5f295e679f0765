//! The core without a host: the table of requests and decisions, the corpus, every edge second, and properties.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test that meets something unexpected shall end"
)]

mod attack_list;
mod check_config;
mod corpus;
mod cpix;
mod crowd;
mod decisions;
mod edges;
mod explain;
mod factorable;
mod fuzz;
mod keys;
mod observability;
mod properties;
mod proxy;
mod requests;
mod rollout;
mod security;
mod session;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod tunnel;
mod upstream;
mod vectors;
