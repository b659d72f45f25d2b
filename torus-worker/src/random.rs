//! Counter-based random numbers and the 64-bit mixing they share with the digests.
//!
//! A draw is a pure function of (seed, torus, cell, tick, number of the draw), so a replay draws the same
//! whatever else happened in between. The generator is wyrand (Wang Yi, <https://github.com/wangyi-fudan/wyhash>):
//! a Weyl sequence whose terms go through one folded 64x64→128-bit multiplication.

use shm_layout::torus::Torus;

const KEY_SEED: u64 = 0xa076_1d64_78bd_642f;
const KEY_TORUS: u64 = 0xe703_7ed1_a0b4_28db;
const KEY_TICK: u64 = 0x8ebc_6af0_9c88_c6e3;
const KEY_CELL: u64 = 0x5899_65cc_7537_4cc3;
const WEYL: u64 = 0x2d35_8dcc_aa6c_78a5;
const WYRAND: u64 = 0x8bb8_4b93_962e_acc9;

/// The folded product: both halves of the 128-bit product of `a` and `b`, XORed.
#[inline(always)]
pub const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// What all streams of one torus and tick have in common: the first term of cell 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickKey(u64);

impl TickKey {
    /// The key of (seed, torus, tick).
    #[inline]
    pub const fn new(seed: u64, torus: Torus, tick: u64) -> TickKey {
        let run = fold(seed ^ KEY_SEED, KEY_TORUS ^ (torus.index() as u64 + 1));
        let start = fold(run ^ KEY_TICK, tick ^ KEY_SEED) ^ run;
        TickKey(start.wrapping_add(WEYL))
    }

    /// The stream of one cell at this tick: the Weyl sequence starts at a place of its own.
    #[inline(always)]
    pub const fn stream(self, cell: u32) -> Stream {
        Stream {
            next: self.0.wrapping_add((cell as u64).wrapping_mul(KEY_CELL)),
        }
    }
}

/// A stream of random words for one cell at one tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The term that the next draw uses.
    next: u64,
}

impl Stream {
    /// The next 64 random bits.
    #[inline(always)]
    pub const fn draw(&mut self) -> u64 {
        let term = self.next;
        self.next = term.wrapping_add(WEYL);
        fold(term, term ^ WYRAND)
    }

    /// A number from 0 to `bound` − 1 (0 when `bound` is 0), by multiplication and shift (Lemire 2019, without the
    /// rejection: the bias is at most `bound` / 2^64).
    #[inline(always)]
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.draw() as u128 * bound as u128) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_in_every_part_of_the_key() {
        let first = |seed, torus, tick, cell| TickKey::new(seed, torus, tick).stream(cell).draw();
        let base = first(1, Torus::A, 10, 5);
        assert_eq!(base, first(1, Torus::A, 10, 5));
        for other in [
            first(2, Torus::A, 10, 5),
            first(1, Torus::B, 10, 5),
            first(1, Torus::A, 11, 5),
        ] {
            assert_ne!(base, other);
        }
        assert_ne!(base, first(1, Torus::A, 10, 6));
    }

    #[test]
    fn draws_over_cells_and_ticks_are_uniform_in_every_bit() {
        let mut ones = [0u32; 64];
        let draws = 64 * 256;
        for tick in 0..64 {
            let key = TickKey::new(42, Torus::A, tick);
            for cell in 0..256 {
                let word = key.stream(cell).draw();
                for (bit, count) in ones.iter_mut().enumerate() {
                    *count += (word >> bit & 1) as u32;
                }
            }
        }
        // Six standard deviations of a fair coin over 16 384 draws.
        for (bit, count) in ones.iter().enumerate() {
            assert!(
                count.abs_diff(draws / 2) < 6 * 64,
                "bit {bit}: {count} of {draws}"
            );
        }
    }

    #[test]
    fn below_stays_below_its_bound_and_reaches_every_value() {
        let mut seen = [false; 7];
        let mut stream = TickKey::new(1, Torus::C, 0).stream(0);
        for _ in 0..200 {
            seen[stream.below(7) as usize] = true;
        }
        assert_eq!(seen, [true; 7]);
        assert_eq!(stream.below(0), 0);
    }
}
