//! When the boundaries are: the calendar that all three tori share.

use shm_layout::config::RunConfig;

/// Maps boundaries of virtual time to ticks.
///
/// Boundary b lies at tick b·k. A run with `--until T` ends at tick T+1: its last interval is cut there, at all tori.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    interval: u64,
    lag: u64,
    end: u64,
}

impl Calendar {
    /// The calendar of a validated configuration.
    pub fn of(config: &RunConfig) -> Self {
        Self {
            interval: config.interval,
            lag: u64::from(config.lag),
            end: config.until.map_or(u64::MAX, |last| last + 1),
        }
    }

    /// The lag L in intervals.
    pub fn lag(&self) -> u64 {
        self.lag
    }

    /// The length of every interval in ticks.
    pub fn interval(&self) -> u64 {
        self.interval
    }

    /// The tick of boundary `b`, cut at the end of the run.
    pub fn tick(&self, b: u64) -> u64 {
        self.interval.saturating_mul(b).min(self.end)
    }

    /// The earliest tick at which an event emitted in interval `n` may arrive at another torus: boundary n+L.
    ///
    /// It is not cut at the end of the run: whatever lies beyond it is never executed, but it is counted and hashed,
    /// so it must be the same wherever it is computed.
    pub fn remote_floor(&self, n: u64) -> u64 {
        self.interval.saturating_mul(n.saturating_add(self.lag))
    }

    /// The boundary at which the run ends, if its configuration sets one.
    pub fn last_boundary(&self) -> Option<u64> {
        (self.end != u64::MAX).then(|| self.end.div_ceil(self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(interval: u64, lag: u64, until: Option<u64>) -> Calendar {
        Calendar {
            interval,
            lag,
            end: until.map_or(u64::MAX, |t| t + 1),
        }
    }

    #[test]
    fn the_last_interval_is_cut_one_tick_after_until() {
        let calendar = calendar(100, 2, Some(250));
        assert_eq!(calendar.last_boundary(), Some(3));
        assert_eq!(calendar.tick(2), 200);
        assert_eq!(calendar.tick(3), 251);
        assert_eq!(calendar.remote_floor(2), 400);
    }

    #[test]
    fn a_run_whose_end_is_a_boundary_has_no_empty_interval() {
        assert_eq!(calendar(100, 1, Some(299)).last_boundary(), Some(3));
        assert_eq!(calendar(100, 1, Some(300)).last_boundary(), Some(4));
        assert_eq!(calendar(100, 1, Some(0)).last_boundary(), Some(1));
        assert_eq!(calendar(100, 1, None).last_boundary(), None);
    }
}
