//! What holds for any input: nothing panics, nothing but a right token is allowed, nothing of a request is lost.

mod carriage;
mod claims;
mod documents;
mod hosts;
mod json;
mod paths;
mod session;
mod signatures;
mod tokens;

use proptest::prelude::*;

use mdrm_authz::authorizer::{Authorizer, Decision, Platform, Step};
use mdrm_authz::clock::Now;
use mdrm_authz::config::Config;
use mdrm_authz::keys::answer::Answer;
use mdrm_authz::keys::{Consultation, Progress, SharedView, WaiterId, Wake};
use mdrm_authz::request::RequestHead;
use serde_json::Value;

/// The moment of every request.
const NOW: i64 = 1_764_000_000;

/// So many cases, and no file for those that failed: the message shows them.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The decision on a license request with this `authorization` when the key service answers 200 with this body.
fn decide(configuration: &Value, authorization: &[u8], body: &[u8]) -> Decision {
    let config = Config::from_json(configuration.to_string().as_bytes(), &|_| None).unwrap();
    let mut authorizer = Authorizer::new(config, Platform::default());
    let now = Now { unix: NOW, monotonic: std::time::Duration::ZERO };
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"POST"),
        (b":path", b"/"),
        (b":authority", b"license.example.com"),
        (b"authorization", authorization),
    ];
    let (_, step) = authorizer.on_request(RequestHead::new(&headers, false), WaiterId(1), now);
    let waiting = match step {
        Step::Done(outcome) => return outcome.decision,
        Step::Wait(waiting) => waiting,
    };
    let request = authorizer.keys().next_request(now).unwrap();
    let store = authorizer.keys().of(request.id).unwrap();
    let asked = store.consult(request.id, SharedView::default(), now);
    assert!(matches!(asked, Consultation::Ask { .. }), "{asked:?}");
    let answer = Answer { status: 200, cache_control: &[], age: None, etag: None, body: Some(body) };
    store.on_answer(request.id, Some(answer), SharedView::default(), now);
    assert_eq!(store.poll(now), Some(Progress::Woken(WaiterId(1), Wake::LookUp)));
    match authorizer.resume(*waiting, now) {
        Step::Done(outcome) => outcome.decision,
        Step::Wait(_) => panic!("a request waits on and on"),
    }
}

fn is_allowed(decision: &Decision) -> bool {
    matches!(decision, Decision::Allow(..))
}
