//! Whether a worker hangs, judged by the progress of its heartbeat counter alone, never by a clock of its own.
//!
//! Only time that the watchdog itself was awake for counts: each look adds at most two looking periods. So a machine
//! that slept, or a watchdog that was stopped for a minute, convicts nobody.

/// Shortest hang timeout: a healthy worker on a busy machine shows gaps of up to 25 ms.
pub const SHORTEST_TIMEOUT_NS: u64 = 50_000_000;
/// Looks per hang timeout.
const LOOKS: u64 = 4;
/// Longest time between two looks: they also find what workers complain about.
const LONGEST_PERIOD_NS: u64 = 1_000_000_000;

/// The memory of one worker.
#[derive(Debug, Clone, Copy)]
pub struct HangDetector {
    timeout_ns: u64,
    heartbeat: u64,
    last_look_ns: u64,
    still_ns: u64,
}

impl HangDetector {
    /// Starts to watch a worker whose heartbeat counter stands at `heartbeat`; timeouts under 50 ms are raised to it.
    pub fn new(timeout_ns: u64, heartbeat: u64, now_ns: u64) -> Self {
        let timeout_ns = timeout_ns.max(SHORTEST_TIMEOUT_NS);
        HangDetector {
            timeout_ns,
            heartbeat,
            last_look_ns: now_ns,
            still_ns: 0,
        }
    }

    /// Nanoseconds between two looks.
    pub fn period_ns(&self) -> u64 {
        (self.timeout_ns / LOOKS).min(LONGEST_PERIOD_NS)
    }

    /// When to look next.
    pub fn next_look_ns(&self) -> u64 {
        self.last_look_ns + self.period_ns()
    }

    /// One look. True when the heartbeat has stood still for `factor` timeouts.
    pub fn look(&mut self, heartbeat: u64, now_ns: u64, factor: u64) -> bool {
        let elapsed = now_ns.saturating_sub(self.last_look_ns).min(2 * self.period_ns());
        self.last_look_ns = now_ns;
        if heartbeat != self.heartbeat {
            self.heartbeat = heartbeat;
            self.still_ns = 0;
            return false;
        }
        self.still_ns += elapsed;
        self.still_ns >= self.timeout_ns * factor.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: u64 = 2_000_000_000;
    const PERIOD: u64 = TIMEOUT / 4;

    #[test]
    fn a_heart_that_stands_still_for_the_timeout_is_a_hang() {
        let mut detector = HangDetector::new(TIMEOUT, 7, 0);
        let verdicts: Vec<bool> = (1..=4).map(|i| detector.look(7, i * PERIOD, 1)).collect();
        assert_eq!(verdicts, [false, false, false, true]);
    }

    #[test]
    fn the_slightest_progress_starts_over() {
        let mut detector = HangDetector::new(TIMEOUT, 7, 0);
        for i in 1..100 {
            assert!(!detector.look(7 + i / 3, i * PERIOD, 1), "{i}");
        }
    }

    #[test]
    fn a_watchdog_that_slept_convicts_nobody() {
        let mut detector = HangDetector::new(TIMEOUT, 7, 0);
        assert!(!detector.look(7, 3600 * TIMEOUT, 1));
        assert!(!detector.look(8, 3600 * TIMEOUT + PERIOD, 1));
    }

    #[test]
    fn many_quick_looks_do_not_convict_early() {
        let mut detector = HangDetector::new(TIMEOUT, 7, 0);
        for i in 1..1999 {
            assert!(!detector.look(7, i * TIMEOUT / 2000, 1), "{i}");
        }
        assert!(detector.look(7, TIMEOUT, 1));
    }

    #[test]
    fn timeouts_are_never_shorter_than_a_busy_machine_explains() {
        let mut detector = HangDetector::new(1, 7, 0);
        assert!(!detector.look(7, SHORTEST_TIMEOUT_NS / 4, 1));
        assert_eq!(detector.period_ns(), SHORTEST_TIMEOUT_NS / 4);
    }

    #[test]
    fn a_worker_that_loads_gets_more_time() {
        let mut detector = HangDetector::new(TIMEOUT, 7, 0);
        let verdicts: Vec<bool> = (1..=16).map(|i| detector.look(7, i * PERIOD, 4)).collect();
        assert_eq!(verdicts.iter().position(|stalled| *stalled), Some(15));
    }
}
