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

/// How long Envoy may take to start: it compiles the module, and each processor of a busy machine has other work.
const STARTUP: Duration = Duration::from_secs(60);

/// A running Envoy. It is killed when this is dropped.
pub struct Envoy {
    admin: SocketAddr,
    ports: HashMap<String, SocketAddr>,
    directory: TempDir,
    setup: Setup,
    process: Process,
    /// Those that the process took over from.
    former: Vec<Process>,
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
        let bootstrap = setup.write_bootstrap(path);
        setup.write_clusters(path);
        setup.write_listeners(path);
        let (process, admin) = Process::start(path, &bootstrap, &setup, 0)?;
        let mut envoy = Envoy { admin, ports: HashMap::new(), directory, setup, process, former: Vec::new() };
        envoy.ports = envoy.listening();
        Ok(envoy)
    }

    /// Lets a new process take over the listeners while this one serves (a hot restart). Needs [`Setup::hot_restart`].
    /// The former process ends by itself, see [`Envoy::await_takeover`].
    ///
    /// # Panics
    ///
    /// If the new process does not start.
    pub fn restart(&mut self) {
        let epoch = self.former.len() + 1;
        let bootstrap = self.setup.write_bootstrap(self.directory.path());
        let started = Process::start(self.directory.path(), &bootstrap, &self.setup, epoch);
        let (process, admin) = started.unwrap_or_else(|refusal| panic!("the new process ended:\n{}", refusal.log));
        self.former.push(std::mem::replace(&mut self.process, process));
        self.admin = admin;
    }

    /// Waits until every former process has ended.
    pub fn await_takeover(&self) {
        wait::until_true("the former process ends", || self.former.iter().all(|process| process.ended().is_some()));
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

    /// The address of the admin interface.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
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
        (0..=self.former.len()).map(|epoch| read(&self.directory.path().join(name_of(epoch, "envoy.log")))).collect()
    }

    /// The lines of the access log so far.
    pub fn access_log(&self) -> String {
        read(&self.directory.path().join("access.log"))
    }

    /// Everything that Envoy wrote to its standard output so far: the access log of the reference configuration.
    pub fn output(&self) -> String {
        read(&self.directory.path().join("envoy.out"))
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
        let deaths = self.deaths();
        assert!(deaths.is_empty(), "something died in a VM:\n{}", deaths.join("\n"));
        assert_eq!(client::exchange(self.admin, &Request::get("/ready"), &[]).unwrap().status, 200);
    }

    /// The lines of the log that tell of a VM that died, and the counters.
    pub fn deaths(&self) -> Vec<String> {
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
        let (log, stats) = (self.log(), self.admin("/stats?filter=wasm"));
        let lines = log.lines().filter(|line| traps.iter().any(|trap| line.contains(trap)));
        let bad = |line: &&str| (line.contains("vm_reload") || line.contains("failed")) && !line.ends_with(": 0");
        lines.chain(stats.lines().filter(bad)).map(str::to_owned).collect()
    }
}

/// The name of a file of a process: each one that takes over has its own.
fn name_of(epoch: usize, name: &str) -> String {
    if epoch == 0 { name.to_owned() } else { format!("{epoch}-{name}") }
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
    /// Starts the process and waits until it serves, or ends. Gives the address of its admin interface too.
    fn start(
        directory: &Path,
        bootstrap: &Path,
        setup: &Setup,
        epoch: usize,
    ) -> Result<(Process, SocketAddr), Refusal> {
        let process = Process::spawn(directory, bootstrap, setup, epoch);
        let log = || read(&directory.join(name_of(epoch, "envoy.log")));
        let start = Instant::now();
        loop {
            if let Some(status) = process.ended() {
                return Err(Refusal { status, log: log() });
            }
            let address = read(&directory.join(name_of(epoch, "admin.txt"))).trim().parse();
            if let Some(address) = address.ok().filter(|address| is_ready(*address)) {
                return Ok((process, address));
            }
            assert!(start.elapsed() < STARTUP, "Envoy is not ready:\n{}", log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn spawn(directory: &Path, bootstrap: &Path, setup: &Setup, epoch: usize) -> Process {
        let envoy = required("ENVOY", "the Envoy binary");
        let mut command = setup.host.as_ref().map_or_else(|| Command::new(&envoy), |host| host.command(&envoy));
        let file = |name: &str| directory.join(name_of(epoch, name));
        let base_id = directory.join("base-id.txt");
        match (setup.hot_restart, epoch) {
            (false, _) => command.arg("--disable-hot-restart"),
            // One that no other Envoy on this machine has.
            (true, 0) => command.arg("--use-dynamic-base-id").arg("--base-id-path").arg(&base_id),
            (true, _) => command.args(["--base-id", read(&base_id).trim(), "--restart-epoch", &epoch.to_string()]),
        };
        command
            .args(["--log-level", &setup.log_level, "--file-flush-interval-msec", "20"])
            .args(["--concurrency", &setup.concurrency.to_string()])
            .args(["--drain-strategy", "immediate", "--drain-time-s", &setup.drain_seconds.to_string()])
            .args(["--parent-shutdown-time-s", &(setup.drain_seconds + 1).to_string()])
            .arg("-c")
            .arg(bootstrap)
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
