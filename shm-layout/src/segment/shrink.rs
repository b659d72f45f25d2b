//! Giving back the memory of a run that is over, and taking it again for a resume.
//!
//! The layout stays; pages that nobody will need become holes, which read as zeros. Kept are header, control words and
//! logs, configuration, status cells, frames; of each torus the newest checkpoint; the strand ranges and lane entries
//! that are younger than the receiver's checkpoint. Mirrors and logs go only where a verified original makes them
//! superfluous.

use super::create::allocate;
use super::{SegmentError, SegmentFile};
use crate::checkpoint_slots::{SlotHeader, SlotsReader};
use crate::frame::Frame;
use crate::lane::LANE_HEADER_WORDS;
use crate::layout::{PAGE, Part, RegionLayout};
use crate::record::{LaneEntry, TimedEvent};
use crate::region::{ReaderSegment, RegionReader};
use crate::torus::Torus;
use nix::fcntl::{FallocateFlags, fallocate};
use std::os::unix::fs::MetadataExt;

/// What is known of a torus's state when the run is over.
struct Settled {
    /// The slot and header of its newest checkpoint, if its own copy is whole and no mirror is newer.
    own: Option<(usize, SlotHeader)>,
    /// Whether its state can be had without any mirror: from its own checkpoint, or because there never was one.
    without_mirrors: bool,
    /// Whether all its frames from its checkpoint on (and the lag before) are whole in its own ring.
    ring_whole: bool,
    /// Its last committed frame, if that is whole.
    last: Option<Frame>,
}

impl SegmentFile {
    /// Gives the memory back that a finished or stopped run does not need; returns how many bytes are still allocated.
    /// Mirrors read as empty afterwards, whatever the status cells say.
    ///
    /// # Errors
    /// [`SegmentError::InUse`] if this holder does not have the run lock or a worker lives; what fallocate(2) reports.
    pub fn shrink(&self) -> Result<u64, SegmentError> {
        self.check_idle()?;
        let map = self.map_reader()?;
        for hole in holes(&map.views(), u64::from(self.config().lag)) {
            self.punch(hole)?;
        }
        self.allocated_bytes()
    }

    fn punch(&self, hole: Part) -> Result<(), SegmentError> {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        // Offsets are below SEGMENT_BYTES_MAX, so they fit.
        match fallocate(
            self.file(),
            flags,
            hole.offset as libc::off_t,
            hole.bytes as libc::off_t,
        ) {
            // A file system that cannot punch holes keeps the memory: nothing is lost.
            Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP) => Ok(()),
            Err(errno) => Err(SegmentError::io("shrink", self.path(), errno)),
        }
    }

    /// Bytes that the file really takes.
    ///
    /// # Errors
    /// What fstat(2) reports.
    pub fn allocated_bytes(&self) -> Result<u64, SegmentError> {
        let metadata = self
            .file()
            .metadata()
            .map_err(|error| SegmentError::io("read", self.path(), error))?;
        Ok(metadata.blocks() * 512)
    }

    /// Allocates all of the segment again, before a shrunk run is resumed.
    ///
    /// # Errors
    /// [`SegmentError::NoSpace`], or what posix_fallocate(3) reports.
    pub fn reallocate(&self) -> Result<(), SegmentError> {
        allocate(self.file(), self.path(), self.layout().total_bytes())
    }
}

