//! Hashes of events and state. Multisets are summed modulo 2^64, so no order enters.

use super::chunks::Packed;
use crate::random::fold;
use shm_layout::record::Event;

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xbf58_476d_1ce4_e5b9;
const K2: u64 = 0x94d0_49bb_1331_11eb;
const K3: u64 = 0xd6e8_feb8_6659_fd93;

/// The part of an event's hash that all events of one tick share.
#[derive(Clone, Copy, Debug)]
pub(super) struct TickDigest {
    place: u64,
    payload: u64,
}

impl TickDigest {
    #[inline]
    pub(super) const fn new(time: u64) -> TickDigest {
        TickDigest {
            place: fold(time ^ K0, K1),
            payload: fold(time ^ K2, K3),
        }
    }

    /// The hash of one event at this tick.
    #[inline(always)]
    pub(super) fn event(self, event: &Event) -> u64 {
        self.packed(Packed::new(*event))
    }

    /// The same of an event as two words.
    #[inline(always)]
    pub(super) const fn packed(self, event: Packed) -> u64 {
        fold(
            fold(event.place ^ self.place, event.payload.wrapping_add(self.payload)),
            K1,
        )
    }

    /// The sum of the hashes of some events of this tick.
    #[inline]
    pub(super) fn sum(self, due: &[Packed]) -> u64 {
        due.iter()
            .fold(0, |sum, event| sum.wrapping_add(self.packed(*event)))
    }
}

/// What a word of the state digest belongs to, so that equal words of different parts differ.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(super) enum Part {
    Process = 1,
    Edge = 2,
    Counter = 3,
}

/// The hash of one item of the state: its part, where it is and one word of it.
#[inline]
pub(super) const fn item(part: Part, place: u64, ordinal: u64, word: u64) -> u64 {
    let key = fold(place ^ K0, ordinal ^ K1.wrapping_mul(part as u64));
    fold(fold(key ^ K3, word ^ K2) ^ K0, K3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shm_layout::record::Source;

    #[test]
    fn exchanging_any_field_between_two_events_changes_the_sum() {
        let event = |dst, src, payload| Event {
            dst,
            src: Source(src),
            payload,
        };
        let sum = |time, a: Event, b: Event| {
            TickDigest::new(time)
                .event(&a)
                .wrapping_add(TickDigest::new(time).event(&b))
        };
        let reference = sum(7, event(1, 2, 3), event(4, 5, 6));
        assert_eq!(reference, sum(7, event(4, 5, 6), event(1, 2, 3)));
        for (a, b) in [
            (event(4, 2, 3), event(1, 5, 6)),
            (event(1, 5, 3), event(4, 2, 6)),
            (event(1, 2, 6), event(4, 5, 3)),
        ] {
            assert_ne!(reference, sum(7, a, b));
        }
        assert_ne!(reference, sum(8, event(1, 2, 3), event(4, 5, 6)));
    }

    #[test]
    fn equal_words_of_different_parts_differ() {
        assert_ne!(item(Part::Process, 1, 0, 9), item(Part::Edge, 1, 0, 9));
        assert_ne!(item(Part::Edge, 1, 0, 9), item(Part::Edge, 0, 1, 9));
    }
}
