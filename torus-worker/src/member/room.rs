//! Room: when a ring slot, a strand range or a lane entry may be written again.
//!
//! Whatever a successor could need for its replay is kept. What a torus took in at boundary x is needed until it has a
//! checkpoint later than x that every other present torus has mirrored, its *safe* checkpoint. The same holds for a
//! torus's own frames, which its replay is compared with.

use shm_layout::torus::Torus;

use crate::journal::Journal;
use crate::model::Model;

use super::{Host, Member, Wait};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// The newest checkpoint of `torus` that every other torus has a verified copy of; 0 is the configuration.
    pub(super) fn safe_checkpoint_of(&self, torus: Torus) -> u64 {
        if self.peers.is_empty() {
            return self.newest.boundary;
        }
        let own = (torus != self.torus).then(|| self.mirrors[torus.index()].boundary);
        let theirs = self
            .peers
            .iter()
            .filter(|peer| **peer != torus)
            .filter_map(|peer| {
                self.segment.peers[peer.index()]
                    .as_ref()
                    .map(|region| region.status.mirrored(torus))
            });
        own.into_iter().chain(theirs).min().unwrap_or(0)
    }

    /// Publishes the own safe checkpoint, and with it which lane entries may be overwritten, when it has moved.
    pub(super) fn update_safe(&mut self) {
        let safe = self.safe_checkpoint_of(self.torus);
        if safe == self.safe {
            return;
        }
        let slots = self.segment.own.checkpoints.reader();
        let Some(header) = (0..2)
            .filter_map(|slot| slots.header(slot))
            .find(|header| header.boundary == safe)
        else {
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
        let lag = self.node.calendar().lag();
        let mut blocked = None;
        // The own frame that slot b % slots holds is compared with until the own checkpoint is past it.
        if b >= slots && b - slots >= self.safe {
            blocked = Some(Wait::Mirrors);
            self.checkpoint_due = true;
        } else if b >= self.safe + slots / 2 {
            self.checkpoint_due = true;
        }
        for peer in self.peers.clone() {
            let safe = self.safe_checkpoint_of(peer);
            self.update_freed(peer, safe);
            let full = b >= slots && b - slots + lag >= safe;
            let (strand_full, strand_short) = self.strand_room(peer);
            if full || strand_full {
                blocked = Some(Wait::Room(peer));
            }
            let for_ring = (b + slots / 2 + lag + 1).saturating_sub(slots);
            let for_strand = if strand_short { b.saturating_sub(lag) } else { 0 };
            self.want(peer, for_ring.max(for_strand));
        }
        blocked
    }

    /// Tells `peer` that a checkpoint of it at or after `boundary` is needed.
    fn want(&mut self, peer: Torus, boundary: u64) {
        let status = &self.segment.own.status;
        if boundary > status.reader().want(peer) {
            status.set_want(peer, boundary);
            self.ring_doorbell();
        }
    }

    /// The peer's strand position as of its safe checkpoint; what lies before it will not be read again.
    fn update_freed(&mut self, peer: Torus, safe: u64) {
        let Some(region) = self.segment.peers[peer.index()].as_ref() else {
            return;
        };
        let header = (0..2)
            .filter_map(|slot| region.checkpoints.header(slot))
            .find(|h| h.boundary == safe && safe > 0);
        if let Some(header) = header {
            self.freed[peer.index()] = self.freed[peer.index()].max(header.received[self.torus.index()]);
        }
    }

    /// Whether the strand to `peer` has no room for one more interval at its limit, and whether less than half is free.
    fn strand_room(&self, peer: Torus) -> (bool, bool) {
        let limit = u64::from(self.config.capacity.remote_per_interval);
        let capacity = limit * (2 * self.node.calendar().lag() + 1);
        let used = self.node.books().sent[peer.index()] - self.freed[peer.index()];
        (used + limit > capacity, used * 2 > capacity)
    }
}
