//! The hash by which the golden scenarios pin the order of execution.

use shm_layout::record::TimedEvent;

const BASIS: u64 = 14_695_981_039_346_656_037;
const PRIME: u64 = 1_099_511_628_211;

/// `PRIME` to the power of its index: a zero byte only multiplies, so a run of them is one multiplication.
const POWERS: [u64; 9] = {
    let mut powers = [1u64; 9];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1].wrapping_mul(PRIME);
        at += 1;
    }
    powers
};

/// A running 64-bit FNV-1a hash over words, each as eight little-endian bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderHash(u64);

impl Default for OrderHash {
    fn default() -> Self {
        OrderHash(BASIS)
    }
}

impl OrderHash {
    /// Takes in one word.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let mut rest = word;
        let mut bytes = 0;
        while rest != 0 {
            self.0 = (self.0 ^ (rest & 0xff)).wrapping_mul(PRIME);
            rest >>= 8;
            bytes += 1;
        }
        self.0 = self.0.wrapping_mul(POWERS[8 - bytes]);
    }

    /// Takes in an event: time, destination, source word, payload.
    #[inline]
    pub fn event(&mut self, event: &TimedEvent) {
        self.word(event.time);
        self.word(u64::from(event.dst));
        self.word(u64::from(event.src.0));
        self.word(event.payload as u64);
    }

    /// The hash so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_bytes_are_hashed_as_if_one_by_one() {
        for word in [0, 1, 0x100, 0xff00_0000_0000_0000, u64::MAX, 0x12_0034] {
            let plain = word
                .to_le_bytes()
                .iter()
                .fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
            let mut hash = OrderHash::default();
            hash.word(word);
            assert_eq!(hash.value(), plain, "{word:#x}");
        }
    }
}
