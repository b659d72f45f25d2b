//! Take in: gathers the intake of a boundary, live from the peers and the lanes, in replay from what was logged.

use shm_layout::frame::Frame;
use shm_layout::frame_ring::{FrameReader, ReadError};
use shm_layout::record::LaneEntry;
use shm_layout::strand::StrandReader;
use shm_layout::torus::Torus;

use crate::journal::{Journal, Record, frame as frame_record};
use crate::kernel::Arrivals;
use crate::model::Model;
use crate::node::command::{COMMAND_LANE, Command};
use crate::node::{Injection, Intake, LANES_MAX, those_due};

use super::{Host, Member, MemberError, Point, Step, Wait};

/// The latest time that an injected event may ask for; far beyond any run, and no sum with a delay overflows.
pub const INJECT_AT_MAX: u64 = 1 << 62;

/// What became of looking for a peer's frame.
enum Found {
    Yes,
    NotYet,
    Damaged,
}

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Takes in what is due at live boundary `b` and opens its interval, or says which peer's frame is missing.
    pub(super) fn enter_live(&mut self, b: u64) -> Result<Step, MemberError> {
        if let Some(wait) = self.gather_peers(b, false)? {
            return Ok(Step::Waiting(wait));
        }
        if self.learn_absences(b)? {
            // A frame of an absent torus, committed after it was declared absent, is not to be taken in.
            return Ok(Step::Worked);
        }
        for peer in self.peers.iter().copied() {
            if let Some(n) = self.node.frame_due(peer, b) {
                self.log(peer, n)?;
            }
        }
        let before = self.node.books().lane_positions;
        let positions = if self.is_redone(b)? {
            self.redone_lanes(b)
        } else {
            self.gather_lanes()
        };
        if positions != before {
            let record = self.intake_record(b, positions);
            self.append(&record)?;
        }
        let step = self.enter(positions)?;
        self.show_verdicts();
        Ok(step)
    }

    /// Shows in the status cell how this torus stands to each constraint.
    fn show_verdicts(&mut self) {
        let any = self.node.verdicts().iter().any(Option::is_some);
        if !std::mem::replace(&mut self.shows_verdicts, any) && !any {
            return;
        }
        let status = &self.segment.own.status;
        for (entry, verdict) in self.node.verdicts().iter().enumerate() {
            let word = verdict.map_or(0, |verdict| 1 + u64::from(verdict.violated));
            if let Some(verdict) = verdict {
                status.set_measured(entry, verdict.measured as u64);
            }
            if status.reader().verdict(entry) != word {
                status.set_verdict(entry, word);
            }
        }
    }

    /// Opens interval `b` of a predecessor again, with the intake that it had.
    pub(super) fn enter_replayed(&mut self) -> Result<Step, MemberError> {
        let b = self.node.boundary();
        self.recall(b);
        if let Some(wait) = self.gather_peers(b, true)? {
            return Ok(Step::Waiting(wait));
        }
        let positions = self.recorded_positions.take();
        self.enter(positions.unwrap_or(self.node.books().lane_positions))
    }

    /// What the predecessor had learnt, and read from the lanes, up to boundary `b`: the journal has all of it, as a record
    /// is appended before the frame of its interval is committed.
    fn recall(&mut self, b: u64) {
        if self.recorded_positions.is_none() {
            self.buffers.injected.clear();
        }
        let is_due = |record: &Record| record.boundary().is_some_and(|boundary| boundary <= b);
        while let Some(appended) = self.recorded.pop_front_if(|appended| is_due(&appended.record)) {
            self.journal_length = appended.end;
            if let Some(change) = appended.record.change() {
                self.node.apply(change);
            }
            if let Record::Intake { lanes, injected, .. } = appended.record {
                let positions = self
                    .recorded_positions
                    .get_or_insert(self.node.books().lane_positions);
                positions
                    .iter_mut()
                    .zip(lanes)
                    .for_each(|(position, read)| *position = read);
                self.buffers.injected = injected;
            }
        }
    }

    fn intake_record(&self, boundary: u64, positions: [u64; LANES_MAX]) -> Record {
        let lanes = positions[..self.segment.lanes.len()].to_vec();
        Record::Intake {
            boundary,
            lanes,
            injected: self.buffers.injected.clone(),
        }
    }

    fn enter(&mut self, lane_positions: [u64; LANES_MAX]) -> Result<Step, MemberError> {
        let buffers = &mut self.buffers;
        let b = self.node.boundary();
        let due = Torus::ALL.map(|torus| self.node.frame_due(torus, b).is_some());
        let frames = Torus::ALL.map(|t| due[t.index()].then(|| &buffers.peer_frames[t.index()]));
        self.node.enter(&mut Intake {
            frames,
            events: those_due(&mut buffers.events, due),
            hashes: buffers.hashes,
            injected: &buffers.injected,
            lane_positions,
        })?;
        self.inside = true;
        self.host.reach(Point::TakenIn)?;
        Ok(Step::Worked)
    }

    /// Copies the frames and strand ranges due at boundary `b` and verifies the copies.
    fn gather_peers(&mut self, b: u64, replay: bool) -> Result<Option<Wait>, MemberError> {
        for peer in self.peers.iter().copied() {
            let Some(n) = self.node.frame_due(peer, b) else {
                continue;
            };
            match self.gather_peer(peer, n, replay) {
                Found::Yes => self.complain(peer, None),
                Found::NotYet => return Ok(Some(Wait::Frame(peer))),
                Found::Damaged if !self.owned => return Ok(Some(Wait::Region)),
                Found::Damaged => {
                    self.complain(peer, Some(n));
                    return Ok(Some(Wait::Repair(peer)));
                }
            }
        }
        Ok(None)
    }

    fn gather_peer(&mut self, peer: Torus, n: u64, replay: bool) -> Found {
        let i = peer.index();
        match self.read_peer_frame(peer, n, replay) {
            Found::Yes => {}
            missing => return missing,
        }
        let Some(region) = self.segment.peers[i].as_ref() else {
            return Found::Damaged;
        };
        let range = StrandRange {
            frame: &self.buffers.peer_frames[i],
            to: self.torus,
            from: self.node.books().received[i],
            most: self.config.capacity.remote_per_interval.into(),
        };
        let events = &mut self.buffers.events[i];
        let sent = range.frame.strand_hash(self.torus);
        let held = region.hold_for_me.filter(|hold| hold.frames.head() > n);
        let received = range.copy(&region.strand_to_me, events);
        self.buffers.hashes[i] = sent;
        if received == Some(sent) || held.is_some_and(|held| range.read(&held.events, events)) {
            return Found::Yes;
        }
        if let Some(received) = received {
            self.buffers.hashes[i] = received;
            self.report_altered(peer, n, sent, received);
        }
        Found::Damaged
    }

    /// Shows in the status cell that what `peer` sent in interval `n` is not what stands in its strand, with both hashes.
    fn report_altered(&self, peer: Torus, n: u64, sent: u64, received: u64) {
        let status = &self.segment.own.status;
        if self.owned {
            status.set_altered_sent(peer, sent);
            status.set_altered_received(peer, received);
            status.set_altered(peer, n + 1);
        }
    }

    /// Reads frame `n` of a peer into its buffer: from its ring, or from what the peer held for this torus while it was
    /// absent; in replay also from either log of it.
    fn read_peer_frame(&mut self, peer: Torus, n: u64, replay: bool) -> Found {
        let frame = &mut self.buffers.peer_frames[peer.index()];
        let Some(region) = self.segment.peers[peer.index()].as_ref() else {
            return Found::Damaged;
        };
        match region.ring.read(peer, n, frame) {
            Ok(()) => return Found::Yes,
            Err(ReadError::NotYet { .. }) if !replay => return Found::NotYet,
            Err(_) => {}
        }
        let held = region.hold_for_me.map(|hold| hold.frames);
        if held.is_some_and(|held| held.read(peer, n, frame).is_ok()) {
            return Found::Yes;
        }
        if !replay {
            return Found::Damaged;
        }
        let own_log = self.segment.own.logs[peer.index()]
            .as_ref()
            .map(|log| log.reader());
        let third = self.peers.iter().find(|torus| **torus != peer);
        let third_log =
            third.and_then(|torus| self.segment.peers[torus.index()].as_ref()?.logs[peer.index()]);
        let copies = own_log.into_iter().chain(third_log);
        if copies
            .into_iter()
            .any(|log: FrameReader<'_>| log.read(peer, n, frame).is_ok())
        {
            Found::Yes
        } else {
            Found::Damaged
        }
    }

    /// Keeps a copy of a peer's frame, before it is acted upon, in case the peer's ring is damaged.
    fn log(&mut self, peer: Torus, n: u64) -> Result<(), MemberError> {
        let Some(log) = self.segment.own.logs[peer.index()].as_ref() else {
            return Ok(());
        };
        let frame = &self.buffers.peer_frames[peer.index()];
        let (half, all) = (frame.carried_words() / 2, frame.carried_words());
        log.write_range(frame, 0..half);
        self.host.reach(Point::FrameHalfLogged)?;
        log.write_range(frame, half..all);
        log.commit(n);
        self.host.reach(Point::FrameLogged)?;
        Ok(())
    }

    /// Tells the watchdog which peer's memory is damaged, so that its successor rewrites it; or takes that back.
    fn complain(&mut self, peer: Torus, damaged: Option<u64>) {
        if !self.owned {
            return;
        }
        let word = damaged.map_or(0, |n| n + 1);
        let status = &self.segment.own.status;
        if status.reader().complaint(peer) != word {
            status.set_complaint(peer, word);
        }
    }

    /// Reads entries from all lanes into the buffer, as many as there are and fit. Returns the new positions. An entry
    /// that no client library writes (an unknown kind, a command in a client's lane, a cell that is not there) is passed
    /// over.
    fn gather_lanes(&mut self) -> [u64; LANES_MAX] {
        let mut positions = self.node.books().lane_positions;
        let kernel = self.node.kernel();
        let cells = kernel.world().lattice.cells() as u64;
        // Half of the free room: clients wait in their lanes rather than stop the run at its capacity. Commands need none.
        let mut room = u64::from(self.config.capacity.pending).saturating_sub(kernel.pending()) / 2;
        let injected = &mut self.buffers.injected;
        injected.clear();
        for (lane, reader) in self.segment.lanes.iter().enumerate() {
            let position = &mut positions[lane];
            let end = *position
                + reader
                    .head()
                    .saturating_sub(*position)
                    .min(reader.entries() as u64);
            while *position < end {
                let entry = reader.read(*position);
                let is_event = entry.kind == LaneEntry::EVENT;
                if is_event && room == 0 {
                    break;
                }
                *position += 1;
                if is_acceptable(lane as u32, &entry, cells) {
                    injected.push(Injection {
                        lane: lane as u32,
                        entry,
                    });
                    room -= u64::from(is_event);
                }
            }
        }
        positions
    }

    /// Reads the own committed frame `n`: from the own ring, or from either peer's log of it.
    pub(super) fn read_committed(&mut self, n: u64) -> bool {
        let frame = &mut self.buffers.committed;
        read_own(&self.segment, self.torus, n, frame)
    }

    /// Appends a record to the journal, in two parts so that the simulator can tear it.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), MemberError> {
        let framed = &mut self.buffers.journal;
        framed.clear();
        frame_record(record, framed);
        self.host.reach(Point::JournalHalfAppended)?;
        self.journal.append(framed)?;
        self.journal_length += framed.len() as u64;
        self.host.reach(Point::JournalAppended)?;
        Ok(())
    }
}

