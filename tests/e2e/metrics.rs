//! What operators see: counters, gauges and the histogram, as Envoy reports them and as Prometheus reads them.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::hardening::{LAST_MEMBER, ask};
use crate::keys::{new_key, request};
use crate::now;
use crate::support::bootstrap::runs_without;
use crate::support::client::{Connection, bytes_of};
use crate::support::codes;
use crate::support::envoy::{Envoy, Listener};
use crate::support::exchange::Gate;
use crate::support::key_service::Answer;
use crate::support::reference::{PROXY, Reference};
use crate::support::rig::Rig;
use crate::support::signer::{Alg, Document, SigningKey};
use crate::support::table::{Outcome, Request};
use crate::support::token::Token;
use crate::support::wait;

/// Counters that stand for themselves.
const COUNTERS: [&str; 12] = [
    "allowed",
    "passed",
    "keys.hit",
    "keys.miss",
    "keys.stale_hit",
    "keys.negative_hit",
    "keys.fetch_success",
    "keys.fetch_failure",
    "tokens.hit",
    "tokens.miss",
    "verify.host",
    "verify.in_vm",
];

/// The value of one of the filter's metrics; none if Envoy does not know it.
fn metric(envoy: &Envoy, name: &str) -> Option<u64> {
    envoy.stat(&format!("wasmcustom.mdrm_authz.{name}"))
}

