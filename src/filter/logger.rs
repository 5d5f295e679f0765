//! The log: lines of the core, and what a panic says, go to the host's log.

use std::panic;

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::host::{self, LogLevel};

struct Logger;

/// Takes lines from now on, those about what happens in detail left out.
pub(super) fn start() {
    // It fails only where there is a logger, which is this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(LevelFilter::Info);
    panic::set_hook(Box::new(|panicked| {
        host::log(LogLevel::Critical, &panicked.to_string());
    }));
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Trace => LogLevel::Trace,
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        if self.enabled(record.metadata()) {
            host::log(level, &record.args().to_string());
        }
    }

    fn flush(&self) {}
}
