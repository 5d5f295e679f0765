//! The filter beside no filter, an empty wasm filter and Envoy's own `jwt_authn`.

use serde_json::json;

use super::{Files, chart, empty, module};
use crate::case::{Case, Expected, Request};
use crate::lane::{self, Lane, jwt_authn, wasm};
use crate::limits::{Finding, Limit, Measure};
use crate::machine::Machine;
use crate::proxy::Proxy;
use crate::report::{Report, ratios};
use crate::run::{self, Bench};
use crate::statistics::Figure;
use crate::support::key_service::KeyService;
use crate::support::signer::{Alg, SigningKey};
use crate::traffic::{first_seen, license, now, repeated, token};

/// A wasm filter that lets every request pass.
pub const EMPTY: Lane = Lane("empty wasm filter");
/// A wasm filter that does to every request what any filter does that may not let a token through: it has the headers handed
/// over and `authorization` removed. At the headers it does not look.
pub const STRIPPING: Lane = Lane("empty wasm filter that strips");
/// A wasm filter that answers every request with a refusal of the same size as ours.
pub const EMPTY_REPLY: Lane = Lane("empty wasm filter that refuses");
/// Envoy's own filter with its token cache.
pub const JWT_AUTHN_CACHED: Lane = Lane("jwt_authn, token cache");

const ALGORITHMS: [Alg; 4] = [Alg::RS256, Alg::ES256, Alg::EdDSA, Alg::HS256];
const ABOUT: &str = "No request has a body. Repeated are 16 tokens in turn. The empty wasm filter that strips has the headers handed over and `authorization` removed, and does nothing else: the floor for any wasm filter that keeps tokens from the upstream. A denial of the empty wasm filter has the size of ours.";

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let keys = ALGORITHMS.map(|alg| SigningKey::generate(&format!("bench-{}", alg.name().to_lowercase()), alg));
    let service = KeyService::start();
    keys.iter().for_each(|key| service.register(key));
    let mut proxies = [start(bench, &service, &keys)?];
    let outcome = run::run(bench.size, &mut proxies, &mut cases(&keys))?;
    if let Some(key) = keys.iter().find(|key| service.count_for(key.kid()) != 1) {
        let count = service.count_for(key.kid());
        return Err(format!("{} was fetched {count} times: the keys were not held", key.kid()));
    }
    let about = "In brackets the middle 80 % of what the ratio is for rounds drawn at random from those measured.";
    let others = [EMPTY, STRIPPING, EMPTY_REPLY, Lane::JWT_AUTHN, JWT_AUTHN_CACHED];
    let module = Finding {
        case: "module".into(),
        measure: "kB".into(),
        figure: Figure::exact(machine.module.div_ceil(1000) as f64),
        digits: 0,
        limit: 900.0,
        goal: Some(600.0),
    };
    let limits = limits().into_iter().map(|limit| limit.finding(&outcome));
    let report = Report {
        title: "Cost of the filter in Envoy",
        about: ABOUT,
        outcome: &outcome,
        sections: vec![(
            "Added CPU of mdrm-authz as a multiple of others'",
            format!("{about}\n\n{}", ratios(&outcome, Lane::FILTER, &others)),
        )],
        findings: limits.chain([module]).collect(),
    };
    Ok(vec![("envoy.md".into(), report.markdown(machine)), ("envoy.svg".into(), chart::svg(&outcome, machine))])
}

fn start(bench: Bench, service: &KeyService, keys: &[SigningKey]) -> Result<Proxy, String> {
    let modules = empty::Modules::new()?;
    let jwks = json!({"keys": keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()});
    let lanes = [
        (Lane::NONE, vec![]),
        (EMPTY, vec![modules.filter("empty", &empty::passing())?]),
        (STRIPPING, vec![modules.filter("stripping", &empty::stripping())?]),
        (EMPTY_REPLY, vec![modules.filter("empty-reply", &empty::answering())?]),
        (Lane::JWT_AUTHN, vec![jwt_authn(&jwks, None)]),
        // More than the tokens that are repeated; what else comes between their turns pushes them out, and the lead-in
        // brings them back.
        (JWT_AUTHN_CACHED, vec![jwt_authn(&jwks, Some(1000))]),
        (Lane::FILTER, vec![wasm("mdrm", &module()?, &lane::plugin())]),
    ];
    Proxy::start(bench.cores, service.address(), &lanes)
}