fn holes(segment: &ReaderSegment<'_>, lag: u64) -> Vec<Part> {
    let mut heads = segment.regions.iter().map(|region| region.ring.head());
    let first = heads.next();
    if heads.any(|head| Some(head) != first) {
        // A torus was left behind: it may need any of this when it returns.
        return Vec::new();
    }
    let settled: Vec<_> = segment
        .regions
        .iter()
        .map(|region| settle(segment, region, lag))
        .collect();
    let mut holes = Vec::new();
    for region in &segment.layout.regions {
        region_holes(segment, region, &settled, &mut holes);
    }
    for (lane, parts) in segment.layout.lanes.iter().enumerate() {
        for (torus, part) in parts.iter().enumerate() {
            let taken_in = match &settled[torus] {
                Settled {
                    own: Some((_, header)),
                    ..
                } => header.lane_positions.get(lane).copied().unwrap_or(0),
                _ => 0,
            };
            let entries = Part {
                offset: part.offset + 8 * LANE_HEADER_WORDS as u64,
                bytes: part.bytes - 8 * LANE_HEADER_WORDS as u64,
            };
            let shape = (
                segment.layout.geometry.lane_entries as u64,
                8 * LaneEntry::WORDS as u64,
            );
            let kept = positions(entries, shape, taken_in, segment.lanes[lane][torus].head());
            complement(entries, kept, &mut holes);
        }
    }
    holes
}

fn settle(segment: &ReaderSegment<'_>, region: &RegionReader<'_>, lag: u64) -> Settled {
    let mut data = Vec::new();
    let mut whole = |slots: &SlotsReader<'_>, slot: usize| {
        let header = slots.header(slot)?;
        slots.copy(slot, &header, &mut data).ok().map(|()| (slot, header))
    };
    let newest = (0..region.checkpoints.slots())
        .filter_map(|slot| whole(&region.checkpoints, slot))
        .max_by_key(|(_, header)| header.boundary);
    let mirrors = segment
        .regions
        .iter()
        .filter_map(|peer| peer.mirrors[region.torus.index()]);
    let mirrored = mirrors
        .filter_map(|slots| slots.newest())
        .map(|(_, header)| header.boundary)
        .max()
        .unwrap_or(0);
    let own = newest.filter(|(_, header)| header.boundary >= mirrored);
    let boundary = own.map_or(0, |(_, header)| header.boundary);
    let head = region.ring.head();
    let first = boundary.saturating_sub(lag).max(region.ring.oldest());
    let mut frame = Frame::new(segment.layout.geometry.face_cells);
    let ring_whole = (first..head).all(|n| region.ring.read(region.torus, n, &mut frame).is_ok());
    let last = head
        .checked_sub(1)
        .and_then(|n| region.ring.read(region.torus, n, &mut frame).ok());
    let last = last.map(|()| frame);
    Settled {
        own,
        without_mirrors: own.is_some() || mirrored == 0,
        ring_whole,
        last,
    }
}

fn region_holes(
    segment: &ReaderSegment<'_>,
    region: &RegionLayout,
    settled: &[Settled],
    holes: &mut Vec<Part>,
) {
    let shape = &segment.layout.geometry;
    let torus = region.torus;
    for (peer, peer_settled) in Torus::ALL.into_iter().zip(settled) {
        if let Some(strand) = region.strands[peer.index()] {
            let kept = strand_in_use(
                strand,
                shape.strand_events as u64,
                torus,
                peer,
                &settled[torus.index()],
                peer_settled,
            );
            complement(strand, kept, holes);
        }
        if let Some(mirrors) = region.mirrors[peer.index()].filter(|_| peer_settled.without_mirrors) {
            holes.push(mirrors);
        }
        if let Some(log) = region.logs[peer.index()].filter(|_| peer_settled.ring_whole) {
            holes.push(log);
        }
    }
    if let Some((slot, header)) = settled[torus.index()].own {
        let slot_bytes = 8 * shape.slot_words as u64;
        let offset = region.checkpoints.offset + slot as u64 * slot_bytes;
        let bytes = 8 * crate::slot_header::SLOT_HEADER_WORDS as u64 + header.bytes;
        complement(region.checkpoints, vec![Part { offset, bytes }], holes);
    }
}

