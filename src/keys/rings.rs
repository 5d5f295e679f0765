//! The keys of one configuration by kind, each kind with its own key service and its own store.

use std::rc::Rc;

use super::fetches::{FetchId, KeyRequest, Progress, WaiterId};
use super::{KeyCache, Resolution, Resolver, Wake};
use crate::clock::Now;
use crate::config::Config;
use crate::jose::jwk::{AccessKey, Key, Ring};
use crate::jose::master_key::MasterKey;
use crate::jose::native::Verify;
use crate::jose::signing::SessionKey;
use crate::jose::token::Kid;
use crate::metrics::Counters;

/// All keys of one configuration in one worker.
#[derive(Debug)]
pub struct Rings {
    access: Resolver,
    /// None unless session tokens are configured.
    session: Option<Resolver>,
    /// None unless the Trust Tunnel has keys.
    master: Option<Resolver>,
}

impl Rings {
    /// Starts with no keys but the inline ones. See [`Resolver::new`].
    pub fn new(config: &Config, native: Option<Verify>, seed: Option<u64>) -> Self {
        let store = |ring: Ring, keys| {
            // Another seed for each, or they would all be asked in step.
            let seed = seed.map(|seed| seed.wrapping_add(ring as u64));
            Resolver::new(ring, keys, native, seed)
        };
        let session = config.session.as_ref().map(|session| Rc::clone(&session.keys));
        let master = config.tunnel.keys.as_ref().map(Rc::clone);
        Self {
            access: store(Ring::Access, Rc::clone(&config.keys)),
            session: session.map(|keys| store(Ring::Session, keys)),
            master: master.map(|keys| store(Ring::Master, keys)),
        }
    }

    /// Looks up what verifies tokens and CPIX documents; see [`Resolver::resolve`].
    /// Where it was found stands beside.
    pub fn access(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> (Resolution<Rc<AccessKey>>, KeyCache) {
        let (resolution, cache) = self.access.find(kid, waiter, now);
        let resolution = resolution.of_kind(Ring::Access, |key| match key {
            Key::Access(key) => Some(key),
            _ => None,
        });
        (resolution, cache)
    }

    /// Looks up what signs session tokens; none if they are not configured.
    pub fn session(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> Option<Resolution<Rc<SessionKey>>> {
        let resolution = self.session.as_mut()?.resolve(kid, waiter, now);
        Some(resolution.of_kind(Ring::Session, |key| match key {
            Key::Session(key) => Some(key),
            _ => None,
        }))
    }

    /// Looks up what decrypts Trust Tunnel requests; none if that is not configured.
    pub fn master(&mut self, kid: &Kid, waiter: WaiterId, now: Now) -> Option<Resolution<Rc<MasterKey>>> {
        let resolution = self.master.as_mut()?.resolve(kid, waiter, now);
        Some(resolution.of_kind(Ring::Master, |key| match key {
            Key::Master(key) => Some(key),
            _ => None,
        }))
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Resolver> {
        std::iter::once(&mut self.access).chain(&mut self.session).chain(&mut self.master)
    }

    /// The store that a request to a key service came from; none only for a number that no store of these gave.
    pub fn of(&mut self, id: FetchId) -> Option<&mut Resolver> {
        match id.ring {
            Ring::Access => Some(&mut self.access),
            Ring::Session => self.session.as_mut(),
            Ring::Master => self.master.as_mut(),
        }
    }

    /// Whether [`Self::next_request`] may have something to send at `now`.
    pub fn has_requests(&mut self, now: Now) -> bool {
        self.all().any(|store| store.has_requests(now))
    }

    /// Whether [`Self::poll`] has waiters to wake, however late it is.
    pub fn has_woken(&mut self) -> bool {
        self.all().any(|store| store.has_woken())
    }

    /// Whether requests can only be sent at a later tick.
    pub fn needs_tick(&mut self) -> bool {
        self.all().any(|store| store.needs_tick())
    }

    /// The next request that may be sent; see [`Resolver::next_request`].
    pub fn next_request(&mut self, now: Now) -> Option<KeyRequest> {
        self.all().find_map(|store| store.next_request(now))
    }

    /// Time has passed; see [`Resolver::on_tick`].
    pub fn on_tick(&mut self) {
        self.all().for_each(Resolver::on_tick);
    }

    /// One piece of work that is due; see [`Resolver::poll`].
    pub fn poll(&mut self, now: Now) -> Option<Progress> {
        self.all().find_map(|store| store.poll(now))
    }

    /// Wakes `waiter`, if the fetch that it waits for has ended.
    pub fn wake(&mut self, waiter: WaiterId) -> Option<Wake> {
        self.all().find_map(|store| store.wake(waiter))
    }

    /// How many keys of the key services are held.
    pub fn entries(&mut self) -> usize {
        self.all().map(|store| store.entries()).sum()
    }

    /// Hands over what the stores have counted.
    pub fn count_into(&mut self, counters: &mut Counters) {
        self.all().for_each(|store| counters.absorb(store.counters()));
    }

    /// `waiter` has gone away.
    pub fn forget(&mut self, waiter: WaiterId) {
        self.all().for_each(|store| store.forget(waiter));
    }
}
