//! Who asks for what, and when: requests at random times, for keys of very different popularity.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood 2014): the same seed gives the same run.
pub struct Random(u64);

impl Random {
    /// A sequence of its own for every `stream`.
    pub fn new(stream: u64) -> Random {
        Random(stream.wrapping_mul(0xd1b5_4a32_d192_ed03) ^ 0x5bd1_e995_9e37_79b9)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1].
    pub fn fraction(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit
    }

    /// The pause until the next of events that come independently, `rate` a second.
    pub fn pause(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64(-self.fraction().ln() / rate)
    }
}

/// Zipf's law: the key of rank i is asked for with a probability in proportion to 1/i. Drawn by Walker's alias method.
pub struct Zipf {
    keep: Vec<f64>,
    alias: Vec<usize>,
    /// The probability of each rank, the most popular first.
    pub shares: Vec<f64>,
}

impl Zipf {
    pub fn new(keys: usize) -> Zipf {
        let total: f64 = (1..=keys).map(|rank| 1.0 / rank as f64).sum();
        let shares: Vec<f64> = (1..=keys).map(|rank| 1.0 / rank as f64 / total).collect();
        let mut keep: Vec<f64> = shares.iter().map(|share| share * keys as f64).collect();
        let mut alias = vec![0; keys];
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..keys).partition(|rank| keep[*rank] < 1.0);
        while let (Some(poor), Some(rich)) = (small.pop(), large.last().copied()) {
            alias[poor] = rich;
            keep[rich] -= 1.0 - keep[poor];
            if keep[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        // What is left is 1 but for rounding.
        small.into_iter().chain(large).for_each(|rank| keep[rank] = 1.0);
        Zipf { keep, alias, shares }
    }

    /// A rank, from 0.
    pub fn draw(&self, random: &mut Random) -> usize {
        let rank = random.below(self.keep.len());
        if random.fraction() <= self.keep[rank] { rank } else { self.alias[rank] }
    }
}
