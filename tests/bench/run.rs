//! The run: one Envoy, every case and lane in turn, round after round.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::case::Case;
use crate::cores::{self, Cores, CpuClock};
use crate::empty;
use crate::lane::{Lane, Parts};
use crate::load::Clients;
use crate::support::envoy::{Envoy, Setup};
use crate::support::key_service::KeyService;
use crate::support::server;
use crate::support::signer::{Alg, SigningKey};
use crate::traffic::Traffic;

/// Connections to each listener.
pub const CONNECTIONS: usize = 4;
/// Requests before each turn that are not counted: code and data of the lane get back into the core's caches, repeated
/// tokens into the lane's.
const LEAD_IN: usize = 64;

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Turns of each lane in each case.
    pub turns: usize,
    /// Requests of a turn.
    pub requests: usize,
}

impl Size {
    const FULL: Size = Size { turns: 20, requests: 2000 };

    /// The full size, or what `BENCH_TURNS` and `BENCH_REQUESTS` say.
    pub fn from_environment() -> Result<Size, String> {
        let number = |name: &str, default| match env::var(name) {
            Err(_) => Ok(default),
            Ok(text) => match text.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(format!("{name} is {text:?}, but must be a number above 0")),
            },
        };
        Ok(Size {
            turns: number("BENCH_TURNS", Size::FULL.turns)?,
            requests: number("BENCH_REQUESTS", Size::FULL.requests)?,
        })
    }

    /// Whether it is long enough for its figures to be shown.
    pub fn is_full(self) -> bool {
        self.turns >= Size::FULL.turns && self.requests >= Size::FULL.requests
    }
}

/// What was measured in a turn.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// CPU time of the Envoy process per request in microseconds.
    pub cpu: f64,
    /// Latency in microseconds that half of the requests kept.
    pub p50: f64,
    /// Latency in microseconds that 99 of 100 requests kept.
    pub p99: f64,
}

/// All turns of a case.
pub struct CaseTurns {
    /// The case.
    pub case: Case,
    turns: HashMap<Lane, Vec<Turn>>,
}

impl CaseTurns {
    /// The turns of a lane, one for each round, or none if the case does not go there.
    pub fn of(&self, lane: Lane) -> &[Turn] {
        self.turns.get(&lane).map_or(&[], Vec::as_slice)
    }
}

/// Runs it all. The first round warms up and is not counted.
///
/// # Errors
///
/// If a request is not answered as the case says, or if the filter asked for a key more than once.
pub fn run(size: Size) -> Result<Vec<CaseTurns>, String> {
    let cores = Cores::pick()?;
    cores::pin(cores.load)?;
    let cases = Case::all();
    let algorithms = [Alg::RS256, Alg::ES256, Alg::EdDSA, Alg::HS256];
    let mut traffic = Traffic::new(&algorithms);
    let keys = KeyService::start();
    traffic.keys().iter().for_each(|key| keys.register(key));
    let proxy = Proxy::start(cores, &keys, traffic.keys())?;
    let mut clients = proxy.clients()?;

    let mut outcome: Vec<CaseTurns> =
        cases.iter().map(|case| CaseTurns { case: *case, turns: HashMap::new() }).collect();
    for round in 0..=size.turns {
        eprint!("\rround {round} of {}", size.turns);
        for (case, turns) in cases.iter().zip(&mut outcome) {
            let requests = traffic.requests(*case, LEAD_IN + size.requests);
            let mut lanes = case.lanes().to_vec();
            lanes.rotate_left(round % case.lanes().len());
            for lane in lanes {
                let clients = clients.get_mut(&lane).expect("every lane has its clients");
                let turn = proxy.turn(clients, &requests, *case, lane)?;
                if round > 0 {
                    turns.turns.entry(lane).or_default().push(turn);
                }
            }
        }
    }
    eprintln!();
    proxy.envoy.assert_healthy();
    for key in traffic.keys() {
        let count = keys.count_for(key.kid());
        if count != 1 {
            return Err(format!("{} was fetched {count} times: the keys were not held", key.kid()));
        }
    }
    Ok(outcome)
}

struct Proxy {
    envoy: Envoy,
    clock: CpuClock,
}

impl Proxy {
    /// Starts Envoy on its own core.
    fn start(cores: Cores, keys: &KeyService, signing_keys: &[SigningKey]) -> Result<Proxy, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let file = |name: &str, module: Vec<u8>| {
            let path = directory.path().join(name);
            fs::write(&path, module).map(|()| path).map_err(|error| error.to_string())
        };
        let empty = file("empty.wasm", empty::passing())?;
        let empty_reply = file("empty-reply.wasm", empty::answering())?;
        let module = module()?;
        let jwks = json!({"keys": signing_keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()});
        let parts = Parts { module: Path::new(&module), empty: &empty, empty_reply: &empty_reply, jwks: &jwks };
        let mut setup = Setup::new(server::nobody()).cluster("keys", keys.address());
        setup.raw_listeners = Lane::ALL.iter().map(|lane| lane.listener(&parts)).collect();

        cores::pin(cores.envoy)?;
        let started = Envoy::try_start(setup);
        cores::pin(cores.load)?;
        let envoy = started.map_err(|refusal| format!("Envoy ended with {}:\n{}", refusal.status, refusal.log))?;
        Ok(Proxy { clock: CpuClock::of(envoy.pid()), envoy })
    }

    fn clients(&self) -> Result<HashMap<Lane, Clients>, String> {
        let connect = |lane: Lane| {
            let clients = Clients::connect(self.envoy.address(lane.name()), CONNECTIONS);
            clients.map(|clients| (lane, clients)).map_err(|error| format!("{}: {error}", lane.name()))
        };
        Lane::ALL.into_iter().map(connect).collect()
    }

    fn turn(&self, clients: &mut Clients, requests: &[Vec<u8>], case: Case, lane: Lane) -> Result<Turn, String> {
        let at = |problem: String| format!("{}, {}: {problem}", case.name(), lane.name());
        let (lead_in, counted) = requests.split_at(LEAD_IN);
        clients.send(lead_in, case.expected(lane)).map_err(at)?;
        let before = self.cpu();
        let mut latencies = clients.send(counted, case.expected(lane)).map_err(at)?;
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

/// The path of the module under test.
pub fn module() -> Result<String, String> {
    env::var("MDRM_WASM").map_err(|_| "MDRM_WASM is not set. Run the benchmark with `make bench`.".into())
}
