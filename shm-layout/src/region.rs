//! A segment as its users hold it: writing ends for what is theirs, reading ends for the rest.
//!
//! The same types stand over mapped files ([`crate::segment`]) and over plain memory ([`crate::heap`]), so that the
//! simulator and `verify` run the very code that the workers run.

use crate::audit::{AuditReader, AuditWriter};
use crate::checkpoint_slots::{SlotsReader, SlotsWriter};
use crate::control::{ControlReader, ControlWriter};
use crate::frame_ring::{FrameReader, FrameWriter};
use crate::lane::{LaneReader, LaneWriter};
use crate::layout::{Layout, Part, RegionLayout};
use crate::membership::{MembershipReader, MembershipWriter};
use crate::status::{StatusReader, StatusWriter};
use crate::strand::{StrandReader, StrandWriter};
use crate::sync::AtomicU64;
use crate::torus::{TORI, Torus};
use crate::words::{Own, View};

/// A run of shared words that begins at byte `first_byte` of the segment.
#[derive(Clone, Copy)]
pub(crate) struct Span<'s> {
    first_byte: u64,
    words: &'s [AtomicU64],
}

impl<'s> Span<'s> {
    pub(crate) fn new(first_byte: u64, words: &'s [AtomicU64]) -> Self {
        Self { first_byte, words }
    }

    fn contains(&self, part: Part) -> bool {
        self.first_byte <= part.offset && part.end() <= self.first_byte + 8 * self.words.len() as u64
    }

    pub(crate) fn part(&self, part: Part) -> &'s [AtomicU64] {
        // A part lies inside the span that it is taken from: the layout has been compared with the file's length.
        let first = ((part.offset - self.first_byte) / 8) as usize;
        &self.words[first..first + (part.bytes / 8) as usize]
    }

    fn view(&self, part: Part) -> View<'s> {
        View::new(self.part(part))
    }
}

/// What a worker holds.
#[derive(Debug)]
pub struct WorkerSegment<'s> {
    /// Where everything stands.
    pub layout: &'s Layout,
    /// Which torus this is.
    pub torus: Torus,
    /// The supervisor's words.
    pub control: ControlReader<'s>,
    /// What the scrubber has found out.
    pub audit: AuditReader<'s>,
    /// Who is absent from which boundary.
    pub memberships: MembershipReader<'s>,
    /// The own region.
    pub own: OwnRegion<'s>,
    /// The peers' regions, by torus; `None` for the own one and for tori that the run does not have.
    pub peers: [Option<PeerRegion<'s>>; TORI],
    /// The lanes to this torus, by lane number.
    pub lanes: Vec<LaneReader<'s>>,
}

