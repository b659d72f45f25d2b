//! When a successor may start: restart intensity. A worker that got somewhere is replaced at once; one that dies before
//! it does is given ever longer pauses, and in the end the run is given up with the reason.

/// Pause before the second fruitless restart; doubles from there.
const FIRST_PAUSE_NS: u64 = 10_000_000;
/// The pauses grow no longer than this.
pub const LONGEST_PAUSE_NS: u64 = 1_000_000_000;
/// So many fruitless deaths in a row by the worker's own fault, and the run has failed.
const FAULTS_MAX: u32 = 10;
/// The first costs no pause: one death during a recovery is nothing unusual.
const FAULTS_FREE: u32 = 1;
/// Signals from outside (a person, a test, the out-of-memory killer) say little about the worker: far more patience.
const OUTSIDE_MAX: u32 = 200;
/// So many of them in a row cost no pause, and later pauses stay short.
const OUTSIDE_FREE: u32 = 20;
const OUTSIDE_PAUSE_NS: u64 = 50_000_000;

/// What is known of a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// Whether the worker committed a boundary that no earlier incarnation of its torus had reached.
    pub progressed: bool,
    /// Whether somebody else ended it.
    pub from_outside: bool,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start the successor after so many nanoseconds.
    RestartAfter(u64),
    /// Give the run up: so many fruitless deaths in a row.
    GiveUp(u32),
}

/// The memory of one torus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestartPolicy {
    faults: u32,
    outside: u32,
}

impl RestartPolicy {
    /// The verdict on one more death.
    pub fn on_death(&mut self, death: Death) -> Verdict {
        if death.progressed {
            *self = RestartPolicy::default();
            return Verdict::RestartAfter(0);
        }
        let (count, limit, free, ceiling) = match death.from_outside {
            true => (&mut self.outside, OUTSIDE_MAX, OUTSIDE_FREE, OUTSIDE_PAUSE_NS),
            false => (&mut self.faults, FAULTS_MAX, FAULTS_FREE, LONGEST_PAUSE_NS),
        };
        *count += 1;
        match *count >= limit {
            true => Verdict::GiveUp(*count),
            false => Verdict::RestartAfter(pause(count.saturating_sub(free), ceiling)),
        }
    }
}

/// The pause after so many fruitless deaths beyond those that are free.
fn pause(count: u32, ceiling: u64) -> u64 {
    match count {
        0 => 0,
        _ => FIRST_PAUSE_NS
            .saturating_mul(1 << (count - 1).min(32))
            .min(ceiling),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRUITLESS: Death = Death {
        progressed: false,
        from_outside: false,
    };
    const KILLED: Death = Death {
        progressed: false,
        from_outside: true,
    };
    const FRUITFUL: Death = Death {
        progressed: true,
        from_outside: false,
    };

    #[test]
    fn a_worker_that_progressed_is_replaced_at_once_however_often_it_dies() {
        let mut policy = RestartPolicy::default();
        for _ in 0..1000 {
            assert_eq!(policy.on_death(FRUITFUL), Verdict::RestartAfter(0));
        }
    }

    #[test]
    fn fruitless_deaths_pause_longer_and_longer_and_end() {
        let mut policy = RestartPolicy::default();
        let mut pauses = Vec::new();
        let ended = loop {
            match policy.on_death(FRUITLESS) {
                Verdict::RestartAfter(ns) => pauses.push(ns / 1_000_000),
                Verdict::GiveUp(count) => break count,
            }
        };
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 320, 640, 1000]);
        assert_eq!(ended, 10);
    }

    #[test]
    fn progress_forgives() {
        let mut policy = RestartPolicy::default();
        for _ in 0..9 {
            policy.on_death(FRUITLESS);
        }
        assert_eq!(policy.on_death(FRUITFUL), Verdict::RestartAfter(0));
        assert_eq!(policy.on_death(FRUITLESS), Verdict::RestartAfter(0));
    }

    #[test]
    fn kills_from_outside_are_borne_with_patience() {
        let mut policy = RestartPolicy::default();
        for i in 1..200 {
            let Verdict::RestartAfter(ns) = policy.on_death(KILLED) else {
                panic!("gave up after {i}")
            };
            assert!(if i <= 20 { ns == 0 } else { ns <= 50_000_000 }, "{i}: {ns}");
        }
        assert_eq!(policy.on_death(KILLED), Verdict::GiveUp(200));
    }
}
