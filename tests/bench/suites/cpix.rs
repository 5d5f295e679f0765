//! What it costs to look into CPIX documents.

use mdrm_authz::cpix::sign::enveloped;
use mdrm_authz::jose::xmldsig::SignatureMethod;
use serde_json::json;

use super::{Files, module};
use crate::case::{Case, Request};
use crate::lane::{self, Lane, buffer, wasm};
use crate::limits::Finding;
use crate::machine::Machine;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::run::{self, Bench, CaseTurns};
use crate::statistics::estimate;
use crate::support::key_service::KeyService;
use crate::support::markdown::table;
use crate::support::signer::{Alg, CPIX, OWNER, SigningKey};
use crate::traffic::{REPEATED, now, post, token};

/// Sizes of documents in KiB without a signature, and how many times fewer requests of them are sent.
const SIZES: [(usize, usize); 3] = [(4, 1), (100, 10), (200, 20)];
/// The most that a KiB may cost between the larger two sizes, as a multiple of what one costs between the smaller two.
const LINEAR: f64 = 1.25;
const ABOUT: &str = "Documents differ in their number of content keys. Bound: the document's contentId is compared with the subject of an \
                     ES256 token, 16 in turn, so that no token is verified. Signed: the signature of the document is verified every time. Every lane holds \
                     requests until their body is complete.";

/// How a document is authorised.
#[derive(Clone, Copy)]
enum Way {
    Bound,
    Signed(SignatureMethod),
}

const WAYS: [Way; 3] = [Way::Bound, Way::Signed(SignatureMethod::RsaSha256), Way::Signed(SignatureMethod::EcdsaSha256)];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Bound => "bound",
            Way::Signed(SignatureMethod::EcdsaSha256) => "signed, ECDSA-SHA256",
            Way::Signed(_) => "signed, RSA-SHA256",
        }
    }
}

pub fn run(bench: Bench, machine: &Machine) -> Result<Files, String> {
    let [rsa, ec] =
        [("bench-rs256", Alg::RS256), ("bench-es256", Alg::ES256)].map(|(kid, alg)| SigningKey::generate(kid, alg));
    let service = KeyService::start();
    [&rsa, &ec].into_iter().for_each(|key| service.register(key));
    let mut plugin = lane::plugin();
    plugin["services"]["cpix"]["bind_content"] = json!(true);
    let lanes = [(Lane::NONE, vec![buffer()]), (Lane::FILTER, vec![wasm("mdrm", &module()?, &plugin), buffer()])];
    let mut proxies = [Proxy::start(bench.cores, service.address(), &lanes)?];
    let mut cases: Vec<Case> = WAYS
        .iter()
        .flat_map(|way| {
            let (rsa, ec) = (&rsa, &ec);
            SIZES.map(|(kib, fewer)| {
                let document = document(kib * 1024);
                let requests = match way {
                    Way::Bound => (0..REPEATED).map(|_| bound(ec, &document)).collect(),
                    Way::Signed(SignatureMethod::EcdsaSha256) => {
                        vec![signed(ec, SignatureMethod::EcdsaSha256, &document)]
                    }
                    Way::Signed(method) => vec![signed(rsa, *method, &document)],
                };
                let name = format!("{}, {kib} KiB", way.name());
                Case::repeating(name, &[Lane::NONE, Lane::FILTER], requests).fewer(fewer)
            })
        })
        .collect();
    let outcome = run::run(bench.size, &mut proxies, &mut cases)?;
    let growths: Vec<Growth> =
        outcome.chunks(SIZES.len()).zip(WAYS).map(|(cases, way)| Growth { way, cases }).collect();
    let report = Report {
        title: "Cost of CPIX documents in Envoy",
        about: ABOUT,
        outcome: &outcome,
        sections: vec![("Added CPU per KiB of the document", per_kib(&growths))],
        findings: growths.iter().map(Growth::finding).collect(),
    };
    Ok(vec![("cpix.md".into(), report.markdown(machine))])
}

/// A document of about this size, as packagers write it.
fn document(size: usize) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CPIX xmlns=\"urn:dashif:org:cpix\" \
         xmlns:pskc=\"urn:ietf:params:xml:ns:keyprov:pskc\" contentId=\"content-1\">\n  <ContentKeyList>\n",
    );
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        text += &format!(
            "    <ContentKey kid=\"54e3112b-e09e-4f9c-8b98-{number:012}\" commonEncryptionScheme=\"cenc\">\n      <Data>\n        \
             <pskc:Secret>\n          <pskc:PlainValue>WADwG2qCqkq5TVml+U5PXw==</pskc:PlainValue>\n        </pskc:Secret>\n      \
             </Data>\n    </ContentKey>\n"
        );
    }
    text + "  </ContentKeyList>\n</CPIX>\n"
}

fn bound(key: &SigningKey, document: &str) -> Request {
    let token = token(key).audience(CPIX).compact(now());
    post("/cpix", "application/xml", Some(&token), document.as_bytes())
}

fn signed(key: &SigningKey, method: SignatureMethod, document: &str) -> Request {
    let sign = |message: &[u8]| Ok::<_, String>(key.signature(message));
    let document = enveloped(document.as_bytes(), method, sign).expect("a document that can be signed");
    let path = format!("/signed?kid={}&sub=content-1&iss={OWNER}", key.kid());
    post(&path, "application/xml", None, document.as_bytes())
}

/// How the cost of one way grows with the document: a case for each size.
struct Growth<'a> {
    way: Way,
    cases: &'a [CaseTurns],
}

impl Growth<'_> {
    /// Added CPU per KiB between the size at this place and the next.
    fn slope(&self, rounds: &[usize], at: usize) -> f64 {
        let added = |at: usize| self.cases[at].added_in(rounds, Lane::FILTER);
        (added(at + 1) - added(at)) / (SIZES[at + 1].0 - SIZES[at].0) as f64
    }

    fn rounds(&self) -> usize {
        self.cases[0].of(Lane::FILTER).len()
    }

    fn finding(&self) -> Finding {
        let slopes = |rounds: &[usize]| self.slope(rounds, 1) / self.slope(rounds, 0);
        Finding {
            case: self.way.name().into(),
            measure: "× per KiB, upper half to lower half".into(),
            figure: estimate(self.rounds(), slopes),
            digits: 2,
            limit: LINEAR,
            goal: None,
        }
    }
}

fn per_kib(growths: &[Growth<'_>]) -> String {
    let heading = |at: usize| format!("{} to {} KiB", SIZES[at].0, SIZES[at + 1].0);
    let row = |growth: &Growth<'_>| {
        let slope = |at| estimate(growth.rounds(), |rounds| growth.slope(rounds, at)).text(2);
        vec![growth.way.name().to_owned(), slope(0), slope(1)]
    };
    table(&["document", &heading(0), &heading(1)], &growths.iter().map(row).collect::<Vec<_>>())
}
