//! Random shortening of times, so that a fleet of proxies does not ask in step.

use std::time::Duration;

/// A small generator (SplitMix64, Steele, Lea and Flood 2014). Spreads load; nothing secret depends on it.
#[derive(Debug)]
pub(super) struct Jitter {
    state: Option<u64>,
}

impl Jitter {
    /// Without a seed nothing is shortened.
    pub(super) fn new(seed: Option<u64>) -> Self {
        Self { state: seed }
    }

    /// `time` less a random part of it, at most one `part`th.
    pub(super) fn shorten(&mut self, time: Duration, part: u32) -> Duration {
        self.draw().shorten(time, part)
    }

    /// A random cut.
    pub(super) fn draw(&mut self) -> Cut {
        let Some(state) = &mut self.state else { return Cut::default() };
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Cut(u16::try_from((z ^ (z >> 31)) >> 48).unwrap_or_default())
    }
}

/// How much a time is shortened, as a fraction of 2^16 of the most that it may be. Default: not at all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut(pub(super) u16);

impl Cut {
    /// `time` less this part of its `part`th.
    pub(super) fn shorten(self, time: Duration, part: u32) -> Duration {
        let most = time.checked_div(part).unwrap_or_default();
        let cut = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX) >> 16;
        time.saturating_sub(Duration::from_nanos(cut.saturating_mul(u64::from(self.0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_by_at_most_the_part_and_not_always_alike() {
        let (hour, mut jitter) = (Duration::from_secs(3600), Jitter::new(Some(7)));
        let times: Vec<Duration> = (0..1000).map(|_| jitter.shorten(hour, 10)).collect();
        assert!(times.iter().all(|time| *time <= hour && *time >= Duration::from_secs(3240)));
        let (shortest, longest) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(longest.saturating_sub(*shortest) > Duration::from_secs(340), "{shortest:?} to {longest:?}");
        assert_eq!(Jitter::new(None).shorten(hour, 10), hour);
    }
}
