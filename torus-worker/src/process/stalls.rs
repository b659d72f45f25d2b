//! Stalls: how long this worker waited for the first frame of a peer's successor, for the recovery log.

use shm_layout::torus::Torus;

use crate::journal::Journal;
use crate::member::{Host, Member, Step, Wait};
use crate::model::Model;

/// What this worker waits for on a peer's account, and since when (CLOCK_MONOTONIC in ns).
#[derive(Debug, Default)]
pub(super) struct Stalls {
    since: Option<(Torus, u64)>,
}

impl Stalls {
    /// Takes in what a step that ended at about `now_ns` was; after an intake, notes what it had been waited for if a peer's
    /// frame is the first of a new incarnation.
    pub(super) fn observe<M: Model, J: Journal, H: Host>(
        &mut self,
        member: &Member<'_, M, J, H>,
        step: Step,
        now_ns: u64,
    ) {
        if let Step::Waiting(wait) = step {
            self.wait(wait, now_ns);
        } else if member.is_inside() && !member.is_replaying() {
            let status = &member.segment().own.status;
            for peer in member.peers() {
                let taken_in = member.incarnation_taken_in(*peer);
                if taken_in > status.reader().stall_incarnation(*peer) {
                    status.set_stall_from_ns(*peer, self.began(*peer, now_ns));
                    status.set_stall_to_ns(*peer, now_ns);
                    status.set_stall_incarnation(*peer, taken_in);
                }
            }
            self.since = None;
        }
    }

    fn wait(&mut self, wait: Wait, now_ns: u64) {
        let on = match wait {
            Wait::Frame(peer) | Wait::Repair(peer) | Wait::Room(peer) => peer,
            _ => return,
        };
        if self.since.is_none_or(|(peer, _)| peer != on) {
            self.since = Some((on, now_ns));
        }
    }

    /// When the wait on this peer's account began; now, if there was none.
    fn began(&self, on: Torus, now_ns: u64) -> u64 {
        self.since
            .filter(|(peer, _)| *peer == on)
            .map_or(now_ns, |(_, since_ns)| since_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_counts_from_its_first_look_and_for_its_peer_alone() {
        let mut stalls = Stalls::default();
        assert_eq!(stalls.began(Torus::B, 9), 9);
        stalls.wait(Wait::Frame(Torus::B), 10);
        stalls.wait(Wait::Stop, 11);
        stalls.wait(Wait::Room(Torus::B), 12);
        assert_eq!(stalls.began(Torus::B, 20), 10);
        assert_eq!(stalls.began(Torus::C, 20), 20);
        stalls.wait(Wait::Frame(Torus::C), 15);
        assert_eq!(stalls.began(Torus::C, 20), 15);
    }
}
