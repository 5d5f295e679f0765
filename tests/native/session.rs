//! Session tokens: their keys, what they say, when they end, and what an upstream makes of them.

mod keys;
mod material;
mod token;
mod upstreams;
