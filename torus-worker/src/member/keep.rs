//! Keep: checkpoints of the own state, and verified copies of the peers'.
//!
//! At every instant a complete verified copy of each torus stands outside its region: the peers are told to mirror another
//! checkpoint only when every present one has verified the last, and a mirror is copied into the slot that does not hold
//! the newest verified copy. A slot is invalid from before its first word changes until its header is published.
//!
//! Not every checkpoint is mirrored. What a kill destroys is the process, not the segment, so between two that are, newer
//! ones are taken that stay *local*: they cost the peers nothing and can be more frequent. They overwrite one another in
//! the two slots beside the mirrored one, so whoever dies while one is written leaves the one before. The peers are told
//! of a checkpoint by its boundary in the status cell.

use shm_layout::checkpoint_slots::SlotHeader;
use shm_layout::torus::Torus;

use crate::journal::Journal;
use crate::model::Model;

use super::{Host, Member, MemberError, Newest, Point};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Mirrors what is due, then takes a checkpoint if one is due. Returns whether anything was done.
    pub(super) fn keep(&mut self) -> Result<bool, MemberError> {
        let mut worked = self.mirror_peers()?;
        self.update_safe();
        if self.checkpoint_due || self.is_wanted() {
            worked |= self.secure()?;
        } else if self.local_due && self.node.boundary() > self.newest.boundary {
            worked |= match self.free_slot() {
                Some(slot) => self.take_checkpoint(slot).map(|()| true)?,
                None => self.secure()?,
            };
        }
        Ok(worked)
    }

    /// Whether a peer is short of room on this torus's account.
    fn is_wanted(&self) -> bool {
        self.peers.iter().any(|peer| {
            let want = self.segment.peers[peer.index()]
                .as_ref()
                .map_or(0, |region| region.status.want(self.torus));
            want > self.announced_checkpoint
        })
    }

    /// Sees to it that the peers mirror a checkpoint of this boundary; where no slot is free for one, that they mirror the
    /// newest that there is, so that one becomes free. One at a time: until all have verified the last, nothing happens.
    /// Returns whether anything was done for it.
    pub(super) fn secure(&mut self) -> Result<bool, MemberError> {
        let b = self.node.boundary();
        if self.safe_checkpoint_of(self.torus) < self.announced_checkpoint {
            return Ok(false);
        }
        if self.newest.boundary < b
            && let Some(slot) = self.free_slot()
        {
            self.take_checkpoint(slot)?;
        }
        if self.newest.boundary == self.announced_checkpoint {
            return Ok(false);
        }
        self.announce_newest()?;
        self.checkpoint_due &= self.newest.boundary < b;
        Ok(true)
    }

    /// Tells the peers to mirror the newest checkpoint.
    pub(super) fn announce_newest(&mut self) -> Result<(), MemberError> {
        self.announced_checkpoint = self.newest.boundary;
        self.segment.own.status.set_checkpoint(self.announced_checkpoint);
        self.ring_doorbell();
        self.host.reach(Point::CheckpointAnnounced)?;
        Ok(())
    }

    /// A slot that may be overwritten: one that holds neither the newest checkpoint, nor the one that the peers are to
    /// mirror, nor the newest that all of them have verified, nor the one on the strength of which room was given back. (A
    /// torus that was the last one present has given room back on the strength of its own slot alone.)
    fn free_slot(&self) -> Option<usize> {
        let safe = self.safe_checkpoint_of(self.torus).max(self.safe);
        self.slot_beside(&[self.newest.boundary, self.announced_checkpoint, safe])
    }

    /// An empty slot, or the one with the oldest checkpoint that is none of these.
    pub(super) fn slot_beside(&self, kept: &[u64]) -> Option<usize> {
        let slots = self.segment.own.checkpoints.reader();
        let boundary = |slot| slots.header(slot).map_or(0, |header| header.boundary);
        (0..slots.slots())
            .map(|slot| (boundary(slot), slot))
            .filter(|(boundary, _)| *boundary == 0 || !kept.contains(boundary))
            .min()
            .map(|(_, slot)| slot)
    }

    /// Packs the state at this boundary, before its intake, into a free slot.
    pub(super) fn take_checkpoint(&mut self, slot: usize) -> Result<(), MemberError> {
        self.host.reach(Point::CheckpointBegun)?;
        let slots = &self.segment.own.checkpoints;
        let mut stream = slots.begin(slot);
        self.host.reach(Point::CheckpointInvalidated)?;
        self.node.save_books(self.journal_length, &mut stream);
        stream.flush();
        self.host.reach(Point::CheckpointHalfWritten)?;
        self.node.kernel().save(&mut stream);
        let (words, hash) = stream.finish();
        self.host.reach(Point::CheckpointWritten)?;
        let books = self.node.books();
        let header = SlotHeader {
            boundary: books.boundary,
            bytes: words as u64 * 8,
            hash,
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
        status.set_checkpoint_bytes(header.bytes);
        status.set_checkpoints_taken(status.reader().checkpoints_taken() + 1);
        self.local_due = false;
        self.host.reach(Point::CheckpointPublished)?;
        Ok(())
    }

    /// Mirrors what is due. Done between stretches of an interval too: a peer takes no further checkpoint before this one
    /// is mirrored, and an interval of dense work is longer than the time in which the next is due.
    pub(super) fn mirror_peers(&mut self) -> Result<bool, MemberError> {
        let mut worked = false;
        for peer in self.peers.iter().copied() {
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
        let mut slots = region.checkpoints.headers();
        let Some((from, header)) = slots.find(|(_, header)| header.boundary == wanted) else {
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
