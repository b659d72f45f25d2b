//! How a worker waits: look again a few times, give the processor away a few times, then sleep on the doorbells.
//!
//! With three workers on two cores looking keeps the very worker from running that is waited for: a sparse interval of 100
//! ticks takes 138 µs without, 245 µs with 50 looks and 2.1 ms with 2000. With a core each, sleeping costs a wake-up: 50 µs
//! with 2000 looks, 71 µs without. So one looks often only where there is a core for every worker (docs/PERFORMANCE.md).

use std::time::Duration;

use shm_layout::region::WorkerSegment;
use shm_layout::sys::futex::{FutexWord, wait_any};
use shm_layout::torus::Torus;

/// Looks before giving the processor away, with a core for each worker and without.
const SPINS: [u32; 2] = [2000, 0];
/// Times the processor is given away before sleeping.
const YIELDS: u32 = 8;
/// The longest sleep: what a lost wake-up would cost, and how often a waiting worker shows that it lives.
const SLEEP: Duration = Duration::from_millis(5);
/// The first sleeps of a wait where there are several cores, but fewer than workers. Of two cores three workers then use 1.95
/// instead of 1.91. Probably a core that becomes idle takes over no thread that has just run elsewhere, and looks again only
/// some milliseconds later, unless someone wakes up for a moment on it (docs/PERFORMANCE.md).
const NAP: Duration = Duration::from_micros(500);
/// How many of them: whoever waits for longer does not wait for a peer that is off its core.
const NAPS: u32 = 20;

/// The state of one wait.
pub(super) struct Waiter {
    spins: u32,
    naps: u32,
    round: u32,
}

/// What the caller does next: look again, or look once more and then sleep.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    LookAgain,
    Sleep,
}

impl Waiter {
    /// A waiter for a run of this many workers.
    pub(super) fn new(workers: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            spins: SPINS[usize::from(cores < workers)],
            naps: if (2..workers).contains(&cores) { NAPS } else { 0 },
            round: 0,
        }
    }

    /// Something was done: the next wait begins anew.
    pub(super) fn reset(&mut self) {
        self.round = 0;
    }

    /// Passes a little time, or says that it is time to sleep.
    pub(super) fn pause(&mut self) -> Next {
        self.round = self.round.saturating_add(1);
        if self.round <= self.spins {
            std::hint::spin_loop();
            Next::LookAgain
        } else if self.round <= self.spins + YIELDS {
            std::thread::yield_now();
            Next::LookAgain
        } else {
            Next::Sleep
        }
    }

    /// The longest that the next sleep of this wait may be.
    pub(super) fn sleep(&self) -> Duration {
        if self.round <= self.spins + YIELDS + self.naps {
            NAP
        } else {
            SLEEP
        }
    }
}

/// The doorbells that a worker sleeps on, with the values that they had before its last look.
pub(super) struct Doorbells<'s> {
    words: Vec<(FutexWord<'s>, u32)>,
}

impl<'s> Doorbells<'s> {
    /// The doorbells of both peers and of the supervisor, as they are now.
    pub(super) fn of(segment: &WorkerSegment<'s>) -> Self {
        let peers = segment
            .peers
            .iter()
            .flatten()
            .map(|region| region.status.doorbell_word());
        let words = peers.chain(std::iter::once(segment.control.doorbell_word()));
        Self {
            words: words.map(|word| (word, word.value())).collect(),
        }
    }

    /// Takes their values anew, before another last look.
    pub(super) fn refresh(&mut self) {
        self.words
            .iter_mut()
            .for_each(|(word, value)| *value = word.value());
    }

    /// Sleeps until one of them has rung since then, or for so long.
    pub(super) fn sleep(&self, at_most: Duration) {
        wait_any(&self.words, at_most);
    }
}

/// Wakes whoever sleeps on this worker's doorbell, which has just been rung.
pub(super) fn wake_peers(segment: &WorkerSegment<'_>, own: Torus) {
    let sleeps = |torus: &Torus| {
        segment.peers[torus.index()]
            .as_ref()
            .is_some_and(|region| region.status.sleeps())
    };
    if Torus::ALL.iter().filter(|torus| **torus != own).any(sleeps) {
        segment.own.status.doorbell_word().wake(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_begins_with_naps_and_goes_on_with_sleeps() {
        let mut waiter = Waiter {
            spins: 0,
            naps: 1,
            round: 0,
        };
        while waiter.pause() == Next::LookAgain {}
        assert_eq!(waiter.sleep(), NAP);
        assert_eq!(waiter.pause(), Next::Sleep);
        assert_eq!(waiter.sleep(), SLEEP);
        waiter.reset();
        assert_eq!(waiter.pause(), Next::LookAgain);
    }
}
