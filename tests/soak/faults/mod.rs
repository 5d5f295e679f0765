//! The faults one by one, each with its figures, and what Envoy's own `jwt_authn` does in the same fault on the same rig.
//!
//! A [`stand::Stand`] is an Envoy with one filter, [`probe::during`] sends the requests that come all the while: of valid tokens of a key that is known,
//! and of forged ones. What is measured is what becomes of them.
#![allow(dead_code, unreachable_pub, reason = "the tests and `make soak` use a part each")]

pub mod aborts;
pub mod panics;
pub mod probe;
pub mod scenarios;
pub mod stand;