/// What `read` gives once it is this, or in the end. Counts reach Envoy about once a second.
fn settled<T: PartialEq>(expected: &T, read: impl Fn() -> T) -> T {
    let start = Instant::now();
    loop {
        let found = read();
        if found == *expected || start.elapsed() > wait::DEADLINE {
            return found;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn await_metric(rig: &Rig, name: &str, value: u64) {
    let expected = Some(value);
    assert_eq!(settled(&expected, || metric(&rig.envoy, name)), expected, "{name}");
}

/// What counts the signatures that the host verifies if it can.
fn verified_with_ecdsa() -> &'static str {
    if runs_without("verify_signature") { "verify.in_vm" } else { "verify.host" }
}

/// What Prometheus reads: the value of each sample by its name with labels.
pub(crate) fn scrape(envoy: &Envoy) -> BTreeMap<String, f64> {
    let text = envoy.admin("/stats/prometheus");
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number in {line}")))
    };
    samples.map(sample).collect()
}

/// Checks that each decision was counted once: those that refuse as `refusals` says, `denied` or `would_deny`.
pub(crate) fn assert_counted(envoy: &Envoy, refusals: &str, decided: &[Outcome]) {
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for code in codes::all() {
        for kind in ["denied", "would_deny"] {
            expected.insert(format!("{kind}.MDRM-{code}"), 0);
        }
    }
    for outcome in decided {
        let name = match outcome {
            Outcome::Allowed => "allowed".to_owned(),
            Outcome::Passed => "passed".to_owned(),
            Outcome::Denied(code) => format!("{refusals}.MDRM-{code}"),
        };
        *expected.entry(name).or_default() += 1;
    }
    let count = |name: &String| (name.clone(), metric(envoy, name).unwrap_or(0));
    assert_eq!(settled(&expected, || expected.keys().map(count).collect()), expected);
}

#[test]
fn counts_of_all_workers_arrive_within_seconds_and_gauges_go_with_their_configuration() {
    let mut rig = Rig::adjusted(&json!({"keys": {"cluster": "keys"}}), |setup| {
        setup.concurrency = 4;
        setup.dynamic = true;
    });
    let key = SigningKey::generate("k", Alg::ES256);
    rig.keys.register(&key);
    assert_eq!(metric(&rig.envoy, "denied.MDRM-918"), Some(0), "a counter is there before it counts");
    for _ in 0..20 {
        assert_eq!(rig.code(&Request::post("/").token(Token::new(&key).compact(now()))), None);
        assert_eq!(rig.code(&Request::post("/")), Some(501));
    }
    await_metric(&rig, "allowed", 20);
    await_metric(&rig, "denied.MDRM-501", 20);
    await_metric(&rig, verified_with_ecdsa(), 20);
    await_metric(&rig, "keys.fetch_success", 1);
    await_metric(&rig, "waiting", 0);
    let workers = metric(&rig.envoy, "keys.entries").unwrap();
    assert!((1..=4).contains(&workers), "{workers} workers hold the key");

    // The old configuration goes, and with it what its workers held.
    assert!(rig.envoy.push(vec![Listener::new("main", &json!({"keys": {"cluster": "keys", "max_age": "9m"}}))]));
    await_metric(&rig, "keys.entries", 0);
    assert_eq!(metric(&rig.envoy, "allowed"), Some(20));
    rig.envoy.assert_healthy();
}

#[test]
fn each_counter_counts_what_it_is_named_after() {
    let rig = Rig::start(&json!({
        "keys": {"cluster": "keys", "max_age": "1h"},
        "routes": [{"path": "/healthz", "service": "open"}],
        "default_service": "license",
    }));
    let (hosts, vms) = (new_key("host"), SigningKey::generate("vm", Alg::EdDSA));
    let (ageing, disabled) = (new_key("ageing"), new_key("disabled"));
    rig.keys.register(&hosts);
    rig.keys.register(&vms);
    rig.keys.set_for("ageing", Answer::document(&ageing.jwk()).header("cache-control", "max-age=1"));
    rig.keys.set_for("disabled", Answer::document(&disabled.jwk().with("status", json!("disabled"))));
    rig.keys.set_for("down", Answer::new(503, "down"));

    let mut expected: BTreeMap<&str, u64> = COUNTERS.iter().map(|name| (*name, 0)).collect();
    let (remembers, verify) = (!runs_without("remembered_tokens"), verified_with_ecdsa());
    let mut more = |names: &[&'static str]| {
        for name in names.iter().filter(|name| remembers || !name.starts_with("tokens.")) {
            *expected.get_mut(name).expect("a counter") += 1;
        }
        for (name, count) in &expected {
            await_metric(&rig, name, *count);
        }
    };
    let once = request(&hosts);
    assert_eq!(rig.code(&once), None);
    more(&["allowed", "tokens.miss", "keys.miss", "keys.fetch_success", verify]);
    assert_eq!(rig.code(&once), None);
    more(&["allowed", "keys.hit", if remembers { "tokens.hit" } else { verify }]);
    assert_eq!(rig.code(&request(&hosts)), None);
    more(&["allowed", "tokens.miss", "keys.hit", verify]);
    assert_eq!(rig.code(&request(&vms)), None);
    more(&["allowed", "tokens.miss", "keys.miss", "keys.fetch_success", "verify.in_vm"]);
    assert_eq!(rig.code(&Request::get("/healthz")), None);
    more(&["passed"]);
    assert_eq!(rig.code(&request(&disabled)), Some(513));
    more(&["tokens.miss", "keys.miss", "keys.fetch_success"]);
    assert_eq!(rig.code(&request(&disabled)), Some(513));
    more(&["tokens.miss", "keys.negative_hit"]);
    assert_eq!(rig.code(&request(&hosts.under_kid("down"))), Some(500));
    more(&["tokens.miss", "keys.miss", "keys.fetch_failure"]);

    // A key past its freshness whose service fails.
    assert_eq!(rig.code(&request(&ageing)), None);
    rig.keys.set_for("ageing", Answer::new(503, "down"));
    wait::until_true("a stale key has served", || {
        assert_eq!(rig.code(&request(&ageing)), None);
        metric(&rig.envoy, "keys.stale_hit") > Some(0)
    });
    rig.envoy.assert_healthy();
}

#[test]
fn waiting_is_the_sum_over_four_workers_and_goes_back_to_nothing_whatever_ends_the_wait() {
    let rig = Rig::adjusted(&json!({"keys": {"cluster": "keys", "timeout": "60s"}}), |setup| setup.concurrency = 4);
    let (key, gate) = (new_key("slow"), Gate::closed());
    rig.keys.set_for("slow", Answer::document(&key.jwk()).held_by(&gate));
    let bytes = bytes_of(&request(&key), &[]);
    let mut stay: Vec<Connection> = (0..40).map(|_| Connection::open(rig.envoy.only())).collect();
    stay.iter_mut().for_each(|connection| connection.send(&bytes).unwrap());
    await_metric(&rig, "waiting", 40);
    for connection in stay.split_off(15) {
        connection.abort();
    }
    await_metric(&rig, "waiting", 15);
    gate.open();
    assert!(stay.iter_mut().all(|connection| connection.answer("POST").unwrap().status == 200));
    await_metric(&rig, "waiting", 0);
    await_metric(&rig, "allowed", 15);
    rig.envoy.assert_healthy();
}

#[test]
fn prometheus_reads_every_metric_by_a_name_with_the_code_as_a_label() {
    let rig = Reference::whole().adjusted(|setup| setup.concurrency = 4);
    let key = new_key("k");
    rig.keys.register(&key);
    rig.keys.set("/session-keys/demo-session", Answer::document(&new_key("demo-session").private_jwk()));
    for _ in 0..3 {
        assert_eq!(ask(&rig, &Request::post("/license")).code(), Some(501));
        assert_eq!(ask(&rig, &request(&key)).status, 200);
    }
    wait::until_true("all is counted", || {
        let samples = scrape(&rig.envoy);
        // Envoy merges histograms every few seconds.
        samples.get("mdrm_authz_allowed{}") == Some(&3.0)
            && samples.get("mdrm_authz_keys_fetch_ms_count{}") > Some(&0.0)
    });
    let text = rig.envoy.admin("/stats/prometheus");
    let samples = scrape(&rig.envoy);
    assert_eq!(samples[r#"mdrm_authz_denied{code="MDRM-501"}"#], 3.0);
    for kind in ["denied", "would_deny"] {
        let with_code = |name: &&String| name.starts_with(&format!("mdrm_authz_{kind}{{code="));
        assert_eq!(samples.keys().filter(with_code).count(), codes::all().len(), "{kind}");
        assert!(text.contains(&format!("# TYPE mdrm_authz_{kind} counter")));
    }
    for name in COUNTERS {
        let name = format!("mdrm_authz_{}", name.replace('.', "_"));
        assert!(
            samples.contains_key(&format!("{name}{{}}")) && text.contains(&format!("# TYPE {name} counter")),
            "{name}"
        );
    }
    for name in ["mdrm_authz_keys_entries", "mdrm_authz_waiting"] {
        assert!(
            samples.contains_key(&format!("{name}{{}}")) && text.contains(&format!("# TYPE {name} gauge")),
            "{name}"
        );
    }
    assert!(text.contains("# TYPE mdrm_authz_keys_fetch_ms histogram"));
    assert!(samples.contains_key(r#"mdrm_authz_keys_fetch_ms_bucket{le="1000"}"#));
    assert_eq!(samples[r#"envoy_wasm_vm_reload{plugin="mdrm_authz"}"#], 0.0);
    // What is there and not said above would be a metric that nobody knows about.
    let known = |name: &String| {
        let name = name.split('{').next().unwrap_or_default().trim_start_matches("mdrm_authz_");
        let single = COUNTERS.iter().any(|counter| counter.replace('.', "_") == name);
        single
            || ["denied", "would_deny", "keys_entries", "waiting"].contains(&name)
            || name.starts_with("keys_fetch_ms_")
    };
    let odd: Vec<&String> = samples.keys().filter(|name| name.starts_with("mdrm_authz_") && !known(name)).collect();
    assert!(odd.is_empty(), "{odd:?}");

    // Without the line, each code is a metric of its own.
    let tag = r"- tag_name: code";
    let regex = r"regex: '^wasmcustom\.mdrm_authz\.(?:denied|would_deny)(\.(MDRM-\d+))$'";
    let rig = Reference::whole().without(tag).without(regex).start();
    let samples = scrape(&rig.envoy);
    assert!(samples.contains_key("mdrm_authz_denied_MDRM_501{}"), "{:?}", samples.keys());
}

#[test]
fn report_only_counts_what_it_would_refuse_apart_and_lets_it_pass() {
    let reference = Reference::whole().with(LAST_MEMBER, &format!(r#"{LAST_MEMBER}, "report_only": true"#));
    let rig = reference.adjusted(|setup| setup.concurrency = 4);
    let mut connections: Vec<Connection> = (0..8).map(|_| Connection::open(rig.envoy.address(PROXY))).collect();
    for connection in &mut connections {
        connection.send(&bytes_of(&Request::post("/license"), &[])).unwrap();
        assert_eq!(connection.answer("POST").unwrap().status, 200);
    }
    await_metric(&rig, "would_deny.MDRM-501", 8);
    let samples = scrape(&rig.envoy);
    assert_eq!(samples[r#"mdrm_authz_would_deny{code="MDRM-501"}"#], 8.0);
    assert_eq!(samples[r#"mdrm_authz_denied{code="MDRM-501"}"#], 0.0);
    assert_eq!(samples["mdrm_authz_allowed{}"], 0.0);
}
