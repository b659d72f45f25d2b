//! The plain records that travel through the segment: events and lane entries.
//!
//! All are plain old data without padding, a whole number of 64-bit words long where they stand in the segment, and
//! little-endian as the machine is (other machines are refused at compile time in the crate's root).

use super::torus::Torus;
use bytemuck::{Pod, Zeroable};
use std::fmt;
use std::mem::{align_of, offset_of, size_of};

/// Where an event comes from: the cell in bits 0..24, the torus in bits 24..28, the kind in bits 28..32.
///
/// Comparing the words is the canonical order (kind, then torus, then cell). For a model event on torus A the word
/// equals the bare cell number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Source(pub u32);

/// What kind of sender a [`Source`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SourceKind {
    /// A process of the model.
    Model = 0,
    /// The coupling of boundaries.
    Corrective = 1,
    /// A client, through a lane.
    Injected = 2,
    /// A command that changes the simulated state.
    Control = 3,
    /// An event that came back because its destination was absent; torus and cell are those that it was sent to.
    Returned = 4,
}

impl Source {
    /// Cells are numbered below this.
    pub const CELLS: u32 = 1 << 24;

    /// The source for `cell` (below [`Source::CELLS`]; higher bits are cut off) of `torus`.
    pub const fn new(kind: SourceKind, torus: Torus, cell: u32) -> Source {
        Source((kind as u32) << 28 | (torus as u32) << 24 | (cell & (Self::CELLS - 1)))
    }

    /// An event that a model emitted at a cell of a torus.
    pub const fn model(torus: Torus, cell: u32) -> Source {
        Self::new(SourceKind::Model, torus, cell)
    }

    /// The cell.
    pub const fn cell(self) -> u32 {
        self.0 & (Self::CELLS - 1)
    }

    /// The torus; `None` if the bits name none (damaged or foreign data).
    pub const fn torus(self) -> Option<Torus> {
        Torus::from_index((self.0 >> 24 & 0xf) as usize)
    }

    /// The kind; `None` if the bits name none.
    pub const fn kind(self) -> Option<SourceKind> {
        match self.0 >> 28 {
            0 => Some(SourceKind::Model),
            1 => Some(SourceKind::Corrective),
            2 => Some(SourceKind::Injected),
            3 => Some(SourceKind::Control),
            4 => Some(SourceKind::Returned),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind(), self.torus()) {
            (Some(kind), Some(torus)) => write!(f, "{kind:?} {torus}:{}", self.cell()),
            _ => write!(f, "source {:#010x}", self.0),
        }
    }
}

/// An event that is due: destination cell, source, payload. The derived order is by destination, then the canonical
/// order of an input bag: source, then payload (signed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct Event {
    /// Destination cell on the torus that holds the event.
    pub dst: u32,
    /// Where it comes from.
    pub src: Source,
    /// What it carries.
    pub payload: i64,
}

/// An event with its time; three words in a strand. The derived order is (time, destination, source, payload).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct TimedEvent {
    /// The tick at which it executes.
    pub time: u64,
    /// Destination cell on the receiving torus.
    pub dst: u32,
    /// Where it comes from.
    pub src: Source,
    /// What it carries.
    pub payload: i64,
}

impl TimedEvent {
    /// Words per event in a strand.
    pub const WORDS: usize = size_of::<Self>() / 8;

    /// The event without its time.
    pub const fn event(self) -> Event {
        Event {
            dst: self.dst,
            src: self.src,
            payload: self.payload,
        }
    }
}

/// One entry of an injection lane; four words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct LaneEntry {
    /// The tick at which it should execute; 0 is as soon as possible. It executes at the later of this and the
    /// boundary that takes it in.
    pub at: u64,
    /// Destination cell.
    pub dst: u32,
    /// Where it comes from.
    pub src: Source,
    /// What it carries.
    pub payload: i64,
    /// What it is: an event, or a command that the supervisor writes into lane 0.
    pub kind: u64,
}

impl LaneEntry {
    /// Words per entry in a lane.
    pub const WORDS: usize = size_of::<Self>() / 8;
    /// [`LaneEntry::kind`] of an event.
    pub const EVENT: u64 = 0;
    /// [`LaneEntry::kind`] of a command that sets a constraint.
    pub const CONSTRAIN: u64 = 1;
    /// [`LaneEntry::kind`] of a command that removes a constraint.
    pub const RELEASE: u64 = 2;
    /// [`LaneEntry::kind`] of a command that moves a process to another torus.
    pub const MIGRATE: u64 = 3;
}

const _: () = {
    assert!(size_of::<Source>() == 4);
    assert!(size_of::<Event>() == 16 && align_of::<Event>() == 8);
    assert!(offset_of!(Event, dst) == 0 && offset_of!(Event, src) == 4 && offset_of!(Event, payload) == 8);
    assert!(size_of::<TimedEvent>() == 24 && TimedEvent::WORDS == 3);
    assert!(offset_of!(TimedEvent, time) == 0 && offset_of!(TimedEvent, dst) == 8);
    assert!(offset_of!(TimedEvent, src) == 12 && offset_of!(TimedEvent, payload) == 16);
    assert!(size_of::<LaneEntry>() == 32 && LaneEntry::WORDS == 4);
    assert!(offset_of!(LaneEntry, at) == 0 && offset_of!(LaneEntry, dst) == 8);
    assert!(offset_of!(LaneEntry, src) == 12 && offset_of!(LaneEntry, payload) == 16);
    assert!(offset_of!(LaneEntry, kind) == 24);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_source_on_torus_a_is_the_bare_cell() {
        assert_eq!(Source::model(Torus::A, 4711).0, 4711);
        let source = Source::new(SourceKind::Injected, Torus::C, 77);
        assert_eq!(
            (source.kind(), source.torus(), source.cell()),
            (Some(SourceKind::Injected), Some(Torus::C), 77)
        );
        assert_eq!(Source(0xf000_0000).kind(), None);
        assert_eq!(Source(0x0300_0000).torus(), None);
    }

    #[test]
    fn bags_order_by_source_then_signed_payload() {
        let event = |src: u32, payload| Event {
            dst: 1,
            src: Source(src),
            payload,
        };
        let mut bag = [event(2, -1), event(1, 5), event(2, -7), event(1, -5)];
        bag.sort();
        assert_eq!(bag, [event(1, -5), event(1, 5), event(2, -7), event(2, -1)]);
    }
}
