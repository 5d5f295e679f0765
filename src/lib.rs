//! Authorises multi-DRM license and CPIX requests inside Envoy.
//!
//! ```text
//! headers -> route -> carriage -> token -> key (held) -> claims -> Verified -> Allow -> the request goes on
//!                                    \-> key (missing) -> Wait -> answer of the key service -> (back on the same way)
//! any failure -> Denial -> Reply
//! ```
//!
//! The core is sans-IO: [`authorizer::Authorizer`] gets plain data (the head of a request, the time, an answer of the
//! key service) and returns what to do as data. The module `filter`, which exists on the wasm target alone, translates
//! between it and the host; the command-line tool `mdrm` runs on the same core.
//!
//! Dependencies point one way:
//! `filter -> authorizer -> claims, keys, carriage -> config -> jose, route -> request, denial`. No cycle.

pub mod authorizer;
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
pub mod reply;
pub mod request;
pub mod requests;
pub mod route;
pub mod session;
mod tokens;
pub mod tunnel;
pub mod upstream;
