//! The checkpoint budget: how often a worker takes a checkpoint by itself.
//!
//! Checkpoints and the mirroring of the peers' take their share of the run time, by default 2 %. What they cost is
//! measured in processor time: where there are more workers than cores, a worker is taken off its core in the middle of
//! every other checkpoint, and by the wall clock that looked like 4 ms for less than one of work.

use shm_layout::sys::clock;

use crate::journal::Journal;
use crate::member::{Host, Killed, Member, Point};
use crate::model::Model;

/// Of so many checkpoints one is mirrored; what the others cost, they cost this worker alone.
const MIRRORED_ONE_IN: u64 = 8;
/// The shortest time between two checkpoints that the budget asks for.
const PAUSE_NS: u64 = 5_000_000;
/// Of the run time that is owed, one part in so many is waited for at once: what is dear once, as the first checkpoints of a
/// successor are, whose memory has not been touched yet, does not leave the torus without a checkpoint for long.
const PAID_ONE_IN: u64 = 4;

/// The host of a worker process: real signals end it, nothing else. It takes the time of checkpoints and mirrors.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timekeeper {
    begun_ns: u64,
    /// Processor time spent taking checkpoints, in ns.
    pub checkpoint_ns: u64,
    /// Processor time spent copying and verifying mirrors, in ns.
    pub mirror_ns: u64,
}

impl Host for Timekeeper {
    #[inline]
    fn reach(&mut self, point: Point) -> Result<(), Killed> {
        match point {
            Point::CheckpointBegun | Point::MirrorInvalidated => self.begun_ns = clock::thread_cpu_ns(),
            Point::CheckpointPublished => self.checkpoint_ns += clock::thread_cpu_ns() - self.begun_ns,
            Point::MirrorPublished => self.mirror_ns += clock::thread_cpu_ns() - self.begun_ns,
            _ => {}
        }
        Ok(())
    }
}

/// Asks for checkpoints so often that they, and the mirroring of the peers', take their share of the run time.
pub(super) struct CheckpointBudget {
    permille: u64,
    /// The newest checkpoint, and what had been spent when it was taken.
    taken: u64,
    spent_ns: u64,
    /// Run time after which all that has been spent is worth it, beyond what has been waited for.
    owed_ns: u64,
    /// Checkpoints asked for.
    asked: u64,
    /// The wall clock before which no other is asked for.
    due_ns: u64,
    seen: Timekeeper,
}

impl CheckpointBudget {
    pub(super) fn new(permille: u32, now_ns: u64) -> Self {
        Self {
            permille: u64::from(permille).max(1),
            taken: 0,
            spent_ns: 0,
            owed_ns: 0,
            asked: 0,
            due_ns: now_ns + PAUSE_NS,
            seen: Timekeeper::default(),
        }
    }

    /// Requests a checkpoint if one is due.
    pub(super) fn request<M: Model, J: Journal>(
        &mut self,
        member: &mut Member<'_, M, J, Timekeeper>,
        now_ns: u64,
    ) {
        if now_ns < self.due_ns || member.checkpoint_requested() {
            return;
        }
        if self.asked.is_multiple_of(MIRRORED_ONE_IN) {
            member.request_checkpoint();
        } else {
            member.request_local_checkpoint();
        }
        self.asked += 1;
    }

    /// Takes in what the step that began at `now_ns` cost, and plans the next checkpoint after one.
    pub(super) fn account<M: Model, J: Journal>(
        &mut self,
        member: &Member<'_, M, J, Timekeeper>,
        now_ns: u64,
    ) {
        let host = *member.host();
        let spent_ns = host.checkpoint_ns + host.mirror_ns;
        if spent_ns == self.seen.checkpoint_ns + self.seen.mirror_ns {
            return;
        }
        self.seen = host;
        let status = &member.segment().own.status;
        status.set_checkpoint_ns_total(host.checkpoint_ns);
        status.set_mirror_ns_total(host.mirror_ns);
        if member.newest_checkpoint() != self.taken {
            self.taken = member.newest_checkpoint();
            self.owed_ns += (spent_ns - self.spent_ns) * 1000 / self.permille;
            self.spent_ns = spent_ns;
            let pause_ns = pause(self.owed_ns);
            self.owed_ns = self.owed_ns.saturating_sub(pause_ns);
            self.due_ns = now_ns + pause_ns;
        }
    }
}

/// How long to wait when so much run time is owed.
fn pause(owed_ns: u64) -> u64 {
    (owed_ns / PAID_ONE_IN).max(PAUSE_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses after checkpoints of these costs, at 2 %.
    fn pauses(costs_ns: &[u64]) -> Vec<u64> {
        let mut owed_ns = 0;
        let pause = |cost_ns: &u64| {
            owed_ns += cost_ns * 50;
            let pause_ns = pause(owed_ns);
            owed_ns = owed_ns.saturating_sub(pause_ns);
            pause_ns
        };
        costs_ns.iter().map(pause).collect()
    }

    #[test]
    fn pauses_give_the_cost_its_share_in_the_long_run_and_are_never_short() {
        let long = pauses(&[400_000; 100]);
        assert_eq!(long.last(), Some(&20_000_000));
        let debt = 100 * 20_000_000 - long.iter().sum::<u64>();
        assert!(debt <= 60_000_000, "three checkpoints ahead: {debt}");
        assert_eq!(pauses(&[0]), [PAUSE_NS]);
    }

    #[test]
    fn a_dear_checkpoint_is_paid_for_over_many() {
        let mut costs_ns = [400_000; 100];
        costs_ns[50] = 4_000_000;
        let pauses = pauses(&costs_ns);
        assert!(
            pauses.iter().all(|pause_ns| *pause_ns <= 65_000_000),
            "{pauses:?}"
        );
        assert!(pauses[50..].iter().sum::<u64>() > 50 * 20_000_000 + 170_000_000);
    }

    #[test]
    fn a_checkpoint_is_timed_from_its_first_change_to_its_publication() {
        let mut host = Timekeeper::default();
        let mut reach = |point| host.reach(point).expect("nobody is killed here");
        reach(Point::CheckpointBegun);
        let begin = clock::thread_cpu_ns();
        while clock::thread_cpu_ns() < begin + 100_000 {}
        reach(Point::CheckpointPublished);
        reach(Point::MirrorInvalidated);
        reach(Point::MirrorPublished);
        assert!(host.checkpoint_ns >= 100_000);
        assert!(host.mirror_ns < host.checkpoint_ns);
    }
}
