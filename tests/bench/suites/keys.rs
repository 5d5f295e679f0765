//! What many keys cost: CPU per request and the memory of the VM. An Envoy for each number of keys.

#[allow(dead_code, reason = "the simulation of a fleet uses the rest")]
#[path = "../fleet/traffic.rs"]
mod popularity;

use std::thread;

use serde_json::json;

use super::{Files, module};
use crate::case::{Case, Expected, Request};
use crate::lane::{self, Lane, wasm};
use crate::limits::Finding;
use crate::machine::Machine;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::run::{self, Bench, CaseTurns};
use crate::statistics::{Figure, estimate};
use crate::support::key_service::{Answer, KeyService};
use crate::support::markdown::table;
use crate::support::memory::{linear_memories, resident};
use crate::support::signer::{Alg, Document, SigningKey};
use crate::traffic::{license, now, token};
use popularity::{Random, Zipf};

const MIB: f64 = (1 << 20) as f64;
const ABOUT: &str = "Every token is new, ES256, of a key drawn at random: all keys alike, or by Zipf's law (s = 1) where there are more \
                     keys than entries. The most popular ones are held when the run begins.";

/// Keys in use, and entries that a worker has for them.
#[derive(Clone, Copy)]
struct Population {
    lane: Lane,
    keys: usize,
    entries: usize,
}

impl Population {
    fn new(keys: usize, entries: usize) -> Population {
        let name = if keys > entries { format!("{keys} keys, {entries} entries") } else { format!("{keys} keys") };
        Population { lane: Lane(name.leak()), keys, entries }
    }

    /// The full ones, or smaller ones for a short run: a filter asks for no more than 100 new keys a second.
    fn all(is_full: bool) -> [Population; 4] {
        let part = |keys: usize| if is_full { keys } else { keys / 20 };
        let many = part(10_000);
        [
            Population::new(10, many),
            Population::new(part(1_000), many),
            Population::new(many, many),
            Population::new(part(100_000), many),
        ]
    }

    /// An Envoy that holds as many of the keys as it may.
    fn start(self, bench: Bench, key: &SigningKey) -> Result<Running, String> {
        let service = KeyService::start();
        let document = key.jwk();
        for number in 0..self.keys {
            service.set_for(&kid(number), Answer::document(&document.clone().with("kid", json!(kid(number)))));
        }
        let mut plugin = lane::plugin();
        plugin["keys"]["max_entries"] = json!(self.entries);
        let lanes = [(self.lane, vec![wasm("mdrm", &module()?, &plugin)])];
        let mut proxy = Proxy::start(bench.cores, service.address(), &lanes)?;
        // The most popular last: they are the last to go.
        let held: Vec<Request> = (0..self.keys.min(self.entries)).rev().map(|number| of(key, number)).collect();
        proxy.send(&held, self.lane, Expected::PASSED)?;
        Ok(Running { proxy, fetched: service.total(), service })
    }

    fn case(self, key: &SigningKey) -> Case {
        let key = key.clone();
        let mut random = Random::new(self.keys as u64);
        let zipf = (self.keys > self.entries).then(|| Zipf::new(self.keys));
        let mut draw = move || match &zipf {
            Some(zipf) => zipf.draw(&mut random),
            None => random.below(self.keys),
        };
        let requests = move |count| (0..count).map(|_| of(&key, draw())).collect();
        Case::new(self.lane.0, &[self.lane], requests).fewer(self.fewer())
    }

    /// How many times fewer requests a turn has: those for keys that are not held wait.
    fn fewer(self) -> usize {
        if self.keys > self.entries { 4 } else { 1 }
    }
}

