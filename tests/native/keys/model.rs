//! Random histories of questions, answers, departures and time, against a model that says the same in fewer words.

mod naive;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

use super::stage::{CROWDED, Reply, Seen, Stage, document, unavailable};
use crate::support::signer::Document;
use naive::{Naive, Said};

/// Names of keys that are asked for.
const KIDS: usize = 3;
/// Requests that come and go.
const WAITERS: u32 = 5;
/// How many of them may wait.
const MAX_WAITING: usize = 3;

/// What happens to the keys of a worker.
#[derive(Debug, Clone)]
enum Event {
    /// A request comes with a kid, unless it waits already.
    Ask { kid: usize, waiter: u32 },
    /// One of the requests under way is answered.
    Answer { which: usize, says: Says },
    /// A request that was answered before is answered again.
    AnswerAgain { which: usize, says: Says },
    /// A request goes away.
    Forget { waiter: u32 },
    /// Time goes by.
    Pass { millis: u64 },
}

/// What the key service says, in either mode.
#[derive(Debug, Clone)]
struct Says {
    what: What,
    max_age: Option<u64>,
}

#[derive(Debug, Clone)]
enum What {
    Failure,
    Unknown,
    Deleted,
    Unusable,
    Disabled,
    /// Versions of the keys, by kid; in one-key mode the version of the key that was asked for, if there is one.
    Keys([Option<u8>; KIDS]),
}

fn event() -> impl Strategy<Value = Event> {
    let waiter = 0..WAITERS;
    prop_oneof![
        6 => (0..KIDS, waiter.clone()).prop_map(|(kid, waiter)| Event::Ask { kid, waiter }),
        4 => (0..8_usize, says()).prop_map(|(which, says)| Event::Answer { which, says }),
        1 => (0..8_usize, says()).prop_map(|(which, says)| Event::AnswerAgain { which, says }),
        1 => waiter.prop_map(|waiter| Event::Forget { waiter }),
        // Steps on the grid of the limits, so that edges are met, and steps beside it.
        3 => prop_oneof![(1..12_u64).prop_map(|n| n * 500), 1..40_u64, (1..8_u64).prop_map(|n| n * 5000)]
            .prop_map(|millis| Event::Pass { millis }),
    ]
}

fn says() -> impl Strategy<Value = Says> {
    let what = prop_oneof![
        4 => Just(What::Failure),
        1 => Just(What::Unknown),
        1 => Just(What::Deleted),
        1 => Just(What::Unusable),
        1 => Just(What::Disabled),
        5 => prop::array::uniform3(prop::option::of(0..4_u8)).prop_map(What::Keys),
    ];
    (what, prop::option::of(0..25_u64)).prop_map(|(what, max_age)| Says { what, max_age })
}

fn kid(at: usize) -> String {
    format!("k{at}")
}

fn owner(version: u8) -> String {
    format!("owner-{version}")
}

impl Says {
    /// The answer about a key, and what it means.
    fn about(&self, at: usize) -> (Reply, Option<Said>) {
        let right = |version: u8| document(&kid(at), &owner(version));
        match &self.what {
            What::Failure => (Reply::silence(), None),
            What::Unknown => (Reply::status(404), Some(Said::Unknown)),
            What::Deleted => (Reply::status(410), Some(Said::Deleted)),
            What::Unusable => (Reply::json(&json!({})), Some(Said::Unusable)),
            What::Disabled => (Reply::json(&right(0).with("status", json!("disabled"))), Some(Said::Disabled)),
            What::Keys(versions) => {
                let version = versions[at].unwrap_or(9);
                (Reply::json(&right(version)), Some(Said::Key(owner(version))))
            }
        }
    }

    /// The answer about all keys, and what it means.
    fn about_all(&self) -> (Reply, Option<Said>) {
        let versions = match &self.what {
            What::Failure | What::Unknown | What::Deleted | What::Unusable => return (Reply::status(503), None),
            What::Disabled => [None; KIDS],
            What::Keys(versions) => *versions,
        };
        let keys = || versions.iter().enumerate().filter_map(|(at, version)| Some((at, (*version)?)));
        let documents: Vec<Value> = keys().map(|(at, version)| document(&kid(at), &owner(version))).collect();
        let owners = keys().map(|(at, version)| (kid(at), owner(version))).collect();
        (Reply::set(&documents), Some(Said::Set(owners)))
    }
}

/// A resolver and its model, side by side.
struct Pair {
    stage: Stage,
    model: Naive,
    answered: Vec<mdrm_authz::keys::FetchId>,
    /// Nothing is ever pushed out, so that the model knows each answer beforehand.
    exact: bool,
}

impl Pair {
    fn new(set: bool, max_entries: u64) -> Pair {
        let members = json!({
            "max_age": "5s", "max_age_limit": "20s", "stale_if_error": "12s", "negative_max_age": "3s",
            "refetch_interval": "4s", "max_waiting": MAX_WAITING, "max_entries": max_entries,
        });
        let stage = if set { Stage::set(&members) } else { Stage::one_key(&members) };
        Pair { stage, model: Naive::new(set), answered: Vec::new(), exact: set || max_entries > 2 }
    }

