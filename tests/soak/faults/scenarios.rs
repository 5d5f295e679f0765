//! The faults: what is promised, and what is done to the proxy while requests come.

use std::thread;
use std::time::{Duration, Instant};

use super::aborts::{Stayed, go_away};
use super::panics::panic;
use super::probe::{self, Figures};
use super::stand::{Filter, Stand, license};
use crate::load::clock::Clock;
use crate::load::connection::Connection;
use crate::now;
use crate::support::client::{self, bytes_of};
use crate::support::key_service::Fault;
use crate::support::server;
use crate::support::signer::{Alg, SigningKey};
use crate::support::token::Token;
use crate::support::wait;

/// How much of each fault there is.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How long a fault lasts that has a length.
    pub time: Duration,
    /// Clients that go away.
    pub aborts: usize,
    /// Times that a VM is ended.
    pub panics: usize,
}

/// A fault.
pub struct Scenario {
    /// What happens.
    pub fault: &'static str,
    /// What the filter promises.
    pub promise: &'static str,
    /// Does it to a proxy with this filter and says what came of it, or why it cannot happen to it.
    pub run: fn(Filter, Extent) -> String,
}

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |fault, promise, run| Scenario { fault, promise, run };
    let held = "keys that are held serve on for `stale_if_error`; nobody waits for the key service";
    vec![
        scenario("key service killed", held, |filter, extent| outage(filter, Fault::Killed, extent)),
        scenario("key service hangs", held, |filter, extent| outage(filter, Fault::Hung, extent)),
        scenario("key service trickles a byte a second", held, |filter, extent| {
            outage(filter, Fault::Trickling, extent)
        }),
        scenario("key service answers 200 with a page", held, |filter, extent| outage(filter, Fault::Wrong, extent)),
        scenario("cluster of the key service removed by a push", held, removal),
        scenario(
            "a configuration pushed every 2 s",
            "no request is refused for it; requests under way end as they began",
            pushes,
        ),
        scenario("hot restart", "no request is refused for it", |filter, _| hot_restart(filter)),
        scenario(
            "first requests on 4 workers while the key takes 300 ms",
            "the key service is asked once",
            |filter, _| first_requests(filter),
        ),
        scenario(
            "clock set an hour back, token of before",
            "decisions follow the clock: MDRM-510, and allowed when the clock is right again",
            |filter, _| clock_back(filter),
        ),
        scenario(
            "clients go away while their key is fetched",
            "nothing of them stays: no request under way, no VM ends, memory does not grow",
            aborts,
        ),
        scenario(
            "the VM panics (test build)",
            "it serves again within 2 s; nothing passes; whoever waited in it has an end within `stream_idle_timeout`",
            |filter, extent| if filter == Filter::MdrmAuthz { panics(extent) } else { "has no VM".to_owned() },
        ),
    ]
}

/// Until the filter serves, and then a moment in which its key is fetched again.
fn settle(stand: &Stand) {
    let bytes = bytes_of(&license(&Token::new(&stand.key), now()), &[]);
    let address = stand.envoy.address("main");
    // As many connections as the probes have, so that each worker has the key.
    wait::until_true("every worker serves", || {
        (0..8).all(|_| Connection::to(address).exchange(&bytes).is_ok_and(|answer| answer.licensed))
    });
}

fn told(stand: &Stand, figures: &Figures) -> String {
    assert_eq!(figures.passed, 0, "forged tokens passed {}", stand.filter.name());
    if stand.filter == Filter::MdrmAuthz {
        stand.envoy.assert_healthy();
    }
    figures.text()
}

fn outage(filter: Filter, fault: Fault, extent: Extent) -> String {
    let mut stand = Stand::start(filter);
    settle(&stand);
    let (recovery, figures) = probe::during(&mut stand, |stand| {
        thread::sleep(Duration::from_secs(3));
        stand.keys.set_fault(Some(fault));
        thread::sleep(extent.time);
        stand.keys.set_fault(None);
        let begin = Instant::now();
        settle(stand);
        begin.elapsed()
    });
    format!("{}; serves {} ms after the end", told(&stand, &figures), recovery.as_millis())
}

fn removal(filter: Filter, extent: Extent) -> String {
    let mut stand = Stand::start(filter);
    settle(&stand);
    let (recovery, figures) = probe::during(&mut stand, |stand| {
        thread::sleep(Duration::from_secs(3));
        stand.set_cluster(false);
        thread::sleep(extent.time);
        stand.set_cluster(true);
        let begin = Instant::now();
        settle(stand);
        begin.elapsed()
    });
    format!("{}; serves {} ms after its return", told(&stand, &figures), recovery.as_millis())
}

