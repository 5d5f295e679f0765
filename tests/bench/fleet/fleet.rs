//! Runs proxies one after the other: they have nothing in common but the key service, whose answers do not depend on its
//! load, so that each can live through the whole run before the next one starts.

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use mdrm_authz::config::Config;
use mdrm_authz::jose::token::Kid;

use crate::naive::Naive;
use crate::proxy::Proxy;
use crate::script::{END, KEYS, Rotation, Script, WORKERS, restart_at};
use crate::tally::Tally;
use crate::traffic::{Random, Zipf};

/// What one proxy or a fleet did with the same requests.
#[derive(Clone)]
pub struct Outcome {
    /// The store of this filter.
    pub store: Tally,
    /// The naive policy.
    pub naive: Tally,
}

/// A fleet: all of it, and each proxy.
pub struct Fleet {
    pub sum: Outcome,
    /// Requests to the key service by each proxy in the whole run.
    pub fetches: Vec<u64>,
}

/// Runs the proxies with these numbers, which also seed them.
pub fn run(script: Script, numbers: std::ops::Range<usize>) -> Fleet {
    let (zipf, rotation) = (Zipf::new(KEYS), Rotation::new());
    let fleet = Mutex::new(Fleet { sum: Outcome::new(), fetches: Vec::new() });
    let next = AtomicUsize::new(0);
    let work = || {
        let world = World::new(script, &zipf, &rotation);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= numbers.len() {
                return;
            }
            let outcome = world.proxy(numbers.start + index, restart_at(index, numbers.len()));
            let mut fleet = fleet.lock().unwrap_or_else(PoisonError::into_inner);
            fleet.sum.store.add(&outcome.store);
            fleet.sum.naive.add(&outcome.naive);
            fleet.fetches.push(outcome.store.total().fetches);
        }
    };
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get().min(numbers.len()));
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    fleet.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What is the same for all proxies of one thread.
struct World<'a> {
    script: Script,
    zipf: &'a Zipf,
    rotation: &'a Rotation,
    config: Rc<Config>,
    kids: Vec<Kid>,
}

impl<'a> World<'a> {
    fn new(script: Script, zipf: &'a Zipf, rotation: &'a Rotation) -> World<'a> {
        let config = br#"{"keys": {"cluster": "keys"}}"#;
        let config = Rc::new(Config::from_json(config, &|_| None).expect("all defaults"));
        let kid = |number| Kid::new(&format!("5f0c6a1e-7d1b-4c58-9a53-{number:012}")).expect("a name");
        World { script, zipf, rotation, config, kids: (0..Rotation::NUMBERS).map(kid).collect() }
    }

    fn proxy(&self, number: usize, restart_at: Duration) -> Outcome {
        let mut random = Random::new(number as u64);
        let mut store = Proxy::new(self.script, Rc::clone(&self.config), number);
        let mut naive = Naive::new(self.script);
        let mut restart = Some(restart_at);
        let mut at = Duration::ZERO;
        loop {
            at += random.pause(self.script.rate);
            if at.as_secs() >= END {
                return Outcome { store: store.into_tally(), naive: naive.tally };
            }
            while let Some(due) = store.due_at().filter(|due| *due <= at) {
                store.run_due(due);
            }
            if restart.take_if(|moment| *moment <= at).is_some() {
                store.restart();
                naive.restart();
            }
            let worker = random.below(WORKERS);
            let key = self.rotation.number(self.zipf.draw(&mut random), at);
            store.request(worker, &self.kids[key], at);
            naive.request(worker, key, at);
        }
    }
}

impl Outcome {
    fn new() -> Outcome {
        Outcome { store: Tally::new(), naive: Tally::new() }
    }
}
