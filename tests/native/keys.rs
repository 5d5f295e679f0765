//! The keys of one worker in virtual time: who waits, what the key service is asked, what is remembered for how long.
//!
//! Everything goes through the public interface of [`mdrm_authz::keys`]; the key service is played by the test.

mod ahead;
mod attacks;
mod bounds;
mod freshness;
mod inline;
mod model;
mod outage;
mod repeats;
mod sets;
mod sharing;
mod stage;
mod workers;
