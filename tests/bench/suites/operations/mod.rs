//! What operators see of an outage and of an attack: the panels of the Grafana dashboard, drawn from a real Prometheus that
//! watched a real Envoy with the reference configuration while both happened.

mod panels;
mod plot;
mod prometheus;
mod recorded;
mod script;

use super::Files;
use crate::cores;
use crate::machine::Machine;
use crate::run::Bench;
use crate::support::reference::{PROXY, Reference};
use crate::support::signer::{Alg, SigningKey};
use prometheus::Prometheus;
use script::{Play, Scene};

/// So that minutes show what takes hours with the defaults.
const KEYS: &str = r#""keys": { "cluster": "key_service", "path": "/keys/{kid}" }"#;
const SHORT: &str =
    r#""keys": { "cluster": "key_service", "path": "/keys/{kid}", "stale_if_error": "25s", "timeout": "0.5s" }"#;
const WORKERS: u32 = 2;

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    cores::pin(bench.cores.envoy)?;
    let rig = Reference::whole().with(KEYS, SHORT).adjusted(|setup| setup.concurrency = WORKERS);
    cores::pin(bench.cores.load)?;
    let prometheus = Prometheus::start(rig.envoy.admin_address())?;
    let keys = (0..20).map(|number| SigningKey::generate(&format!("k-{number}"), Alg::ES256)).collect();
    let scenes = Play::new(&rig.keys, keys, rig.envoy.address(PROXY)).run(if bench.size.is_full() { 1 } else { 6 })?;
    rig.envoy.assert_healthy();
    let (Some(first), Some(last)) = (scenes.first(), scenes.last()) else { return Err("no scenes".into()) };
    let panels = panels::of_the_dashboard()?;
    let drawn = panels.into_iter().map(|panel| panel.fill(&prometheus, first.begin, last.end));
    let drawn = drawn.collect::<Result<Vec<_>, _>>()?;
    Ok(vec![
        ("operations.svg".into(), plot::svg(&drawn, &scenes, machine)),
        ("operations.yml".into(), recorded::file(&prometheus, first.begin, last.end)?),
    ])
}

impl Scene {
    /// The time that a panel shows.
    fn span(scenes: &[Scene]) -> (f64, f64) {
        let begin = scenes.iter().map(|scene| scene.begin).fold(f64::INFINITY, f64::min);
        let end = scenes.iter().map(|scene| scene.end).fold(f64::NEG_INFINITY, f64::max);
        (begin, end)
    }
}
