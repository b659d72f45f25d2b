//! Seeded random moments.

use std::time::{Duration, SystemTime};

/// A stream of random numbers (SplitMix64, Steele, Lea and Flood 2014).
pub struct Random(u64);

impl Random {
    /// A stream whose seed is printed: that of `BRAID_SEED`, else the time.
    pub fn announced() -> Random {
        let given = std::env::var("BRAID_SEED")
            .ok()
            .map(|text| text.parse().expect("BRAID_SEED is a number"));
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .expect("after 1970");
            now.as_nanos() as u64 % 1_000_000_007
        });
        println!("BRAID_SEED={seed}");
        Random(seed)
    }

    /// A stream of its own for another thread.
    pub fn fork(&mut self) -> Random {
        Random(self.draw())
    }

    /// 64 random bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Whether something of this chance happens, in percent.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Puts them into another order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }

    /// Lets a random time pass, so that what follows comes at a random moment.
    pub fn pass(&mut self, most: Duration) {
        std::thread::sleep(Duration::from_micros(self.below(most.as_micros() as u64 + 1)));
    }
}