/// The strand range that a frame names for one receiver.
pub(super) struct StrandRange<'f> {
    /// The frame.
    pub frame: &'f Frame,
    /// The receiver.
    pub to: Torus,
    /// Where the receiver stands in the strand.
    pub from: u64,
    /// The most events that an interval can have sent.
    pub most: u64,
}

impl StrandRange<'_> {
    /// Copies the events, and returns the hash of the copy; none if the frame's numbers are not those of an interval.
    fn copy(&self, strand: &StrandReader<'_>, events: &mut Arrivals) -> Option<u64> {
        let count = self.frame.strand_end(self.to).checked_sub(self.from)?;
        if count > self.most.min(strand.capacity() as u64) {
            return None;
        }
        Some(read_strand(strand, self.from, count, events))
    }

    /// Copies the events and verifies the copy; `false` if the range is damaged.
    pub(super) fn read(&self, strand: &StrandReader<'_>, events: &mut Arrivals) -> bool {
        self.copy(strand, events) == Some(self.frame.strand_hash(self.to))
    }
}

/// Copies `count` events from a position on; returns their hash.
pub(super) fn read_strand(
    strand: &StrandReader<'_>,
    position: u64,
    count: u64,
    events: &mut Arrivals,
) -> u64 {
    events.fill(count as usize, |before, page| {
        strand.read(position + before as u64, page)
    })
}

/// Reads frame `n` of `torus` itself: from its own ring, or from either peer's log of it.
pub(super) fn read_own(
    segment: &shm_layout::region::WorkerSegment<'_>,
    torus: Torus,
    n: u64,
    frame: &mut Frame,
) -> bool {
    let logs = segment
        .peers
        .iter()
        .flatten()
        .filter_map(|region| region.logs[torus.index()]);
    std::iter::once(segment.own.ring.reader())
        .chain(logs)
        .any(|ring| ring.read(torus, n, frame).is_ok())
}

/// Whether an entry can be taken in on a lattice of `cells` cells: an event, or a command in the supervisor's lane.
pub fn is_acceptable(lane: u32, entry: &LaneEntry, cells: u64) -> bool {
    match entry.kind {
        LaneEntry::EVENT => u64::from(entry.dst) < cells && entry.at <= INJECT_AT_MAX,
        _ => lane == COMMAND_LANE && Command::of(entry).is_some(),
    }
}
