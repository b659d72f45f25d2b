//! Keep: checkpoints of the own state, and verified copies of the peers'.
//!
//! At every instant a complete verified copy of each torus stands outside its region: a checkpoint slot is overwritten
//! only when every present peer has verified the other one, and a mirror is copied into the slot that does not hold the
//! newest verified copy. A slot is invalid from before its first word changes until its header is published.

use shm_layout::checkpoint_slots::SlotHeader;
use shm_layout::hash;
use shm_layout::torus::Torus;

use crate::journal::Journal;
use crate::model::Model;

use super::{Host, Member, MemberError, Newest, Point};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Mirrors what is due, then takes a checkpoint if one is due. Returns whether anything was done.
    pub(super) fn keep(&mut self) -> Result<bool, MemberError> {
        let mut worked = self.mirror_peers()?;
        self.update_safe();
        if self.checkpoint_is_due() && self.slot_is_free() {
            self.take_checkpoint()?;
            worked = true;
        }
        Ok(worked)
    }

    /// A checkpoint is due when the time budget says so, or when a peer is short of room on this torus's account.
    fn checkpoint_is_due(&self) -> bool {
        let b = self.node.boundary();
        let wanted = self.peers.iter().any(|peer| {
            let want = self.segment.peers[peer.index()]
                .as_ref()
                .map_or(0, |region| region.status.want(self.torus));
            want > self.newest.boundary
        });
        b > self.newest.boundary && (self.checkpoint_due || wanted)
    }

    /// Whether the slot beside the newest checkpoint may be overwritten: every peer has verified the newest.
    pub(super) fn slot_is_free(&self) -> bool {
        self.newest.boundary == 0 || self.safe_checkpoint_of(self.torus) >= self.newest.boundary
    }

    /// Packs the state at this boundary, before its intake, into the free slot.
    pub(super) fn take_checkpoint(&mut self) -> Result<(), MemberError> {
        let slot = self.newest.other();
        let slots = &self.segment.own.checkpoints;
        slots.invalidate(slot);
        self.host.reach(Point::CheckpointInvalidated)?;
        let words = &mut self.buffers.checkpoint;
        self.node.save(self.journal_length, words);
        let (half, all) = (words.len() / 2, words.len());
        slots.write(slot, 0, &words[..half]);
        self.host.reach(Point::CheckpointHalfWritten)?;
        slots.write(slot, half, &words[half..all]);
        self.host.reach(Point::CheckpointWritten)?;
        let books = self.node.books();
        let header = SlotHeader {
            boundary: books.boundary,
            bytes: words.len() as u64 * 8,
            hash: hash::words(words),
            history_digest: self.node.kernel().history_digest(),
            tick: self.node.calendar().tick(books.boundary),
            journal_length: self.journal_length,
            torus: self.torus.index() as u64,
            received: books.received,
            sent: books.sent,
            events: self.node.kernel().events(),
            lane_positions: books.lane_positions,
        };
        slots.publish(slot, &header);
        self.newest = Newest {
            boundary: header.boundary,
            slot,
        };
        let status = &self.segment.own.status;
        status.set_checkpoint(header.boundary);
        status.set_checkpoint_bytes(header.bytes);
        status.set_checkpoints_taken(status.reader().checkpoints_taken() + 1);
        self.checkpoint_due = false;
        self.ring_doorbell();
        self.host.reach(Point::CheckpointPublished)?;
        Ok(())
    }

    /// Mirrors what is due. Done between stretches of an interval too: a peer takes no further checkpoint before this one
    /// is mirrored, and an interval of dense work is longer than the time in which the next is due.
    pub(super) fn mirror_peers(&mut self) -> Result<bool, MemberError> {
        let mut worked = false;
        for peer in self.peers.clone() {
            worked |= self.mirror(peer)?;
        }
        Ok(worked)
    }

    /// Copies the newest checkpoint of `peer` if it is newer than the copy here and it is this torus's turn: the next in
    /// the rotation copies first. Returns whether it did.
    fn mirror(&mut self, peer: Torus) -> Result<bool, MemberError> {
        let Some(region) = self.segment.peers[peer.index()].as_ref() else {
            return Ok(false);
        };
        let wanted = region.status.checkpoint();
        let held = self.mirrors[peer.index()];
        if wanted <= held.boundary || !self.is_turn_to_mirror(peer, wanted) {
            return Ok(false);
        }
        let found = (0..2).find_map(|slot| {
            region
                .checkpoints
                .header(slot)
                .filter(|h| h.boundary == wanted)
                .map(|h| (slot, h))
        });
        let Some((from, header)) = found else {
            return Ok(false);
        };
        let Some(mirror) = self.segment.own.mirrors[peer.index()].as_ref() else {
            return Ok(false);
        };
        let to = held.other();
        mirror.invalidate(to);
        self.host.reach(Point::MirrorInvalidated)?;
        let (half, all) = (header.data_words() / 2, header.data_words());
        mirror.copy(to, region.checkpoints, from, 0..half);
        self.host.reach(Point::MirrorHalfCopied)?;
        mirror.copy(to, region.checkpoints, from, half..all);
        self.host.reach(Point::MirrorCopied)?;
        // What is hashed is the copy: a torn or damaged original shows in it as well.
        if mirror.reader().hash(to, all) != header.hash {
            return Ok(false);
        }
        mirror.publish(to, &header);
        self.mirrors[peer.index()] = Newest {
            boundary: wanted,
            slot: to,
        };
        self.segment.own.status.set_mirrored(peer, wanted);
        self.ring_doorbell();
        self.host.reach(Point::MirrorPublished)?;
        Ok(true)
    }

    /// The torus after `owner` in the rotation mirrors as soon as it sees a checkpoint, the one after that once the first
    /// has verified its copy, or at once if that one is absent: so never are both reading the owner's memory at once.
    fn is_turn_to_mirror(&self, owner: Torus, boundary: u64) -> bool {
        let first = owner.next();
        first == self.torus
            || !self.keeps_copies(first)
            || self.segment.peers[first.index()]
                .as_ref()
                .is_some_and(|region| region.status.mirrored(owner) >= boundary)
    }
}
