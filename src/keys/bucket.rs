//! A limit on requests for keys that nobody has asked for before.

use std::time::Duration;

/// One request every 20 ms in the long run …
const INTERVAL: Duration = Duration::from_millis(20);
/// … and this many at once after a pause.
const BURST: u32 = 100;

/// A token bucket in the form of the generic cell rate algorithm (ITU-T I.371): one time instead of a count.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When the bucket will be full again.
    full_at: Duration,
}

impl Bucket {
    /// Takes a token; false if there is none at `now`.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let full_at = self.full_at.max(now);
        let allowed = full_at.saturating_sub(now) <= INTERVAL.saturating_mul(BURST.saturating_sub(1));
        if allowed {
            self.full_at = full_at.saturating_add(INTERVAL);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_fifty_a_second() {
        let mut bucket = Bucket::default();
        let mut taken = |now| (0..1000).filter(|_| bucket.take(Duration::from_millis(now))).count();
        assert_eq!(taken(5_000), 100);
        assert_eq!(taken(5_019), 0);
        assert_eq!(taken(5_020), 1);
        assert_eq!(taken(6_020), 50);
        assert_eq!(taken(60_000), 100);
    }
}
