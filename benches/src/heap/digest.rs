//! The history digest, computed event by event.

use shm_layout::record::TimedEvent;
use torus_worker::random::fold;

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xbf58_476d_1ce4_e5b9;
const K2: u64 = 0x94d0_49bb_1331_11eb;
const K3: u64 = 0xd6e8_feb8_6659_fd93;

/// The part of an event's hash that all events of one tick share.
#[derive(Clone, Copy)]
pub(super) struct TickDigest {
    place: u64,
    payload: u64,
}

impl TickDigest {
    pub(super) fn new(time: u64) -> TickDigest {
        TickDigest {
            place: fold(time ^ K0, K1),
            payload: fold(time ^ K2, K3),
        }
    }

    #[inline]
    pub(super) fn event(self, event: &TimedEvent) -> u64 {
        let place = u64::from(event.dst) | u64::from(event.src.0) << 32;
        let payload = (event.payload as u64).wrapping_add(self.payload);
        fold(fold(place ^ self.place, payload), K1)
    }
}
