//! A limit on how often something happens: so many times at once, and so often in the long run.

use std::time::Duration;

/// A token bucket in the form of the generic cell rate algorithm (ITU-T I.371): one time instead of a count.
#[derive(Debug)]
pub(crate) struct Bucket {
    interval: Duration,
    burst: u32,
    /// When the bucket will be full again.
    full_at: Duration,
}

impl Bucket {
    /// A full bucket of `burst` tokens, to which one is added in each `interval`.
    pub(crate) fn new(burst: u32, interval: Duration) -> Self {
        Self { interval, burst, full_at: Duration::ZERO }
    }

    /// Whether there is a token at `now`.
    pub(crate) fn has(&self, now: Duration) -> bool {
        self.full_at.saturating_sub(now) <= self.interval.saturating_mul(self.burst.saturating_sub(1))
    }

    /// Takes a token; false if there is none at `now`.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let has = self.has(now);
        if has {
            self.full_at = self.full_at.max(now).saturating_add(self.interval);
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_one_in_each_interval() {
        let mut bucket = Bucket::new(200, Duration::from_millis(10));
        let mut taken = |now| (0..1000).filter(|_| bucket.take(Duration::from_millis(now))).count();
        assert_eq!(taken(5_000), 200);
        assert_eq!(taken(5_009), 0);
        assert_eq!(taken(5_010), 1);
        assert_eq!(taken(6_010), 100);
        assert_eq!(taken(60_000), 200);
    }
}
