//! Chance that can be repeated.

/// The same seed makes the same choices.
#[derive(Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Less than `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        self.0.u32(..end)
    }

    /// Yes, so often in a hundred.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.usize(..choices.len())]
    }

    /// One of these, by weight.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut at = self.below(total);
        for (weight, choice) in choices {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *choice,
            }
        }
        choices[choices.len() - 1].1
    }
}
