//! The run: every case and lane in turn, round after round.

use std::collections::HashMap;
use std::env;

use crate::case::Case;
use crate::cores::Cores;
use crate::lane::Lane;
use crate::proxy::Proxy;

/// Requests before each turn that are not counted: code and data of the lane get back into the core's caches, repeated
/// tokens into the lane's.
pub const LEAD_IN: usize = 64;

/// What every suite is given.
#[derive(Clone, Copy)]
pub struct Bench {
    /// How long to run.
    pub size: Size,
    /// Where to run.
    pub cores: Cores,
}

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
    /// The case's name.
    pub case: String,
    /// The lanes that it went to.
    pub lanes: Vec<Lane>,
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
/// If a request is not answered as the case says.
pub fn run(size: Size, proxies: &mut [Proxy], cases: &mut [Case]) -> Result<Vec<CaseTurns>, String> {
    let empty = |case: &Case| CaseTurns {
        case: case.name.clone(),
        lanes: case.lanes.iter().map(|(lane, _)| *lane).collect(),
        turns: HashMap::new(),
    };
    let mut outcome: Vec<CaseTurns> = cases.iter().map(empty).collect();
    for round in 0..=size.turns {
        eprint!("\rround {round} of {}", size.turns);
        for (case, turns) in cases.iter_mut().zip(&mut outcome) {
            let requests = case.requests(LEAD_IN + size.requests.div_ceil(case.fewer));
            let mut lanes = case.lanes.clone();
            lanes.rotate_left(round % case.lanes.len());
            for (lane, expected) in lanes {
                let proxy = proxies.iter_mut().find(|proxy| proxy.has(lane)).expect("every lane has its proxy");
                let turn = proxy.turn(&requests, lane, expected);
                let turn = turn.map_err(|problem| format!("{}, {problem}", case.name))?;
                if round > 0 {
                    turns.turns.entry(lane).or_default().push(turn);
                }
            }
        }
    }
    eprintln!();
    proxies.iter().for_each(|proxy| proxy.envoy.assert_healthy());
    Ok(outcome)
}
