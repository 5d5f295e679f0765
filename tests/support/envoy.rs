//! A real Envoy with the finished module, on free ports, for as long as a test needs it.
//!
//! `ENVOY` and `MDRM_WASM` name the binary and the module; `make test` sets both. Nothing is skipped where they are missing.
//!
//! Envoy ends when the thread that started it ends (PDEATHSIG), so each has a thread of its own.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::table::Request;
use super::{client, wait};

pub use super::bootstrap::{Listener, Setup};

/// A running Envoy. It is killed when this is dropped.
pub struct Envoy {
    admin: SocketAddr,
    ports: HashMap<String, SocketAddr>,
    directory: TempDir,
    setup: Setup,
    process: Process,
}

/// An Envoy that did not want to start.
#[derive(Debug)]
pub struct Refusal {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote.
    pub log: String,
}

impl Envoy {
    /// Starts Envoy and waits until it serves.
    ///
    /// # Panics
    ///
    /// If it does not start; the message holds its log.
    pub fn start(setup: Setup) -> Envoy {
        match Envoy::try_start(setup) {
            Ok(envoy) => envoy,
            Err(refusal) => panic!("Envoy ended with {}:\n{}", refusal.status, refusal.log),
        }
    }

    /// Starts Envoy and waits until it serves, or ends.
    ///
    /// # Errors
    ///
    /// If it ends by itself, as it does when a configuration is refused.
    pub fn try_start(setup: Setup) -> Result<Envoy, Refusal> {
        let directory = tempfile::Builder::new().prefix("mdrm-e2e-").tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("bootstrap.json"), setup.bootstrap(path).to_string()).unwrap();
        setup.write_clusters(path);
        setup.write_listeners(path);
        let process = Process::start(path, &setup);
        let start = Instant::now();
        let admin = loop {
            if let Some(status) = process.ended() {
                return Err(Refusal { status, log: read(&path.join("envoy.log")) });
            }
            let address = read(&path.join("admin.txt")).trim().parse();
            if let Some(address) = address.ok().filter(|address| is_ready(*address)) {
                break address;
            }
            assert!(start.elapsed() < wait::DEADLINE, "Envoy is not ready:\n{}", read(&path.join("envoy.log")));
            thread::sleep(Duration::from_millis(10));
        };
        let mut envoy = Envoy { admin, ports: HashMap::new(), directory, setup, process };
        envoy.ports = envoy.listening();
        Ok(envoy)
    }

    /// The process ID.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// The address of a listener.
    pub fn address(&self, listener: &str) -> SocketAddr {
        *self.ports.get(listener).unwrap_or_else(|| panic!("no listener {listener} in {:?}", self.ports))
    }

    /// The address of the only listener.
    pub fn only(&self) -> SocketAddr {
        assert_eq!(self.ports.len(), 1, "one listener");
        *self.ports.values().next().unwrap()
    }

    /// The listeners that Envoy has now, by name.
    pub fn listening(&self) -> HashMap<String, SocketAddr> {
        let listeners: Value = serde_json::from_str(&self.admin("/listeners?format=json")).unwrap();
        let entries = listeners["listener_statuses"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| {
                let address = &entry["local_address"]["socket_address"];
                let address = format!("{}:{}", address["address"].as_str().unwrap(), address["port_value"]);
                (entry["name"].as_str().unwrap().to_owned(), address.parse().unwrap())
            })
            .collect()
    }

    /// Replaces the listeners while Envoy runs. Needs [`Setup::dynamic`]. Returns whether Envoy took them.
    pub fn push(&mut self, listeners: Vec<Listener>) -> bool {
        self.setup.listeners = listeners;
        let taken = self.taken("listener_manager.lds", || self.setup.write_listeners(self.directory.path()));
        self.ports = self.listening();
        taken
    }

    /// Replaces the clusters besides `upstream` and `dead` while Envoy runs. Needs [`Setup::dynamic`]. Returns whether
    /// Envoy took them.
    pub fn push_clusters(&mut self, clusters: Vec<(String, SocketAddr)>) -> bool {
        self.setup.clusters = clusters;
        self.taken("cluster_manager.cds", || self.setup.write_clusters(self.directory.path()))
    }

    /// Whether Envoy takes what `write` writes; the counters under `stats` tell.
    fn taken(&self, stats: &str, write: impl FnOnce()) -> bool {
        let counts = || {
            let count = |name: &str| self.stat(&format!("{stats}.{name}")).unwrap_or(0);
            (count("update_success"), count("update_rejected"))
        };
        let before = counts();
        write();
        wait::until("Envoy looks at its new configuration", || {
            let after = counts();
            (after != before).then_some(after.0 > before.0)
        })
    }

    /// The answer of an admin endpoint.
    pub fn admin(&self, path: &str) -> String {
        let answered = client::exchange(self.admin, &Request::get(path), &[]).expect("the admin interface answers");
        assert_eq!(answered.status, 200, "{path}");
        String::from_utf8(answered.body).unwrap()
    }

    /// A counter or gauge. A counter that was never touched is absent.
    pub fn stat(&self, name: &str) -> Option<u64> {
        let text = self.admin(&format!("/stats?filter=^{}$", name.replace('.', "%5C.")));
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
    }

    /// Requests that are under way, on all listeners together.
    pub fn active_requests(&self) -> u64 {
        self.stat("http.ingress.downstream_rq_active").unwrap_or(0)
    }

    /// Requests that have begun so far, on all listeners together.
    pub fn begun_requests(&self) -> u64 {
        self.stat("http.ingress.downstream_rq_total").unwrap_or(0)
    }

    /// Waits until so many requests are under way.
    pub fn await_active_requests(&self, count: u64) {
        wait::until_true(&format!("{count} requests under way"), || self.active_requests() == count);
    }

    /// Bytes that clients have sent so far, on all listeners together.
    pub fn received_bytes(&self) -> u64 {
        self.stat("http.ingress.downstream_cx_rx_bytes_total").unwrap_or(0)
    }

    /// Everything that Envoy wrote to its log so far.
    pub fn log(&self) -> String {
        read(&self.directory.path().join("envoy.log"))
    }

    /// The lines of the access log so far.
    pub fn access_log(&self) -> String {
        read(&self.directory.path().join("access.log"))
    }

    /// Waits until the access log has a line for each of so many requests, and gives it as text.
    pub fn await_access_log(&self, lines: usize) -> String {
        wait::until(&format!("{lines} lines in the access log"), || {
            let log = self.access_log();
            (log.lines().count() >= lines).then_some(log)
        })
    }

    /// Checks that no VM died: none trapped, none was reloaded, nothing was answered for the want of one.
    ///
    /// # Panics
    ///
    /// With the lines of the log that tell what happened.
    pub fn assert_healthy(&self) {
        assert!(self.process.ended().is_none(), "Envoy ended:\n{}", self.log());
        let log = self.log();
        let traps = [
            "Function: proxy_",
            "panicked",
            "Proxy-Wasm plugin in-VM",
            "wasm trap",
            "Uncaught",
            "assert failure",
            "Envoy bug",
            "ENVOY_BUG",
            "wasm backtrace",
            "VM reload",
        ];
        let lines: Vec<&str> = log.lines().filter(|line| traps.iter().any(|trap| line.contains(trap))).collect();
        assert!(lines.is_empty(), "something died in a VM:\n{}", lines.join("\n"));
        let stats = self.admin("/stats?filter=wasm");
        let bad = |line: &&str| (line.contains("vm_reload") || line.contains("failed")) && !line.ends_with(": 0");
        let bad: Vec<&str> = stats.lines().filter(bad).collect();
        assert!(bad.is_empty(), "a VM was lost: {bad:?}");
        assert_eq!(client::exchange(self.admin, &Request::get("/ready"), &[]).unwrap().status, 200);
    }
}

