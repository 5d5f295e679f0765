//! The play: usual requests all the time, and what happens meanwhile.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::client::{Connection, bytes_of};
use crate::support::key_service::{Answer, KeyService};
use crate::support::signer::{Alg, Document, SigningKey};
use crate::support::table::Request;
use crate::support::token::Token;
use crate::traffic;

/// A part of the play, in seconds since 1970.
pub struct Scene {
    /// What happens.
    pub name: &'static str,
    /// When it began.
    pub begin: f64,
    /// When it was over.
    pub end: f64,
}

const SCENES: [(&str, u64); 6] = [
    ("as usual", 60),
    ("key service down", 60),
    ("back again", 40),
    ("attack", 40),
    ("session key disabled", 30),
    ("as usual", 40),
];
/// Of a key at the key service.
const MAX_AGE: &str = "max-age=5";
const CLIENTS: usize = 6;
const ATTACKERS: usize = 4;

/// Who takes part.
pub struct Play<'a> {
    service: &'a KeyService,
    keys: Vec<SigningKey>,
    session: SigningKey,
    proxy: SocketAddr,
    over: AtomicBool,
    attack: AtomicBool,
}

impl<'a> Play<'a> {
    /// Ready to begin.
    pub fn new(service: &'a KeyService, keys: Vec<SigningKey>, proxy: SocketAddr) -> Play<'a> {
        let session = SigningKey::generate("demo-session", Alg::ES256);
        Play { service, keys, session, proxy, over: AtomicBool::new(false), attack: AtomicBool::new(false) }
    }

    /// Plays it all, so many times faster, and says what was when.
    pub fn run(&self, faster: u64) -> Result<Vec<Scene>, String> {
        self.serve_keys();
        thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|number| scope.spawn(move || self.be_a_client(number)));
            let attackers = (0..ATTACKERS).map(|number| scope.spawn(move || self.be_an_attacker(number)));
            let threads: Vec<_> = clients.chain(attackers).collect();
            let scenes = SCENES.map(|(name, seconds)| {
                match name {
                    "key service down" => self.fail(),
                    "back again" => self.serve_keys(),
                    "attack" => self.attack.store(true, Ordering::Relaxed),
                    "session key disabled" => {
                        self.attack.store(false, Ordering::Relaxed);
                        let disabled = self.session.private_jwk().with("status", json!("disabled"));
                        self.service.set("/session-keys/demo-session", fresh(Answer::document(&disabled)));
                    }
                    _ => self.serve_keys(),
                }
                eprintln!("{name}: {seconds} s");
                let begin = now();
                thread::sleep(Duration::from_secs(seconds / faster));
                Scene { name, begin, end: now() }
            });
            self.over.store(true, Ordering::Relaxed);
            threads.into_iter().for_each(|thread| thread.join().expect("a client does not panic"));
            Ok(scenes.into())
        })
    }

    fn serve_keys(&self) {
        for key in &self.keys {
            self.service.set_for(key.kid(), fresh(Answer::document(&key.jwk())));
        }
        let session = fresh(Answer::document(&self.session.private_jwk()));
        self.service.set("/session-keys/demo-session", session);
    }

    fn fail(&self) {
        for key in &self.keys {
            self.service.set_for(key.kid(), Answer::new(503, "down"));
        }
        self.service.set("/session-keys/demo-session", Answer::new(503, "down"));
    }

    /// A player that asks for several licenses with one token, like others does so without one at times, and looks at its health.
    fn be_a_client(&self, number: usize) {
        let mut requests = Requests::new(self.proxy);
        for turn in number.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let token = Token::new(&self.keys[turn % self.keys.len()]).claim("jti", json!(format!("{number}-{turn}")));
            let valid = license(token.compact(traffic::now()));
            for repeat in 0..4 {
                match (turn % 10, repeat) {
                    (3, 0) => requests.send(&Request::get("/license/widevine")),
                    (6, 1) => requests.send(&license(token.clone().aged(600).compact(traffic::now()))),
                    (8, _) => requests.send(&Request::get("/healthz")),
                    _ => requests.send(&valid),
                }
                thread::sleep(Duration::from_millis(25));
            }
        }
    }

    /// Somebody who guesses: signatures, and names of keys.
    fn be_an_attacker(&self, number: usize) {
        let mut requests = Requests::new(self.proxy);
        let stranger = SigningKey::generate("k-0", Alg::ES256);
        for turn in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            if self.attack.load(Ordering::Relaxed) {
                let token = match turn % 3 {
                    0 => Token::new(&stranger.under_kid(&format!("guess-{number}-{turn}"))),
                    _ => Token::new(&stranger).claim("jti", json!(format!("{number}-{turn}"))),
                };
                requests.send(&license(token.compact(traffic::now())));
            }
            thread::sleep(Duration::from_millis(15));
        }
    }
}

/// One client's connection, opened again when the peer has closed it.
struct Requests {
    proxy: SocketAddr,
    connection: Connection,
}

impl Requests {
    fn new(proxy: SocketAddr) -> Requests {
        Requests { proxy, connection: Connection::open(proxy) }
    }

    fn send(&mut self, request: &Request) {
        let sent = self.connection.send(&bytes_of(request, &[]));
        if sent.and_then(|()| self.connection.answer(&request.method)).is_err() {
            self.connection = Connection::open(self.proxy);
        }
    }
}

fn license(token: String) -> Request {
    Request::get("/license/widevine").token(token)
}

fn fresh(answer: Answer) -> Answer {
    answer.header("cache-control", MAX_AGE)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs_f64()
}
