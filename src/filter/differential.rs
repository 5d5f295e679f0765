//! Test only, behind the feature `differential`: asks VM and host about the same signatures, in place of the filter.
//!
//! The body of a request is one JSON object a line: `key` (a public JWK named `k`), `message` and `signature` in base64url.
//! The answer has one line for each: the verdict in the VM, a space, what the host said. The module that serves requests
//! is built without.

use std::cell::Cell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::exports::{Action, HeadAction, HttpContext, RootContext};
use super::host::{self, BufferType};
use super::verify;
use crate::jose::jwk::{AccessKey, Key, KeyDocument, Provenance, Ring};
use crate::jose::native::{Question, Verify};
use crate::jose::token::Kid;
use crate::reply::Reply;

/// What the answers are known by, and the module too: the tests look for it in the one that serves requests.
const DETAILS: &str = "mdrm_authz signature probe";

pub(super) struct Root;
struct Probe;

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    message: &'a str,
    signature: &'a str,
}

thread_local! {
    /// What the host said last, if it was asked: a signature that has not the form of one never gets there.
    static SAID: Cell<Option<Option<bool>>> = const { Cell::new(None) };
}

fn recorded(question: Question<'_>) -> Option<bool> {
    let said = verify::probed().and_then(|verify| verify(question));
    SAID.set(Some(said));
    said
}

fn access_key(document: &str, native: Option<Verify>) -> Option<Rc<AccessKey>> {
    let provenance = Provenance {
        ring: Ring::Access,
        default_owner: Some("probe"),
        default_audiences: &[],
        symmetric: false,
        slow_algorithms: true,
        native,
    };
    match KeyDocument::parse_one(document.as_bytes(), &Kid::new("k")?, provenance) {
        Ok(KeyDocument::Enabled { key: Key::Access(key), .. }) => Some(key),
        _ => None,
    }
}

/// The line about one case; none if it cannot be read.
fn verdicts(line: &str) -> Option<String> {
    let case: Case<'_> = serde_json::from_str(line).ok()?;
    let message = URL_SAFE_NO_PAD.decode(case.message).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(case.signature).ok()?;
    let in_vm = access_key(case.key.get(), None)?.verifying_key.verify(&message, &signature);
    SAID.set(None);
    // Where the host fails the VM would decide; what counts here is what the host said.
    access_key(case.key.get(), Some(recorded))?.verifying_key.verify(&message, &signature);
    let by_host = match SAID.get() {
        None => "unasked",
        Some(None) => "failed",
        Some(Some(true)) => "true",
        Some(Some(false)) => "false",
    };
    Some(format!("{in_vm} {by_host}\n"))
}

impl RootContext for Root {
    fn create_http_context(&self, _id: u32) -> Box<dyn HttpContext> {
        Box::new(Probe)
    }
}

impl HttpContext for Probe {
    fn on_request_headers(&mut self, _end_of_stream: bool) -> HeadAction {
        HeadAction::Pause
    }

    fn on_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if end_of_stream {
            let body = host::buffer(BufferType::RequestBody, size).unwrap_or_default();
            let lines = String::from_utf8_lossy(&body);
            let body = lines.lines().map(|line| verdicts(line).unwrap_or_else(|| "unreadable\n".to_owned())).collect();
            host::reply(&Reply { status: 200, headers: Vec::new(), body }, DETAILS);
        }
        Action::Pause
    }
}
