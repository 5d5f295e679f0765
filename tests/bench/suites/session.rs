//! What it costs to sign a session token for the upstream.

use serde_json::{Value, json};

use super::{Files, module};
use crate::case::Case;
use crate::lane::{self, Lane, wasm};
use crate::limits::{Limit, Measure};
use crate::machine::Machine;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::run::{self, Bench, CaseTurns};
use crate::support::key_service::{Answer, KeyService};
use crate::support::markdown::table;
use crate::support::session::{AUDIENCE, ISSUER};
use crate::support::signer::{Alg, Document, SigningKey};
use crate::traffic::{first_seen, repeated};

const ES256: Lane = Lane("mdrm-authz, ES256 session");
const EDDSA: Lane = Lane("mdrm-authz, EdDSA session");
const REPEATED: &str = "ES256, repeated";
const ABOUT: &str = "Clients' tokens are ES256. A session token is signed and verified for each that is first seen; for one of 16 that \
                     are repeated, it is sent again until half of its life (60 s) is over.";

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let key = SigningKey::generate("bench-es256", Alg::ES256);
    let service = KeyService::start();
    service.register(&key);
    for (kid, alg) in [("s-es256", Alg::ES256), ("s-eddsa", Alg::EdDSA)] {
        let document = SigningKey::generate(kid, alg).private_jwk();
        service.set(&format!("/session-keys/{kid}"), Answer::document(&document));
    }
    let lanes = [
        (Lane::NONE, vec![]),
        (Lane::FILTER, vec![wasm("mdrm", &module()?, &lane::plugin())]),
        (ES256, vec![wasm("mdrm-es256", &module()?, &plugin("s-es256"))]),
        (EDDSA, vec![wasm("mdrm-eddsa", &module()?, &plugin("s-eddsa"))]),
    ];
    let mut proxies = [Proxy::start(bench.cores, service.address(), &lanes)?];
    let lanes = lanes.map(|(lane, _)| lane);
    let mut cases = [
        Case::new("ES256, first seen", &lanes, first_seen(key.clone())),
        Case::repeating(REPEATED, &lanes, repeated(&key)),
    ];
    let outcome = run::run(bench.size, &mut proxies, &mut cases)?;
    let limit = |lane| {
        let measure = Measure::Times(Lane::FILTER);
        Limit { case: REPEATED.into(), lane, measure, limit: 1.3, goal: None }.finding(&outcome)
    };
    let report = Report {
        title: "Cost of session tokens in Envoy",
        about: ABOUT,
        outcome: &outcome,
        sections: vec![("Added CPU beside the same filter without session tokens", beside(&outcome))],
        findings: [ES256, EDDSA].map(limit).into(),
    };
    Ok(vec![("session.md".into(), report.markdown(machine))])
}

fn plugin(kid: &str) -> Value {
    let session = json!({"keys": {"cluster": "keys"}, "issuer": ISSUER, "audience": AUDIENCE, "kid": kid});
    lane::plugin().with("session", session)
}

fn beside(outcome: &[CaseTurns]) -> String {
    let row = |turns: &CaseTurns, lane: Lane| {
        let (over, ratio) = (turns.over(lane, Lane::FILTER), turns.ratio(lane, Lane::FILTER));
        vec![turns.case.clone(), lane.0.into(), over.text(1), ratio.text(2)]
    };
    let rows: Vec<_> = outcome.iter().flat_map(|turns| [ES256, EDDSA].map(|lane| row(turns, lane))).collect();
    table(&["case", "filter", "µs more", "×"], &rows)
}
