//! What the tests of this crate share: a signer that is not the library under test, the table of requests and decisions,
//! and, for the tests in a real Envoy, the proxy itself with a key service, an upstream and clients of its own.
//!
//! Nothing here knows the crate under test: the same table is checked natively and through the finished module.
//! A test crate includes all of it with `#[path = "support/mod.rs"] mod support;` and uses the part that it needs.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test support: each test crate uses a part of it, and a wrong assumption shall end the test"
)]

pub mod bootstrap;
pub mod client;
pub mod codes;
pub mod crowd;
pub mod documents;
pub mod envoy;
pub mod exchange;
pub mod h2_client;
pub mod hostile;
pub mod key_service;
pub mod machine;
pub mod manifests;
pub mod markdown;
pub mod memory;
pub mod packages;
pub mod random;
pub mod reference;
pub mod rig;
pub mod sandbox;
pub mod server;
pub mod session;
pub mod signer;
pub mod table;
pub mod token;
pub mod tunnel;
pub mod upstream;
pub mod wait;
