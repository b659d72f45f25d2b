//! What a worker is doing, and which process it is.

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum Phase {
    /// No worker has ever run here.
    None = 0,
    /// Holds its lock, has not read its state yet.
    Starting = 1,
    /// Looks for the newest checkpoint and loads it.
    Rehydrating = 2,
    /// Re-executes the intervals after the checkpoint.
    Replaying = 3,
    /// Ready, at the start gate.
    Waiting = 4,
    /// Executes intervals.
    Running = 5,
    /// Has reached the run's last boundary.
    Finished = 6,
    /// Has given up; the failure text says why. It is not restarted.
    Failed = 7,
}

impl Phase {
    /// The phase of a word; `None` for damaged or foreign data.
    pub const fn from_word(word: u64) -> Option<Phase> {
        match word {
            0 => Some(Phase::None),
            1 => Some(Phase::Starting),
            2 => Some(Phase::Rehydrating),
            3 => Some(Phase::Replaying),
            4 => Some(Phase::Waiting),
            5 => Some(Phase::Running),
            6 => Some(Phase::Finished),
            7 => Some(Phase::Failed),
            _ => None,
        }
    }

    /// Its name in lower case, as `status` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::None => "none",
            Phase::Starting => "starting",
            Phase::Rehydrating => "rehydrating",
            Phase::Replaying => "replaying",
            Phase::Waiting => "waiting",
            Phase::Running => "running",
            Phase::Finished => "finished",
            Phase::Failed => "failed",
        }
    }
}

/// Which process a worker is: enough to tell it from any other that has ever had its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Identity {
    /// Process id.
    pub pid: u64,
    /// Start time in clock ticks since boot (field 22 of /proc/PID/stat).
    pub start_time: u64,
    /// The machine's boot id (/proc/sys/kernel/random/boot_id), as two words.
    pub boot_id: [u64; 2],
    /// How many times the worker of this torus has been started.
    pub incarnation: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_survives_its_word() {
        for word in 0..8 {
            assert_eq!(Phase::from_word(word).map(|phase| phase as u64), Some(word));
        }
        assert_eq!(Phase::from_word(8), None);
    }
}
