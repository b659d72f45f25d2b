//! Checksums and content hashes: XXH3, 64 bits (Collet), over little-endian words; and those that a copy can have on its
//! way, of events and of lines.

use super::record::TimedEvent;
use super::{lines, multiset};
use twox_hash::XxHash3_64;

/// The hash of a sequence of words; order-sensitive.
pub fn words(words: &[u64]) -> u64 {
    bytes(bytemuck::cast_slice(words))
}

/// The hash of bytes.
pub fn bytes(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// Hash of events as a multiset: the sum modulo 2^64 of one mixed hash each, so their order does not matter. A replay
/// emits the events of a tick in another order among cells, and must give the same hash.
pub fn events(events: &[TimedEvent]) -> u64 {
    multiset::hash(bytemuck::cast_slice(events))
}

/// The hash of whole pairs of cache lines, sixteen words each; order-sensitive. It is the one that a copy of such words can
/// have on its way ([`super::words::View::read_lines`]).
pub fn lines(words: &[u64]) -> u64 {
    lines::hash(words)
}

/// The same hash as [`words`] over words that arrive in pieces, for copies that are made a little at a time.
pub struct WordHasher {
    state: XxHash3_64,
}

impl WordHasher {
    /// Starts with nothing hashed.
    pub fn new() -> Self {
        Self {
            state: XxHash3_64::new(),
        }
    }

    /// Adds the next words.
    pub fn update(&mut self, words: &[u64]) {
        std::hash::Hasher::write(&mut self.state, bytemuck::cast_slice(words));
    }

    /// The hash of all words added so far.
    pub fn finish(&self) -> u64 {
        std::hash::Hasher::finish(&self.state)
    }
}

impl Default for WordHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for WordHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WordHasher({:#018x})", self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_hash_like_the_whole() {
        let data: Vec<u64> = (0..5000)
            .map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        for cut in [0, 1, 31, 128, 4999, 5000] {
            let mut hasher = WordHasher::new();
            hasher.update(&data[..cut]);
            hasher.update(&data[cut..]);
            assert_eq!(hasher.finish(), words(&data));
        }
    }

    #[test]
    fn the_hash_is_the_published_xxh3() {
        assert_eq!(bytes(b""), 0x2d06_8005_38d3_94c2);
    }
}
