//! A limit on requests for keys that nobody has asked for before.

use std::time::Duration;

/// One request every 10 ms in the long run …
const INTERVAL: Duration = Duration::from_millis(10);
/// … and this many at once after a pause, so that a proxy that starts soon knows the keys in use.
const BURST: u32 = 200;

/// A token bucket in the form of the generic cell rate algorithm (ITU-T I.371): one time instead of a count.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When the bucket will be full again.
    full_at: Duration,
}

impl Bucket {
    /// Whether there is a token at `now`.
    pub(super) fn has(&self, now: Duration) -> bool {
        self.full_at.saturating_sub(now) <= INTERVAL.saturating_mul(BURST.saturating_sub(1))
    }

    /// Takes a token; false if there is none at `now`.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let has = self.has(now);
        if has {
            self.full_at = self.full_at.max(now).saturating_add(INTERVAL);
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_a_hundred_a_second() {
        let mut bucket = Bucket::default();
        let mut taken = |now| (0..1000).filter(|_| bucket.take(Duration::from_millis(now))).count();
        assert_eq!(taken(5_000), 200);
        assert_eq!(taken(5_009), 0);
        assert_eq!(taken(5_010), 1);
        assert_eq!(taken(6_010), 100);
        assert_eq!(taken(60_000), 200);
    }
}
