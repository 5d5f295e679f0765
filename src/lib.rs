//! Authorises multi-DRM license and CPIX requests inside Envoy.
//!
//! ```text
//! head -> route -+-> license ---------> carriage -> token -> access key -> claims -------------+-> session key -> Allow
//!                +-> license, tunnel -> body -> master key -> decrypted -> token -> (as above) -+
//!                +-> cpix ------------> carriage -> token -> access key -> claims -> (document) +
//!                +-> signed_cpix -----> access key -> document -> signature --------------------+
//!                \-> open, preflight -> Pass
//! a key is not held, or the body is not there yet -> Wait -> (back to the same step)
//! any failure -> Denial -> Reply
//! ```
//!
//! The core is sans-IO: [`requests::Requests`] gets plain data (the head of a request, how far its body has come, the time,
//! an answer of a key service), holds what waits, and returns what to do as data; [`authorizer::Authorizer`] decides, one
//! step after the other. The module `filter`, which exists on the wasm target alone, translates between them and the host;
//! the command-line tool `mdrm` runs on the same core.
//!
//! | what | where |
//! | --- | --- |
//! | the requests of a worker, what each waits for | [`requests`] |
//! | the decision, and the changes to a request | [`authorizer`] |
//! | who asks, and how: path, token in header or query | [`route`], [`carriage`], [`request`] |
//! | tokens, and those that were verified before | [`claims`], `tokens` |
//! | encrypted license requests | [`tunnel`] |
//! | CPIX documents and their signatures | [`cpix`] |
//! | what the upstream gets: session token, headers | [`session`], [`upstream`] |
//! | keys: fetched, held, shared among workers | [`keys`] |
//! | JWS, JWE, JWK: strict reading, algorithms | [`jose`] |
//! | the plugin configuration | [`config`] |
//! | refusals, what the client is told, what is worth a line in the log | [`denial`], [`reply`], [`log_limit`] |
//! | what is counted | [`metrics`] |
//!
//! Dependencies point one way, from the left to the right: `filter -> requests, reply, log_limit -> authorizer -> tokens -> claims,
//! keys -> config, session, tunnel, cpix -> upstream -> jose -> carriage, route -> request, spelling, clock, bucket, bounded, metrics -> denial`.
//! No cycle.

pub mod authorizer;
mod bounded;
mod bucket;
pub mod carriage;
pub mod claims;
pub mod clock;
pub mod config;
pub mod cpix;
pub mod denial;
#[cfg(target_arch = "wasm32")]
mod filter;
pub mod jose;
pub mod keys;
pub mod log_limit;
pub mod metrics;
pub mod reply;
pub mod request;
pub mod requests;
pub mod route;
pub mod session;
mod spelling;
mod tokens;
pub mod tunnel;
pub mod upstream;
