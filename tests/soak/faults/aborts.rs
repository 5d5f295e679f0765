//! Clients that go away while the key of their request is fetched.

use std::thread;
use std::time::Duration;

use super::stand::{Filter, Stand, license};
use crate::load::connection::Connection;
use crate::now;
use crate::support::client::{self, bytes_of};
use crate::support::exchange::Gate;
use crate::support::token::Token;

/// Clients at once.
const AT_ONCE: usize = 500;

/// What became of the clients that stayed, one after each round.
pub struct Stayed {
    /// How many there were.
    pub clients: usize,
    /// How many of them got their license.
    pub served: usize,
}

/// So many clients go away, in rounds. After each round comes one that stays.
pub fn go_away(stand: &Stand, count: usize) -> Stayed {
    let address = stand.envoy.address("main");
    let mut stayed = Stayed { clients: 0, served: 0 };
    for round in 0..count.div_ceil(AT_ONCE) {
        let gate = Gate::closed();
        let key = match stand.filter {
            Filter::MdrmAuthz => stand.key.under_kid(&format!("round-{round}")),
            // It has one set, which it fetches when the last one has ended.
            Filter::JwtAuthn { .. } => {
                thread::sleep(Duration::from_millis(2100));
                stand.key.clone()
            }
        };
        stand.register(&key, |answer| answer.held_by(&gate));
        let bytes = bytes_of(&license(&Token::new(&key), now()), &[]);
        let clients = AT_ONCE.min(count - round * AT_ONCE);
        let mut connections: Vec<client::Connection> =
            (0..clients).map(|_| client::Connection::open(address)).collect();
        connections.iter_mut().for_each(|connection| connection.send(&bytes).unwrap());
        stand.envoy.await_active_requests(clients as u64);
        connections.into_iter().for_each(client::Connection::abort);
        stand.envoy.await_active_requests(0);
        gate.open();
        let answer = Connection::to(address).exchange(&bytes).expect("an answer");
        stayed.clients += 1;
        stayed.served += usize::from(answer.licensed);
        stand.keys.forget_received();
    }
    stayed
}
