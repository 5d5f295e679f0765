//! A client that makes up names of keys, against a store with 10 000 good ones.

use std::time::Duration;

use mdrm_authz::denial::{Denial, KeyRefusal};
use mdrm_authz::jose::token::Kid;
use mdrm_authz::keys::Resolution;

use crate::KEYS;
use crate::heap;
use crate::store::{Store, good};

/// Names that are made up.
const NAMES: usize = 1_000_000;
/// The timer of the filter.
const TICK: Duration = Duration::from_millis(10);
/// Past the time-out and the first back-off.
const AGAIN_AFTER: Duration = Duration::from_millis(3_200);

/// What a flood has done.
pub struct Flood {
    pub name: &'static str,
    /// Names a second.
    pub rate: u32,
    pub requests: u64,
    pub seconds: u64,
    /// Requests to the key service.
    pub sent: u64,
    /// Refused on the key service's word, and by MDRM-500.
    pub unknown: u64,
    pub unavailable: u64,
    /// Heap bytes of the store before, and after every tenth.
    pub before: usize,
    pub heap: Vec<usize>,
    /// Good keys that still verify, without a question, afterwards.
    pub good: usize,
}

/// How names come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// A million, each once.
    Once,
    /// A million, each once more after a while.
    Twice,
    /// A million requests for these names in turn.
    InTurn,
}

/// So many names are asked for in turn; the store has room for all of them.
const IN_TURN: usize = 9_000;

/// `rate` names a second, not counting those that come again.
pub fn run(rate: u32, names: Names) -> Flood {
    let (name, pool) = match names {
        Names::Once => ("each name once", NAMES),
        Names::Twice => ("each again after 3.2 s", NAMES),
        Names::InTurn => ("9 000 names in turn", IN_TURN),
    };
    let step = Duration::from_secs(1) / rate;
    let again_after =
        (names == Names::Twice).then(|| usize::try_from(AGAIN_AFTER.as_nanos() / step.as_nanos()).unwrap());
    let base = heap::live();
    let mut store = Store::with_keys(KEYS);
    let mut flood = Flood {
        name,
        rate,
        requests: 0,
        seconds: 0,
        sent: 0,
        unknown: 0,
        unavailable: 0,
        before: heap::live() - base,
        heap: Vec::new(),
        good: 0,
    };
    let (begin, sent_before) = (store.at, store.sent);
    let mut tick_at = begin;
    // Waiters have the number of their name; what comes again is counted on from the last name.
    for number in 0..NAMES {
        let again = again_after.and_then(|distance| number.checked_sub(distance));
        for (waiter, name) in
            [(Some(number), number % pool), (again.map(|again| again + NAMES), again.unwrap_or_default())]
        {
            let Some(waiter) = waiter else { continue };
            flood.requests += 1;
            ask(&mut store, &mut flood, waiter, name);
        }
        store.send();
        store.at += step;
        if store.at >= tick_at {
            tick_at = store.at + TICK;
            for waiter in store.pass(Duration::ZERO) {
                let waiter = usize::try_from(waiter.0).unwrap();
                ask(&mut store, &mut flood, waiter, waiter % pool);
            }
        }
        if (number + 1) % (NAMES / 10) == 0 {
            flood.heap.push(heap::live() - base);
        }
    }
    flood.seconds = store.at.saturating_sub(begin).as_secs();
    flood.sent = store.sent - sent_before;
    flood.good = (0..KEYS).filter(|number| store.has_key(&good(*number))).count();
    flood
}

fn ask(store: &mut Store, flood: &mut Flood, waiter: usize, name: usize) {
    let kid = Kid::new(&format!("00000000-0000-4000-8000-{name:012}")).unwrap();
    match store.resolve(&kid, u32::try_from(waiter).unwrap()) {
        Resolution::Refused(Denial::AccessKey(KeyRefusal::Unknown)) => flood.unknown += 1,
        Resolution::Refused(Denial::KeyServiceUnavailable { .. } | Denial::TooManyWaiting { .. }) => {
            flood.unavailable += 1;
        }
        Resolution::Wait => {}
        other => panic!("no such key: {other:?}"),
    }
}
