//! The wall clock of an Envoy under test, which can be set while it runs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

/// A clock that differs from the machine's by some seconds.
pub struct Clock {
    directory: TempDir,
    file: File,
    /// The seconds before the step that is being made …
    before: AtomicI64,
    /// … and after it. Equal but for the moment in which the clock is set.
    after: AtomicI64,
}

impl Clock {
    /// The machine's time. Compiles the library that shifts it, with `cc`.
    ///
    /// # Panics
    ///
    /// If there is no C compiler. Rust needs one too.
    pub fn new() -> Clock {
        let directory = tempfile::Builder::new().prefix("mdrm-clock-").tempdir().unwrap();
        let source = directory.path().join("clock.c");
        fs::write(&source, include_str!("clock.c")).unwrap();
        let library = directory.path().join("clock.so");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).status();
        assert!(built.expect("cc can be run").success(), "cc compiles clock.c");
        let file = File::create(directory.path().join("shift")).unwrap();
        let clock = Clock { directory, file, before: AtomicI64::new(0), after: AtomicI64::new(0) };
        clock.write(0);
        clock
    }

    /// Variables of the environment of a process that is to have this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        vec![("LD_PRELOAD".to_owned(), path("clock.so")), ("SHIFTED_CLOCK".to_owned(), path("shift"))]
    }

    /// Sets the clock to so many seconds from the machine's.
    pub fn set(&self, shift: i64) {
        self.after.store(shift, Ordering::SeqCst);
        self.write(shift);
        self.before.store(shift, Ordering::SeqCst);
    }

    fn write(&self, shift: i64) {
        self.file.write_all_at(&shift.to_ne_bytes(), 0).unwrap();
    }

    /// The time in seconds.
    pub fn now(&self) -> i64 {
        machine_time() + self.after.load(Ordering::SeqCst)
    }

    /// What the process may read right now: two different times while the clock is being set.
    pub fn readings(&self) -> [i64; 2] {
        let now = machine_time();
        [now + self.before.load(Ordering::SeqCst), now + self.after.load(Ordering::SeqCst)]
    }
}

fn machine_time() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
