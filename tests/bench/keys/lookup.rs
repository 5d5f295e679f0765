//! The time of [`mdrm_authz::keys::Resolver::resolve`] for a key that is held and fresh.
//!
//! In Envoy the name comes out of a token that was read a moment ago. So the names of a batch are made anew just before
//! its look-ups are timed, and lie in the processor's cache; whatever the store holds need not.

use std::hint::black_box;
use std::time::Instant;

use mdrm_authz::jose::token::Kid;

use crate::store::{Store, good};
use crate::traffic::{Random, Zipf};

/// Each round visits every case once, one after the other: whatever else the machine does meets all of them alike.
const ROUNDS: usize = 400;
/// Batches of a round, …
const BATCHES: usize = 64;
/// … and the look-ups of a batch.
const BATCH: usize = 64;

/// One line of the table.
pub struct Lookup {
    /// Keys held.
    pub held: usize,
    pub access: &'static str,
    /// Nanoseconds of one look-up, a figure for each round, in order of size.
    rounds: Vec<f64>,
}

struct Case {
    store: usize,
    order: Order,
    lookup: Lookup,
}

enum Order {
    Uniform(usize),
    Zipf(Zipf),
}

impl Lookup {
    /// The time of one look-up in nanoseconds.
    pub fn median(&self) -> f64 {
        self.rounds[self.rounds.len() / 2]
    }

    /// The lower and the upper quartile.
    pub fn quartiles(&self) -> (f64, f64) {
        (self.rounds[self.rounds.len() / 4], self.rounds[self.rounds.len() * 3 / 4])
    }
}

/// The first three lines have uniform access to 10, 1 000 and 10 000 keys.
pub fn measure() -> Vec<Lookup> {
    let mut stores = [10, 1_000, 10_000].map(Store::with_keys);
    let case = |store, held, access, order| Case { store, order, lookup: Lookup { held, access, rounds: Vec::new() } };
    let mut cases = [
        case(0, 10, "all alike", Order::Uniform(10)),
        case(1, 1_000, "all alike", Order::Uniform(1_000)),
        case(2, 10_000, "all alike", Order::Uniform(10_000)),
        case(2, 10_000, "10 of them", Order::Uniform(10)),
        case(2, 10_000, "Zipf, s = 1", Order::Zipf(Zipf::new(10_000))),
    ];
    let mut random = Random::new(7);
    for _ in 0..ROUNDS {
        for Case { store, order, lookup } in &mut cases {
            lookup.rounds.push(round(&mut stores[*store], order, &mut random));
        }
    }
    let sorted = |Case { mut lookup, .. }| {
        lookup.rounds.sort_by(f64::total_cmp);
        lookup
    };
    cases.map(sorted).into()
}

fn round(store: &mut Store, order: &Order, random: &mut Random) -> f64 {
    let mut nanoseconds = 0;
    for _ in 0..BATCHES {
        let mut draw = || match order {
            Order::Uniform(keys) => random.below(*keys),
            Order::Zipf(zipf) => zipf.draw(random),
        };
        let names: Vec<Kid> = (0..BATCH).map(|_| good(draw())).collect();
        let begin = Instant::now();
        for name in &names {
            assert!(store.has_key(black_box(name)));
        }
        nanoseconds += begin.elapsed().as_nanos();
    }
    nanoseconds as f64 / (BATCHES * BATCH) as f64
}
