//! How long to wait before trying again.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Exponential backoff with full jitter, as a value that its owner keeps.
///
/// The n-th wait since the last reset is drawn evenly from zero to `base · 2ⁿ`, at most `cap`.
/// Full jitter spreads callers that failed together better than a fixed wait with a little noise.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    tries: u32,
    rng: StdRng,
}

// === impl Backoff ===

impl Backoff {
    /// Starts at `base` and never waits longer than `cap`.
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, tries: 0, rng: StdRng::from_os_rng() }
    }

    /// Draws the same waits for the same seed, for tests.
    pub fn seeded(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap, tries: 0, rng: StdRng::seed_from_u64(seed) }
    }

    /// Returns how long to wait now, and makes the next wait longer.
    #[expect(clippy::should_implement_trait, reason = "an iterator would end, or need unwrapping")]
    pub fn next(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.tries = self.tries.saturating_add(1);
        ceiling.mul_f64(self.rng.random())
    }

    /// Returns the longest wait [`Backoff::next`] could choose now.
    pub fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.tries).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// Returns how many waits have been taken since the last reset.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Starts again from `base`: the thing tried has worked.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(500);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn the_ceiling_doubles_up_to_the_cap_and_stays() {
        let mut backoff = Backoff::seeded(BASE, CAP, 1);
        let ceilings: Vec<_> = std::iter::repeat_with(|| {
            let ceiling = backoff.ceiling();
            assert!(backoff.next() <= ceiling);
            ceiling.as_millis()
        })
        .take(200)
        .collect();
        assert_eq!(ceilings[..8], [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(ceilings[199], 30_000);
    }

    #[test]
    fn the_waits_are_spread_over_the_whole_range() {
        let mut backoff = Backoff::seeded(CAP, CAP, 2);
        let waits: Vec<_> = std::iter::repeat_with(|| backoff.next()).take(1000).collect();
        assert!(waits.iter().any(|wait| *wait < CAP / 10));
        assert!(waits.iter().any(|wait| *wait > CAP / 10 * 9));
    }

    #[test]
    fn a_reset_starts_from_the_base() {
        let mut backoff = Backoff::seeded(BASE, CAP, 3);
        backoff.next();
        backoff.next();
        backoff.reset();
        assert_eq!((backoff.tries(), backoff.ceiling()), (0, BASE));
    }

    #[test]
    fn the_same_seed_draws_the_same_waits() {
        let draw = |seed| {
            let mut backoff = Backoff::seeded(BASE, CAP, seed);
            [(); 5].map(|()| backoff.next())
        };
        assert_eq!(draw(4), draw(4));
        assert_ne!(draw(4), draw(5));
    }
}
