//! What it costs to tell the access log about a request.

use serde_json::{Value, json};

use super::{Files, module};
use crate::case::{Case, Expected};
use crate::lane::{self, Lane, wasm};
use crate::machine::Machine;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::run::{self, Bench, CaseTurns};
use crate::support::key_service::KeyService;
use crate::support::markdown::table;
use crate::support::signer::{Alg, Document, SigningKey};
use crate::traffic::{first_seen, license, repeated};

const OFF: Lane = Lane("access_log off");
const DENIED: Lane = Lane("access_log denied");
const ALL: Lane = Lane("access_log all");
const ABOUT: &str = "The same filter, with the three values of access_log. All count metrics. Nothing prints what they tell: to format and \
                     write a line is Envoy's own work.";

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let key = SigningKey::generate("bench-es256", Alg::ES256);
    let service = KeyService::start();
    service.register(&key);
    let lane =
        |lane: Lane, access_log: &str| Ok::<_, String>((lane, vec![wasm(access_log, &module()?, &plugin(access_log))]));
    let lanes = [(Lane::NONE, vec![]), lane(OFF, "off")?, lane(DENIED, "denied")?, lane(ALL, "all")?];
    let mut proxies = [Proxy::start(bench.cores, service.address(), &lanes)?];
    let lanes = lanes.map(|(lane, _)| lane);
    let refusing = [OFF, DENIED, ALL];
    let refused = Case::repeating("no token", &lanes, vec![license(None)]);
    let refused = refusing.into_iter().fold(refused, |case, lane| case.expecting(lane, Expected::refused("MDRM-501")));
    let mut cases = [
        Case::repeating("ES256, repeated", &lanes, repeated(&key)),
        Case::new("ES256, first seen", &lanes, first_seen(key.clone())),
        refused,
    ];
    let outcome = run::run(bench.size, &mut proxies, &mut cases)?;
    let report = Report {
        title: "Cost of the access log's facts in Envoy",
        about: ABOUT,
        outcome: &outcome,
        sections: vec![("CPU beside access_log off", beside(&outcome))],
        findings: vec![],
    };
    Ok(vec![("observability.md".into(), report.markdown(machine))])
}

fn plugin(access_log: &str) -> Value {
    lane::plugin().with("access_log", json!(access_log))
}

fn beside(outcome: &[CaseTurns]) -> String {
    let row = |turns: &CaseTurns, lane: Lane| {
        vec![turns.case.clone(), lane.0.into(), turns.over(lane, OFF).text(1), turns.ratio(lane, OFF).text(2)]
    };
    let rows: Vec<_> = outcome.iter().flat_map(|turns| [DENIED, ALL].map(|lane| row(turns, lane))).collect();
    table(&["case", "filter", "µs more", "×"], &rows)
}
