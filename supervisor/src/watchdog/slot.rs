//! What the watchdog knows of the worker of one torus, apart from what the segment says.

use shm_layout::control::Recovery;
use shm_layout::sys::pidfd::PidFd;
use shm_layout::torus::Torus;

use super::death::Ending;
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
    /// When that one was started, CLOCK_MONOTONIC in ns; 0 for an adopted worker.
    pub spawned_ns: u64,
    /// How the last process ended.
    pub ending: Ending,
    /// Why the last process could not even be started; none when it could.
    pub not_started: Option<String>,
    /// Whether the watchdog killed the last process because it hung.
    pub hung: bool,
    /// When the successor may start, CLOCK_MONOTONIC in ns.
    pub restart_ns: u64,
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
}

impl Slot {
    /// A torus without a process, whose first worker may start at once.
    pub fn new(torus: Torus, incarnation: u64, best_boundary: u64) -> Self {
        Slot {
            torus,
            state: State::Resting,
            process: None,
            incarnation,
            spawned_ns: 0,
            ending: Ending::Unknown,
            not_started: None,
            hung: false,
            restart_ns: 0,
            lock_held_since_ns: 0,
            detected_ns: 0,
            best_boundary,
            policy: RestartPolicy::default(),
            recovery: None,
        }
    }

    /// Whether a process of it exists, as far as is known.
    pub fn exists(&self) -> bool {
        matches!(self.state, State::Alive | State::Killed)
    }
}
