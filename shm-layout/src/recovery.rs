//! One recovery, as a record of the recovery log.

use super::torus::Torus;

/// Words of a record of the recovery log.
pub const RECOVERY_WORDS: usize = 16;

/// Why a worker died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Cause {
    /// Not known: the worker was adopted, or nobody saw it die.
    #[default]
    Unknown,
    /// A signal, with its number.
    Signal(i32),
    /// It exited, with its code.
    Exit(i32),
    /// Its heartbeat stopped, and the supervisor killed it.
    Hang,
    /// The supervisor ended it, because what it had committed had to be taken back.
    Rollback,
}

impl Cause {
    fn to_words(self) -> [u64; 2] {
        match self {
            Cause::Unknown => [0, 0],
            Cause::Signal(number) => [1, number as u64],
            Cause::Exit(code) => [2, code as u64],
            Cause::Hang => [3, 0],
            Cause::Rollback => [4, 0],
        }
    }

    fn from_words(kind: u64, detail: u64) -> Cause {
        match kind {
            1 => Cause::Signal(detail as i32),
            2 => Cause::Exit(detail as i32),
            3 => Cause::Hang,
            4 => Cause::Rollback,
            _ => Cause::Unknown,
        }
    }
}

/// One recovery. Times are CLOCK_MONOTONIC in ns; 0: not (yet) known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Who died.
    pub torus: Torus,
    /// The successor's incarnation.
    pub incarnation: u64,
    /// Why.
    pub cause: Cause,
    /// When it died, if somebody knows (`kill` records it).
    pub death_ns: u64,
    /// When the supervisor saw it.
    pub detected_ns: u64,
    /// When the successor had been spawned.
    pub spawned_ns: u64,
    /// When the successor's code began.
    pub started_ns: u64,
    /// When it had loaded a checkpoint.
    pub loaded_ns: u64,
    /// When it had replayed up to its predecessor's last committed frame.
    pub rehydrated_ns: u64,
    /// When it had caught up with its peers.
    pub caught_up_ns: u64,
    /// How many intervals it replayed.
    pub replayed_intervals: u64,
    /// Whether the successor was a process that had stood by.
    pub from_standby: bool,
    /// When the successor had taken its region over, and began to write.
    pub locked_ns: u64,
    /// The longest time in ns for which a survivor could not go on until the successor's first frame came; none as long as
    /// not every survivor has taken that frame in.
    pub stalled_ns: Option<u64>,
    /// How much of the time until it had caught up the successor executed events, in ns: those of the replay, and those of the
    /// interval that its predecessor died in.
    pub executing_ns: u64,
}

impl Recovery {
    /// A recovery of which nothing but torus, incarnation and cause is known yet.
    pub fn new(torus: Torus, incarnation: u64, cause: Cause) -> Self {
        Self {
            torus,
            incarnation,
            cause,
            death_ns: 0,
            detected_ns: 0,
            spawned_ns: 0,
            started_ns: 0,
            loaded_ns: 0,
            rehydrated_ns: 0,
            caught_up_ns: 0,
            replayed_intervals: 0,
            from_standby: false,
            locked_ns: 0,
            stalled_ns: None,
            executing_ns: 0,
        }
    }

    pub(crate) fn to_words(self) -> [u64; RECOVERY_WORDS] {
        let [cause, detail] = self.cause.to_words();
        [
            self.torus.index() as u64,
            self.incarnation,
            cause,
            detail,
            self.death_ns,
            self.detected_ns,
            self.spawned_ns,
            self.started_ns,
            self.loaded_ns,
            self.rehydrated_ns,
            self.caught_up_ns,
            self.replayed_intervals,
            u64::from(self.from_standby),
            self.locked_ns,
            self.stalled_ns.map_or(0, |ns| ns.saturating_add(1)),
            self.executing_ns,
        ]
    }

    pub(crate) fn from_words(words: &[u64; RECOVERY_WORDS]) -> Option<Recovery> {
        Some(Recovery {
            torus: Torus::from_index(usize::try_from(words[0]).ok()?)?,
            incarnation: words[1],
            cause: Cause::from_words(words[2], words[3]),
            death_ns: words[4],
            detected_ns: words[5],
            spawned_ns: words[6],
            started_ns: words[7],
            loaded_ns: words[8],
            rehydrated_ns: words[9],
            caught_up_ns: words[10],
            replayed_intervals: words[11],
            from_standby: words[12] != 0,
            locked_ns: words[13],
            stalled_ns: words[14].checked_sub(1),
            executing_ns: words[15],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_words() {
        for cause in [
            Cause::Unknown,
            Cause::Signal(9),
            Cause::Exit(-1),
            Cause::Hang,
            Cause::Rollback,
        ] {
            let mut recovery = Recovery::new(Torus::C, 7, cause);
            recovery.death_ns = 1;
            recovery.replayed_intervals = 9;
            recovery.from_standby = true;
            recovery.stalled_ns = Some(0);
            assert_eq!(Recovery::from_words(&recovery.to_words()), Some(recovery));
        }
        let mut words = Recovery::new(Torus::A, 1, Cause::Hang).to_words();
        words[0] = 3;
        assert_eq!(Recovery::from_words(&words), None);
        words[0] = u64::MAX;
        assert_eq!(Recovery::from_words(&words), None);
    }
}
