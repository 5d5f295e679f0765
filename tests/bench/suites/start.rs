//! What a start takes: CPU time for the first VM, which compiles the module, and for each more, and the memory of a VM that
//! has not served anything.

use super::{Files, module};
use crate::cores::{self, CpuClock};
use crate::lane::{self, Lane, wasm};
use crate::limits::Finding;
use crate::machine::Machine;
use crate::report::limits;
use crate::run::Bench;
use crate::statistics::{Figure, estimate, lower_quartile};
use crate::support::envoy::{Envoy, Setup};
use crate::support::markdown::table;
use crate::support::memory::linear_memories;
use crate::support::server;

/// Workers of the larger Envoy.
const WORKERS: u32 = 5;
const MIB: f64 = (1 << 20) as f64;
const ABOUT: &str = "Envoy is started without the filter and with it, with one worker and with more, in turn, on one core. CPU is that of the \
                     process until it is ready: the lower quartile of the starts. The first worker's VM is counted with the compilation, and with \
                     the VM on the main thread that Envoy tries a configuration in.";

/// An Envoy that is started over and over.
#[derive(Clone, Copy)]
struct Start {
    lane: Lane,
    workers: u32,
}

const STARTS: [Start; 4] = [
    Start { lane: Lane::NONE, workers: 1 },
    Start { lane: Lane::FILTER, workers: 1 },
    Start { lane: Lane::NONE, workers: WORKERS },
    Start { lane: Lane::FILTER, workers: WORKERS },
];

/// One of each, in milliseconds of CPU.
type Round = [f64; STARTS.len()];

impl Start {
    /// Starts it, and gives milliseconds of CPU, and bytes of the largest linear memory.
    fn measure(self, bench: Bench) -> Result<(f64, Option<u64>), String> {
        let filters = match self.lane {
            Lane::FILTER => vec![wasm("mdrm", &module()?, &lane::plugin())],
            _ => vec![],
        };
        let mut setup = Setup::new(server::nobody()).cluster("keys", server::nobody()).workers(self.workers);
        setup.raw_listeners = vec![self.lane.listener(&filters)];
        cores::pin(bench.cores.envoy)?;
        let started = Envoy::try_start(setup);
        cores::pin(bench.cores.load)?;
        let envoy = started.map_err(|refusal| format!("Envoy ended with {}:\n{}", refusal.status, refusal.log))?;
        let cpu = CpuClock::of(envoy.pid()).read().as_secs_f64() * 1e3;
        let memory = if filters.is_empty() { None } else { Some(linear_memories(envoy.pid())?[0]) };
        Ok((cpu, memory))
    }
}

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let mut rounds: Vec<Round> = Vec::new();
    let mut memory = 0;
    for round in 0..bench.size.turns {
        eprint!("\rstart {} of {}", round + 1, bench.size.turns);
        let mut cpu = Round::default();
        for (cpu, start) in cpu.iter_mut().zip(STARTS) {
            let (taken, used) = start.measure(bench)?;
            *cpu = taken;
            memory = memory.max(used.unwrap_or(0));
        }
        rounds.push(cpu);
    }
    eprintln!();

    let of = |drawn: &[usize], start: usize| lower_quartile(drawn.iter().map(|round| rounds[*round][start]).collect());
    let first = estimate(rounds.len(), |drawn| of(drawn, 1) - of(drawn, 0));
    let more = estimate(rounds.len(), |drawn| {
        let with_filter = of(drawn, 3) - of(drawn, 1);
        (with_filter - (of(drawn, 2) - of(drawn, 0))) / f64::from(WORKERS - 1)
    });
    let rows: Vec<Vec<String>> = STARTS
        .iter()
        .enumerate()
        .map(|(at, start)| {
            let cpu = estimate(rounds.len(), |drawn| of(drawn, at));
            vec![start.lane.0.into(), start.workers.to_string(), cpu.text(1)]
        })
        .collect();
    let finding = |case: &str, measure: &str, figure, digits, limit| Finding {
        case: case.into(),
        measure: measure.into(),
        figure,
        digits,
        limit,
        goal: None,
    };
    let findings = [
        finding("first VM, with compilation and configuration", "ms of CPU", first, 0, 800.0),
        finding("each more worker's VM", "ms of CPU", more, 1, 10.0),
        finding("before the first request", "MiB of a VM's linear memory", Figure::exact(memory as f64 / MIB), 2, 4.0),
    ];
    let text = format!(
        "# Start of the filter in Envoy\n\n- {date}, {cpu}, {kernel}\n- Envoy {envoy}, on one core\n- module: {module} kB\n- {turns} starts of \
         each\n\n## CPU of the process until it is ready, in ms\n\n{ABOUT}\n\n{costs}\n## Limits\n\nA limit is kept if the whole spread keeps \
         it.\n\n{limits}",
        date = machine.date,
        cpu = machine.cpu,
        kernel = machine.kernel,
        envoy = machine.envoy,
        module = machine.module.div_ceil(1000),
        turns = rounds.len(),
        costs = table(&["filter", "workers", "CPU"], &rows),
        limits = limits(&findings),
    );
    Ok(vec![("start.md".into(), text)])
}
