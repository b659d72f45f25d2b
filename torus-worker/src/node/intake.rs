//! What a torus takes in at a boundary.

use shm_layout::frame::Frame;
use shm_layout::record::{LaneEntry, TimedEvent};
use shm_layout::torus::Torus;

use super::LANES_MAX;
use crate::kernel::Arrivals;

/// Everything from outside that acts on a torus at one boundary b. Together with the state it determines the next.
#[derive(Debug, Default)]
pub struct Intake<'a> {
    /// Frame b−L of each peer, by torus; none of the own, and none for b < L.
    pub frames: [Option<&'a Frame>; 3],
    /// The cross-torus events that each peer's frame b−L carries for this torus.
    pub events: [Option<&'a mut Arrivals>; 3],
    /// Hash of each of these, as they were read.
    pub hashes: [u64; 3],
    /// Events from the injection lanes, in lane order.
    pub injected: &'a [Injection],
    /// The position of each lane after this intake.
    pub lane_positions: [u64; LANES_MAX],
}

impl Intake<'_> {
    /// The events that a peer's frame carries.
    pub fn events(&self, peer: Torus) -> &[TimedEvent] {
        self.events[peer.index()].as_deref().map_or(&[], Arrivals::events)
    }

    /// Whether there are records among a peer's events that are none.
    pub fn has_control(&self, peer: Torus) -> bool {
        self.events[peer.index()]
            .as_deref()
            .is_some_and(Arrivals::has_control)
    }
}

/// The events of the tori whose frames are due.
pub(crate) fn those_due(all: &mut [Arrivals; 3], due: [bool; 3]) -> [Option<&mut Arrivals>; 3] {
    let mut chosen = all.each_mut().map(Some);
    for (arrivals, is_due) in chosen.iter_mut().zip(due) {
        *arrivals = arrivals.take().filter(|_| is_due);
    }
    chosen
}

/// One entry that was taken from a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Injection {
    /// The lane's number.
    pub lane: u32,
    /// The entry.
    #[serde(with = "entry")]
    pub entry: LaneEntry,
}

/// A lane entry as the journal stores it: its fields in order.
mod entry {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use shm_layout::record::{LaneEntry, Source};

    pub fn serialize<S: Serializer>(entry: &LaneEntry, to: S) -> Result<S::Ok, S::Error> {
        (entry.at, entry.dst, entry.src.0, entry.payload, entry.kind).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LaneEntry, D::Error> {
        let (at, dst, src, payload, kind) = Deserialize::deserialize(from)?;
        Ok(LaneEntry {
            at,
            dst,
            src: Source(src),
            payload,
            kind,
        })
    }
}
