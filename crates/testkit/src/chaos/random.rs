//! Numbers that look random and are the same for the same seed, on every machine and for ever.

use std::time::Duration;

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

// === impl Random ===

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A time of whole milliseconds, from the first to the last.
    pub(super) fn time(&mut self, (first, last): (u64, u64)) -> Duration {
        Duration::from_millis(first + self.below(last - first + 1))
    }

    /// A number from the first to the last.
    pub(super) fn percent(&mut self, (first, last): (u8, u8)) -> u8 {
        first + u8::try_from(self.below(u64::from(last - first) + 1)).expect("it is below 101")
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_numbers_are_those_of_the_paper() {
        let mut random = Random::new(1_234_567);
        let numbers: Vec<_> = std::iter::repeat_with(|| random.next()).take(3).collect();
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(numbers, expected);
    }
}
