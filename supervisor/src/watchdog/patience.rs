//! How long a stop may stand still. Only time in which nobody computes counts: an interval of any length is executed or
//! replayed to its end, however long that takes. A worker that computes without an end is a hang, and judged as one.

/// Nanoseconds between two looks.
const PERIOD_NS: u64 = 250_000_000;
/// So long may every worker wait before the patience is over.
pub const PATIENCE_NS: u64 = 10_000_000_000;

/// The memory of a stop that is under way.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    progress: u64,
    last_look_ns: u64,
    idle_ns: u64,
}

impl Patience {
    /// Begins now.
    pub fn new(now_ns: u64) -> Self {
        Patience {
            progress: 0,
            last_look_ns: now_ns,
            idle_ns: 0,
        }
    }

    /// When to look next.
    pub fn next_look_ns(&self) -> u64 {
        self.last_look_ns + PERIOD_NS
    }

    /// One look: how far all have come, and whether any of them computes. True when the patience is over. One look says
    /// little about a worker, most looks say what it does: those that found it computing are set off against the others.
    /// Time that the watchdog slept through does not count.
    pub fn look(&mut self, progress: u64, computes: bool, now_ns: u64) -> bool {
        let elapsed = now_ns.saturating_sub(self.last_look_ns).min(2 * PERIOD_NS);
        self.last_look_ns = now_ns;
        if progress != self.progress {
            self.progress = progress;
            self.idle_ns = 0;
        } else if computes {
            self.idle_ns = self.idle_ns.saturating_sub(elapsed);
        } else {
            self.idle_ns += elapsed;
        }
        self.idle_ns >= PATIENCE_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The look that ends the patience, if one of `looks` does.
    fn ended(computes: impl Fn(u64) -> bool, progress: impl Fn(u64) -> u64, looks: u64) -> Option<u64> {
        let mut patience = Patience::new(0);
        (1..=looks).find(|&i| patience.look(progress(i), computes(i), i * PERIOD_NS))
    }

    #[test]
    fn workers_that_wait_lose_it_after_ten_seconds() {
        assert_eq!(ended(|_| false, |_| 0, 1000), Some(40));
    }

    #[test]
    fn a_worker_that_computes_keeps_it_for_ever() {
        assert_eq!(ended(|_| true, |_| 0, 1_000_000), None);
        assert_eq!(
            ended(|i| i % 5 != 0, |_| 0, 1_000_000),
            None,
            "seen waiting now and then"
        );
    }

    #[test]
    fn a_worker_that_waits_is_not_saved_by_being_seen_awake_now_and_then() {
        assert!(ended(|i| i % 20 == 0, |_| 0, 1000).is_some_and(|look| look < 60));
    }

    #[test]
    fn every_boundary_renews_it() {
        assert_eq!(ended(|_| false, |i| i / 39, 100_000), None);
    }

    #[test]
    fn a_watchdog_that_slept_loses_no_patience() {
        assert!(!Patience::new(0).look(0, false, 3600 * PATIENCE_NS));
    }
}
