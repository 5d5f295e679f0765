//! Good tokens of every algorithm with one thing changed, by the thousand: none is accepted, and no VM dies.
//!
//! How many of each kind and algorithm is `MUTATIONS` (60); 0 stands for all that there are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;

use serde_json::json;

use crate::now;
use crate::support::client::{Connection, bytes_of};
use crate::support::rig::Rig;
use crate::support::signer::{Alg, base64url, from_base64url};
use crate::support::table::Request;
use crate::support::table::keyring::keyring;
use crate::support::token::Token;

/// Changed tokens between two that are good.
const BETWEEN_GOOD_ONES: usize = 25;
const SENDERS: usize = 3;

/// A kind of change: how many there are for a token, and the token with the one of this number.
struct Kind {
    name: &'static str,
    count: fn(&[u8]) -> usize,
    change: fn(&[u8], usize) -> Vec<u8>,
}

const KINDS: [Kind; 7] = [
    Kind { name: "a bit of the text", count: |token| token.len() * 8, change: flipped },
    Kind {
        name: "a bit of the decoded header",
        count: |token| decoded(token, 0).len() * 8,
        change: |token, at| with_part(token, 0, flipped(&decoded(token, 0), at)),
    },
    Kind {
        name: "a bit of the decoded payload",
        count: |token| decoded(token, 1).len() * 8,
        change: |token, at| with_part(token, 1, flipped(&decoded(token, 1), at)),
    },
    Kind {
        name: "a bit of the decoded signature",
        count: |token| decoded(token, 2).len() * 8,
        change: |token, at| with_part(token, 2, flipped(&decoded(token, 2), at)),
    },
    Kind {
        name: "a character less",
        count: <[u8]>::len,
        change: |token, at| [&token[..at], &token[at + 1..]].concat(),
    },
    Kind { name: "a character more", count: <[u8]>::len, change: |token, at| [&token[..=at], &token[at..]].concat() },
    Kind {
        name: "two neighbours swapped",
        count: |token| token.len() - 1,
        change: |token, at| {
            let mut changed = token.to_vec();
            changed.swap(at, at + 1);
            changed
        },
    },
];

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at / 8] ^= 1 << (at % 8);
    changed
}

fn parts(token: &[u8]) -> Vec<&str> {
    std::str::from_utf8(token).unwrap().split('.').collect()
}

fn decoded(token: &[u8], part: usize) -> Vec<u8> {
    from_base64url(parts(token)[part])
}

fn with_part(token: &[u8], part: usize, bytes: Vec<u8>) -> Vec<u8> {
    let encoded = base64url(&bytes);
    let mut parts = parts(token);
    parts[part] = &encoded;
    parts.join(".").into_bytes()
}

/// What was answered: a code, `Envoy` for what no filter saw, `accepted`.
type Counts = BTreeMap<(&'static str, String), usize>;

/// Sends the changed tokens of one algorithm, and good ones between them; gives how many were good.
fn send_all(address: SocketAddr, alg: Alg, limit: usize, counts: &mut Counts) -> usize {
    let token = Token::new(keyring().of_alg(alg)).compact(now()).into_bytes();
    let mut connection = Connection::open(address);
    let mut good = 0;
    let mut sent = 0;
    for Kind { name, count, change } in &KINDS {
        let count = count(&token);
        // Which ones: spread over all, and others for each algorithm.
        let step = if limit == 0 { 1 } else { count.div_ceil(limit) };
        for at in (alg as usize % step..count).step_by(step) {
            if sent % BETWEEN_GOOD_ONES == 0 {
                assert_eq!(answer(address, &mut connection, &token), "accepted", "{alg:?}");
                good += 1;
            }
            let changed = change(&token, at);
            if changed == token {
                continue;
            }
            sent += 1;
            let answer = answer(address, &mut connection, &changed);
            assert_ne!(answer, "accepted", "{alg:?}, {name}, {at}: {}", changed.escape_ascii());
            *counts.entry((name, answer)).or_default() += 1;
        }
    }
    good
}

fn answer(address: SocketAddr, connection: &mut Connection, token: &[u8]) -> String {
    connection.send(&bytes_of(&Request::get("/").token(token), &[])).unwrap();
    let answered = connection.answer("GET").unwrap();
    match (answered.status, answered.code()) {
        (200, None) => "accepted".to_owned(),
        (_, Some(code)) => code.to_string(),
        // What is no header: Envoy closes the connection.
        (400, None) => {
            *connection = Connection::open(address);
            "Envoy".to_owned()
        }
        _ => panic!("{answered:?} to {}", token.escape_ascii()),
    }
}

#[test]
fn attack_29_no_change_to_any_bit_of_a_good_token_is_accepted() {
    let limit = std::env::var("MUTATIONS").map_or(60, |limit| limit.parse().expect("MUTATIONS is a number"));
    let rig = Rig::start(&json!({
        "keys": {"cluster": "keys"},
        "services": {"license": {"max_age": "1h"}},
        "allow_slow_algorithms": true,
    }));
    Alg::ALL.into_iter().for_each(|alg| rig.keys.register(keyring().of_alg(alg)));
    let address = rig.envoy.only();
    let results: Vec<(usize, Counts)> = thread::scope(|scope| {
        let send = |first| {
            scope.spawn(move || {
                let mut counts = Counts::new();
                let algs = Alg::ALL.into_iter().skip(first).step_by(SENDERS);
                (algs.map(|alg| send_all(address, alg, limit, &mut counts)).sum(), counts)
            })
        };
        let senders: Vec<_> = (0..SENDERS).map(send).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let mut counts = Counts::new();
    for ((kind, answer), times) in results.iter().flat_map(|(_, counts)| counts) {
        *counts.entry((kind, answer.clone())).or_default() += times;
    }
    for kind in KINDS.map(|kind| kind.name) {
        let of_kind = || counts.iter().filter(|((name, _), _)| *name == kind);
        let total: usize = of_kind().map(|(_, times)| times).sum();
        let answers: Vec<String> = of_kind().map(|((_, answer), times)| format!("{answer}: {times}")).collect();
        println!("| {kind} | {total} | {} | 0 |", answers.join(", "));
        assert!(total >= Alg::ALL.len() * 20, "{kind}: {total}");
    }
    let good: usize = results.iter().map(|(good, _)| good).sum();
    println!("{} changed tokens, {good} good ones between them", counts.values().sum::<usize>());
    let odd = counts.keys().find(|(_, answer)| !["502", "504", "505", "Envoy"].contains(&answer.as_str()));
    assert!(odd.is_none(), "{odd:?}");
    assert_eq!(rig.upstream.count(), good);
    rig.envoy.assert_healthy();
}
