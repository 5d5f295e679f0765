//! The wall clock of an Envoy under test, which can be set while it runs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

/// How many of the last times that the clock was set are remembered.
const REMEMBERED: usize = 8;

/// A clock that differs from the machine's by some seconds.
pub struct Clock {
    directory: TempDir,
    file: File,
    /// The last shifts, the one that counts last.
    shifts: Mutex<Vec<Shift>>,
}

/// Seconds from the machine's time.
#[derive(Clone, Copy)]
struct Shift {
    seconds: i64,
    /// Not in effect before this moment.
    from: Instant,
    /// Not in effect after this one. None: it is, or another one is just taking its place.
    until: Option<Instant>,
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
        let clock = Clock { directory, file, shifts: Mutex::default() };
        clock.set(0);
        clock
    }

    /// Variables of the environment of a process that is to have this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        vec![("LD_PRELOAD".to_owned(), path("clock.so")), ("SHIFTED_CLOCK".to_owned(), path("shift"))]
    }

    /// Sets the clock to so many seconds from the machine's.
    pub fn set(&self, seconds: i64) {
        self.shifts.lock().unwrap().push(Shift { seconds, from: Instant::now(), until: None });
        // Between the two locks both shifts may be in effect.
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
        let mut shifts = self.shifts.lock().unwrap();
        if let [.., former, _] = &mut shifts[..] {
            former.until = Some(Instant::now());
        }
        let forgotten = shifts.len().saturating_sub(REMEMBERED);
        shifts.drain(..forgotten);
    }

    /// The time in seconds.
    pub fn now(&self) -> i64 {
        machine_time() + self.shifts.lock().unwrap().last().map_or(0, |shift| shift.seconds)
    }

    /// What the process may have read between these moments, the second of which is about now: the first and the last
    /// second of each of the shifts.
    pub fn readings(&self, from: Instant, to: Instant) -> Vec<i64> {
        let (last, took) = (machine_time(), i64::try_from((to - from).as_secs()).unwrap() + 1);
        let shifts = self.shifts.lock().unwrap();
        let during = shifts.iter().filter(|shift| shift.from <= to && shift.until.is_none_or(|until| until >= from));
        during.flat_map(|shift| [last + shift.seconds - took, last + shift.seconds]).collect()
    }
}

fn machine_time() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
