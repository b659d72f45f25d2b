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
/// The run time that may be owed when another checkpoint is asked for. What is dear once, as the first checkpoints of a
/// successor are, whose memory has not been touched yet, does not leave the torus without one; and as checkpoints are taken
/// at boundaries only, a budget for one in every 1.05 intervals gives twenty in 21, where waiting for it after each would
/// give one in every two.
const OWED_MAX_NS: u64 = 200_000_000;
/// What a successor's first checkpoint and mirrors cost: on a small budget that is worth more run time than the above.
const DEAR_NS: u64 = 4_000_000;

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
    /// The newest checkpoint.
    taken: u64,
    debt: Debt,
    /// Checkpoints asked for.
    asked: u64,
    /// The wall clock before which no other is asked for.
    due_ns: u64,
    seen: Timekeeper,
}

/// Run time after which all that has been spent is worth it, beyond what has passed. Time that passes while nothing is owed
/// is not saved up: in the long run never more than the share is spent, whatever was spared before.
#[derive(Clone, Copy)]
struct Debt {
    owed_ns: u64,
    /// How much of it leaves room for another checkpoint.
    most_ns: u64,
    /// When it was so much.
    at_ns: u64,
}

impl Debt {
    fn owe(&mut self, run_ns: u64) {
        self.owed_ns += run_ns;
    }

    /// Whether more may be spent at this time, which has come since.
    fn allows(&mut self, now_ns: u64) -> bool {
        self.owed_ns = self.owed_ns.saturating_sub(now_ns.saturating_sub(self.at_ns));
        self.at_ns = now_ns;
        self.owed_ns <= self.most_ns
    }
}

impl CheckpointBudget {
    pub(super) fn new(permille: u32, now_ns: u64) -> Self {
        let permille = u64::from(permille).max(1);
        Self {
            permille,
            taken: 0,
            debt: Debt {
                owed_ns: 0,
                most_ns: OWED_MAX_NS.max(DEAR_NS * 1000 / permille),
                at_ns: now_ns,
            },
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
        if now_ns < self.due_ns || member.checkpoint_requested() || !self.debt.allows(now_ns) {
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
        let before_ns = self.seen.checkpoint_ns + self.seen.mirror_ns;
        let spent_ns = host.checkpoint_ns + host.mirror_ns - before_ns;
        if spent_ns == 0 {
            return;
        }
        self.seen = host;
        let status = &member.segment().own.status;
        status.set_checkpoint_ns_total(host.checkpoint_ns);
        status.set_mirror_ns_total(host.mirror_ns);
        self.debt.owe(spent_ns * 1000 / self.permille);
        if member.newest_checkpoint() != self.taken {
            self.taken = member.newest_checkpoint();
            self.due_ns = now_ns + PAUSE_NS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which of these boundaries, so far apart, a checkpoint is taken that costs so much, at 2 %.
    fn taken(apart_ns: u64, costs_ns: &[u64]) -> Vec<bool> {
        let mut debt = Debt {
            owed_ns: 0,
            most_ns: OWED_MAX_NS,
            at_ns: 0,
        };
        let take = |(boundary, cost_ns): (u64, &u64)| {
            let is_taken = debt.allows(boundary * apart_ns);
            debt.owe(if is_taken { cost_ns * 50 } else { 0 });
            is_taken
        };
        (1..).zip(costs_ns).map(take).collect()
    }

    fn count(taken: &[bool]) -> usize {
        taken.iter().filter(|is_taken| **is_taken).count()
    }

    #[test]
    fn the_cost_has_its_share_in_the_long_run_and_nothing_of_it_is_lost_to_boundaries() {
        // A checkpoint is worth 21 ms, and boundaries are 20 ms apart: 20 of 21.
        let found = count(&taken(20_000_000, &[420_000; 2100]));
        assert!((2000..=2012).contains(&found), "{found}");
        // It is worth 100 ms: one of five.
        let found = count(&taken(20_000_000, &[2_000_000; 1000]));
        assert!((200..=203).contains(&found), "{found}");
        // It is worth less than an interval: all of them.
        assert_eq!(count(&taken(20_000_000, &[390_000; 1000])), 1000);
    }

    #[test]
    fn what_was_spared_is_not_spent_later() {
        let mut debt = Debt {
            owed_ns: 0,
            most_ns: OWED_MAX_NS,
            at_ns: 0,
        };
        assert!(debt.allows(1_000_000_000_000));
        debt.owe(OWED_MAX_NS + 1);
        assert!(!debt.allows(1_000_000_000_000));
        assert!(debt.allows(1_000_000_000_001));
    }

    #[test]
    fn a_dear_checkpoint_does_not_leave_the_torus_without_one_for_long() {
        let mut costs_ns = [390_000; 100];
        costs_ns[0] = 4_000_000;
        assert_eq!(count(&taken(20_000_000, &costs_ns)), 100);
        // One that is worth more than may be owed is waited for.
        costs_ns[50] = 8_000_000;
        let found = taken(20_000_000, &costs_ns);
        assert!(!found[51] && count(&found) > 80, "{found:?}");
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
