//! The key service: answers as the test says, can be told otherwise while it runs, and remembers every request.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::exchange::{Gate, Received, Scripted, Step};
use super::server::Server;
use super::signer::SigningKey;
use super::table::keyring::{self, KeyAnswer};
use super::wait;

/// What the service does with a request.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Waited for before the first byte of the answer.
    gate: Option<Gate>,
    delay: Duration,
    delivery: Delivery,
}

#[derive(Clone)]
enum Delivery {
    Whole,
    BreakAfter(usize),
    StopAfter(usize),
    Trickle(Duration),
}

impl Answer {
    /// A status and a body.
    pub fn new(status: u16, body: impl AsRef<[u8]>) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: body.as_ref().to_vec(),
            gate: None,
            delay: Duration::ZERO,
            delivery: Delivery::Whole,
        }
    }

    /// 200 with this JSON.
    pub fn document(document: &Value) -> Answer {
        Answer::new(200, document.to_string()).header("content-type", "application/json")
    }

    /// 200 with a JWK Set.
    pub fn set(keys: &[Value]) -> Answer {
        Answer::document(&json!({"keys": keys}))
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Not before this gate is open.
    #[must_use]
    pub fn held_by(mut self, gate: &Gate) -> Answer {
        self.gate = Some(gate.clone());
        self
    }

    /// Not before this time has passed.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Answer {
        self.delay = delay;
        self
    }

    /// Never.
    pub fn never() -> Answer {
        Answer::new(200, "").held_by(&Gate::closed())
    }

    /// The connection breaks after so many bytes of the body.
    #[must_use]
    pub fn broken_after(mut self, bytes: usize) -> Answer {
        self.delivery = Delivery::BreakAfter(bytes);
        self
    }

    /// Nothing comes any more after so many bytes of the body.
    #[must_use]
    pub fn stopped_after(mut self, bytes: usize) -> Answer {
        self.delivery = Delivery::StopAfter(bytes);
        self
    }

    /// The body comes a byte at a time with this time between.
    #[must_use]
    pub fn trickled(mut self, every: Duration) -> Answer {
        self.delivery = Delivery::Trickle(every);
        self
    }

    async fn give(self) -> Response<Scripted> {
        tokio::time::sleep(self.delay).await;
        if let Some(gate) = &self.gate {
            gate.passed().await;
        }
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        let data = |bytes: &[u8]| Step::Data(bytes.to_vec());
        let body = match self.delivery {
            Delivery::Whole => Scripted::whole(&self.body),
            Delivery::BreakAfter(bytes) => Scripted::new([data(&self.body[..bytes]), Step::Break]),
            Delivery::StopAfter(bytes) => Scripted::new([data(&self.body[..bytes]), Step::Wait(Gate::closed())]),
            Delivery::Trickle(every) => {
                Scripted::new(self.body.iter().flat_map(|byte| [data(&[*byte]), Step::Pause(every)]))
            }
        };
        response.body(body).unwrap()
    }
}

impl From<KeyAnswer> for Answer {
    fn from(answer: KeyAnswer) -> Answer {
        Answer { headers: answer.headers, ..Answer::new(answer.status, answer.body) }
    }
}

/// What is wrong with a key service as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing listens.
    Killed,
    /// It takes requests and never answers.
    Hung,
    /// A byte of the answer a second.
    Trickling,
    /// 200 with a page for people.
    Wrong,
}

/// A key service that is ended when this is dropped.
pub struct KeyService {
    address: SocketAddr,
    server: Mutex<Option<Server>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, Answer>,
    received: Vec<Received>,
    fault: Option<Fault>,
    forgotten: usize,
}

impl KeyService {
    /// A service that knows no key: 404 to everything.
    pub fn start() -> KeyService {
        KeyService::start_at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// The same at this address; port 0 is a free one.
    pub fn start_at(address: SocketAddr) -> KeyService {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = Server::start_at(address, move |request| answer(request, shared.clone()));
        KeyService { address: server.address, server: Mutex::new(Some(server)), state }
    }

    /// From now on something is wrong with all of it, or nothing any more.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state.lock().unwrap().fault = fault;
        let mut server = self.server.lock().unwrap();
        if fault == Some(Fault::Killed) {
            *server = None;
        } else if server.is_none() {
            let shared = self.state.clone();
            *server = Some(Server::start_at(self.address, move |request| answer(request, shared.clone())));
        }
    }

    /// Forgets the requests so far, but not how many they were.
    pub fn forget_received(&self) {
        let state = &mut *self.state.lock().unwrap();
        state.forgotten += std::mem::take(&mut state.received).len();
    }

    /// A service that gives the answers of the table.
    pub fn of_the_table() -> KeyService {
        let service = KeyService::start();
        for (path, answer) in keyring::answers() {
            service.set(&path, answer.into());
        }
        service
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the answer at a path, for requests from now on.
    pub fn set(&self, path: &str, answer: Answer) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    /// Sets the answer for a key asked for alone.
    pub fn set_for(&self, kid: &str, answer: Answer) {
        self.set(&path_of(kid), answer);
    }

    /// Registers a key under its kid: its public document, asked for alone.
    pub fn register(&self, key: &SigningKey) {
        self.set_for(key.kid(), Answer::document(&key.jwk()));
    }

    /// Everything that arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// How many requests arrived so far.
    pub fn total(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.forgotten + state.received.len()
    }

    /// How many requests for a path arrived so far.
    pub fn count(&self, path: &str) -> usize {
        self.state.lock().unwrap().received.iter().filter(|request| request.path == path).count()
    }

    /// How many requests for a key arrived so far.
    pub fn count_for(&self, kid: &str) -> usize {
        self.count(&path_of(kid))
    }

    /// Waits until so many requests for a key have arrived.
    pub fn await_count_for(&self, kid: &str, count: usize) {
        wait::until_true(&format!("{count} requests for key {kid}"), || self.count_for(kid) >= count);
    }
}

/// The path at which a filter with the default `keys.path` asks for a key.
pub fn path_of(kid: &str) -> String {
    format!("/keys/{}", keyring::escaped(kid))
}

async fn answer(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Response<Scripted> {
    let received = Received::read(request).await;
    let answer = {
        let mut state = state.lock().unwrap();
        let answer = state.answers.get(&received.path).cloned();
        state.received.push(received);
        let answer = answer.unwrap_or_else(|| Answer::new(404, r#"{"error":"no such key"}"#));
        match state.fault {
            // Whoever got through before the server ended.
            Some(Fault::Killed | Fault::Hung) => Answer::never(),
            Some(Fault::Trickling) => answer.trickled(Duration::from_secs(1)),
            Some(Fault::Wrong) => Answer::new(200, "<html><title>It works</title></html>"),
            None => answer,
        }
    };
    answer.give().await
}
