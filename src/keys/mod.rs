//! Access keys: asked for when they are needed, held while they are fresh, served stale while the key service fails.
//!
//! Sans-IO: [`Resolver`] takes questions, answers and the time, and hands out requests as data.

pub mod answer;
mod resolver;
mod slot;

pub use resolver::{FetchId, KeyRequest, Resolution, Resolver, WaiterId};