/// The writing ends of a torus's own region, and the reading ends beside them.
#[derive(Debug)]
pub struct OwnRegion<'s> {
    /// The status cell.
    pub status: StatusWriter<'s>,
    /// The frames.
    pub ring: FrameWriter<'s>,
    /// The frames, for reading.
    pub ring_view: FrameReader<'s>,
    /// The strand to each peer.
    pub strands: [Option<StrandWriter<'s>>; TORI],
    /// The strands, for reading.
    pub strand_views: [Option<StrandReader<'s>>; TORI],
    /// The own checkpoints.
    pub checkpoints: SlotsWriter<'s>,
    /// The own checkpoints, for reading.
    pub checkpoint_view: SlotsReader<'s>,
    /// The mirrors of each peer's checkpoints.
    pub mirrors: [Option<SlotsWriter<'s>>; TORI],
    /// The mirrors, for reading.
    pub mirror_views: [Option<SlotsReader<'s>>; TORI],
    /// The log of each peer's frames.
    pub logs: [Option<FrameWriter<'s>>; TORI],
    /// The logs, for reading.
    pub log_views: [Option<FrameReader<'s>>; TORI],
    /// What is held for each peer while it is absent.
    pub holds: [Option<HoldWriter<'s>>; TORI],
}

/// The writing end of what is held for an absent torus: frames and events for it, at the positions that they have in
/// ring and strand.
#[derive(Debug)]
pub struct HoldWriter<'s> {
    /// The frames.
    pub frames: FrameWriter<'s>,
    /// The events.
    pub events: StrandWriter<'s>,
}

/// The reading end of a [`HoldWriter`].
#[derive(Clone, Copy, Debug)]
pub struct HoldReader<'s> {
    /// The frames.
    pub frames: FrameReader<'s>,
    /// The events.
    pub events: StrandReader<'s>,
}

/// The reading ends of one torus's region.
#[derive(Clone, Copy, Debug)]
pub struct RegionReader<'s> {
    /// Whose region it is.
    pub torus: Torus,
    /// The status cell.
    pub status: StatusReader<'s>,
    /// Its frames.
    pub ring: FrameReader<'s>,
    /// Its strand to each of its peers.
    pub strands: [Option<StrandReader<'s>>; TORI],
    /// Its checkpoints.
    pub checkpoints: SlotsReader<'s>,
    /// Its mirrors, by mirrored torus.
    pub mirrors: [Option<SlotsReader<'s>>; TORI],
    /// Its logs of its peers' frames, by logged torus.
    pub logs: [Option<FrameReader<'s>>; TORI],
    /// What it holds for its peers while they are absent.
    pub holds: [Option<HoldReader<'s>>; TORI],
}

/// A peer's region, as a worker sees it.
#[derive(Clone, Copy, Debug)]
pub struct PeerRegion<'s> {
    /// Whose region it is.
    pub torus: Torus,
    /// The status cell.
    pub status: StatusReader<'s>,
    /// Its frames.
    pub ring: FrameReader<'s>,
    /// Its strand to this worker.
    pub strand_to_me: StrandReader<'s>,
    /// Its checkpoints.
    pub checkpoints: SlotsReader<'s>,
    /// Its mirrors, by mirrored torus.
    pub mirrors: [Option<SlotsReader<'s>>; TORI],
    /// Its logs of its peers' frames, by logged torus.
    pub logs: [Option<FrameReader<'s>>; TORI],
    /// What it holds for this worker while that is absent.
    pub hold_for_me: Option<HoldReader<'s>>,
}

/// What the supervisor holds.
#[derive(Debug)]
pub struct SupervisorSegment<'s> {
    /// Where everything stands.
    pub layout: &'s Layout,
    /// The control words.
    pub control: ControlWriter<'s>,
    /// The control words, for reading.
    pub control_view: ControlReader<'s>,
    /// What the scrubber has found out.
    pub audit: AuditReader<'s>,
    /// The membership log.
    pub memberships: MembershipWriter<'s>,
    /// All regions, in letter order.
    pub regions: Vec<RegionReader<'s>>,
    /// Lane 0, the supervisor's own, by torus.
    pub lane_zero: Vec<LaneWriter<'s>>,
    /// All lanes, by lane number, then by torus.
    pub lanes: Vec<Vec<LaneReader<'s>>>,
}

/// What an inspector holds: everything, for reading.
#[derive(Debug)]
pub struct ReaderSegment<'s> {
    /// Where everything stands.
    pub layout: &'s Layout,
    /// The supervisor's words.
    pub control: ControlReader<'s>,
    /// What the scrubber has found out.
    pub audit: AuditReader<'s>,
    /// Who is absent from which boundary.
    pub memberships: MembershipReader<'s>,
    /// All regions, in letter order.
    pub regions: Vec<RegionReader<'s>>,
    /// All lanes, by lane number, then by torus.
    pub lanes: Vec<Vec<LaneReader<'s>>>,
}

/// What the scrubber holds: the audit page, and everything else for reading.
#[derive(Debug)]
pub struct AuditSegment<'s> {
    /// The audit page.
    pub audit: AuditWriter<'s>,
    /// Everything, for reading.
    pub reader: ReaderSegment<'s>,
}

/// What a client holds: its lane, and everything else for reading.
#[derive(Debug)]
pub struct LaneSegment<'s> {
    /// The lane's number.
    pub lane: u32,
    /// The lane to each torus, in letter order.
    pub writers: Vec<LaneWriter<'s>>,
    /// Everything, for reading.
    pub reader: ReaderSegment<'s>,
}

/// A layout over memory: `read` holds everything, `write` what may be written (two runs of it).
#[derive(Clone, Copy)]
pub(crate) struct Memory<'s> {
    pub(crate) layout: &'s Layout,
    pub(crate) read: Span<'s>,
    pub(crate) write: [Span<'s>; 2],
}

impl<'s> Memory<'s> {
    /// The writing end of a part, which lies in one of the writable runs.
    fn own(&self, part: Part) -> Own<'s> {
        let [first, second] = &self.write;
        Own::new(if first.contains(part) {
            first.part(part)
        } else {
            second.part(part)
        })
    }

    fn control(&self) -> ControlReader<'s> {
        ControlReader::new(
            self.read.view(self.layout.control),
            self.read.view(self.layout.recoveries),
        )
    }

    fn audit(&self) -> AuditReader<'s> {
        AuditReader::new(self.read.view(self.layout.audit))
    }

    fn ring(&self, part: Part) -> FrameReader<'s> {
        FrameReader::new(
            self.read.view(part),
            self.layout.geometry.frames,
            self.layout.geometry.face_cells,
        )
    }

    fn slots(&self, part: Part) -> SlotsReader<'s> {
        SlotsReader::new(self.read.view(part), self.layout.geometry.slot_words)
    }

    fn memberships(&self) -> MembershipReader<'s> {
        MembershipReader::new(self.read.view(self.layout.memberships))
    }

    fn hold(&self, region: &RegionLayout, peer: usize) -> Option<HoldReader<'s>> {
        let shape = &self.layout.geometry;
        let frames = self.read.view(region.hold_frames[peer]?);
        Some(HoldReader {
            frames: FrameReader::new(frames, shape.hold_frames, shape.face_cells),
            events: StrandReader::new(self.read.view(region.hold_events[peer]?), shape.hold_events),
        })
    }

    fn own_hold(&self, region: &RegionLayout, peer: usize) -> Option<HoldWriter<'s>> {
        let shape = &self.layout.geometry;
        let frames = self.own(region.hold_frames[peer]?);
        Some(HoldWriter {
            frames: FrameWriter::new(frames, shape.hold_frames, shape.face_cells),
            events: StrandWriter::new(self.own(region.hold_events[peer]?), shape.hold_events),
        })
    }

    fn region(&self, region: &RegionLayout) -> RegionReader<'s> {
        let events = self.layout.geometry.strand_events;
        RegionReader {
            torus: region.torus,
            status: StatusReader::new(self.read.view(region.status)),
            ring: self.ring(region.ring),
            strands: region
                .strands
                .map(|part| Some(StrandReader::new(self.read.view(part?), events))),
            checkpoints: self.slots(region.checkpoints),
            mirrors: region.mirrors.map(|part| Some(self.slots(part?))),
            logs: region.logs.map(|part| Some(self.ring(part?))),
            holds: std::array::from_fn(|peer| self.hold(region, peer)),
        }
    }

    fn regions(&self) -> Vec<RegionReader<'s>> {
        self.layout
            .regions
            .iter()
            .map(|region| self.region(region))
            .collect()
    }

    fn lanes(&self) -> Vec<Vec<LaneReader<'s>>> {
        let entries = self.layout.geometry.lane_entries;
        let lane = |parts: &Vec<Part>| {
            parts
                .iter()
                .map(|part| LaneReader::new(self.read.view(*part), entries))
                .collect()
        };
        self.layout.lanes.iter().map(lane).collect()
    }

    fn own_lane(&self, lane: u32) -> Vec<LaneWriter<'s>> {
        let entries = self.layout.geometry.lane_entries;
        let parts = self.layout.lanes.get(lane as usize).into_iter().flatten();
        parts
            .map(|part| LaneWriter::new(self.own(*part), entries))
            .collect()
    }

    fn own_region(&self, region: &RegionLayout) -> OwnRegion<'s> {
        let shape = &self.layout.geometry;
        let ring = |part: Part| FrameWriter::new(self.own(part), shape.frames, shape.face_cells);
        let slots = |part: Part| SlotsWriter::new(self.own(part), shape.slot_words);
        let strand = |part: Part| StrandWriter::new(self.own(part), shape.strand_events);
        let frames = ring(region.ring);
        let strands = region.strands.map(|part| Some(strand(part?)));
        let checkpoints = slots(region.checkpoints);
        let mirrors = region.mirrors.map(|part| Some(slots(part?)));
        let logs = region.logs.map(|part| Some(ring(part?)));
        OwnRegion {
            status: StatusWriter::new(self.own(region.status)),
            ring_view: frames.reader(),
            ring: frames,
            strand_views: strands.each_ref().map(|strand| Some(strand.as_ref()?.reader())),
            strands,
            checkpoint_view: checkpoints.reader(),
            checkpoints,
            mirror_views: mirrors.each_ref().map(|slots| Some(slots.as_ref()?.reader())),
            mirrors,
            log_views: logs.each_ref().map(|log| Some(log.as_ref()?.reader())),
            logs,
            holds: std::array::from_fn(|peer| self.own_hold(region, peer)),
        }
    }

    fn peer(&self, region: &RegionLayout, me: Torus) -> Option<PeerRegion<'s>> {
        let RegionReader {
            torus,
            status,
            ring,
            strands,
            checkpoints,
            mirrors,
            logs,
            holds,
        } = self.region(region);
        let strand_to_me = strands[me.index()]?;
        Some(PeerRegion {
            torus,
            status,
            ring,
            strand_to_me,
            checkpoints,
            mirrors,
            logs,
            hold_for_me: holds[me.index()],
        })
    }

    pub(crate) fn worker(&self, torus: Torus) -> Option<WorkerSegment<'s>> {
        let region = self.layout.region(torus)?;
        let peer = |peer: Torus| {
            self.layout
                .region(peer)
                .and_then(|region| self.peer(region, torus))
        };
        Some(WorkerSegment {
            layout: self.layout,
            torus,
            control: self.control(),
            audit: self.audit(),
            memberships: self.memberships(),
            own: self.own_region(region),
            peers: Torus::ALL.map(peer),
            lanes: self
                .lanes()
                .into_iter()
                .filter_map(|lane| lane.get(torus.index()).copied())
                .collect(),
        })
    }

    pub(crate) fn supervisor(&self) -> SupervisorSegment<'s> {
        let (control, recoveries) = (self.layout.control, self.layout.recoveries);
        let control = ControlWriter::new(self.own(control), self.own(recoveries));
        SupervisorSegment {
            layout: self.layout,
            control_view: control.reader(),
            audit: self.audit(),
            control,
            memberships: MembershipWriter::new(self.own(self.layout.memberships)),
            regions: self.regions(),
            lane_zero: self.own_lane(0),
            lanes: self.lanes(),
        }
    }

    pub(crate) fn reader(&self) -> ReaderSegment<'s> {
        let (layout, control) = (self.layout, self.control());
        ReaderSegment {
            layout,
            control,
            audit: self.audit(),
            memberships: self.memberships(),
            regions: self.regions(),
            lanes: self.lanes(),
        }
    }

    pub(crate) fn scrubber(&self) -> AuditSegment<'s> {
        AuditSegment {
            audit: AuditWriter::new(self.own(self.layout.audit)),
            reader: self.reader(),
        }
    }

    pub(crate) fn lane(&self, lane: u32) -> LaneSegment<'s> {
        LaneSegment {
            lane,
            writers: self.own_lane(lane),
            reader: self.reader(),
        }
    }
}
