//! Requests that come all the while, and what becomes of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::stand::{Stand, license};
use crate::load::connection::Connection;
use crate::now;
use crate::support::client::bytes_of;
use crate::support::signer::{Alg, SigningKey};
use crate::support::token::Token;

/// Clients at once. Envoy gives each worker as many of them.
const CLIENTS: usize = 8;
/// The pause of a client between an answer and its next request.
const PAUSE: Duration = Duration::from_millis(10);
/// One request in so many has a forged token.
const FORGED: usize = 4;

/// What became of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// With a valid token of a known key.
    pub valid: usize,
    /// Of these, answered with something else than the license.
    pub refused: usize,
    /// Of these, not answered at all.
    pub lost: usize,
    /// With a forged token.
    pub forged: usize,
    /// Of these, answered by the license server.
    pub passed: usize,
    /// The longest time that a valid one took.
    pub longest: Duration,
}

impl Figures {
    fn plus(self, other: Figures) -> Figures {
        Figures {
            valid: self.valid + other.valid,
            refused: self.refused + other.refused,
            lost: self.lost + other.lost,
            forged: self.forged + other.forged,
            passed: self.passed + other.passed,
            longest: self.longest.max(other.longest),
        }
    }

    /// What a row of the report says.
    pub fn text(&self) -> String {
        let Figures { valid, refused, lost, longest, .. } = self;
        let missed = refused + lost;
        let lost = if *lost > 0 { format!(" ({lost} without any answer)") } else { String::new() };
        let refused = if missed == 0 {
            format!("0 of {valid} refused")
        } else {
            format!("**{missed} of {valid} refused**{lost}")
        };
        format!("{refused}, longest {} ms", longest.as_millis())
    }
}

/// Lets clients send requests to the stand while `work` runs, and says what became of them.
pub fn during<R>(stand: &mut Stand, work: impl FnOnce(&mut Stand) -> R) -> (R, Figures) {
    let address = stand.envoy.address("main");
    let key = stand.key.clone();
    let forger = SigningKey::generate(key.kid(), Alg::ES256);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let (key, forger, ended) = (&key, &forger, &ended);
        let end = End(ended);
        let client = |client| scope.spawn(move || send(Connection::to(address), client, key, forger, ended));
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let result = work(stand);
        drop(end);
        let figures = clients.into_iter().map(|client| client.join().unwrap());
        (result, figures.fold(Figures::default(), Figures::plus))
    })
}

fn send(
    mut connection: Connection,
    client: usize,
    key: &SigningKey,
    forger: &SigningKey,
    ended: &AtomicBool,
) -> Figures {
    let request = |key: &SigningKey| bytes_of(&license(&Token::new(key), now()), &[]);
    let mut figures = Figures::default();
    let (mut made, mut valid, mut forged) = (Instant::now(), request(key), request(forger));
    for turn in client.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        if made.elapsed() > Duration::from_secs(30) {
            (made, valid, forged) = (Instant::now(), request(key), request(forger));
        }
        let is_forged = turn % FORGED == 0;
        let bytes = if is_forged { &forged } else { &valid };
        let begin = Instant::now();
        let used = connection.is_used();
        let mut answer = connection.exchange(bytes);
        if answer.is_err() && used {
            // A connection that had served before may be closed at any time; HTTP has clients send again then.
            answer = connection.exchange(bytes);
        }
        let took = begin.elapsed();
        let licensed = answer.as_ref().is_ok_and(|answer| answer.licensed);
        if is_forged {
            figures.forged += 1;
            figures.passed += usize::from(licensed);
        } else {
            figures.valid += 1;
            figures.refused += usize::from(answer.is_ok() && !licensed);
            figures.lost += usize::from(answer.is_err());
            figures.longest = figures.longest.max(took);
        }
        thread::sleep(PAUSE);
    }
    figures
}

/// Ends the requests, also when the work failed.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
