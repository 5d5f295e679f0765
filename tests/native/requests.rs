//! The requests that a worker holds: keys, bodies, time and clients that go away, in every order.

mod bodies;
mod host;
mod orders;
mod preflights;
mod sessions;
mod waiting;
