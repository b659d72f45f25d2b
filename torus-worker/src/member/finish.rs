//! The end of a run: all tori stop at one boundary, which the configuration or the supervisor sets.
//!
//! `shm_layout::stop` has the protocol by which the supervisor finds a boundary that no worker has passed, and why it
//! needs no acknowledgement and no living worker.

use shm_layout::stop::Verdict;

use crate::journal::{Journal, Record};
use crate::model::Model;

use super::{Host, Member, MemberError, Point, Step, Wait};

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Announces the boundary, the first time, and says whether the run ends here.
    pub(super) fn stop_verdict(&mut self, b: u64) -> Result<Verdict, MemberError> {
        if let Some(at) = self.node.calendar().last_boundary().filter(|last| b >= *last) {
            return Ok(Verdict::Finish { at });
        }
        let control = &self.segment.control;
        if self.announced == Some(b) {
            return Ok(control.look_for_stop(b));
        }
        self.announced = Some(b);
        let verdict = self.segment.own.status.announce_boundary(b, control);
        self.host.reach(Point::BoundaryAnnounced)?;
        Ok(verdict)
    }

    /// Takes the final checkpoint, publishes the digest of the final state, and stays until the peers have done the
    /// same, as they need this member's mirrors for it.
    pub(super) fn finish(&mut self, b: u64) -> Result<Step, MemberError> {
        if !self.stop_recorded {
            self.append(&Record::Stop { boundary: b })?;
            self.stop_recorded = true;
            self.host.reach(Point::StopRecorded)?;
        }
        while self.announced_checkpoint < b {
            if self.secure()? {
                continue;
            }
            if !self.peers_have_ended(b) {
                return Ok(Step::Waiting(Wait::Mirrors));
            }
            self.take_checkpoint(self.newest.other())?;
        }
        if self.segment.own.status.reader().state_digest_boundary() != b {
            let status = &self.segment.own.status;
            status.set_state_digest(self.node.state_digest());
            status.set_state_digest_boundary(b);
            self.ring_doorbell();
            self.host.reach(Point::FinishAnnounced)?;
        }
        Ok(if self.peers_have_ended(b) {
            Step::Finished
        } else {
            Step::Waiting(Wait::Peers)
        })
    }

    /// Whether every peer has ended at boundary `b`; one that is absent may be left behind.
    fn peers_have_ended(&self, b: u64) -> bool {
        self.peers.iter().all(|peer| {
            !self.node.membership().is_counted(*peer, b)
                || self.segment.peers[peer.index()]
                    .as_ref()
                    .is_some_and(|p| p.status.state_digest_boundary() == b)
        })
    }
}
