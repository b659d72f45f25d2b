//! Room: when a ring slot, a strand range or a lane entry may be written again.
//!
//! Whatever a successor could need for its replay is kept. What a torus took in at boundary x is needed until it has a
//! checkpoint later than x that every other present torus has mirrored, its *safe* checkpoint. The same holds for a
//! torus's own frames, which its replay is compared with. In a run that is audited a safe checkpoint must also have been
//! cleared: so a good one, and everything that leads on from it, is always there to go back to.

use shm_layout::torus::Torus;

use crate::journal::Journal;
use crate::model::Model;

use super::{Host, Member, Wait};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// The newest checkpoint of `torus` that every other torus that is not absent has a verified copy of, and whose past
    /// has been audited if the run is; 0 is the configuration.
    pub(super) fn safe_checkpoint_of(&self, torus: Torus) -> u64 {
        let mirrored = self.mirrored_checkpoint_of(torus);
        if self.config.scrub {
            mirrored.min(self.segment.audit.cleared(torus))
        } else {
            mirrored
        }
    }

    /// Of the last torus present the own slot counts.
    fn mirrored_checkpoint_of(&self, torus: Torus) -> u64 {
        let counts = |peer: &Torus| self.keeps_copies(*peer);
        if torus == self.torus && !self.peers.iter().any(counts) {
            return self.newest.boundary;
        }
        let own = (torus != self.torus).then(|| self.mirrors[torus.index()].boundary);
        let theirs = self
            .peers
            .iter()
            .filter(|peer| **peer != torus && counts(peer))
            .filter_map(|peer| {
                self.segment.peers[peer.index()]
                    .as_ref()
                    .map(|region| region.status.mirrored(torus))
            });
        own.into_iter().chain(theirs).min().unwrap_or(0)
    }

    /// Whether copies by `peer` are waited for: not while it is absent, nor, by an absent torus, once it has ended.
    pub(super) fn keeps_copies(&self, peer: Torus) -> bool {
        let (b, membership) = (self.node.boundary(), self.node.membership());
        let has_ended = || {
            let region = self.segment.peers[peer.index()].as_ref();
            region.is_some_and(|region| region.status.state_digest_boundary() > b)
        };
        membership.is_counted(peer, b) && (membership.is_counted(self.torus, b) || !has_ended())
    }

    /// Publishes the own safe checkpoint, and with it which lane entries may be overwritten, when it has moved.
    pub(super) fn update_safe(&mut self) {
        let safe = self.safe_checkpoint_of(self.torus);
        // It never goes back, though a torus that returns may have older copies: what was reused stays reused.
        if safe <= self.safe {
            return;
        }
        let mut headers = self.segment.own.checkpoints.reader().headers();
        let Some((_, header)) = headers.find(|(_, header)| header.boundary == safe) else {
            return;
        };
        self.safe = safe;
        for lane in 0..self.segment.lanes.len() {
            self.segment
                .own
                .status
                .set_lane_free(lane, header.lane_positions[lane]);
        }
        self.segment.own.status.set_safe(safe);
        self.ring_doorbell();
    }

    /// Whether interval `b` has room for all it may publish; says on whose account it has not.
    ///
    /// Also publishes which checkpoint it wants of each torus, well before it is out of room.
    pub(super) fn room_needed(&mut self, b: u64) -> Option<Wait> {
        let slots = u64::from(self.config.capacity.frames);
        let spare = self.spare_slots();
        let lag = self.node.calendar().lag();
        let mut blocked = None;
        // The own frame that slot b % slots holds is compared with until the own checkpoint is past it.
        if b >= slots && b - slots >= self.safe {
            blocked = Some(Wait::Mirrors);
            self.checkpoint_due = true;
        } else if b + spare >= self.safe + slots {
            self.checkpoint_due = true;
        }
        for peer in self.peers.iter().copied() {
            let safe = self.safe_checkpoint_of(peer);
            self.update_freed(peer, safe);
            let full = b >= slots && b - slots + lag >= safe && self.is_needed(peer, b - slots);
            let (strand_full, strand_short) = match self.node.reaches(peer, b) {
                true => self.strand_room(peer),
                false => (false, false),
            };
            if full || strand_full {
                blocked = Some(Wait::Room(peer));
            }
            let for_ring = (b + spare + lag + 1).saturating_sub(slots);
            let for_strand = if strand_short { b.saturating_sub(lag) } else { 0 };
            self.want(peer, for_ring.max(for_strand));
        }
        blocked
    }

    /// So many slots before it is out of room a torus asks for checkpoints: enough for one to be taken and for two peers to
    /// mirror it one after the other, and no more, as sparse work would take hardly any by itself. Three workers with one event
    /// a tick finish a run in 2.25 s with a quarter of the ring, in 2.44 with half. What is audited as well takes longer.
    fn spare_slots(&self) -> u64 {
        u64::from(self.config.capacity.frames) / if self.config.scrub { 2 } else { 4 }
    }

    /// Whether `peer` may still read frame `n` of this torus in the ring: not if it never takes it in, nor if a copy is
    /// held for it.
    fn is_needed(&self, peer: Torus, n: u64) -> bool {
        self.node.reaches(peer, n) && n >= self.segment.own.status.reader().hold(peer)
    }

    /// Tells `peer` that a checkpoint of it at or after `boundary` is needed, unless it has announced one already.
    fn want(&mut self, peer: Torus, boundary: u64) {
        let status = &self.segment.own.status;
        let region = self.segment.peers[peer.index()].as_ref();
        let announced = region.map_or(0, |region| region.status.checkpoint());
        if boundary > announced.max(status.reader().want(peer)) {
            status.set_want(peer, boundary);
            self.ring_doorbell();
        }
    }

    /// The peer's strand position as of its safe checkpoint; what lies before it will not be read again.
    pub(super) fn update_freed(&mut self, peer: Torus, safe: u64) {
        let (freed, known) = &mut self.freed[peer.index()];
        let Some(region) = self.segment.peers[peer.index()]
            .as_ref()
            .filter(|_| safe != *known)
        else {
            return;
        };
        let mut headers = region.checkpoints.headers();
        if let Some((_, header)) = headers.find(|(_, header)| header.boundary == safe && safe > 0) {
            *freed = header.received[self.torus.index()].max(*freed);
            *known = safe;
        }
    }

    /// Whether the strand to `peer` has no room for one more interval at its limit, and whether less than half is free.
    fn strand_room(&self, peer: Torus) -> (bool, bool) {
        let limit = u64::from(self.config.capacity.remote_per_interval);
        let capacity = limit * (2 * self.node.calendar().lag() + 1);
        let used = self.node.books().sent[peer.index()] - self.freed[peer.index()].0;
        (used + limit > capacity, used * 2 > capacity)
    }
}
