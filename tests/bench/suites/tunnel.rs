//! What it costs to decrypt Trust Tunnel requests.

use serde_json::json;

use super::{Files, module};
use crate::case::{Case, Request};
use crate::lane::{self, Lane, buffer, wasm};
use crate::machine::Machine;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::run::{self, Bench, CaseTurns};
use crate::statistics::estimate;
use crate::support::key_service::{Answer, KeyService};
use crate::support::markdown::table;
use crate::support::signer::{Alg, Document, SigningKey};
use crate::support::tunnel::{KeyManagement, MEDIA_TYPE, MasterKey, Tunnel};
use crate::traffic::{REPEATED, now, post, token};

/// Sizes of tunnel bodies in KiB, and how many times fewer requests of them are sent.
const SIZES: [(usize, usize); 2] = [(2, 1), (64, 4)];
const PATH: &str = "/license/widevine?asset=content-1";
const ABOUT: &str = "The size is that of the body on the wire. Plain is a license request with what is in the tunnel: the same token \
                     in a header, the same license request as its body. Tokens are ES256, 16 in turn, so that no signature is verified. Every lane holds requests \
                     until their body is complete.";

/// The ways of carriage, plain first.
const WAYS: [Option<KeyManagement>; 3] = [None, Some(KeyManagement::A256KW), Some(KeyManagement::Dir)];

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let key = SigningKey::generate("bench-es256", Alg::ES256);
    let service = KeyService::start();
    service.register(&key);
    let masters = KeyManagement::ALL.map(|alg| MasterKey::generate(&format!("m-{}", alg.name()), alg));
    for master in &masters {
        service.set(&format!("/master-keys/{}", master.kid()), Answer::document(&master.jwk()));
    }
    let plugin = lane::plugin().with("trust_tunnel", json!({"mode": "permissive", "keys": {"cluster": "keys"}}));
    let lanes = [(Lane::NONE, vec![buffer()]), (Lane::FILTER, vec![wasm("mdrm", &module()?, &plugin), buffer()])];
    let mut proxies = [Proxy::start(bench.cores, service.address(), &lanes)?];
    let mut cases: Vec<Case> = SIZES
        .iter()
        .flat_map(|(kib, fewer)| {
            let (masters, key) = (&masters, &key);
            WAYS.map(|way| {
                let requests = (0..REPEATED).map(|_| request(key, masters, way, kib * 1024)).collect();
                Case::repeating(name(way, *kib), &[Lane::NONE, Lane::FILTER], requests).fewer(*fewer)
            })
        })
        .collect();
    let outcome = run::run(bench.size, &mut proxies, &mut cases)?;
    let report = Report {
        title: "Cost of Trust Tunnel requests in Envoy",
        about: ABOUT,
        outcome: &outcome,
        sections: vec![("Added CPU of a tunnel over the plain request", over_plain(&outcome))],
        findings: Vec::new(),
    };
    Ok(vec![("tunnel.md".into(), report.markdown(machine))])
}

fn name(way: Option<KeyManagement>, kib: usize) -> String {
    format!("{}, {kib} KiB", way.map_or("plain", KeyManagement::name))
}

/// A request whose body is `size` bytes in a tunnel that is sealed with A256KW, within three bytes; by each way with
/// the same license request in it.
fn request(key: &SigningKey, masters: &[MasterKey; 2], way: Option<KeyManagement>, size: usize) -> Request {
    let jwt = token(key).compact(now());
    let tunnel = |master: &MasterKey, length: usize| {
        Tunnel::new(master, jwt.clone()).license_request(vec![0x2a; length]).body().into_bytes()
    };
    let [wrapping, direct] = masters;
    // Base64 in base64url: nine bytes of the license request are sixteen of the body.
    let length = (size - tunnel(wrapping, 0).len()) * 9 / 16;
    match way {
        None => post(PATH, "application/octet-stream", Some(&jwt), &vec![0x2a; length]),
        Some(KeyManagement::A256KW) => post(PATH, MEDIA_TYPE, None, &tunnel(wrapping, length)),
        Some(KeyManagement::Dir) => post(PATH, MEDIA_TYPE, None, &tunnel(direct, length)),
    }
}

fn over_plain(outcome: &[CaseTurns]) -> String {
    let mut rows = Vec::new();
    for ((kib, _), cases) in SIZES.iter().zip(outcome.chunks(WAYS.len())) {
        let [plain, tunnels @ ..] = cases else { continue };
        for tunnel in tunnels {
            let added = |turns: &CaseTurns, rounds: &[usize]| turns.added_in(rounds, Lane::FILTER);
            let rounds = plain.of(Lane::FILTER).len();
            let over = estimate(rounds, |rounds| added(tunnel, rounds) - added(plain, rounds));
            let per_kib = over.value / *kib as f64;
            rows.push(vec![tunnel.case.clone(), over.text(1), format!("{per_kib:.1}")]);
        }
    }
    table(&["case", "µs over plain", "µs per KiB"], &rows)
}