fn is_ready(admin: SocketAddr) -> bool {
    client::exchange(admin, &Request::get("/ready"), &[]).is_ok_and(|answered| answered.status == 200)
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The path in an environment variable that `make test` sets.
pub fn required(variable: &str, what: &str) -> PathBuf {
    let path = std::env::var_os(variable).map(PathBuf::from).unwrap_or_else(|| {
        panic!(
            "{variable} is not set: the tests in a real Envoy need the path of {what} in it. Run them with `make test`."
        )
    });
    assert!(path.is_file(), "{variable} is {}, which is no file. Run the tests with `make test`.", path.display());
    assert!(path.is_absolute(), "{variable} is {}, but must be an absolute path.", path.display());
    path
}

/// The process and the thread that watches over it.
struct Process {
    pid: u32,
    stop: Option<Sender<()>>,
    ended: Arc<Mutex<Option<ExitStatus>>>,
    thread: Option<JoinHandle<()>>,
}

impl Process {
    fn start(directory: &Path, setup: &Setup) -> Process {
        let envoy = required("ENVOY", "the Envoy binary");
        let mut command = setup.host.as_ref().map_or_else(|| Command::new(&envoy), |host| host.command(&envoy));
        let file = |name: &str| directory.join(name);
        command
            .args(["--disable-hot-restart", "--log-level", &setup.log_level, "--file-flush-interval-msec", "20"])
            .args(["--concurrency", &setup.concurrency.to_string()])
            // Ten minutes otherwise, for as long as which a replaced listener lives on.
            .args(["--drain-time-s", &setup.drain_seconds.to_string()])
            .args(["--parent-shutdown-time-s", &(setup.drain_seconds + 1).to_string()])
            .arg("-c")
            .arg(file("bootstrap.json"))
            .arg("--admin-address-path")
            .arg(file("admin.txt"))
            .envs(setup.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(fs::File::create(file("envoy.out")).unwrap())
            .stderr(fs::File::create(file("envoy.log")).unwrap());
        let ended: Arc<Mutex<Option<ExitStatus>>> = Arc::default();
        let (stop, stopped) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let shared = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let child = command.spawn().expect("ENVOY can be run");
            started.send(child.id()).unwrap();
            let status = watch(child, &stopped);
            *shared.lock().unwrap() = Some(status);
        });
        let pid = start.recv().expect("Envoy was started");
        Process { pid, stop: Some(stop), ended, thread: Some(thread) }
    }

    fn ended(&self) -> Option<ExitStatus> {
        *self.ended.lock().unwrap()
    }
}

/// Waits until the process ends, or until nobody wants it any more.
fn watch(mut child: Child, stopped: &Receiver<()>) -> ExitStatus {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        match stopped.recv_timeout(Duration::from_millis(20)) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            _ => {
                // It may just have ended by itself.
                let _ = child.kill();
                return child.wait().unwrap();
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop = None; // the watching thread sees the channel's end
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