    fn happen(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Ask { waiter, .. } if self.model.waiting.contains_key(waiter) => {}
            Event::Ask { kid: at, waiter } => self.ask(&kid(*at), *waiter).map(drop)?,
            Event::Answer { which, says } => {
                let under_way: Vec<String> = self.model.under_way.keys().cloned().collect();
                if !under_way.is_empty() {
                    self.answer(&under_way[which % under_way.len()], says)?;
                }
            }
            Event::AnswerAgain { which, says } => {
                if !self.answered.is_empty() {
                    let id = self.answered[which % self.answered.len()];
                    let reply = if self.model.set { says.about_all().0 } else { says.about(0).0 };
                    prop_assert_eq!(self.stage.answer(id, &reply), Vec::<u32>::new());
                }
            }
            Event::Forget { waiter } => {
                self.stage.resolver.forget(mdrm_authz::keys::WaiterId(*waiter));
                self.model.waiting.remove(waiter);
            }
            Event::Pass { millis } => {
                self.stage.pass_millis(*millis);
                self.model.now += millis;
            }
        }
        prop_assert_eq!(self.stage.resolver.waiting(), self.model.waiting.len());
        prop_assert!(self.model.waiting.len() <= MAX_WAITING);
        Ok(())
    }

    fn ask(&mut self, kid: &str, waiter: u32) -> Result<Seen, TestCaseError> {
        let room = self.model.waiting.len() < MAX_WAITING;
        let (expected, asks) = self.model.expect(kid);
        let expected = if expected == Seen::Wait && !room { CROWDED } else { expected };
        let asks = asks && (expected != CROWDED || self.model.is_registered(kid));
        let seen = self.stage.ask(kid, waiter);
        let sent = self.stage.sent();
        if self.exact {
            prop_assert_eq!(&seen, &expected);
            prop_assert_eq!(sent.len(), usize::from(asks));
        } else {
            // What was pushed out may have to be asked for again; what is served must still be right.
            let asked_again = seen == Seen::Wait || seen == CROWDED || (1..=30).any(|n| seen == unavailable(n));
            prop_assert!(seen == expected || asked_again, "{seen:?} instead of {expected:?}");
        }
        if seen == Seen::Wait {
            self.model.waiting.insert(waiter, kid.to_owned());
        }
        for request in sent {
            prop_assert_eq!(&request.path, &self.model.subject(kid));
            let twice = self.model.under_way.insert(request.path, request.id);
            prop_assert!(twice.is_none(), "two requests about one subject are under way");
        }
        if seen == Seen::Wait {
            prop_assert!(self.model.under_way.contains_key(&self.model.subject(kid)), "nothing comes for who waits");
        }
        Ok(seen)
    }

    fn answer(&mut self, subject: &str, says: &Says) -> Result<(), TestCaseError> {
        let id = self.model.under_way.remove(subject).unwrap();
        self.answered.push(id);
        let at = (0..KIDS).find(|at| subject == self.model.subject(&kid(*at))).unwrap();
        let (reply, said) = if self.model.set { says.about_all() } else { says.about(at) };
        let reply = says.max_age.map_or(reply.clone(), |max_age| reply.cache(&format!("max-age={max_age}")));
        let waited: Vec<(u32, String)> =
            self.model.waiting.clone().into_iter().filter(|(_, kid)| self.model.subject(kid) == subject).collect();
        let named = self.stage.answer(id, &reply);
        prop_assert_eq!(&named, &waited.iter().map(|(waiter, _)| *waiter).collect::<Vec<_>>());
        self.model.waiting.retain(|waiter, _| !named.contains(waiter));
        let now = self.model.now;
        let memory = self.model.memories.entry(subject.to_owned()).or_default();
        match said {
            Some(said) => memory.remember(said, says.max_age, now),
            None => memory.failures.push(now),
        }
        for (waiter, kid) in waited {
            let seen = self.ask(&kid, waiter)?;
            prop_assert_ne!(seen, Seen::Wait, "who was named waits again");
        }
        Ok(())
    }

    /// Every request under way is answered in the end, and then nobody waits.
    fn end(&mut self) -> Result<(), TestCaseError> {
        while let Some(subject) = self.model.under_way.keys().next().cloned() {
            self.answer(&subject, &Says { what: What::Failure, max_age: None })?;
        }
        prop_assert_eq!(self.stage.resolver.waiting(), 0);
        Ok(())
    }
}

fn run(mut pair: Pair, events: &[Event]) -> Result<(), TestCaseError> {
    for event in events {
        pair.happen(event)?;
    }
    pair.end()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_key_a_request_behaves_as_the_model_says(events in prop::collection::vec(event(), 1..60)) {
        run(Pair::new(false, 100), &events)?;
    }

    #[test]
    fn a_set_behaves_as_the_model_says(events in prop::collection::vec(event(), 1..60)) {
        run(Pair::new(true, 100), &events)?;
    }

    #[test]
    fn what_is_pushed_out_is_asked_for_again_and_nobody_is_lost(
        max_entries in 1..3_u64,
        events in prop::collection::vec(event(), 1..60),
    ) {
        run(Pair::new(false, max_entries), &events)?;
    }
}
