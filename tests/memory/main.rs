//! What is full stays as large as it is. Apart from the other tests: its allocator counts what the whole program holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in tests, a wrong assumption shall end the test"
)]

#[path = "../bench/keys/heap.rs"]
mod heap;
#[allow(dead_code, reason = "the benchmark uses the rest")]
#[path = "../bench/keys/store.rs"]
mod store;

use std::time::Duration;

use mdrm_authz::denial::{Denial, KeyRefusal};
use mdrm_authz::jose::token::Kid;
use mdrm_authz::keys::Resolution;
use store::{Store, good};

/// More than half of a table of 2 048 places: in use like this it would be made anew at twice the size, and only after a while.
const MAX_ENTRIES: usize = 1_250;
/// Every place has been used many times by then.
const NAMES: usize = 60_000;

/// Heap bytes of the store after each so many names as it has room for, from when it is full.
fn heap_while(mut learn: impl FnMut(&mut Store, usize)) -> Vec<usize> {
    let base = heap::live();
    let mut store = Store::new(&format!(
        r#"{{"max_age": "24h", "max_age_limit": "24h", "negative_max_age": "1h", "max_entries": {MAX_ENTRIES}}}"#
    ));
    let mut held = Vec::new();
    for number in 0..NAMES {
        learn(&mut store, number);
        if number > MAX_ENTRIES && number.is_multiple_of(MAX_ENTRIES) {
            held.push(heap::live() - base);
        }
    }
    held
}

/// One test, for nothing else may be held meanwhile.
#[test]
fn a_store_that_is_full_does_not_grow() {
    let of_keys = heap_while(|store, number| store.learn(&good(number)));
    let of_names_without_a_key = heap_while(|store, number| {
        let kid = Kid::new(&format!("nobody-{number:012}")).unwrap();
        assert!(matches!(store.resolve(&kid, 0), Resolution::Wait), "{number}");
        store.send();
        store.pass(Duration::from_millis(20));
        let unknown = store.resolve(&kid, 0);
        assert!(matches!(unknown, Resolution::Refused(Denial::AccessKey(KeyRefusal::Unknown))), "{unknown:?}");
    });
    for (what, held) in [("keys", of_keys), ("names without a key", of_names_without_a_key)] {
        let (least, most) = (held.iter().min().unwrap(), held.iter().max().unwrap());
        assert!(most - least < least / 100, "{what}: {held:?}");
    }
}
