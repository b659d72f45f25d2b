//! The end of a run: all tori stop at one boundary, which the configuration or the supervisor sets.
//!
//! `shm_layout::stop` has the protocol by which the supervisor finds a boundary that no worker has passed, and why it
//! needs no acknowledgement and no living worker.

use shm_layout::stop::Verdict;
use shm_layout::torus::Torus;

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
            // In an audited run the peers stay until all is confirmed, so that a slot becomes free.
            if self.config.scrub || !self.peers_have_ended(b) {
                return Ok(Step::Waiting(Wait::Mirrors));
            }
            // Nobody will mirror one that was announced before, so its slot may go, too.
            if self.newest.boundary < b
                && let Some(slot) = self.slot_beside(&[self.newest.boundary])
            {
                self.take_checkpoint(slot)?;
            }
            self.announce_newest()?;
        }
        if self.segment.own.status.reader().state_digest_boundary() != b {
            let status = &self.segment.own.status;
            status.set_state_digest(self.final_digest(b));
            status.set_state_digest_boundary(b);
            self.ring_doorbell();
            self.host.reach(Point::FinishAnnounced)?;
        }
        Ok(match self.peers_have_ended(b) {
            false => Step::Waiting(Wait::Peers),
            true if !self.is_audited(b) => Step::Waiting(Wait::Audit),
            true => Step::Finished,
        })
    }

    /// The digest of the final state. Where a predecessor's has been confirmed, that is it, whatever has happened to this
    /// member's memory since: peers may have ended on the strength of it.
    fn final_digest(&self, b: u64) -> u64 {
        let audit = &self.segment.audit;
        match self.config.scrub && audit.confirmed(self.torus) == b {
            true => audit.confirmed_digest(self.torus),
            false => self.node.state_digest(),
        }
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

    /// Whether the final states of all tori have been confirmed, in a run that is audited: until then what was committed
    /// may have to be taken back. What was confirmed may have been a predecessor's digest, so that is compared, too.
    fn is_audited(&self, b: u64) -> bool {
        let audit = &self.segment.audit;
        let is_confirmed = |torus: &Torus| {
            let peer = self.segment.peers[torus.index()].as_ref().map(|peer| peer.status);
            let published = peer.unwrap_or(self.segment.own.status.reader()).state_digest();
            audit.confirmed(*torus) == b && audit.confirmed_digest(*torus) == published
        };
        !self.config.scrub || Torus::of_run(self.config.tori).iter().all(is_confirmed)
    }
}
