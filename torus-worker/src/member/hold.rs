//! Hold: what the replay of an absent torus will need of this one, kept until it has returned.
//!
//! Ring and strand are reused while a torus is absent. So as soon as its absence is known, the frames and events that it
//! has not left behind with a safe checkpoint are copied, and those of the intervals up to its absence are added as they
//! are published. The tag in the status cell, stored last, says for which absence the copy is whole.

use shm_layout::torus::Torus;

use crate::journal::Journal;
use crate::model::Model;

use super::take_in::read_strand;
use super::{Host, Member, MemberError, Point};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Fills the hold area of each torus whose absence is known, unless that is done.
    pub(super) fn fill_holds(&mut self, b: u64) -> Result<(), MemberError> {
        for peer in self.peers.iter().copied() {
            let membership = self.node.membership();
            let open = membership
                .last_of(peer)
                .filter(|last| last.rejoins.is_none())
                .map(|last| last.from);
            if let Some(from) = open.filter(|from| self.segment.own.status.reader().hold(peer) != *from) {
                self.fill_hold(peer, from, b)?;
            }
        }
        Ok(())
    }

    fn fill_hold(&mut self, peer: Torus, from: u64, b: u64) -> Result<(), MemberError> {
        let safe = self.safe_checkpoint_of(peer);
        self.update_freed(peer, safe);
        let Some(hold) = self.segment.own.holds[peer.index()].as_ref() else {
            return Ok(());
        };
        let ring = self.segment.own.ring.reader();
        let first = safe.saturating_sub(self.node.calendar().lag()).max(ring.oldest());
        let frame = &mut self.buffers.committed;
        for n in first..b {
            // One that is damaged stands in the logs of the others.
            if ring.read(self.torus, n, frame).is_ok() {
                hold.frames.write(frame);
            }
        }
        if let Some(last) = b.checked_sub(1) {
            hold.frames.commit(last);
        }
        self.host.reach(Point::HoldHalfFilled)?;
        let (start, end) = (self.freed[peer.index()].0, self.node.books().sent[peer.index()]);
        self.copy_events_to_hold(peer, start, end);
        self.segment.own.status.set_hold(peer, from);
        self.host.reach(Point::HoldFilled)?;
        Ok(())
    }

    /// Copies strand positions in pieces of the buffer that is there.
    fn copy_events_to_hold(&mut self, peer: Torus, start: u64, end: u64) {
        let own = &self.segment.own;
        let (Some(hold), Some(strand)) = (&own.holds[peer.index()], &own.strands[peer.index()]) else {
            return;
        };
        let events = &mut self.buffers.events[peer.index()];
        let step = u64::from(self.config.capacity.remote_per_interval);
        let mut position = start;
        while position < end {
            let count = (end - position).min(step);
            read_strand(&strand.reader(), position, count, events);
            hold.events.write(position, events.events());
            position += count;
        }
    }

    /// Adds the interval that is about to be committed, `n`, to the hold area of each absent torus that will take it in.
    pub(super) fn extend_holds(&mut self, n: u64) -> Result<(), MemberError> {
        for peer in self.peers.iter().copied() {
            let membership = self.node.membership();
            let is_open = membership
                .last_of(peer)
                .is_some_and(|last| last.rejoins.is_none());
            if !is_open || !self.node.reaches(peer, n) {
                continue;
            }
            if let Some(hold) = self.segment.own.holds[peer.index()].as_ref() {
                let events = self.node.outgoing(peer);
                let end = self.node.books().sent[peer.index()];
                hold.events.write(end - events.len() as u64, events);
                hold.frames.write(&self.buffers.frame);
                hold.frames.commit(n);
                self.host.reach(Point::HoldExtended)?;
            }
        }
        Ok(())
    }
}
