//! Numbers for tests that want many different inputs.

/// Numbers that are random enough, and the same each time for one seed, which is not 0 (xorshift64).
pub struct Random(pub u64);

impl Random {
    /// A number below this one.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    /// One of these.
    pub fn of<'t, T>(&mut self, choice: &'t [T]) -> &'t T {
        &choice[self.below(choice.len())]
    }
}
