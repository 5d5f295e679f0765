//! What happens to the proxy while requests come.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::clients::Traffic;
use super::connection;
use super::kinds::Lane;
use super::license_server::{MARK, Mark};
use super::tally::count;
use crate::support::client::bytes_of;
use crate::support::envoy::{Envoy, Listener};
use crate::support::key_service::{Answer, Fault, KeyService};
use crate::support::table::Request;
use crate::support::table::keyring::keyring;
use crate::support::token::Token;

/// A configuration is pushed so often.
const PUSHES: Duration = Duration::from_secs(2);
/// A key changes so often.
const CHANGES: Duration = Duration::from_secs(3);
/// After so long all of it begins anew, with the next fault.
const CYCLE: Duration = Duration::from_secs(60);
const HOUR: i64 = 3600;

/// Events of a cycle and their seconds. An outage is followed by the time that it takes to recover.
const EVENTS: [(u64, Event); 6] = [
    (2, Event::Clock(HOUR)),
    (7, Event::Clock(0)),
    (9, Event::Clock(-HOUR)),
    (14, Event::Clock(0)),
    (18, Event::Outage),
    (27, Event::Recovery),
];

/// Between these seconds of a cycle no key changes: most have been told of the last change before the outage, and all have asked
/// again after it.
const QUIET: std::ops::Range<u64> = 12..60;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// The clock is set to so many seconds from the machine's.
    Clock(i64),
    /// The key service goes away.
    Outage,
    /// It is back.
    Recovery,
}

/// A way for the key service to go away.
#[derive(Clone, Copy, Debug)]
enum Outage {
    Service(Fault),
    ClusterRemoved,
}

const OUTAGES: [Outage; 5] = [
    Outage::Service(Fault::Killed),
    Outage::Service(Fault::Hung),
    Outage::Service(Fault::Trickling),
    Outage::Service(Fault::Wrong),
    Outage::ClusterRemoved,
];

/// What was done so far.
#[derive(Debug, Default)]
pub struct Disturbances {
    /// Configurations that were pushed.
    pub pushes: usize,
    /// Changes of keys.
    pub changes: usize,
    /// Times that the key service went away.
    pub outages: usize,
    /// Times that the clock was set.
    pub steps: usize,
    last_change: Duration,
    last_push: Duration,
    events: usize,
    cluster_removed: bool,
}

/// The listeners of the lanes, the pushed one in its `version`th configuration.
pub fn listeners(version: usize) -> Vec<Listener> {
    let listener = |lane: Lane| {
        let plugin = lane.plugin(if lane == Lane::Pushed { version } else { 0 });
        Listener { access_log: false, ..Listener::new(&lane.name(), &plugin) }
    };
    Lane::ALL.map(listener).into()
}

impl Disturbances {
    /// Does what is due after this time.
    pub fn proceed(&mut self, elapsed: Duration, envoy: &mut Envoy, traffic: &Traffic, service: &KeyService) {
        let seconds = elapsed.as_secs();
        let (cycle, second) = (seconds / CYCLE.as_secs(), seconds % CYCLE.as_secs());
        // A cast: cycles of a minute.
        let before = cycle as usize * EVENTS.len();
        let due = before + EVENTS.iter().filter(|(at, _)| *at <= second).count();
        while self.events < due {
            let (_, event) = EVENTS[self.events % EVENTS.len()];
            self.events += 1;
            self.happen(event, envoy, traffic, service);
        }
        if elapsed >= self.last_change + CHANGES && !QUIET.contains(&second) {
            self.last_change = elapsed;
            traffic.world.rotation.step(self.changes, service);
            self.changes += 1;
            service.forget_received();
        }
        if elapsed >= self.last_push + PUSHES {
            self.last_push = elapsed;
            self.pushes += 1;
            assert!(envoy.push(listeners(self.pushes)), "a configuration is taken:\n{}", envoy.log());
        }
    }

    fn happen(&mut self, event: Event, envoy: &mut Envoy, traffic: &Traffic, service: &KeyService) {
        match event {
            Event::Clock(shift) => {
                self.steps += 1;
                traffic.world.clock.set(shift);
            }
            Event::Outage => {
                traffic.outages.begin();
                match OUTAGES[self.outages % OUTAGES.len()] {
                    Outage::Service(fault) => service.set_fault(Some(fault)),
                    Outage::ClusterRemoved => {
                        self.cluster_removed = true;
                        assert!(envoy.push_clusters(Vec::new()), "the cluster is removed");
                    }
                }
                self.outages += 1;
            }
            Event::Recovery => {
                service.set_fault(None);
                if std::mem::take(&mut self.cluster_removed) {
                    assert!(envoy.push_clusters(vec![("keys".to_owned(), service.address())]), "the cluster is back");
                }
                traffic.outages.end();
            }
        }
    }

    /// The key service and the clock are as they were.
    pub fn end(&mut self, traffic: &Traffic, service: &KeyService) {
        service.set_fault(None);
        traffic.outages.end();
        traffic.world.clock.set(0);
    }
}

/// Clients that go away while their key is fetched, so many a second.
pub fn go_away(traffic: &Traffic, service: &KeyService, rate: f64, gone: &AtomicU64) {
    let mut turn = 0;
    while !traffic.ended.load(Ordering::Relaxed) {
        // One name for the clients of a tenth of a second: the first one's callout is under way for all of them.
        let key = keyring().main().under_kid(&format!("slow-{turn}"));
        service.set_for(key.kid(), Answer::document(&key.jwk()).delayed(Duration::from_millis(300)));
        let token = Token::new(&key).compact(traffic.world.clock.now());
        let bytes = bytes_of(&Request::get("/widevine").token(token), &[(MARK, Mark::Authorised.text())]);
        let begin = Instant::now();
        for _ in 0..(rate / 10.0).ceil() as usize {
            if let Ok(mut stream) = connection::open(traffic.addresses[0]) {
                // A listener that closes first is no failure of this client.
                let _ = stream.write_all(&bytes);
                thread::sleep(Duration::from_millis(1));
                count(gone);
            }
        }
        turn += 1;
        thread::sleep(Duration::from_millis(100).saturating_sub(begin.elapsed()));
    }
}
