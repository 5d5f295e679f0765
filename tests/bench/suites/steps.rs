//! Where the time of a request goes: what each of a row of filters and requests costs over the one before it.

use super::filters::{EMPTY, EMPTY_REPLY, STRIPPING};
use super::{Files, empty, module};
use crate::case::{Case, Expected};
use crate::lane::{self, Lane, wasm};
use crate::machine::Machine;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::run::{self, Bench, CaseTurns};
use crate::statistics::{Figure, estimate};
use crate::support::key_service::KeyService;
use crate::support::markdown::table;
use crate::support::signer::{Alg, SigningKey};
use crate::traffic::{first_seen, license, now, open, repeated, token};

/// A wasm filter that has the headers handed over.
const READING: Lane = Lane("wasm filter that reads the headers");

/// Wasm filters that have Envoy verify a signature, by a foreign function.
const VERIFYING_ES256: Lane = Lane("wasm filter that has ES256 verified");
const VERIFYING_RS256: Lane = Lane("wasm filter that has RS256 verified");

const ABOUT: &str = "No request has a body; all but the last kind carry a token (ES256), also on the open route, where nobody looks at it. The filters that have a signature verified do nothing else, and hold the signatures themselves.";

/// Places of the cases.
const OPEN: usize = 0;
const REPEATED: usize = 1;
const FIRST_SEEN: usize = 2;
const NO_TOKEN: usize = 3;

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let key = SigningKey::generate("bench-es256", Alg::ES256);
    let service = KeyService::start();
    service.register(&key);
    let mut proxies = [start(bench, &service, &key)?];
    let outcome = run::run(bench.size, &mut proxies, &mut cases(&key))?;
    let report = Report {
        title: "Where the time goes",
        about: ABOUT,
        outcome: &outcome,
        sections: vec![("Steps", steps(&outcome))],
        findings: Vec::new(),
    };
    Ok(vec![("steps.md".into(), report.markdown(machine))])
}

fn start(bench: Bench, service: &KeyService, key: &SigningKey) -> Result<Proxy, String> {
    let modules = empty::Modules::new()?;
    let rsa = SigningKey::generate("bench-rs256", Alg::RS256);
    let lanes = [
        (Lane::NONE, vec![]),
        (EMPTY, vec![modules.filter("empty", &empty::passing())?]),
        (READING, vec![modules.filter("reading", &empty::reading())?]),
        (STRIPPING, vec![modules.filter("stripping", &empty::stripping())?]),
        (VERIFYING_ES256, vec![modules.filter("verifying-es256", &empty::verifying(key))?]),
        (VERIFYING_RS256, vec![modules.filter("verifying-rs256", &empty::verifying(&rsa))?]),
        (EMPTY_REPLY, vec![modules.filter("empty-reply", &empty::answering())?]),
        (Lane::FILTER, vec![wasm("mdrm", &module()?, &lane::plugin())]),
    ];
    Proxy::start(bench.cores, service.address(), &lanes)
}

fn cases(key: &SigningKey) -> Vec<Case> {
    let some = open(&token(key).compact(now()));
    let looking_away = [Lane::NONE, EMPTY, READING, STRIPPING, VERIFYING_ES256, VERIFYING_RS256, Lane::FILTER];
    let refusing = [Lane::NONE, EMPTY_REPLY, Lane::FILTER];
    let refused = Expected::refused("MDRM-501");
    vec![
        Case::repeating("an open route", &looking_away, vec![some]),
        Case::repeating("a token that was seen before", &[Lane::NONE, Lane::FILTER], repeated(key)),
        Case::new("a new token", &[Lane::NONE, Lane::FILTER], first_seen(key.clone())),
        Case::repeating("no token", &refusing, vec![license(None)])
            .expecting(EMPTY_REPLY, refused)
            .expecting(Lane::FILTER, refused),
    ]
}

fn steps(outcome: &[CaseTurns]) -> String {
    let added = |case: usize, lane: Lane| move |rounds: &[usize]| outcome[case].added_in(rounds, lane);
    let (empty, reading, stripping) = (added(OPEN, EMPTY), added(OPEN, READING), added(OPEN, STRIPPING));
    let (es256, rs256) = (added(OPEN, VERIFYING_ES256), added(OPEN, VERIFYING_RS256));
    let (open, seen) = (added(OPEN, Lane::FILTER), added(REPEATED, Lane::FILTER));
    let (new, none) = (added(FIRST_SEEN, Lane::FILTER), added(NO_TOKEN, Lane::FILTER));
    let replying = added(NO_TOKEN, EMPTY_REPLY);
    let figure = |of: &dyn Fn(&[usize]) -> f64| estimate(outcome[OPEN].of(Lane::NONE).len(), of);
    let steps: [(&str, Figure); 10] = [
        ("Envoy calls a filter in a VM", figure(&empty)),
        ("Envoy hands over the headers", figure(&|rounds| reading(rounds) - empty(rounds))),
        ("Envoy removes one of them", figure(&|rounds| stripping(rounds) - reading(rounds))),
        ("the filter splits them, and finds the route", figure(&|rounds| open(rounds) - reading(rounds))),
        (
            "it finds the token among those seen before and checks it, its key and its times, and has Envoy remove it",
            figure(&|rounds| seen(rounds) - open(rounds)),
        ),
        (
            "or it reads a new token, has Envoy verify it, and remembers it",
            figure(&|rounds| new(rounds) - open(rounds)),
        ),
        ("of which Envoy verifies an ES256 signature", figure(&|rounds| es256(rounds) - empty(rounds))),
        ("(an RS256 signature)", figure(&|rounds| rs256(rounds) - empty(rounds))),
        ("Envoy calls a filter that answers", figure(&replying)),
        (
            "the filter finds no token, tells the access log, and answers: over that and the headers",
            figure(&|rounds| none(rounds) - replying(rounds) - (reading(rounds) - empty(rounds))),
        ),
    ];
    let rows: Vec<Vec<String>> = steps.into_iter().map(|(step, figure)| vec![step.into(), figure.text(1)]).collect();
    format!(
        "Microseconds of CPU of the Envoy process, with their spread as above.\n\n{}",
        table(&["step", "µs"], &rows)
    )
}
