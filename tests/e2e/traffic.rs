//! Requests that go on beside what a test does, on connections that are spread over all workers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Connection, bytes_of};
use crate::support::exchange::Answered;
use crate::support::rig::Rig;
use crate::support::table::Request;

/// The pause of a client between an answer and its next request.
const PAUSE: Duration = Duration::from_millis(10);

/// One request of the traffic.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Which of the requests it was.
    pub(crate) request: usize,
    pub(crate) sent_at: Instant,
    pub(crate) took: Duration,
    pub(crate) answered: Answered,
}

impl Sample {
    /// Whether the upstream answered.
    pub(crate) fn is_allowed(&self) -> bool {
        self.answered.status == 200
    }
}

/// Lets so many clients send these requests in turn while `work` runs. Envoy gives each worker as many of the clients.
pub(crate) fn during<R>(rig: &Rig, clients: usize, requests: &[Request], work: impl FnOnce() -> R) -> (R, Vec<Sample>) {
    send_during(&[rig.envoy.address("main")], clients, requests, work)
}

/// The same with so many clients for each of several proxies.
pub(crate) fn send_during<R>(
    addresses: &[SocketAddr],
    clients: usize,
    requests: &[Request],
    work: impl FnOnce() -> R,
) -> (R, Vec<Sample>) {
    let bytes: Vec<Vec<u8>> = requests.iter().map(|request| bytes_of(request, &[])).collect();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let (bytes, ended) = (&bytes, &ended);
        let send = |address, client| scope.spawn(move || send_in_turn(address, client, bytes, ended));
        let clients: Vec<_> =
            addresses.iter().flat_map(|address| (0..clients).map(|client| send(*address, client))).collect();
        let end = End(ended);
        let result = work();
        drop(end);
        (result, clients.into_iter().flat_map(|client| client.join().unwrap()).collect())
    })
}

/// Ends the traffic, also when the test has failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn send_in_turn(address: SocketAddr, first: usize, requests: &[Vec<u8>], ended: &AtomicBool) -> Vec<Sample> {
    let mut connection = Connection::open(address);
    let mut samples = Vec::new();
    for request in (0..requests.len()).cycle().skip(first) {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let sent_at = Instant::now();
        connection.send(&requests[request]).unwrap();
        let answered = connection.answer("POST").unwrap();
        let took = sent_at.elapsed();
        let closes = answered.header("connection").is_some_and(|value| value == "close");
        if answered.status != 200 || closes {
            // Envoy closes a connection that it has answered before it has read the whole request, and those of a listener
            // or a process that is on its way out.
            connection = Connection::open(address);
        }
        samples.push(Sample { request, sent_at, took, answered });
        thread::sleep(PAUSE);
    }
    samples
}

/// The longest time that any of them took.
pub(crate) fn longest<'s>(samples: impl IntoIterator<Item = &'s Sample>) -> Duration {
    samples.into_iter().map(|sample| sample.took).max().unwrap_or_default()
}
