//! Requests, keys, bodies, time, other workers and a host that fails, in any order. Input: the number of a configuration, the
//! number of workers, then three bytes for each [`Event`].

mod host;
mod keys;
mod requests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use mdrm_authz::authorizer::Decision;
use mdrm_authz::denial::{BodyFault, CpixFault, Denial, TunnelFault};
use serde_json::{Value, json};

use super::log;
use host::{Host, Says, Stream};
use requests::REQUESTS;

/// At most so many requests come.
const MAX_STREAMS: usize = 8;

/// What happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A request of the list comes to a worker.
    Head { request: u8, worker: u8 },
    /// More of a body.
    Piece { stream: u8, bytes: usize },
    /// The rest of a body.
    End { stream: u8, trailers: bool },
    /// A client goes away.
    Abort { stream: u8 },
    /// A request to a key service is answered, or in the middle of another callback: what becomes due stays for later.
    Answer { which: u8, says: Says, later: bool },
    /// An answer comes a second time.
    Again { which: u8, says: Says },
    /// Time passes, and the host tells the worker or not.
    Pass { millis: u64, told: bool },
    /// The host's shared data: forgotten, cut, or found in another place.
    Shared { which: u8, how: u8 },
    /// The next body that is asked for is lost, or the next note is written by another worker first.
    Fault { body: bool },
}

impl Event {
    fn read([kind, a, b]: [u8; 3]) -> Self {
        match kind % 16 {
            0..=3 => Self::Head { request: a, worker: b },
            4 => Self::Piece { stream: a, bytes: usize::from(b) * 8 },
            5 | 6 => Self::End { stream: a, trailers: b % 2 == 1 },
            7 => Self::Abort { stream: a },
            8..=10 => Self::Answer { which: a, says: Says::read(b), later: kind % 16 == 10 },
            11 => Self::Again { which: a, says: Says::read(b) },
            12 | 13 => Self::Pass { millis: u64::from(a) * u64::from(b) / 4, told: kind % 16 == 12 },
            14 => Self::Shared { which: a, how: b },
            _ => Self::Fault { body: a % 2 == 0 },
        }
    }
}

static CONFIGURATIONS: LazyLock<[Value; 5]> = LazyLock::new(|| {
    let private = |path: &str| json!({"cluster": "keys", "path": path});
    let full = json!({
        "keys": {"cluster": "keys", "max_waiting": 3, "max_age": "2s", "stale_if_error": "3s", "negative_max_age": "1s"},
        "routes": [
            {"path": "/license", "service": "license", "drm": "widevine"}, {"path": "/cpix", "service": "cpix"},
            {"path": "/signed", "service": "signed_cpix"}, {"path": "/open", "service": "open"},
        ],
        "default_service": "deny",
        "services": {"cpix": {"bind_content": true}},
        "session": {"keys": private("/session-keys/{kid}"), "kid": "s", "issuer": "proxy", "audience": "server"},
        "trust_tunnel": {"mode": "permissive", "keys": private("/master-keys/{kid}")},
        "body_timeout": "1s", "max_body_bytes": 2048,
    });
    let with = |changes: &[(&str, Value)]| {
        let mut changed = full.clone();
        for (pointer, value) in changes {
            let (at, name) = pointer.rsplit_once('/').expect("a JSON pointer");
            changed.pointer_mut(at).expect("a place")[name] = value.clone();
        }
        changed
    };
    [
        full.clone(),
        with(&[
            ("/keys/path", json!("/set")),
            ("/keys/refetch_interval", json!("1s")),
            ("/session", Value::Null),
            ("/upstream", json!({"forward_token": true})),
        ]),
        with(&[("/report_only", json!(true))]),
        with(&[
            ("/trust_tunnel/mode", json!("enforcing")),
            ("/keys/max_waiting", json!(1)),
            ("/upstream", json!({"payload_header": "x-payload", "claim_headers": {"x-content-id": "sub"}})),
        ]),
        with(&[("/keys/max_entries", json!(1)), ("/keys/max_waiting", json!(0))]),
    ]
});

