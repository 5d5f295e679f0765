//! Clients that send the traffic and judge every answer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Answer, Connection};
use super::expect::Expect;
use super::kinds::{Draft, Kind, Lane, World};
use super::license_server::{MARK, Mark};
use super::outages::Outages;
use super::tally::{Tally, count};
use crate::support::client::bytes_of;
use crate::support::codes::statuses;
use crate::support::random::Random;

/// How far a client that was held up may catch up with its rate.
const CATCH_UP: Duration = Duration::from_secs(2);

/// What the clients have in common.
pub struct Traffic {
    /// What requests are made from.
    pub world: World,
    /// The kinds.
    pub kinds: Vec<Kind>,
    /// The addresses of the lanes.
    pub addresses: [SocketAddr; 3],
    /// When the key service was away.
    pub outages: Outages,
    /// What came of it.
    pub tally: Tally,
    /// Set when it is enough.
    pub ended: AtomicBool,
}

/// A request that is ready to be sent.
struct Shot {
    bytes: Vec<u8>,
    expect: Expect,
    rotation: Option<usize>,
    made: Instant,
}

impl Shot {
    fn new(draft: &Draft) -> Shot {
        let mark = if draft.expect.may_pass() { draft.mark } else { Mark::Never };
        Shot {
            bytes: bytes_of(&draft.request, &[(MARK, mark.text())]),
            expect: draft.expect,
            rotation: draft.rotation,
            made: Instant::now(),
        }
    }
}

impl Traffic {
    /// Sends requests at its share of `rate` a second, as one client of `clients`, until [`Traffic::ended`].
    ///
    /// Half of the clients send what goes to the steady lane, the others the rest: they may have to wait while the key
    /// service is away, and must not keep the former from sending.
    pub fn send(&self, client: usize, clients: usize, rate: f64) {
        let kinds: Vec<&Kind> =
            self.kinds.iter().filter(|kind| (kind.lane == Lane::Steady) == client.is_multiple_of(2)).collect();
        let weight = |kinds: &mut dyn Iterator<Item = &Kind>| kinds.map(|kind| kind.weight).sum::<usize>();
        let (ours, all) = (weight(&mut kinds.iter().copied()), weight(&mut self.kinds.iter()));
        let pause = Duration::from_secs_f64(clients as f64 / 2.0 / (rate * ours as f64 / all as f64));
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (client as u64 + 1));
        let mut connections = self.addresses.map(Connection::to);
        let mut ready: Vec<Option<Shot>> = kinds.iter().map(|_| None).collect();
        let mut next = Instant::now();
        while !self.ended.load(Ordering::Relaxed) {
            let place = drawn(&kinds, random.below(ours));
            let kind = kinds[place];
            let shot = match &mut ready[place] {
                Some(shot) if shot.made.elapsed() < kind.reuse => shot,
                other => {
                    count(&self.tally.made);
                    other.insert(Shot::new(&(kind.make)(&self.world)))
                }
            };
            let lane = Lane::ALL.iter().position(|lane| *lane == kind.lane).unwrap();
            self.one(kind, shot, &mut connections[lane]);
            next += pause;
            let now = Instant::now();
            match next.checked_duration_since(now) {
                Some(early) => thread::sleep(early),
                None if now - next > CATCH_UP => next = now - CATCH_UP,
                None => {}
            }
        }
    }

    /// Sends a request and judges the answer.
    fn one(&self, kind: &Kind, shot: &Shot, connection: &mut Connection) {
        let used = connection.is_used();
        let begin = Instant::now();
        let mut answer = connection.exchange(&shot.bytes);
        if answer.is_err() && used && kind.lane == Lane::Pushed {
            // A configuration that was replaced takes its connections along. To send again is what clients must do then.
            count(&self.tally.repeated);
            answer = connection.exchange(&shot.bytes);
        }
        let end = Instant::now();
        count(&self.tally.sent);
        self.tally.times.add(end - begin);
        let told = |problem: String| {
            let since = begin.duration_since(shot.made);
            format!("{} [{:?}], made {since:?} before, took {:?}: {problem}", kind.name, kind.lane, end - begin)
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.tally.wrong(|| told(format!("no answer: {error}"))),
        };
        let times = self.world.clock.readings(begin, end);
        let codes = self.codes(shot, &times, begin, end);
        if codes.contains(&answer.code) && is_whole(answer) {
            count(if answer.code.is_none() { &self.tally.allowed } else { &self.tally.denied });
        } else if answer.code == Some(500) && is_whole(answer) && !kind.held && self.outages.touch(begin, end) {
            count(&self.tally.without_key);
        } else {
            self.tally.wrong(|| told(format!("{answer:?}, expected one of {codes:?}")));
        }
    }

    /// The codes that are right. Around a second in which something ends, both sides of it are.
    fn codes(&self, shot: &Shot, times: &[i64], begin: Instant, end: Instant) -> Vec<Option<u16>> {
        let around = times.iter().flat_map(|time| [time - 1, *time, time + 1]);
        let mut codes: Vec<Option<u16>> = around.map(|time| shot.expect.at(time)).collect();
        if let Some(number) = shot.rotation {
            let of_key = self.world.rotation.codes(number, begin, end, self.outages.touch(begin, end));
            // What is said of the key comes before the times of the token.
            codes = of_key.iter().flat_map(|of_key| codes.iter().map(move |code| of_key.or(*code))).collect();
        }
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

/// The place of the kind that this part of all weights belongs to.
fn drawn(kinds: &[&Kind], mut part: usize) -> usize {
    let found = kinds.iter().position(|kind| match part.checked_sub(kind.weight) {
        Some(rest) => {
            part = rest;
            false
        }
        None => true,
    });
    found.expect("a part of all weights")
}

/// The status of each code.
static STATUSES: LazyLock<HashMap<u16, u16>> = LazyLock::new(statuses);

/// Whether status, code and who answered fit each other.
fn is_whole(answer: Answer) -> bool {
    match answer.code {
        None => answer.status == 200 && answer.licensed,
        Some(code) => {
            let retry =
                if code == 500 { matches!(answer.retry_after, Some(1..=30)) } else { answer.retry_after.is_none() };
            STATUSES.get(&code) == Some(&answer.status) && !answer.licensed && retry
        }
    }
}
