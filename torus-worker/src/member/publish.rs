//! Publish: a closed interval becomes visible, all of it at once; in replay it is compared with what was committed.

use shm_layout::frame::health;
use shm_layout::hash;
use shm_layout::status::Phase;
use shm_layout::torus::Torus;

use crate::journal::{Journal, Record, leaves_mark};
use crate::model::Model;

use super::take_in::read_strand;
use super::{Host, Member, MemberError, Point};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Closes the live interval: strands first, then the frame's content, which is hashed on its way, then the journal,
    /// then the frame's head, which has the hashes, and last the one store that commits them all.
    pub(super) fn publish(&mut self) -> Result<(), MemberError> {
        let mut hashes = [0; 3];
        for peer in self.peers.iter().copied() {
            hashes[peer.index()] = self.write_strand(peer)?;
        }
        self.announce_return()?;
        self.node.fill(&mut self.buffers.frame, hashes);
        let n = self.buffers.frame.interval();
        self.segment.own.ring.write_content(&mut self.buffers.frame);
        self.host.reach(Point::FrameHalfWritten)?;
        self.node.link(&mut self.buffers.frame);
        if leaves_mark(n) {
            self.append(&Record::Mark {
                interval: n,
                chain: self.node.books().chain,
            })?;
        }
        self.seal_frame();
        self.segment.own.ring.write_head(&self.buffers.frame);
        self.host.reach(Point::FrameWritten)?;
        self.extend_holds(n)?;
        self.segment.own.ring.commit(n);
        self.published += 1;
        self.show_migrations();
        self.ring_doorbell();
        self.host.reach(Point::FrameCommitted)?;
        Ok(())
    }

    /// Writes what goes to a peer; returns its hash.
    fn write_strand(&mut self, peer: Torus) -> Result<u64, MemberError> {
        let Some(strand) = self.segment.own.strands[peer.index()].as_ref() else {
            return Ok(0);
        };
        let events = self.node.outgoing(peer);
        if events.is_empty() {
            return Ok(0);
        }
        let position = self.node.books().sent[peer.index()];
        let (first, second) = events.split_at(events.len() / 2);
        let first_hash = strand.write(position, first);
        self.host.reach(Point::StrandHalfWritten)?;
        let second_hash = strand.write(position + first.len() as u64, second);
        self.host.reach(Point::StrandWritten)?;
        Ok(first_hash.wrapping_add(second_hash))
    }

    /// How the torus is, for who looks at its frames: what it complains about, and whether it has just recovered.
    fn health(&self) -> u64 {
        let status = self.segment.own.status.reader();
        let complaints = self.peers.iter().filter(|peer| status.complaint(**peer) != 0);
        let complaints = complaints.fold(0, |word, peer| word | health::complaint(*peer));
        let recovers =
            self.live_from > 0 && self.node.boundary() <= self.live_from + self.node.calendar().lag();
        complaints | if recovers { health::RECOVERING } else { 0 }
    }

    fn seal_frame(&mut self) {
        let health = self.health();
        let frame = &mut self.buffers.frame;
        frame.set_health(health);
        frame.set_incarnation(self.incarnation);
        frame.set_phase(Phase::Running as u64);
        frame.set_journal_length(self.journal_length);
        frame.seal_hashed();
    }

    /// Closes a replayed interval: publishes nothing, compares with the committed frame, and rewrites what of it is
    /// damaged in the own region.
    pub(super) fn close_replayed(&mut self) -> Result<(), MemberError> {
        let n = self.node.boundary();
        // Without the region the last step has found that there is nothing to repair.
        if self.owned {
            for peer in self.peers.iter().copied() {
                self.repair_strand(peer)?;
            }
        }
        self.node.close(&mut self.buffers.frame);
        let marked = self.recorded_mark(n);
        self.seal_frame();
        let replayed = self.buffers.frame.chain();
        let committed = self.read_committed(n).then(|| self.buffers.committed.chain());
        if let Some(committed) = committed
            .into_iter()
            .chain(marked)
            .find(|committed| *committed != replayed)
        {
            return Err(MemberError::Divergence {
                torus: self.torus.letter(),
                interval: n,
                committed,
                replayed,
            });
        }
        self.compare_with_proof(n)?;
        if self.owned {
            self.repair_slot(n)?;
        }
        if !self.is_replaying() {
            self.host.reach(Point::Replayed)?;
        }
        Ok(())
    }

    /// The chain value of the mark that the predecessor left for frame `n`, if it left one.
    fn recorded_mark(&mut self, n: u64) -> Option<u64> {
        let is_due = |record: &Record| matches!(record, Record::Mark { interval, .. } if *interval == n);
        let appended = self.recorded.pop_front_if(|appended| is_due(&appended.record))?;
        self.journal_length = appended.end;
        match appended.record {
            Record::Mark { chain, .. } => Some(chain),
            _ => None,
        }
    }

    /// Where a later checkpoint than the loaded one stands, the replay must reach what its header says. That matters
    /// where the frames before it are damaged: they are then compared with nothing else.
    fn compare_with_proof(&self, n: u64) -> Result<(), MemberError> {
        let Some(proof) = self.proof.as_ref().filter(|proof| proof.boundary == n + 1) else {
            return Ok(());
        };
        let (books, replayed) = (self.node.books(), self.node.kernel().history_digest());
        let same = (replayed, books.sent, books.received, books.lane_positions)
            == (
                proof.history_digest,
                proof.sent,
                proof.received,
                proof.lane_positions,
            );
        if same {
            return Ok(());
        }
        let (torus, committed) = (self.torus.letter(), proof.history_digest);
        Err(MemberError::Divergence {
            torus,
            interval: n,
            committed,
            replayed,
        })
    }

    /// Whether something of the replayed interval is damaged in the own region, so that it has to be written again.
    pub(super) fn is_repair_due(&mut self) -> bool {
        let n = self.node.boundary();
        let mut peers = self.peers.iter().copied();
        peers.any(|peer| self.is_strand_damaged(peer)) || self.is_slot_damaged(n)
    }

    /// Whether the strand range of the replayed interval fails its hash, and no later range lies over it.
    fn is_strand_damaged(&mut self, peer: Torus) -> bool {
        let Some(strand) = self.segment.own.strands[peer.index()].as_ref() else {
            return false;
        };
        let position = self.node.books().sent[peer.index()];
        let events = self.node.outgoing(peer);
        let is_overlaid = self.committed_strand_end[peer.index()] > position + strand.capacity() as u64;
        if events.is_empty() || is_overlaid {
            return false;
        }
        let held = &mut self.buffers.events[peer.index()];
        read_strand(&strand.reader(), position, events.len() as u64, held) != hash::events(events)
    }

    /// Rewrites the strand range of the replayed interval if it is damaged.
    fn repair_strand(&mut self, peer: Torus) -> Result<(), MemberError> {
        if !self.is_strand_damaged(peer) {
            return Ok(());
        }
        if let Some(strand) = self.segment.own.strands[peer.index()].as_ref() {
            strand.write(self.node.books().sent[peer.index()], self.node.outgoing(peer));
        }
        self.host.reach(Point::StrandRewritten)?;
        Ok(())
    }

    /// Whether the ring slot of a replayed frame is damaged, and no later frame lies in it.
    fn is_slot_damaged(&mut self, n: u64) -> bool {
        let ring = self.segment.own.ring.reader();
        let is_overlaid = n + ring.slots() as u64 <= self.live_from.saturating_sub(1);
        !is_overlaid && ring.read(self.torus, n, &mut self.buffers.committed).is_err()
    }

    /// Rewrites the ring slot of a replayed frame if it is damaged.
    fn repair_slot(&mut self, n: u64) -> Result<(), MemberError> {
        if self.is_slot_damaged(n) {
            self.segment.own.ring.write(&self.buffers.frame);
            self.host.reach(Point::SlotRewritten)?;
        }
        Ok(())
    }
}