/// What of the strand from `from` to `to` the receiver may still need: from its checkpoint to the last committed end.
fn strand_in_use(
    part: Part,
    capacity: u64,
    from: Torus,
    to: Torus,
    sender: &Settled,
    receiver: &Settled,
) -> Vec<Part> {
    let taken_in = match receiver {
        Settled {
            own: Some((_, header)),
            ..
        } => header.received[from.index()],
        Settled {
            without_mirrors: true,
            ..
        } => 0,
        _ => return vec![part],
    };
    match &sender.last {
        Some(frame) => positions(
            part,
            (capacity, 8 * TimedEvent::WORDS as u64),
            taken_in,
            frame.strand_end(to),
        ),
        None => vec![part],
    }
}

/// The bytes of the positions `from..to` of a ring of (capacity, bytes per position) in `part`.
fn positions(part: Part, (capacity, size): (u64, u64), from: u64, to: u64) -> Vec<Part> {
    let count = to.saturating_sub(from);
    if count == 0 {
        return Vec::new();
    }
    if count >= capacity {
        return vec![part];
    }
    let first = from % capacity;
    let run = count.min(capacity - first);
    vec![
        Part {
            offset: part.offset + first * size,
            bytes: run * size,
        },
        Part {
            offset: part.offset,
            bytes: (count - run) * size,
        },
    ]
}

/// The whole pages of `part` that hold nothing of `kept`.
fn complement(part: Part, mut kept: Vec<Part>, holes: &mut Vec<Part>) {
    kept.sort_by_key(|kept| kept.offset);
    let mut offset = part.offset;
    let end = Part {
        offset: part.end(),
        bytes: PAGE,
    };
    for kept in kept.into_iter().filter(|kept| kept.bytes > 0).chain([end]) {
        let before = kept.offset / PAGE * PAGE;
        if before > offset {
            holes.push(Part {
                offset,
                bytes: before - offset,
            });
        }
        offset = offset.max(kept.end().next_multiple_of(PAGE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complement_of(part: Part, kept: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut holes = Vec::new();
        let kept = kept
            .iter()
            .map(|(offset, bytes)| Part {
                offset: *offset,
                bytes: *bytes,
            })
            .collect();
        complement(part, kept, &mut holes);
        holes
            .into_iter()
            .map(|hole| (hole.offset / PAGE, hole.bytes / PAGE))
            .collect()
    }

    #[test]
    fn only_whole_pages_without_anything_kept_become_holes() {
        let part = Part {
            offset: 10 * PAGE,
            bytes: 10 * PAGE,
        };
        assert_eq!(complement_of(part, &[]), [(10, 10)]);
        assert_eq!(complement_of(part, &[(10 * PAGE, 10 * PAGE)]), []);
        assert_eq!(complement_of(part, &[(12 * PAGE + 5, 1)]), [(10, 2), (13, 7)]);
        assert_eq!(
            complement_of(part, &[(19 * PAGE, 24), (10 * PAGE, PAGE + 1)]),
            [(12, 7)]
        );
        assert_eq!(
            complement_of(part, &[(11 * PAGE, 3 * PAGE), (12 * PAGE, 24)]),
            [(10, 1), (14, 6)]
        );
        assert_eq!(complement_of(part, &[(15 * PAGE, 0)]), [(10, 10)]);
    }

    #[test]
    fn positions_wrap_and_never_exceed_the_part() {
        let part = Part {
            offset: PAGE,
            bytes: 10 * 24,
        };
        let bytes = |from, to| -> Vec<(u64, u64)> {
            positions(part, (10, 24), from, to)
                .into_iter()
                .map(|part| (part.offset - PAGE, part.bytes))
                .collect()
        };
        assert_eq!(bytes(5, 5), []);
        assert_eq!(bytes(9, 5), []);
        assert_eq!(bytes(18, 21), [(8 * 24, 48), (0, 24)]);
        assert_eq!(bytes(3, 13), [(0, 240)]);
        assert_eq!(bytes(0, u64::MAX), [(0, 240)]);
    }
}