/// An Envoy, its own key service, and how many keys it had fetched before the run began.
struct Running {
    proxy: Proxy,
    service: KeyService,
    fetched: usize,
}

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let populations = Population::all(bench.size.is_full());
    let key = SigningKey::generate("any", Alg::ES256);
    eprintln!("fetching keys, at most 100 a second");
    let running: Vec<Running> = thread::scope(|scope| {
        let starts = populations.map(|population| {
            let key = &key;
            scope.spawn(move || population.start(bench, key))
        });
        starts.into_iter().map(|start| start.join().expect("a start does not panic")).collect::<Result<_, _>>()
    })?;
    let (mut proxies, services): (Vec<_>, Vec<_>) =
        running.into_iter().map(|running| (running.proxy, (running.service, running.fetched))).unzip();
    let mut cases = populations.map(|population| population.case(&key));
    let outcome = run::run(bench.size, &mut proxies, &mut cases)?;

    let mut holdings = Vec::new();
    for ((population, proxy), (service, fetched)) in populations.iter().zip(&proxies).zip(&services) {
        let pid = proxy.envoy.pid();
        let fetches = service.total() - fetched;
        if population.keys <= population.entries && fetches > 0 {
            return Err(format!("{} were held, but {fetches} were fetched again", population.lane.0));
        }
        holdings.push(Holding {
            population: *population,
            linear: linear_memories(pid)?[0],
            resident: resident(pid)?,
            fetches,
        });
    }
    let report = Report {
        title: "Many keys in Envoy",
        about: ABOUT,
        outcome: &outcome,
        sections: vec![("Memory", memory(&holdings)), ("Misses", misses(bench, &holdings))],
        findings: findings(&populations, &outcome, &holdings),
    };
    Ok(vec![("envoy-keys.md".into(), report.markdown(machine))])
}

/// What an Envoy had at the end.
struct Holding {
    population: Population,
    /// Bytes of the worker's VM.
    linear: u64,
    /// Bytes of the process.
    resident: u64,
    /// Requests to the key service during the run.
    fetches: usize,
}

fn memory(holdings: &[Holding]) -> String {
    let first = holdings[0].resident as f64;
    let row = |holding: &Holding| {
        let resident = holding.resident as f64;
        vec![
            holding.population.lane.0.to_owned(),
            format!("{:.2}", holding.linear as f64 / MIB),
            format!("{:.1}", resident / MIB),
            format!("{:.1}", (resident - first) / MIB),
        ]
    };
    let rows: Vec<_> = holdings.iter().map(row).collect();
    let names = ["keys", "linear memory of the VM, MiB", "resident, MiB", "over the first"];
    format!(
        "At the end of the run. Linear memory is that of the worker's VM, as the process's map of its memory shows it; it holds \
         everything of the filter, the tokens seen last included (up to 4 096), and never gets smaller. Resident is the whole Envoy: its own \
         heap, two VMs with their code, and shared data.\n\n{}",
        table(&names, &rows)
    )
}

fn misses(bench: Bench, holdings: &[Holding]) -> String {
    let row = |holding: &Holding| {
        let Holding { population, fetches, .. } = holding;
        // The round that warms up is among them.
        let requests = (bench.size.turns + 1) * (run::LEAD_IN + bench.size.requests.div_ceil(population.fewer()));
        vec![
            population.lane.0.to_owned(),
            fetches.to_string(),
            format!("{:.1} %", *fetches as f64 / requests as f64 * 100.0),
        ]
    };
    table(&["keys", "fetched", "of requests"], &holdings.iter().map(row).collect::<Vec<_>>())
}

fn findings(populations: &[Population; 4], outcome: &[CaseTurns], holdings: &[Holding]) -> Vec<Finding> {
    let [few, _, many, _] = populations;
    let cpu = |at: usize, population: &Population, rounds: &[usize]| outcome[at].cpu_in(rounds, population.lane);
    let rounds = outcome[0].of(few.lane).len();
    let finding = |measure: String, figure, limit| Finding {
        case: many.lane.0.into(),
        measure,
        figure,
        digits: 2,
        limit,
        goal: None,
    };
    let growth = estimate(rounds, |rounds| cpu(2, many, rounds) - cpu(0, few, rounds));
    let linear = Figure::exact(holdings[2].linear as f64 / MIB);
    vec![finding(format!("µs over {}", few.lane.0), growth, 3.0), finding("MiB of linear memory".into(), linear, 16.0)]
}

fn kid(number: usize) -> String {
    format!("5f0c6a1e-7d1b-4c58-9a53-{number:012}")
}

/// A request with a new token of the key with this number.
fn of(key: &SigningKey, number: usize) -> Request {
    license(Some(&token(&key.under_kid(&kid(number))).compact(now())))
}
