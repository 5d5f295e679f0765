//! A proxy that goes on serving while what it runs is replaced: its configuration, and itself.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::containers::{Service, run};
use crate::keys::{new_key, request};
use crate::now;
use crate::support::client;
use crate::support::envoy::Listener;
use crate::support::key_service::{Answer, KeyService};
use crate::support::manifests;
use crate::support::rig::Rig;
use crate::support::sandbox::{Host, sandboxed};
use crate::support::signer::SigningKey;
use crate::support::table::Request;
use crate::support::token::Token;
use crate::support::upstream::Upstream;
use crate::support::wait;
use crate::traffic::{Sample, send_during};

/// How long each state of a proxy is watched.
const WATCHED: Duration = Duration::from_secs(1);

fn none_lost(samples: &[Sample]) {
    let lost: Vec<&Sample> = samples.iter().filter(|sample| !sample.is_allowed()).collect();
    assert!(lost.is_empty(), "{} of {}: {lost:#?}", lost.len(), samples.len());
    println!("{} requests, none lost", samples.len());
}

#[test]
fn from_report_only_to_refusals_and_back_under_traffic_no_request_is_lost() {
    let plugin = |report_only: bool| json!({"keys": {"cluster": "keys"}, "report_only": report_only});
    let mut rig = Rig::adjusted(&plugin(true), |setup| {
        // Long enough for Envoy to ask every connection to close, before it closes what is left.
        (setup.dynamic, setup.concurrency, setup.drain_seconds) = (true, 2, 10);
    });
    let keys: Vec<SigningKey> = (0..10).map(|n| new_key(&format!("k{n}"))).collect();
    keys.iter().for_each(|key| rig.keys.register(key));
    let requests: Vec<Request> = keys.iter().map(request).collect();
    let address = rig.envoy.only();
    let old = Request::post("/license").token(Token::new(&keys[0]).aged(600).compact(now())).header("x-case", "old");
    let code = || client::exchange(address, &old, &[]).unwrap().code();
    let ((), samples) = send_during(&[address], 8, &requests, || {
        for (report_only, refused) in [(true, None), (false, Some(508)), (true, None)] {
            if code() != refused {
                let asked = rig.keys.total();
                assert!(rig.envoy.push(vec![Listener::new("main", &plugin(report_only))]));
                wait::until_true("the new configuration decides", || code() == refused);
                thread::sleep(WATCHED);
                println!("report_only {report_only}: {} keys of 10 asked for again", rig.keys.total() - asked);
                // Workers told each other what they had learnt, so that the new configuration need not ask at all.
                assert!(rig.keys.total() - asked <= keys.len(), "{} asked for", rig.keys.total() - asked);
            }
            assert_eq!(code(), refused, "report_only {report_only}");
            thread::sleep(WATCHED);
        }
    });
    none_lost(&samples);
    let reported: Vec<_> = rig.upstream.take("old").iter().map(|old| old.header("x-mdrm-would-deny")).collect();
    assert!(!reported.is_empty() && reported.iter().all(|code| code.as_deref() == Some("MDRM-508")), "{reported:?}");
    rig.envoy.assert_healthy();
}

/// Resident memory in MiB of a process of this sandbox. `/proc` shows those of the whole machine, under other numbers.
fn resident(pid: u32) -> u64 {
    let ours = fs::read_link("/proc/self/ns/pid").unwrap();
    let folders = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let ours = folders.filter(|folder| fs::read_link(folder.join("ns/pid")).is_ok_and(|theirs| theirs == ours));
    let member = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_end_matches(" kB").split_ascii_whitespace().next_back().and_then(|number| number.parse::<u64>().ok())
    };
    let status = ours
        .filter_map(|folder| fs::read_to_string(folder.join("status")).ok())
        .find(|status| member(status, "NSpid:") == Some(pid.into()))
        .unwrap_or_else(|| panic!("no process {pid}"));
    member(&status, "VmRSS:").unwrap() / 1024
}

/// A file, once something is in it.
fn awaited(path: &Path) -> String {
    wait::until(&format!("{}", path.display()), || fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty()))
}

#[test]
fn a_hot_restart_of_the_container_s_proxy_under_traffic_loses_no_request() {
    sandboxed(|| {
        let compose = manifests::only("docker/compose.yaml").document;
        let proxy = &compose["services"]["proxy"];
        let (host, backends) = (Host::new("proxy", 1), Host::new("backends", 2));
        let at = |port: u16| SocketAddr::new(backends.address, port);
        let (keys, upstream) = backends.on(|| (KeyService::start_at(at(10001)), Upstream::start_at(at(10002))));
        let access = new_key("k");
        keys.register(&access);
        keys.set("/session-keys/demo-session", Answer::document(&new_key("demo-session").private_jwk()));

        let files = tempfile::tempdir().unwrap();
        let file = |name: &str| files.path().join(name);
        let peers = format!("{} proxy\n{} backends", host.address, backends.address);
        // Memory that parent and child share, apart from that of other Envoys on this machine.
        let timing = ["--drain-time-s", "2", "--parent-shutdown-time-s", "4", "--base-id-path"];
        let start = |name: &str, further: &[&str]| -> Service {
            let base = file(&format!("{name}.base"));
            run(&host, proxy, &[&timing[..], &[base.to_str().unwrap()], further].concat(), &peers, &file(name))
        };
        let address = SocketAddr::new(host.address, 10000);
        let license = Request::post("/license/widevine").token(Token::new(&access).compact(now()));
        let mut parent = start("parent", &["--use-dynamic-base-id"]);
        let serves = || client::exchange(address, &license, &[]).is_ok_and(|answered| answered.status == 200);
        wait::until_true("the parent serves", serves);
        let base = awaited(&file("parent.base"));

        let admin: SocketAddr = (Ipv4Addr::LOCALHOST, 9901).into();
        let epoch = || {
            let info = host.on(|| client::exchange(admin, &Request::get("/server_info"), &[])).ok()?;
            let info: Value = serde_json::from_slice(&info.body).ok()?;
            info["command_line_options"]["restart_epoch"].as_u64()
        };
        assert_eq!(epoch(), Some(0));
        let (_child, samples) = send_during(&[address], 8, std::slice::from_ref(&license), || {
            thread::sleep(WATCHED);
            let before = keys.total();
            println!("before: {} MiB", resident(parent.0.id()));
            let child = start("child", &["--base-id", base.trim(), "--restart-epoch", "1"]);
            wait::until_true("the child serves", || epoch() == Some(1));
            let both = resident(parent.0.id()) + resident(child.0.id());
            println!("both at once: {both} MiB");
            wait::until_true("the parent has ended", || parent.0.try_wait().unwrap().is_some());
            println!("after: {} MiB", resident(child.0.id()));
            // The child knows nothing of what the parent had learnt: each key is asked for again, the access key once for all
            // workers, the session key by each for itself.
            let asked = keys.total() - before;
            println!("{asked} requests to the key service");
            assert!((2..=4).contains(&asked), "{asked}");
            thread::sleep(WATCHED);
            child
        });
        none_lost(&samples);
        assert!(upstream.count() >= samples.len());
    });
}
