//! Chance that can be had again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Chance that falls the same for the same seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn number(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// The same for places.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number(bound as u64)).unwrap()
    }
}

/// `CUPID_TEST_SEED`, or another one each time; printed, so that a run can be had again.
pub fn seed() -> u64 {
    let given = std::env::var("CUPID_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 16);
    eprintln!("CUPID_TEST_SEED={seed}");
    seed
}
