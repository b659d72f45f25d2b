//! SplitMix64 (Steele, Lea and Flood 2014): the schedules of the simulator, replayable from a seed.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// The seed of a random test: `BRAID_SEED`, or one from the clock; printed first.
pub fn seed() -> u64 {
    let given = std::env::var("BRAID_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let clock = || {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |d| d.as_nanos() as u64)
    };
    let seed = given.unwrap_or_else(clock);
    println!("BRAID_SEED={seed}");
    seed
}
