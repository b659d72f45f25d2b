//! Courtesy: while a peer's successor catches up, those that survived leave it a core.
//!
//! With fewer cores than workers all share them evenly, and the successor, which everybody is going to wait for, executes
//! what it has to at two thirds of a core. So a survivor rests between its stretches as long as it takes for the survivors
//! together to use all cores but one. With a core for every worker, or only one core at all, nobody rests.

use std::time::Duration;

use shm_layout::config::{OnLoss, RunConfig};
use shm_layout::owner::OwnerDied;
use shm_layout::status::Phase;
use shm_layout::sys::clock;

use crate::journal::Journal;
use crate::member::{Host, Member};
use crate::model::Model;

/// Shorter rests are put together: a sleep is some 50 µs longer than it was to be.
const REST_MIN_NS: u64 = 300_000;

/// The rests of one worker.
pub(super) struct Courtesy {
    /// The time to rest for a time of work, as a fraction.
    rest: Option<(u64, u64)>,
    /// Processor time at the end of the last rest, or when nobody was catching up.
    worked_ns: u64,
}

impl Courtesy {
    /// The courtesy of a worker of this run on this machine. Where the others go on without a torus that stays away, nobody
    /// waits for it, and nobody rests.
    pub(super) fn new(config: &RunConfig) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            rest: rest(config.tori.into(), cores as u64).filter(|_| config.on_loss == OnLoss::Wait),
            worked_ns: clock::thread_cpu_ns(),
        }
    }

    /// Rests for what has been done since the last rest, if a peer is catching up. To be called after each stretch.
    pub(super) fn observe<M: Model, J: Journal, H: Host>(&mut self, member: &Member<'_, M, J, H>) {
        let Some((rest, work)) = self.rest else {
            return;
        };
        let now_ns = clock::thread_cpu_ns();
        let owed_ns = (now_ns - self.worked_ns) * rest / work;
        if !catches_up(member) {
            self.worked_ns = now_ns;
        } else if owed_ns >= REST_MIN_NS {
            self.worked_ns = now_ns;
            std::thread::sleep(Duration::from_nanos(owed_ns));
        }
    }
}

/// Whether a peer has just died, or its successor is on its way to the first frame that it had not committed.
fn catches_up<M: Model, J: Journal, H: Host>(member: &Member<'_, M, J, H>) -> bool {
    member.segment().peers.iter().flatten().any(|peer| {
        let is_at_work = !matches!(peer.status.phase(), Phase::Finished | Phase::Failed);
        let has_died = || OwnerDied::from_word(peer.status.owner_word()).is_some();
        is_at_work && (peer.status.caught_up_ns() == 0 || has_died())
    })
}

/// How long each survivor rests for a time of work, so that all survivors together leave one core free.
fn rest(workers: u64, cores: u64) -> Option<(u64, u64)> {
    (1 < cores && cores < workers).then(|| (workers - cores, cores - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survivors_use_all_cores_but_one() {
        // Two survivors on the other core: each rests as long as it works.
        assert_eq!(rest(3, 2), Some((1, 1)));
        // A core for each, or none to leave free.
        assert_eq!(rest(3, 3), None);
        assert_eq!(rest(3, 1), None);
    }
}
