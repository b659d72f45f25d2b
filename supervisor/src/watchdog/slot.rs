//! What the watchdog knows of the worker of one torus, apart from what the segment says.

use shm_layout::control::Recovery;
use shm_layout::sys::pidfd::PidFd;
use shm_layout::torus::Torus;

use super::complaints::Complaints;
use super::death::{Ending, Fault};
use super::hang::HangDetector;
use super::policy::RestartPolicy;
use super::table::State;

/// The living process of a torus.
#[derive(Debug)]
pub struct Process {
    /// The handle that names this process and no other, for as long as it is open.
    pub pidfd: PidFd,
    /// Its number, for people.
    pub pid: u32,
    /// Judges its heartbeat.
    pub hang: HangDetector,
}

/// A recovery that is under way: its number in the log, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct OpenRecovery {
    /// Its number in the recovery log.
    pub number: u64,
    /// What is known of it.
    pub record: Recovery,
}

/// The worker of one torus.
#[derive(Debug)]
pub struct Slot {
    /// Which torus.
    pub torus: Torus,
    /// Where it stands.
    pub state: State,
    /// Its process, while it exists.
    pub process: Option<Process>,
    /// The incarnation that was started last.
    pub incarnation: u64,
    /// The highest incarnation that may have been started, by whichever watchdog; never used again.
    pub used: u64,
    /// When that one was started, CLOCK_MONOTONIC in ns; 0 for an adopted worker.
    pub spawned_ns: u64,
    /// How the last process ended.
    pub ending: Ending,
    /// Why the last process could not even be started; none when it could.
    pub not_started: Option<String>,
    /// What the watchdog killed the last process for; none when it did not.
    pub fault: Option<Fault>,
    /// When the successor may start, CLOCK_MONOTONIC in ns.
    pub restart_ns: u64,
    /// Since when no worker of this torus has got anywhere, CLOCK_MONOTONIC in ns; 0: one has.
    pub away_since_ns: u64,
    /// The next look at whether it is to be declared absent.
    pub absence_look_ns: u64,
    /// It died so often without progress that the run would have been given up, but the others go on without it.
    pub gave_up: bool,
    /// The run ended without it.
    pub left_behind: bool,
    /// When the region lock was first found held by nobody who lives; 0: not so.
    pub lock_held_since_ns: u64,
    /// When the death was seen.
    pub detected_ns: u64,
    /// The highest boundary that any earlier incarnation reached.
    pub best_boundary: u64,
    /// The memory of the restart policy.
    pub policy: RestartPolicy,
    /// The recovery that is under way.
    pub recovery: Option<OpenRecovery>,
    /// What its peers complain about.
    pub complaints: Complaints,
}

impl Slot {
    /// A torus without a process, whose first worker may start at once. `incarnation` is what its status cell says,
    /// `expected` what the control words say: that one is stored before a worker is started, so it may have been.
    pub fn new(torus: Torus, incarnation: u64, expected: u64, best_boundary: u64) -> Self {
        Slot {
            torus,
            state: State::Resting,
            process: None,
            incarnation,
            used: incarnation.max(expected),
            spawned_ns: 0,
            ending: Ending::Unknown,
            not_started: None,
            fault: None,
            restart_ns: 0,
            away_since_ns: 0,
            absence_look_ns: 0,
            gave_up: false,
            left_behind: false,
            lock_held_since_ns: 0,
            detected_ns: 0,
            best_boundary,
            policy: RestartPolicy::default(),
            recovery: None,
            complaints: Complaints::default(),
        }
    }

    /// The number of the next worker: one that nobody can have had. `in_cell` and `expected` are what the status cell and
    /// the control words say now; `kill` promises a number there that must be reached, and that nobody has yet.
    pub fn next_incarnation(&self, in_cell: u64, expected: u64) -> u64 {
        let used = self.used.max(self.incarnation).max(in_cell);
        expected.max(used + 1)
    }

    /// Whether a process of it exists, as far as is known.
    pub fn exists(&self) -> bool {
        matches!(self.state, State::Alive | State::Killed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_an_earlier_watchdog_may_have_used_is_not_used_again() {
        let fresh = Slot::new(Torus::A, 0, 0, 0);
        assert_eq!(fresh.next_incarnation(0, 0), 1);
        // Number 4 was stored, and its worker may be on its way to the region lock.
        let found = Slot::new(Torus::A, 3, 4, 0);
        assert_eq!(found.next_incarnation(3, 4), 5);
        assert_eq!(found.next_incarnation(6, 4), 7);
    }

    #[test]
    fn a_number_that_kill_promised_is_used_for_the_successor() {
        let mut slot = Slot::new(Torus::A, 0, 0, 0);
        (slot.incarnation, slot.used) = (1, 1);
        assert_eq!(slot.next_incarnation(1, 2), 2);
        assert_eq!(slot.next_incarnation(1, 1), 2, "no promise, the same number");
    }
}
