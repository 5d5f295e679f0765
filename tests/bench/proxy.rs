//! An Envoy under load, and the clock of its process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::case::{Expected, Request};
use crate::cores::{self, Cores, CpuClock};
use crate::lane::Lane;
use crate::load::Clients;
use crate::run::{LEAD_IN, Turn};
use crate::support::envoy::{Envoy, Setup};
use crate::support::server;

/// Connections to each listener.
pub const CONNECTIONS: usize = 4;

/// A running Envoy with clients of each of its lanes.
pub struct Proxy {
    /// The process.
    pub envoy: Envoy,
    clock: CpuClock,
    clients: HashMap<Lane, Clients>,
}

impl Proxy {
    /// Starts Envoy on its own core, with these filters in each lane and a cluster `keys`.
    pub fn start(cores: Cores, keys: SocketAddr, lanes: &[(Lane, Vec<Value>)]) -> Result<Proxy, String> {
        let mut setup = Setup::new(server::nobody()).cluster("keys", keys);
        setup.raw_listeners = lanes.iter().map(|(lane, filters)| lane.listener(filters)).collect();
        cores::pin(cores.envoy)?;
        let started = Envoy::try_start(setup);
        cores::pin(cores.load)?;
        let envoy = started.map_err(|refusal| format!("Envoy ended with {}:\n{}", refusal.status, refusal.log))?;
        let connect = |lane: Lane| {
            let clients = Clients::connect(envoy.address(lane.0), CONNECTIONS);
            clients.map(|clients| (lane, clients)).map_err(|error| format!("{}: {error}", lane.0))
        };
        let clients = lanes.iter().map(|(lane, _)| connect(*lane)).collect::<Result<_, _>>()?;
        Ok(Proxy { clock: CpuClock::of(envoy.pid()), envoy, clients })
    }

    /// Whether this one has the lane.
    pub fn has(&self, lane: Lane) -> bool {
        self.clients.contains_key(&lane)
    }

    /// Sends all requests to a lane and gives the time that each took.
    pub fn send(&mut self, requests: &[Request], lane: Lane, expected: Expected) -> Result<Vec<Duration>, String> {
        let clients = self.clients.get_mut(&lane).ok_or_else(|| format!("no lane {}", lane.0))?;
        clients.send(requests, expected).map_err(|problem| format!("{}: {problem}", lane.0))
    }

    /// A turn of a lane: the first [`LEAD_IN`] requests are not counted.
    pub fn turn(&mut self, requests: &[Request], lane: Lane, expected: Expected) -> Result<Turn, String> {
        let (lead_in, counted) = requests.split_at(LEAD_IN);
        self.send(lead_in, lane, expected)?;
        let before = self.cpu();
        let mut latencies = self.send(counted, lane, expected)?;
        let cpu = self.cpu().saturating_sub(before);
        latencies.sort_unstable();
        let rank = |share: f64| {
            // Casts: a turn has thousands of requests, not more than an f64 can count.
            let rank = (latencies.len() as f64 * share) as usize;
            latencies[rank.min(latencies.len() - 1)].as_secs_f64() * 1e6
        };
        Ok(Turn { cpu: cpu.as_secs_f64() * 1e6 / counted.len() as f64, p50: rank(0.5), p99: rank(0.99) })
    }

    /// Envoy's CPU time, once it has done what is left to do after its last answer.
    fn cpu(&self) -> Duration {
        thread::sleep(Duration::from_millis(2));
        self.clock.read()
    }
}
