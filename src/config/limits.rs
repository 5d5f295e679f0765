//! Defaults and ranges of the members: what the reader goes by, and what the schema says.

use std::time::Duration;

use super::{AccessLog, TunnelMode};

/// What a member is where it is absent, and what it may be, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<T> {
    pub(super) default: T,
    pub(super) low: T,
    pub(super) high: T,
}

const fn range<T>(default: T, low: T, high: T) -> Range<T> {
    Range { default, low, high }
}

const SECOND: Duration = seconds(1);
const MINUTE: Duration = seconds(60);
const HOUR: Duration = seconds(3600);
const DAY: Duration = seconds(86_400);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const KEYS_PATH: &str = "/keys/{kid}";
pub(super) const KEYS_TIMEOUT: Range<Duration> = range(seconds(2), Duration::from_millis(1), MINUTE);
pub(super) const KEYS_MAX_AGE: Range<Duration> = range(seconds(600), SECOND, DAY);
pub(super) const KEYS_MAX_AGE_LIMIT: Range<Duration> = range(HOUR, SECOND, DAY);
pub(super) const KEYS_MIN_AGE: Range<Duration> = range(SECOND, SECOND, HOUR);
pub(super) const KEYS_STALE_IF_ERROR: Range<Duration> = range(HOUR, Duration::ZERO, DAY);
pub(super) const KEYS_NEGATIVE_MAX_AGE: Range<Duration> = range(seconds(30), SECOND, HOUR);
pub(super) const KEYS_REFETCH_INTERVAL: Range<Duration> = range(seconds(30), SECOND, HOUR);
pub(super) const KEYS_MAX_ENTRIES: Range<usize> = range(10_000, 1, 100_000);
pub(super) const KEYS_MAX_WAITING: Range<usize> = range(1000, 0, 100_000);

/// The audiences are the vendor's.
pub(super) const LICENSE_AUDIENCE: &str = "urn:verimatrix:multidrm";
pub(super) const LICENSE_MAX_AGE: Range<Duration> = range(seconds(90), SECOND, DAY);
pub(super) const CPIX_AUDIENCE: &str = "urn:verimatrix:cpix";
pub(super) const CPIX_MAX_AGE: Range<Duration> = range(seconds(1800), SECOND, DAY);
pub(super) const VERSION: u32 = 1;
pub(super) const BIND_CONTENT: bool = false;

pub(super) const ALLOW_SLOW_ALGORITHMS: bool = false;
pub(super) const ACCESS_LOG: AccessLog = AccessLog::Denied;
pub(super) const CLOCK_SKEW: Range<Duration> = range(seconds(5), Duration::ZERO, seconds(300));
pub(super) const MAX_TOKEN_BYTES: Range<usize> = range(8192, 256, 65_536);
pub(super) const MAX_BODY_BYTES: Range<usize> = range(262_144, 1024, 8 << 20);
pub(super) const MAX_HELD_BYTES: Range<usize> = range(16 << 20, 1 << 20, 1 << 30);
pub(super) const BODY_TIMEOUT: Range<Duration> = range(seconds(10), SECOND, MINUTE);
pub(super) const REPORT_ONLY: bool = false;

pub(super) const FORWARD_TOKEN: bool = false;

pub(super) const SESSION_KEYS_PATH: &str = "/session-keys/{kid}";
pub(super) const SESSION_HEADER: &str = "x-mdrm-session";
pub(super) const SESSION_LIFETIME: Range<Duration> = range(MINUTE, SECOND, HOUR);

pub(super) const MASTER_KEYS_PATH: &str = "/master-keys/{kid}";
pub(super) const TUNNEL_MODE: TunnelMode = TunnelMode::Permissive;