fn pushes(filter: Filter, extent: Extent) -> String {
    let mut stand = Stand::start(filter);
    settle(&stand);
    let (pushed, figures) = probe::during(&mut stand, |stand| {
        let (begin, mut pushed) = (Instant::now(), 0);
        while begin.elapsed() < extent.time {
            stand.push();
            pushed += 1;
            thread::sleep(Duration::from_secs(2));
        }
        pushed
    });
    format!("{pushed} pushes: {}", told(&stand, &figures))
}

fn hot_restart(filter: Filter) -> String {
    let port = server::nobody().port();
    let mut stand = Stand::adjusted(filter, port, |setup| setup.hot_restart = true);
    settle(&stand);
    let (took, figures) = probe::during(&mut stand, |stand| {
        thread::sleep(Duration::from_secs(3));
        let begin = Instant::now();
        stand.envoy.restart();
        let took = begin.elapsed();
        stand.envoy.await_takeover();
        thread::sleep(Duration::from_secs(2));
        took
    });
    format!("{}; the new process serves after {} ms", told(&stand, &figures), took.as_millis())
}

fn first_requests(filter: Filter) -> String {
    let stand = Stand::start(filter);
    let key = SigningKey::generate("new", Alg::ES256);
    stand.register(&key, |answer| answer.delayed(Duration::from_millis(300)));
    thread::sleep(Duration::from_secs(3));
    let before = stand.callouts(&key);
    let bytes = bytes_of(&license(&Token::new(&key), now()), &[]);
    let open = |_| client::Connection::open(stand.envoy.address("main"));
    let mut connections: Vec<client::Connection> = (0..60).map(open).collect();
    let begin = Instant::now();
    connections.iter_mut().for_each(|connection| connection.send(&bytes).unwrap());
    let status = |connection: &mut client::Connection| connection.answer("GET").unwrap().status;
    let allowed = connections.iter_mut().map(status).filter(|status| *status == 200).count();
    let took = begin.elapsed();
    format!(
        "{} callouts for 60 requests, {allowed} allowed, all after {} ms",
        stand.callouts(&key) - before,
        took.as_millis()
    )
}

fn clock_back(filter: Filter) -> String {
    let clock = Clock::new();
    let stand = Stand::adjusted(filter, 0, |setup| setup.environment = clock.environment());
    settle(&stand);
    let bytes = bytes_of(&license(&Token::new(&stand.key), now()), &[]);
    let address = stand.envoy.address("main");
    let ask = || Connection::to(address).exchange(&bytes).expect("an answer");
    clock.set(-3600);
    let back = ask();
    clock.set(0);
    let right = ask();
    let shown = |answer: crate::load::connection::Answer| match (answer.licensed, answer.code) {
        (true, _) => "allowed".to_owned(),
        (false, Some(code)) => format!("MDRM-{code}"),
        (false, None) => answer.status.to_string(),
    };
    format!("{}, then {}", shown(back), shown(right))
}

fn aborts(filter: Filter, extent: Extent) -> String {
    if filter == (Filter::JwtAuthn { ahead: true }) {
        return "no request waits for a key".to_owned();
    }
    let stand = Stand::patient(filter);
    settle(&stand);
    // The others have one key set, and can be made to fetch it every two seconds only.
    let count = if filter == Filter::MdrmAuthz { extent.aborts } else { extent.aborts / 20 };
    let begin = Instant::now();
    let Stayed { clients, served } = go_away(&stand, count);
    let took = begin.elapsed();
    if filter == Filter::MdrmAuthz {
        assert_eq!(served, clients, "a client that stayed was refused");
        stand.envoy.assert_healthy();
        let waiting = || stand.envoy.stat("wasmcustom.mdrm_authz.waiting");
        wait::until_true("nobody waits any more", || waiting() == Some(0));
    }
    let under_way = stand.envoy.active_requests();
    let served = if served == clients {
        "the others served".into()
    } else {
        format!("**{} of {clients} others refused**", clients - served)
    };
    format!("{count} went away in {} s, {under_way} under way afterwards, {served}", took.as_secs())
}

fn panics(extent: Extent) -> String {
    let panics = panic(extent.panics);
    let Figures { valid, refused, lost, passed, .. } = panics.figures;
    assert_eq!(passed, 0, "forged tokens passed");
    let longest = panics.outages.iter().max().copied().unwrap_or_default();
    format!(
        "{} panics: it serves again after {} ms at most, {} of {valid} refused; {} who waited in it got {} after {:.1} s at most",
        panics.outages.len(),
        longest.as_millis(),
        refused + lost,
        panics.paused_statuses.len(),
        shown(&panics.paused_statuses),
        panics.paused_ended.as_secs_f64(),
    )
}

/// Statuses, each once; 0 is a connection that was closed without one.
fn shown(statuses: &[u16]) -> String {
    let mut statuses = statuses.to_vec();
    statuses.sort_unstable();
    statuses.dedup();
    statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}
