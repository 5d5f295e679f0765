//! What operators see: counters, gauges and the histogram, as Envoy reports them.

use serde_json::json;

use crate::now;
use crate::support::envoy::Listener;
use crate::support::rig::Rig;
use crate::support::signer::{Alg, SigningKey};
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::wait;

/// The value of one of the filter's metrics; none if Envoy does not know it.
fn metric(rig: &Rig, name: &str) -> Option<u64> {
    rig.envoy.stat(&format!("wasmcustom.mdrm_authz.{name}"))
}

/// Counts reach Envoy about once a second.
fn await_metric(rig: &Rig, name: &str, value: u64) {
    wait::until(&format!("{name} is {value}"), || metric(rig, name).filter(|found| *found == value));
}

#[test]
fn counts_of_all_workers_arrive_within_seconds_and_gauges_go_with_their_configuration() {
    let mut rig = Rig::adjusted(&json!({"keys": {"cluster": "keys"}}), |setup| {
        setup.concurrency = 4;
        setup.dynamic = true;
    });
    let key = SigningKey::generate("k", Alg::ES256);
    rig.keys.register(&key);
    assert_eq!(metric(&rig, "denied.MDRM-918"), Some(0), "a counter is there before it counts");
    for _ in 0..20 {
        assert_eq!(rig.code(&Request::post("/").token(Token::new(&key).compact(now()))), None);
        assert_eq!(rig.code(&Request::post("/")), Some(501));
    }
    await_metric(&rig, "allowed", 20);
    await_metric(&rig, "denied.MDRM-501", 20);
    await_metric(&rig, "verify.host", 20);
    await_metric(&rig, "keys.fetch_success", 1);
    await_metric(&rig, "waiting", 0);
    let workers = metric(&rig, "keys.entries").unwrap();
    assert!((1..=4).contains(&workers), "{workers} workers hold the key");

    // The old configuration goes, and with it what its workers held.
    assert!(rig.envoy.push(vec![Listener::new("main", &json!({"keys": {"cluster": "keys", "max_age": "9m"}}))]));
    await_metric(&rig, "keys.entries", 0);
    assert_eq!(metric(&rig, "allowed"), Some(20));
    rig.envoy.assert_healthy();
}
