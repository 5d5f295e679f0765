//! What the compose file says, without its engine: each service runs on a host of its own, with the files that it mounts, under the
//! command and at the ports that it names. The image is the only thing that is not there: `envoy` is the Envoy of the tests.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::client;
use crate::support::envoy::required;
use crate::support::manifests;
use crate::support::packages::project;
use crate::support::sandbox::{Host, sandboxed};
use crate::support::table::Request;
use crate::support::wait;

/// A service that is ended when this is dropped.
pub(super) struct Service(pub(super) Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a service of the compose file, with further arguments. It sees an `/etc` of its own with the names of its peers.
pub(super) fn run(host: &Host, service: &Value, further: &[&str], peers: &str, log: &Path) -> Service {
    let folder = project().join("envoy/docker");
    let module = required("MDRM_WASM", "the finished module");
    let mut script = format!("mount -t tmpfs tmpfs /etc\necho '{peers}' > /etc/hosts\nmkdir /etc/envoy\n");
    for volume in service["volumes"].as_array().unwrap() {
        let mount: Vec<&str> = volume.as_str().unwrap().split(':').collect();
        let [source, target, "ro"] = mount[..] else { panic!("{volume}") };
        let source = folder.join(source);
        let source = if source.ends_with("target/mdrm_authz.wasm") { module.clone() } else { source };
        let make = if source.is_dir() { "mkdir" } else { "touch" };
        script.push_str(&format!("{make} {target}\nmount --bind '{}' {target}\n", source.display()));
    }
    let words: Vec<&str> = service["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let (program, arguments) = words.split_first().unwrap();
    assert_eq!(*program, "envoy");
    script.push_str("exec \"$0\" \"$@\"\n");
    let child = host
        .command("unshare")
        .args(["--mount", "bash", "-euc", &script])
        .arg(required("ENVOY", "the Envoy binary"))
        .args(arguments)
        .args(further)
        .args(["--log-level", "warning"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(log).unwrap())
        .spawn()
        .unwrap();
    Service(child)
}

/// Other tests' Envoys may run on this machine, and would be taken for parents.
const ALONE: [&str; 1] = ["--disable-hot-restart"];

fn mdrm(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mdrm")).args(arguments).current_dir(project()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_containers_of_the_compose_file_serve_the_demo_keys() {
    sandboxed(|| {
        let compose = manifests::only("docker/compose.yaml").document;
        let [proxy, backends] = ["proxy", "backends"].map(|name| &compose["services"][name]);
        let (left, right) = (Host::new("proxy", 1), Host::new("backends", 2));
        let peers = format!("{} proxy\n{} backends", left.address, right.address);
        let logs = tempfile::tempdir().unwrap();
        let log = |name: &str| logs.path().join(name);
        let _backends = run(&right, backends, &ALONE, &peers, &log("backends"));
        let _proxy = run(&left, proxy, &ALONE, &peers, &log("proxy"));

        let port = proxy["ports"][0].as_str().unwrap().split(':').next_back().unwrap().parse().unwrap();
        let address = SocketAddr::new(left.address, port);
        let serves = || {
            let answered = client::exchange(address, &Request::get("/healthz"), &[]);
            answered.is_ok_and(|answered| answered.status == 200)
        };
        let said = || ["backends", "proxy"].map(|name| fs::read_to_string(log(name)).unwrap()).concat();
        wait::until_true("both containers serve", || {
            assert!(!said().contains("error initializing"), "{}", said());
            serves()
        });

        let key = "envoy/keys/demo-es256.private.jwk";
        let token = mdrm(&["mint", "--key", key, "--sub", "movie-1"]);
        let license = Request::post("/license/widevine");
        let answered = client::exchange(address, &license.clone().token(&token), &[]).unwrap();
        assert_eq!(answered.status, 200, "{answered:?}\n{}", said());
        assert!(
            answered.header("x-received-session").is_some_and(|token| token.split('.').count() == 3),
            "{answered:?}"
        );
        assert_eq!(answered.header("x-received-authorization"), None);
        let open = client::exchange(address, &Request::get("/healthz").token("for the license server"), &[]).unwrap();
        assert_eq!(open.header("x-received-authorization").as_deref(), Some("for the license server"));

        let master = "envoy/keys/demo-master.private.jwk";
        let tunnel = mdrm(&["mint", "--tunnel", "--master-key", master, "--key", key, "--sub", "movie-1"]);
        let tunnel = license.clone().content_type("application/jose").body(tunnel);
        assert_eq!(client::exchange(address, &tunnel, &[]).unwrap().status, 200);

        for (request, code) in [
            (license.clone(), 501),
            (
                license.clone().token(mdrm(&[
                    "mint",
                    "--key",
                    "envoy/keys/demo-deleted.private.jwk",
                    "--sub",
                    "movie-1",
                ])),
                512,
            ),
            (license.clone().token(mdrm(&["mint", "--key", key, "--sub", "movie-1", "--age", "10m"])), 508),
        ] {
            assert_eq!(client::exchange(address, &request, &[]).unwrap().code(), Some(code), "{request:?}");
        }
    });
}
