//! The two cores of a run, and the clock of a process.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// One core for Envoy alone, one for everything that talks to it.
#[derive(Clone, Copy)]
pub struct Cores {
    /// Envoy's.
    pub envoy: usize,
    /// The load generator's and the key service's.
    pub load: usize,
}

impl Cores {
    /// The first two that this process may use.
    pub fn pick() -> Result<Cores, String> {
        let allowed = sched_getaffinity(None).map_err(|error| format!("sched_getaffinity: {error}"))?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match (cores.next(), cores.next()) {
            (Some(envoy), Some(load)) => Ok(Cores { envoy, load }),
            _ => Err("two cores are needed: one for Envoy, one for the load".into()),
        }
    }
}

/// Binds the calling thread to a core, and with it every thread and process that it starts from now on.
pub fn pin(core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| format!("sched_setaffinity to core {core}: {error}"))
}

/// The CPU time of a process.
pub struct CpuClock {
    tasks: PathBuf,
}

impl CpuClock {
    /// The clock of the process with this ID.
    pub fn of(pid: u32) -> CpuClock {
        CpuClock { tasks: format!("/proc/{pid}/task").into() }
    }

    /// User and system time of all threads so far. From the scheduler's own account (`schedstat`), which counts
    /// nanoseconds; `stat` counts ticks of 10 ms. A running thread's account is brought up to date when it gives up its
    /// core, so read this while the process is idle.
    pub fn read(&self) -> Duration {
        let tasks = fs::read_dir(&self.tasks).expect("the process runs");
        let of_task = |task: fs::DirEntry| -> u64 {
            let text = fs::read_to_string(task.path().join("schedstat")).expect("a kernel with CONFIG_SCHED_INFO");
            text.split(' ').next().and_then(|time| time.parse().ok()).expect("nanoseconds on a core")
        };
        Duration::from_nanos(tasks.map(|task| of_task(task.unwrap())).sum())
    }
}
