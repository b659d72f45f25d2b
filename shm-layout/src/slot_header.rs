//! What a checkpoint slot says about the checkpoint in it, as a plain record.

use super::frame::FRAME_LANES;
use super::hash;
use super::torus::TORI;

/// Words of a slot's header.
pub const SLOT_HEADER_WORDS: usize = 64;

const BOUNDARY: usize = 0;
const CHECKSUM: usize = 1;
const LANE_POSITIONS: usize = 16;
const _: () = assert!(LANE_POSITIONS + FRAME_LANES <= SLOT_HEADER_WORDS);

/// What a slot says about the checkpoint in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SlotHeader {
    /// The checkpoint holds the state at this boundary, before its intake. Never 0.
    pub boundary: u64,
    /// Length of the data in bytes, a multiple of 8.
    pub bytes: u64,
    /// [`hash::words`] of the data.
    pub hash: u64,
    /// Digest of all events executed up to the boundary.
    pub history_digest: u64,
    /// The tick of the boundary.
    pub tick: u64,
    /// Bytes of the torus's journal that belong to this state.
    pub journal_length: u64,
    /// Which torus this is the state of, as an index.
    pub torus: u64,
    /// Events taken in from each peer, by torus index.
    pub received: [u64; TORI],
    /// Events sent to each peer, by torus index.
    pub sent: [u64; TORI],
    /// Events executed up to the boundary.
    pub events: u64,
    /// Lane positions: entries below them have been taken in, or belong to no lane.
    pub lane_positions: [u64; FRAME_LANES],
}

impl SlotHeader {
    /// Length of the data in words.
    pub fn data_words(&self) -> usize {
        // At most the slot's length, which `SlotsReader::header` has checked.
        (self.bytes / 8) as usize
    }

    /// The header as it stands in the slot, checksum included.
    pub(crate) fn to_words(self) -> [u64; SLOT_HEADER_WORDS] {
        let mut words = [0; SLOT_HEADER_WORDS];
        words[BOUNDARY] = self.boundary;
        words[2..8].copy_from_slice(&[
            self.bytes,
            self.hash,
            self.history_digest,
            self.tick,
            self.journal_length,
            self.torus,
        ]);
        words[8..11].copy_from_slice(&self.received);
        words[11..14].copy_from_slice(&self.sent);
        words[14] = self.events;
        words[LANE_POSITIONS..LANE_POSITIONS + FRAME_LANES].copy_from_slice(&self.lane_positions);
        words[CHECKSUM] = checksum(&words);
        words
    }

    /// The header that these words are; `None` if the slot is empty or the checksum wrong.
    pub(crate) fn from_words(words: &[u64; SLOT_HEADER_WORDS]) -> Option<SlotHeader> {
        if words[BOUNDARY] == 0 || words[CHECKSUM] != checksum(words) {
            return None;
        }
        let three = |first: usize| [words[first], words[first + 1], words[first + 2]];
        let mut lane_positions = [0; FRAME_LANES];
        lane_positions.copy_from_slice(&words[LANE_POSITIONS..LANE_POSITIONS + FRAME_LANES]);
        Some(SlotHeader {
            boundary: words[BOUNDARY],
            bytes: words[2],
            hash: words[3],
            history_digest: words[4],
            tick: words[5],
            journal_length: words[6],
            torus: words[7],
            received: three(8),
            sent: three(11),
            events: words[14],
            lane_positions,
        })
    }
}

fn checksum(words: &[u64; SLOT_HEADER_WORDS]) -> u64 {
    let mut covered = *words;
    covered[CHECKSUM] = 0;
    hash::words(&covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_its_words_and_any_flipped_bit_is_seen() {
        let mut header = SlotHeader {
            boundary: 9,
            bytes: 800,
            hash: 1,
            events: 5,
            torus: 2,
            ..Default::default()
        };
        header.lane_positions[31] = 77;
        header.received = [1, 2, 3];
        header.sent = [4, 5, 6];
        let words = header.to_words();
        assert_eq!(SlotHeader::from_words(&words), Some(header));
        for word in 0..SLOT_HEADER_WORDS {
            let mut damaged = words;
            damaged[word] ^= 1 << (word % 64);
            assert_eq!(SlotHeader::from_words(&damaged), None, "word {word}");
        }
        assert_eq!(SlotHeader::from_words(&[0; SLOT_HEADER_WORDS]), None);
    }
}
