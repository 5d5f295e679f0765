//! The requests that wait for an answer of the key service, indexed by the fetch that they wait for.
//!
//! No operation looks at waiters that it is not about: [`Waiters::end`] moves a fetch with all of its waiters at once, and
//! [`Waiters::next`] wakes them one at a time.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::fetches::{FetchId, WaiterId};

/// Why a waiter is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The fetch has ended: the waiter looks its key up again with [`super::Resolver::resolve`].
    LookUp,
    /// The fetch was never sent, because too many unknown kids were ahead of it. The waiter is refused.
    TurnedAway,
}

#[derive(Debug, Default)]
pub(super) struct Waiters {
    by_id: HashMap<WaiterId, FetchId>,
    by_fetch: HashMap<FetchId, Group>,
    /// Fetches that have ended and still have waiters, in the order in which they ended.
    ended: VecDeque<FetchId>,
    /// Woken waiters that have not looked up their key again.
    woken: HashSet<WaiterId>,
}

/// The waiters of one fetch.
#[derive(Debug, Default)]
struct Group {
    waiters: BTreeSet<WaiterId>,
    /// Set when the fetch has ended.
    wake: Option<Wake>,
}

impl Waiters {
    /// How many requests wait.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn contains(&self, waiter: WaiterId) -> bool {
        self.by_id.contains_key(&waiter)
    }

    /// Whether a request waits for `fetch`.
    pub(super) fn has(&self, fetch: FetchId) -> bool {
        self.by_fetch.contains_key(&fetch)
    }

    /// `waiter` waits for `fetch`, and for no other fetch any more.
    pub(super) fn wait(&mut self, waiter: WaiterId, fetch: FetchId) {
        self.remove(waiter);
        self.by_id.insert(waiter, fetch);
        self.by_fetch.entry(fetch).or_default().waiters.insert(waiter);
    }

    /// `fetch` has ended.
    pub(super) fn end(&mut self, fetch: FetchId, wake: Wake) {
        if let Some(group) = self.by_fetch.get_mut(&fetch) {
            group.wake = Some(wake);
            self.ended.push_back(fetch);
        }
    }

    /// Whether a fetch that has ended still has waiters.
    pub(super) fn any_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Wakes one waiter whose fetch has ended.
    pub(super) fn next(&mut self) -> Option<(WaiterId, Wake)> {
        loop {
            let fetch = *self.ended.front()?;
            let first = self.by_fetch.get(&fetch).and_then(|group| group.waiters.first().copied());
            let Some(waiter) = first else {
                // Its last waiter was taken, or has gone away.
                self.ended.pop_front();
                continue;
            };
            if let Some(wake) = self.take(waiter) {
                return Some((waiter, wake));
            }
        }
    }

    /// Wakes `waiter`, if its fetch has ended.
    pub(super) fn take(&mut self, waiter: WaiterId) -> Option<Wake> {
        let wake = self.by_fetch.get(self.by_id.get(&waiter)?)?.wake?;
        self.remove(waiter);
        if wake == Wake::LookUp {
            self.woken.insert(waiter);
        }
        Some(wake)
    }

    /// Whether `waiter`, which looks up a key, was woken to do so. True once.
    pub(super) fn was_woken(&mut self, waiter: WaiterId) -> bool {
        self.woken.remove(&waiter)
    }

    /// `waiter` has gone away. Returns the fetch that has no waiters any more because of it.
    pub(super) fn forget(&mut self, waiter: WaiterId) -> Option<FetchId> {
        self.woken.remove(&waiter);
        self.remove(waiter)
    }

    fn remove(&mut self, waiter: WaiterId) -> Option<FetchId> {
        let fetch = self.by_id.remove(&waiter)?;
        let group = self.by_fetch.get_mut(&fetch)?;
        group.waiters.remove(&waiter);
        if !group.waiters.is_empty() {
            return None;
        }
        self.by_fetch.remove(&fetch);
        Some(fetch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::jwk::Ring;

    fn fetch(number: u64) -> FetchId {
        FetchId { ring: Ring::Access, number }
    }

    fn waiting(pairs: &[(u32, u64)]) -> Waiters {
        let mut waiters = Waiters::default();
        pairs.iter().for_each(|(waiter, number)| waiters.wait(WaiterId(*waiter), fetch(*number)));
        waiters
    }

    fn all(waiters: &mut Waiters) -> Vec<u32> {
        std::iter::from_fn(|| waiters.next()).map(|(WaiterId(waiter), _)| waiter).collect()
    }

    #[test]
    fn wakes_the_waiters_of_a_fetch_that_has_ended_and_no_others() {
        let mut waiters = waiting(&[(1, 0), (2, 1), (3, 0)]);
        assert_eq!(waiters.next(), None);
        waiters.end(fetch(0), Wake::LookUp);
        assert!(waiters.any_ended());
        assert_eq!(all(&mut waiters), [1, 3]);
        assert_eq!((waiters.len(), waiters.any_ended(), waiters.has(fetch(1))), (1, false, true));
        assert!(waiters.was_woken(WaiterId(1)) && !waiters.was_woken(WaiterId(1)) && !waiters.was_woken(WaiterId(2)));
    }

    #[test]
    fn wakes_one_waiter_ahead_of_its_turn() {
        let mut waiters = waiting(&[(1, 0), (2, 0), (3, 1)]);
        assert_eq!(waiters.take(WaiterId(2)), None);
        waiters.end(fetch(0), Wake::TurnedAway);
        waiters.end(fetch(1), Wake::LookUp);
        assert_eq!(
            (waiters.take(WaiterId(2)), waiters.take(WaiterId(3))),
            (Some(Wake::TurnedAway), Some(Wake::LookUp))
        );
        assert_eq!(waiters.next(), Some((WaiterId(1), Wake::TurnedAway)));
        assert!(waiters.next().is_none() && !waiters.any_ended());
        assert!(!waiters.was_woken(WaiterId(2)), "a waiter that is turned away does not look up its key");
    }

    #[test]
    fn names_the_fetch_whose_last_waiter_has_gone_away() {
        let mut waiters = waiting(&[(1, 0), (2, 0)]);
        assert_eq!(waiters.forget(WaiterId(1)), None);
        assert_eq!(waiters.forget(WaiterId(2)), Some(fetch(0)));
        assert_eq!(waiters.forget(WaiterId(2)), None);
        assert_eq!((waiters.len(), waiters.has(fetch(0))), (0, false));
        waiters.end(fetch(0), Wake::LookUp);
        assert!(!waiters.any_ended());
    }

    #[test]
    fn a_waiter_that_has_gone_away_is_not_woken() {
        let mut waiters = waiting(&[(1, 0), (2, 1)]);
        waiters.end(fetch(0), Wake::LookUp);
        waiters.end(fetch(1), Wake::LookUp);
        waiters.forget(WaiterId(1));
        assert_eq!(all(&mut waiters), [2]);
        assert!(waiters.by_id.is_empty() && waiters.by_fetch.is_empty() && waiters.ended.is_empty());
    }

    #[test]
    fn a_waiter_waits_for_one_fetch() {
        let mut waiters = waiting(&[(1, 0), (1, 1)]);
        assert_eq!((waiters.len(), waiters.has(fetch(0))), (1, false));
        waiters.end(fetch(1), Wake::LookUp);
        assert_eq!(all(&mut waiters), [1]);
    }
}