fn cases(keys: &[SigningKey]) -> Vec<Case> {
    let passing = [Lane::NONE, EMPTY, Lane::JWT_AUTHN, JWT_AUTHN_CACHED, Lane::FILTER];
    let returning = [Lane::NONE, EMPTY, STRIPPING, Lane::JWT_AUTHN, JWT_AUTHN_CACHED, Lane::FILTER];
    // Nothing that was refused is in a token cache.
    let refusing = [Lane::NONE, EMPTY_REPLY, Lane::JWT_AUTHN, Lane::FILTER];
    let valid = keys.iter().map(|key| Case::new(name(key.alg(), FIRST_SEEN), &passing, first_seen(key.clone())));
    let again = keys.iter().map(|key| Case::repeating(name(key.alg(), REPEATED), &returning, repeated(key)));
    let key = keys.iter().find(|key| key.alg() == Alg::ES256).expect("one of the algorithms");
    let (forging, ageing) = (key.clone(), key.clone());
    let wrong = move || {
        token(&forging).with_signature(now(), |right| {
            let mut wrong = right.to_vec();
            wrong[right.len() / 4] ^= 1;
            wrong
        })
    };
    let old = move || token(&ageing).aged(7200).claim_from_now("exp", -3600).compact(now());
    let refused = [
        (Case::repeating(NO_TOKEN, &refusing, vec![license(None)]), "MDRM-501"),
        (Case::new("ES256, wrong signature", &refusing, each(wrong)), "MDRM-505"),
        (Case::new("ES256, expired", &refusing, each(old)), "MDRM-508"),
    ];
    let refused = refused.map(|(case, code)| {
        case.expecting(EMPTY_REPLY, Expected::refused("MDRM-501"))
            .expecting(Lane::JWT_AUTHN, Expected::refused(""))
            .expecting(Lane::FILTER, Expected::refused(code))
    });
    valid.chain(again).chain(refused).collect()
}

fn each(token: impl Fn() -> String) -> impl FnMut(usize) -> Vec<Request> {
    move |count| (0..count).map(|_| license(Some(&token()))).collect()
}

const FIRST_SEEN: &str = "first seen";
const REPEATED: &str = "repeated";
const NO_TOKEN: &str = "no token";

fn name(alg: Alg, kind: &str) -> String {
    format!("{}, {kind}", alg.name())
}

fn limits() -> Vec<Limit> {
    let limit = |case: String, measure, limit, goal| Limit { case, lane: Lane::FILTER, measure, limit, goal };
    let first_seen = |alg, most, goal| limit(name(alg, FIRST_SEEN), Measure::Times(Lane::JWT_AUTHN), most, goal);
    let mut limits = vec![
        first_seen(Alg::RS256, 1.1, Some(0.9)),
        first_seen(Alg::ES256, 1.1, Some(0.9)),
        first_seen(Alg::EdDSA, 2.0, None),
    ];
    for alg in ALGORITHMS {
        limits.push(limit(name(alg, REPEATED), Measure::Times(EMPTY), 2.2, Some(1.6)));
        limits.push(limit(name(alg, REPEATED), Measure::Times(Lane::JWT_AUTHN), 0.25, None));
    }
    // Say how much of a limit is left for what the filter does itself.
    for (alg, other, limit) in [(Alg::ES256, EMPTY, 2.2), (Alg::HS256, Lane::JWT_AUTHN, 0.25)] {
        let (case, measure) = (name(alg, REPEATED), Measure::Times(other));
        limits.push(Limit { case, lane: STRIPPING, measure, limit, goal: None });
    }
    limits.push(limit(NO_TOKEN.into(), Measure::Over(EMPTY_REPLY), 10.0, None));
    limits
}
