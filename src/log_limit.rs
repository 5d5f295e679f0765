//! Which denials are worth a line in the log: a flood of refused requests must not become a flood of lines.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bucket::Bucket;
use crate::denial::Code;

/// Lines of one code in one worker: this many at once …
const BURST: u32 = 20;
/// … and one in this time in the long run.
const INTERVAL: Duration = Duration::from_millis(200);

/// The lines about denials of one worker.
#[derive(Debug, Default)]
pub struct LogLimit {
    by_code: BTreeMap<Code, Lines>,
}

#[derive(Debug)]
struct Lines {
    bucket: Bucket,
    /// Since the last line.
    left_out: u64,
}

impl LogLimit {
    /// Whether a denial with this code is worth a line at `now` (monotonic), and how many were left out since the last one.
    pub fn admit(&mut self, code: Code, now: Duration) -> Option<u64> {
        let new = || Lines { bucket: Bucket::new(BURST, INTERVAL), left_out: 0 };
        let lines = self.by_code.entry(code).or_insert_with(new);
        if lines.bucket.take(now) {
            Some(std::mem::take(&mut lines.left_out))
        } else {
            lines.left_out = lines.left_out.saturating_add(1);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_code_is_counted_and_hides_no_other() {
        let mut limit = LogLimit::default();
        let at = Duration::from_secs(100);
        let lines = (0..1000).filter(|_| limit.admit(Code::Mdrm501, at).is_some()).count();
        assert_eq!(lines, 20);
        assert_eq!(limit.admit(Code::Mdrm505, at), Some(0));
        assert_eq!(limit.admit(Code::Mdrm501, at.saturating_add(INTERVAL)), Some(980));
        assert_eq!(limit.admit(Code::Mdrm501, at.saturating_add(INTERVAL)), None);
        assert_eq!(limit.admit(Code::Mdrm501, at.saturating_mul(2)), Some(1));
    }
}
