//! Hosts with addresses of their own, each a network namespace, joined by a switch: a small network that nobody outside sees.
//!
//! A test that wants one runs again in a process with namespaces of its own, so that it needs neither root nor a clean-up: what it
//! makes ends with it. The tools are those of iproute2 and util-linux.

use std::any::type_name;
use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const INSIDE: &str = "MDRM_IN_SANDBOX";

/// The address of the test itself, which is on the switch. All are of a range for documentation (RFC 5737), so of nobody's network.
pub const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Runs the body of a test as root of namespaces of its own: users, network, mounts, processes. Must be all that the test does.
///
/// # Panics
///
/// If the body does, or if there are no such namespaces to be had.
pub fn sandboxed<F: FnOnce()>(body: F) {
    if env::var_os(INSIDE).is_some() {
        // Names of namespaces are files under /run, which is the system's.
        run("mount", ["-t", "tmpfs", "tmpfs", "/run"]);
        run("ip", ["link", "set", "lo", "up"]);
        run("ip", ["link", "add", "name", "switch", "type", "bridge"]);
        run("ip", ["address", "add", &format!("{OURS}/24"), "dev", "switch"]);
        run("ip", ["link", "set", "switch", "up"]);
        return body();
    }
    // A closure is named after the function that it stands in: here that is the test.
    let test = type_name::<F>().strip_suffix("::{{closure}}").and_then(|name| name.split_once("::")).unwrap().1;
    let output =
        unshared("ip").args(["link", "add", "type", "bridge"]).output().expect("unshare, of util-linux, can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "no namespaces to be had, which this test needs (unshare, and ip of iproute2): {said}"
    );
    let mut command = unshared(env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{said}");
    assert!(output.status.success(), "{test} failed in its sandbox, see above");
    assert!(said.contains("test result: ok. 1 passed"), "{test} did not run");
}

/// A program as root of namespaces of its own, all of which end with it.
fn unshared(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"]).arg(program);
    command
}

/// A host on the switch.
pub struct Host {
    name: &'static str,
    /// Its address.
    pub address: IpAddr,
}

impl Host {
    /// A host, connected. The number tells its address from those of others: 1 to 100.
    pub fn new(name: &'static str, number: u8) -> Host {
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100 + number));
        run("ip", ["netns", "add", name]);
        run("ip", ["link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", name]);
        run("ip", ["-netns", name, "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        run("ip", ["-netns", name, "link", "set", "eth0", "up"]);
        run("ip", ["-netns", name, "link", "set", "lo", "up"]);
        run("ip", ["link", "set", name, "master", "switch"]);
        let host = Host { name, address };
        host.connect();
        host
    }

    /// Pulls the cable: packets to and from this host are lost, nobody is told.
    pub fn cut(&self) {
        run("ip", ["link", "set", self.name, "down"]);
    }

    /// Puts the cable back.
    pub fn connect(&self) {
        run("ip", ["link", "set", self.name, "up"]);
    }

    /// A program on this host.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.namespace().display())).arg(program);
        command
    }

    /// Does something in a thread on this host: sockets that it makes are this host's for ever.
    pub fn on<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        let namespace = File::open(self.namespace()).unwrap();
        let entered = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(entered).join()).unwrap()
    }

    fn namespace(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name)
    }
}

fn run<const N: usize>(program: &str, arguments: [&str; N]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}, of iproute2 or util-linux, cannot be run: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