/// What each request gets where nothing is late and nobody fails, by configuration and request.
type Expected = BTreeMap<(usize, usize), Decision>;

thread_local! {
    static EXPECTED: RefCell<Expected> = RefCell::default();
}

/// Each request gets one decision or goes away, none is allowed that the same filter would refuse at leisure, and in the end
/// nothing is held. Gives whether some request is allowed.
pub fn check(input: &[u8]) -> bool {
    let [configuration, workers, events @ ..] = input else { return false };
    let at = usize::from(*configuration) % CONFIGURATIONS.len();
    let configuration = &CONFIGURATIONS[at];
    let mut host = Host::new(configuration, 1 + usize::from(*workers) % 2);
    for event in events.as_chunks::<3>().0 {
        host.happen(Event::read(*event));
        host.check();
    }
    host.finish();
    for stream in host.streams() {
        if let Some(decision) = &stream.decision {
            check_decision(configuration, stream, decision, &at_leisure(at, stream.request), host.lied);
        }
    }
    host.streams().iter().any(|stream| matches!(stream.decision, Some(Decision::Allow(_))))
}

/// The decision when head, keys, body and keys come one after the other.
fn at_leisure(configuration: usize, request: usize) -> Decision {
    let known = EXPECTED.with_borrow(|expected| expected.get(&(configuration, request)).cloned());
    known.unwrap_or_else(|| {
        let mut host = Host::new(&CONFIGURATIONS[configuration], 1);
        // Where nobody may wait, the first request brings the keys and a later one is served.
        for _ in 0..4 {
            host.happen(Event::Head { request: u8::try_from(request).expect("few requests"), worker: 0 });
            (0..4).for_each(|_| host.serve(Duration::from_millis(1)));
        }
        let decision = host.streams().last().and_then(|stream| stream.decision.clone()).expect("a decision");
        EXPECTED.with_borrow_mut(|expected| expected.insert((configuration, request), decision.clone()));
        decision
    })
}

fn check_decision(configuration: &Value, stream: &Stream, decision: &Decision, expected: &Decision, lied: bool) {
    let report_only = configuration["report_only"] == true;
    let denial = match decision {
        Decision::Pass(_) | Decision::Allow(_) => {
            assert_eq!(decision, expected, "{}", REQUESTS[stream.request].name);
            assert!(!REQUESTS[stream.request].is_bad, "{} is allowed", REQUESTS[stream.request].name);
            return;
        }
        Decision::Deny(denial) => {
            assert!(!report_only, "a request is denied by a filter that only reports");
            denial
        }
        Decision::Report(denial) => {
            assert!(report_only, "a request is let through that must be denied");
            denial
        }
    };
    log::check_refusal(denial);
    let excused = match denial {
        Denial::KeyServiceUnavailable { retry_after } | Denial::TooManyWaiting { retry_after } => {
            assert!((1..=30).contains(retry_after), "{denial:?}");
            true
        }
        Denial::Tunnel(TunnelFault::Body(BodyFault::Timeout)) | Denial::Cpix(CpixFault::Body(BodyFault::Timeout)) => {
            assert!(stream.was_late, "a body is given up too early");
            true
        }
        Denial::BodyUnreadable => stream.body_lost,
        _ => lied,
    };
    assert!(excused || decision == expected, "{}: {decision:?}, not {expected:?}", REQUESTS[stream.request].name);
}

/// Of each request of the stories: its name, whether it must never be allowed, and its decision under each configuration.
#[cfg(test)]
pub fn expectations() -> Vec<(&'static str, bool, Vec<Decision>)> {
    let decisions = |request| (0..CONFIGURATIONS.len()).map(|at| at_leisure(at, request)).collect();
    REQUESTS.iter().enumerate().map(|(at, request)| (request.name, request.is_bad, decisions(at))).collect()
}
