//! A filter that fails: the VM of a worker ends in the middle of its requests.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::probe::{self, Figures};
use super::stand::{Filter, Stand, license};
use crate::load::connection::Connection;
use crate::now;
use crate::support::client::{self, bytes_of};
use crate::support::exchange::Gate;
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::wait;

/// Requests that wait for a key when the VM ends.
const WAITING: usize = 20;

/// What became of a proxy whose VM ended.
#[derive(Debug)]
pub struct Panics {
    /// How long it took until a valid token was served again, each time.
    pub outages: Vec<Duration>,
    /// How long after the VM ended the last request that waited in it had an end.
    pub paused_ended: Duration,
    /// The statuses that those got.
    pub paused_statuses: Vec<u16>,
    /// The requests that came all the while.
    pub figures: Figures,
    /// Requests that the license server got. Each had a valid token.
    pub arrived: usize,
}

/// Ends the VM of the only worker so many times. `MDRM_WASM_TEST_SWITCHES` names a module that does it when asked.
pub fn panic(times: usize) -> Panics {
    let mut stand = Stand::adjusted(Filter::MdrmAuthz, 0, |setup| {
        setup.concurrency = 1;
        setup.module = "MDRM_WASM_TEST_SWITCHES";
        setup.log_level = "critical".to_owned();
        // Longer than anything here: those who wait shall wait in the VM until it ends.
        setup.listeners[0].plugin = json!({"keys": {"cluster": "keys", "timeout": "60s"}}).to_string();
    });
    let (gate, slow) = (Gate::closed(), stand.key.under_kid("slow"));
    stand.register(&slow, |answer| answer.held_by(&gate));
    stand.register(&stand.key.clone(), |answer| answer);
    let address = stand.envoy.address("main");
    let valid = bytes_of(&license(&Token::new(&stand.key), now()), &[]);
    let serves = || Connection::to(address).exchange(&valid).is_ok_and(|answer| answer.licensed);
    wait::until_true("it serves", serves);
    let bytes = bytes_of(&license(&Token::new(&slow), now()), &[]);
    let mut waiting: Vec<client::Connection> = (0..WAITING).map(|_| client::Connection::open(address)).collect();
    waiting.iter_mut().for_each(|connection| connection.send(&bytes).unwrap());
    wait::until_true("they wait", || stand.envoy.active_requests() >= WAITING as u64);
    let ((outages, paused), figures) = probe::during(&mut stand, |_| {
        let begin = Instant::now();
        let paused = thread::spawn(move || {
            let status = |mut one: client::Connection| one.answer("GET").map_or(0, |answered| answered.status);
            let statuses: Vec<u16> = waiting.into_iter().map(status).collect();
            (begin.elapsed(), statuses)
        });
        let outages: Vec<Duration> = (0..times)
            .map(|_| {
                let begin = Instant::now();
                let asked = client::exchange(address, &Request::get("/license").header("x-forced-panic", "now"), &[]);
                // Any other answer would be of a filter that goes on.
                assert!(asked.as_ref().map_or(true, |answered| answered.status == 503), "{asked:?}");
                wait::until_true("it serves again", serves);
                let outage = begin.elapsed();
                thread::sleep(Duration::from_secs(1));
                outage
            })
            .collect();
        (outages, paused.join().unwrap())
    });
    let (paused_ended, paused_statuses) = paused;
    Panics { outages, paused_ended, paused_statuses, figures, arrived: stand.upstream.count() }
}
