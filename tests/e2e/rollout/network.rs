//! A network of hosts with addresses of their own: proxies beside a key service that is cut off and comes back.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keys::{new_key, request};
use crate::reply::is_denial;
use crate::support::client;
use crate::support::envoy::{Envoy, Listener, Setup};
use crate::support::key_service::{Answer, KeyService};
use crate::support::sandbox::{Host, OURS, sandboxed};
use crate::support::signer::{Document, SigningKey};
use crate::support::upstream::Upstream;
use crate::support::wait;
use crate::traffic::{Sample, send_during};

const TIMEOUT: Duration = Duration::from_millis(500);
/// How long the key service is away: several times as long as its answers are fresh.
const CUT: Duration = Duration::from_secs(5);
/// A second of freshness, so that every key must be asked for again while the key service is away.
const FRESH: &str = "max-age=1";

/// A proxy on a host of its own, as beside an application.
fn sidecar(name: &'static str, number: u8, upstream: &Upstream, keys: &KeyService, plugin: &Value) -> Envoy {
    let mut setup = Setup::new(upstream.address()).cluster("keys", keys.address()).workers(2);
    setup.host = Some(Arc::new(Host::new(name, number)));
    setup.listeners.push(Listener::new("main", plugin));
    Envoy::start(setup)
}

fn answer(document: &Value) -> Answer {
    Answer::document(document).header("cache-control", FRESH)
}

#[test]
fn two_proxies_lose_nothing_while_the_key_service_on_another_host_is_cut_off_and_back() {
    sandboxed(|| {
        let host = Host::new("keys", 30);
        let keys = host.on(|| KeyService::start_at((host.address, 0).into()));
        let upstream = Upstream::start_at((OURS, 0).into());
        let plugin = json!({"keys": {"cluster": "keys", "timeout": "0.5s"}});
        let proxies = [("left", 11), ("right", 12)].map(|(name, n)| sidecar(name, n, &upstream, &keys, &plugin));
        let addresses: Vec<_> = proxies.iter().map(|proxy| proxy.address("main")).collect();
        let (held, new) = (new_key("held"), new_key("new"));
        for key in [&held, &new] {
            keys.set_for(key.kid(), answer(&key.jwk()));
        }

        let ((), samples) = send_during(&addresses, 4, &[request(&held)], || {
            for address in &addresses {
                assert_eq!(client::exchange(*address, &request(&held), &[]).unwrap().status, 200);
            }
            // Both have the key, and it has been asked for anew.
            keys.await_count_for("held", 4);
            host.cut();
            let before = keys.total();
            for address in &addresses {
                let start = Instant::now();
                let answered = client::exchange(*address, &request(&new), &[]).unwrap();
                is_denial(500, None, &answered).unwrap();
                let wait: u64 = answered.header("retry-after").expect("when to ask again").parse().unwrap();
                assert!((1..=30).contains(&wait), "{wait}");
                println!(
                    "a new key while the service is away: MDRM-500 after {:?}, retry-after {wait}",
                    start.elapsed()
                );
                // The longest that one request may hold a client up is the callout's own limit.
                assert!(start.elapsed() < TIMEOUT + Duration::from_secs(1), "{:?}", start.elapsed());
            }
            thread::sleep(CUT);
            assert_eq!(keys.total(), before, "the key service was cut off");

            host.connect();
            let back = Instant::now();
            let count = keys.count_for("held");
            for (address, proxy) in addresses.iter().zip(&proxies) {
                let passes =
                    || client::exchange(*address, &request(&new), &[]).is_ok_and(|answered| answered.status == 200);
                wait::until_true("the new key passes", passes);
                println!("the new key passes {:?} after the service is back", back.elapsed());
                proxy.assert_healthy();
            }
            // Nobody waits for the next attempt: that is what the traffic is for.
            wait::until_true("the held key is asked for again", || keys.count_for("held") > count);
        });
        let lost: Vec<&Sample> = samples.iter().filter(|sample| !sample.is_allowed()).collect();
        assert!(lost.is_empty(), "{} of {}: {lost:#?}", lost.len(), samples.len());
        assert!(samples.len() > 500, "only {} requests", samples.len());
        println!("{} requests with the held key, none lost", samples.len());

        // What the key service says counts again: the key is refused once its answer has aged.
        keys.set_for("held", answer(&held.jwk().with("status", json!("disabled"))));
        for proxy in &proxies {
            wait::until_true("a disabled key is refused", || refused(proxy, &held));
            proxy.assert_healthy();
        }
    });
}

fn refused(proxy: &Envoy, key: &SigningKey) -> bool {
    client::exchange(proxy.address("main"), &request(key), &[]).unwrap().code() == Some(513)
}
