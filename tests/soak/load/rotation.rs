//! Keys that change while requests come: enabled, disabled, deleted, replaced by another key of the same name.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::key_service::{Answer, KeyService};
use crate::support::signer::{Alg, Document, SigningKey};

/// Names of the keys.
const KEYS: usize = 8;
/// How long the filter may hold what it was told, in seconds: `max-age`.
const FRESHNESS: u64 = 1;
/// Changes of a key that are remembered: many more than come within the slack.
const REMEMBERED: usize = 4;
/// What a busy machine may add to that: a callout that is not answered within its second is a failure of the key service, and
/// what is held counts until the next one is.
const SLACK: Duration = Duration::from_secs(8);

/// What the key service says of a key, and the code that its tokens get.
#[derive(Clone, Copy, Debug)]
enum State {
    Enabled,
    Disabled,
    Deleted,
    Gone,
    Replaced,
}

impl State {
    const ALL: [State; 5] = [State::Enabled, State::Disabled, State::Deleted, State::Replaced, State::Gone];

    fn code(self) -> Option<u16> {
        match self {
            State::Enabled => None,
            State::Disabled => Some(513),
            State::Deleted | State::Gone => Some(512),
            State::Replaced => Some(505),
        }
    }

    fn answer(self, key: &SigningKey) -> Answer {
        let document = match self {
            State::Enabled => key.jwk(),
            State::Disabled => key.jwk().with("status", json!("disabled")),
            State::Deleted => key.jwk().with("status", json!("deleted")),
            State::Replaced => SigningKey::generate(key.kid(), key.alg()).jwk(),
            State::Gone => return Answer::new(410, "{}"),
        };
        Answer::document(&document).header("cache-control", &format!("max-age={FRESHNESS}"))
    }
}

/// The keys, and what was said of each, and when.
pub struct Rotation {
    keys: Vec<SigningKey>,
    history: Vec<Mutex<Vec<(Instant, State)>>>,
}

impl Rotation {
    /// All enabled.
    pub fn new(service: &KeyService) -> Rotation {
        let keys: Vec<SigningKey> =
            (0..KEYS).map(|number| SigningKey::generate(&format!("rotating-{number}"), Alg::ES256)).collect();
        keys.iter().for_each(|key| service.set_for(key.kid(), State::Enabled.answer(key)));
        let history = keys.iter().map(|_| Mutex::new(vec![(Instant::now(), State::Enabled)])).collect();
        Rotation { keys, history }
    }

    /// The key with this number, which may be any.
    pub fn key(&self, number: usize) -> &SigningKey {
        &self.keys[number % KEYS]
    }

    /// The next change: each key in its turn, and each time to its next state.
    pub fn step(&self, number: usize, service: &KeyService) {
        let place = number % KEYS;
        let state = State::ALL[(number / KEYS + 1 + place) % State::ALL.len()];
        let mut history = self.history[place].lock().unwrap();
        // Noted first: from here on both are right.
        history.push((Instant::now(), state));
        service.set_for(self.keys[place].kid(), state.answer(&self.keys[place]));
        let forgotten = history.len().saturating_sub(REMEMBERED);
        history.drain(..forgotten);
    }

    /// The codes that a token of this key may get which was sent and answered at these moments. In an outage a worker that
    /// was not asked about the key since its last change may know no better than what it held before: all that are
    /// remembered.
    pub fn codes(&self, number: usize, sent: Instant, answered: Instant, in_outage: bool) -> Vec<Option<u16>> {
        let history = self.history[number % KEYS].lock().unwrap();
        if in_outage {
            return history.iter().map(|(_, state)| state.code()).collect();
        }
        let oldest = sent.checked_sub(Duration::from_secs(FRESHNESS) + SLACK).unwrap_or(sent);
        let ends = history.iter().skip(1).map(|(begin, _)| Some(*begin)).chain([None]);
        let during =
            |(begin, end): (Instant, Option<Instant>)| begin <= answered && end.is_none_or(|end| end >= oldest);
        history
            .iter()
            .zip(ends)
            .filter(|((begin, _), end)| during((*begin, *end)))
            .map(|((_, state), _)| state.code())
            .collect()
    }
}
