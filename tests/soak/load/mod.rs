//! A soak: mixed traffic whose every answer is known, through four workers of one Envoy, while the configuration is pushed, keys
//! change, the key service goes away in five ways, the clock is set an hour back and forth, and clients go away.
//!
//! [`kinds`] is the traffic, [`clients`] sends and judges it, [`license_server`] judges what comes out behind the proxy. What
//! happens to the proxy, and when, is [`disturbances`]. [`Soak`] joins them.
#![allow(dead_code, unreachable_pub, reason = "the tests and `make soak` use a part each")]

pub mod clients;
pub mod clock;
pub mod connection;
pub mod disturbances;
pub mod expect;
pub mod kinds;
pub mod license_server;
pub mod outages;
pub mod rotation;
pub mod tally;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clients::Traffic;
use clock::Clock;
use disturbances::Disturbances;
use kinds::{Lane, World, kinds};
use license_server::LicenseServer;
use outages::Outages;
use tally::Tally;

use crate::support::envoy::{Envoy, Setup};
use crate::support::key_service::KeyService;
use crate::support::memory::{linear_memories, resident};
use crate::support::wait;

/// Worker threads of Envoy.
pub const WORKERS: u32 = 4;
/// How long a connection to a configuration that was replaced may stay.
const DRAIN_SECONDS: u32 = 5;
/// How often memory is looked at.
const SAMPLES: Duration = Duration::from_secs(5);

/// How long, how much.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// How long requests come.
    pub time: Duration,
    /// Requests a second.
    pub rate: f64,
    /// Clients, an even number.
    pub clients: usize,
    /// Keys besides those of the table.
    pub keys: usize,
    /// Clients a second that go away while their key is fetched.
    pub aborts: f64,
    /// After this time memory must not grow any more.
    pub warm_up: Duration,
}

/// Memory of Envoy in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Linear memory of all VMs together.
    pub linear: u64,
    /// Resident, the whole process.
    pub resident: u64,
}

/// What came of it.
pub struct Outcome {
    /// How long it took.
    pub time: Duration,
    /// Counts and times.
    pub tally: Tally,
    /// What must not have reached the license server, or not like this.
    pub wrong_arrivals: (u64, Vec<String>),
    /// Requests that reached the license server.
    pub arrived: u64,
    /// What died in a VM.
    pub deaths: Vec<String>,
    /// After the warm-up.
    pub first: Memory,
    /// The most after the warm-up.
    pub most: Memory,
    /// At the end.
    pub last: Memory,
    /// What was done to the proxy.
    pub disturbances: Disturbances,
    /// Clients that went away.
    pub aborts: u64,
    /// Requests to the key service.
    pub callouts: usize,
    /// Requests that were under way when no client was left.
    pub left: u64,
}

impl Outcome {
    /// Everything that must not be.
    ///
    /// # Errors
    ///
    /// All of it, in words.
    pub fn check(&self) -> Result<(), String> {
        let mut problems = Vec::new();
        let wrong = self.tally.wrong.load(Ordering::Relaxed);
        if wrong > 0 {
            problems.push(format!("{wrong} wrong: {:#?}", self.tally.stories.lock().unwrap()));
        }
        let (arrivals, stories) = &self.wrong_arrivals;
        if *arrivals > 0 {
            problems.push(format!("{arrivals} reached the license server wrongly: {stories:#?}"));
        }
        // What was sent twice may have arrived twice.
        let allowed = self.tally.allowed.load(Ordering::Relaxed);
        let at_most = allowed + wrong + self.tally.repeated.load(Ordering::Relaxed) + self.aborts;
        if !(allowed..=at_most).contains(&self.arrived) {
            problems.push(format!("{allowed} were allowed, and {} arrived", self.arrived));
        }
        if !self.deaths.is_empty() {
            problems.push(format!("a VM died: {:#?}", self.deaths));
        }
        if self.left > 0 {
            problems.push(format!("{} requests are still under way", self.left));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }
}

/// Runs it. `told` gets a line from time to time.
pub fn run(size: Size, told: impl Fn(&str)) -> Outcome {
    let (server, service) = (LicenseServer::start(), KeyService::of_the_table());
    let world = World::new(Clock::new(), &service, size.keys);
    let mut setup = Setup::new(server.address()).cluster("keys", service.address()).workers(WORKERS);
    setup.dynamic = true;
    setup.drain_seconds = DRAIN_SECONDS;
    setup.environment = world.clock.environment();
    // Lines about denials would fill the disk; those about VMs that die are errors.
    setup.log_level = "warning".to_owned();
    setup.listeners = disturbances::listeners(0);
    let mut envoy = Envoy::start(setup);
    let addresses = Lane::ALL.map(|lane| envoy.address(&lane.name()));
    let traffic = Traffic {
        world,
        kinds: kinds(),
        addresses,
        outages: Outages::default(),
        tally: Tally::default(),
        ended: AtomicBool::new(false),
    };
    let (aborts, mut disturbances) = (AtomicU64::new(0), Disturbances::default());
    let mut memory: Vec<(Duration, Memory)> = Vec::new();
    let begin = Instant::now();
    thread::scope(|scope| {
        let (traffic, service, aborts) = (&traffic, &service, &aborts);
        let end = End(&traffic.ended);
        for client in 0..size.clients {
            scope.spawn(move || traffic.send(client, size.clients, size.rate));
        }
        scope.spawn(move || disturbances::go_away(traffic, service, size.aborts, aborts));
        while begin.elapsed() < size.time {
            disturbances.proceed(begin.elapsed(), &mut envoy, traffic, service);
            let elapsed = begin.elapsed();
            if memory.last().is_none_or(|(last, _)| elapsed - *last >= SAMPLES) {
                let now = memory_of(envoy.pid());
                memory.push((elapsed, now));
                let sent = traffic.tally.sent.load(Ordering::Relaxed);
                let wrong = traffic.tally.wrong.load(Ordering::Relaxed);
                let rate = sent as f64 / elapsed.as_secs_f64();
                told(&format!(
                    "{:.0} s: {sent} sent, {rate:.0} a second, {wrong} wrong, {now:?}",
                    elapsed.as_secs_f64()
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
        disturbances.end(traffic, service);
        drop(end);
    });
    let time = begin.elapsed();
    let last = memory_of(envoy.pid());
    let after_warm_up = || memory.iter().filter(|(at, _)| *at >= size.warm_up).map(|(_, memory)| *memory).chain([last]);
    let most = Memory {
        linear: after_warm_up().map(|memory| memory.linear).max().unwrap_or(0),
        resident: after_warm_up().map(|memory| memory.resident).max().unwrap_or(0),
    };
    // Those of clients that went away end when their key has come.
    let _ = wait::within(Duration::from_secs(10), || envoy.active_requests() == 0);
    Outcome {
        time,
        wrong_arrivals: server.wrong(),
        arrived: server.arrived(),
        deaths: envoy.deaths(),
        first: after_warm_up().next().unwrap_or(last),
        most,
        last,
        disturbances,
        aborts: aborts.into_inner(),
        callouts: service.total(),
        left: envoy.active_requests(),
        tally: traffic.tally,
    }
}

fn memory_of(pid: u32) -> Memory {
    let linear = linear_memories(pid).expect("memory of the VMs").iter().sum();
    Memory { linear, resident: resident(pid).expect("memory of the process") }
}

/// Ends the traffic, also when something failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
