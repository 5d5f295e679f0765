//! Nothing falls over: the short forms of what `make soak` does for as long as one likes.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::faults::aborts::go_away;
use crate::faults::panics::panic;
use crate::faults::probe;
use crate::faults::stand::{Filter, Stand};
use crate::load::{self, Size};
use crate::support::server;
use crate::support::wait;

/// Whether nothing is left of requests that ended: in Envoy, in the filter.
fn nothing_waits(stand: &Stand) -> bool {
    let waiting = stand.envoy.stat("wasmcustom.mdrm_authz.waiting");
    stand.envoy.active_requests() == 0 && waiting == Some(0)
}

#[test]
fn attack_63_traffic_is_decided_rightly_while_everything_around_it_changes() {
    let size = Size {
        time: Duration::from_secs(62),
        rate: 250.0,
        clients: 12,
        keys: 200,
        aborts: 20.0,
        warm_up: Duration::from_secs(45),
    };
    let outcome = load::run(size, &AtomicBool::new(false), |line| println!("{line}"));
    outcome.check().unwrap_or_else(|problem| panic!("{problem}"));
    println!("{:?}", outcome.disturbances);
    assert!(outcome.disturbances.pushes > 10 && outcome.disturbances.outages == 1, "{:?}", outcome.disturbances);
}

#[test]
fn attack_63_no_request_is_refused_for_configurations_that_are_pushed() {
    let mut stand = Stand::start(Filter::MdrmAuthz);
    let ((), figures) = probe::during(&mut stand, |stand| {
        for _ in 0..6 {
            stand.push();
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    println!("{figures:?}");
    assert_eq!((figures.refused, figures.lost, figures.passed), (0, 0, 0), "{figures:?}");
    stand.envoy.assert_healthy();
}

#[test]
fn attacks_61_and_62_thousands_of_clients_that_go_away_while_their_key_is_fetched_leave_nothing_behind() {
    let stand = Stand::patient(Filter::MdrmAuthz);
    let stayed = go_away(&stand, 3000);
    assert_eq!(stayed.served, stayed.clients);
    wait::until_true("nothing is left of them", || nothing_waits(&stand));
    stand.envoy.assert_healthy();
}

#[test]
fn attack_66_after_a_panic_the_worker_serves_again_within_two_seconds_and_nothing_passes() {
    let panics = panic(3);
    println!("{panics:?}");
    // What a busy machine may add to the two seconds.
    let longest = *panics.outages.iter().max().unwrap();
    assert!(longest < Duration::from_secs(4), "it served again after {longest:?}");
    assert_eq!(panics.figures.passed, 0, "forged tokens passed");
    assert!(!panics.paused_statuses.contains(&200), "a request passed that waited for its key");
    // `stream_idle_timeout` of the listener is 15 s.
    assert!(
        panics.paused_ended < Duration::from_secs(19),
        "those who waited had an end after {:?}",
        panics.paused_ended
    );
    assert!(panics.figures.forged > 50 && panics.arrived > 50, "{panics:?}");
}

#[test]
fn the_module_that_serves_requests_cannot_be_told_to_panic() {
    let mark = b"mdrm_authz forced panic";
    let holds = |variable: &str| {
        let module = fs::read(std::env::var(variable).expect("the path of a module")).unwrap();
        module.windows(mark.len()).any(|window| window == mark)
    };
    assert!(holds("MDRM_WASM_TEST_SWITCHES"));
    assert!(!holds("MDRM_WASM"));
}

#[test]
fn no_request_is_refused_for_a_hot_restart() {
    let port = server::nobody().port();
    let mut stand = Stand::adjusted(Filter::MdrmAuthz, port, |setup| setup.hot_restart = true);
    let ((), figures) = probe::during(&mut stand, |stand| {
        std::thread::sleep(Duration::from_secs(1));
        stand.envoy.restart();
        stand.envoy.await_takeover();
        std::thread::sleep(Duration::from_secs(1));
    });
    println!("{figures:?}");
    assert_eq!((figures.refused, figures.lost, figures.passed), (0, 0, 0), "{figures:?}");
    stand.envoy.assert_healthy();
}
