//! One recovery: from the death of a worker to its successor having caught up, in parts.

use serde::Serialize;

use crate::text::show;
use crate::watchdog::death;

/// A recovery. The parts are nanoseconds since the death; null for what did not happen before the successor died too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// The incarnation that came to life.
    pub incarnation: u64,
    /// What ended the one before: `SIGKILL`, `exit code 101`, `hung`, `exit status unknown`.
    pub cause: String,
    /// When it died, on the machine's monotonic clock: the supervisor's own kill, else the worker's last heartbeat.
    pub death_ns: u64,
    /// The supervisor knew of the death.
    pub detected_ns: Option<u64>,
    /// The successor's process was started.
    pub respawned_ns: Option<u64>,
    /// The successor ran.
    pub started_ns: Option<u64>,
    /// It had found and loaded the newest good checkpoint.
    pub loaded_ns: Option<u64>,
    /// It had replayed up to the last committed frame.
    pub rehydrated_ns: Option<u64>,
    /// It had gone on live to where its peers could go on.
    pub caught_up_ns: Option<u64>,
    /// Intervals that it replayed.
    pub replayed_intervals: u64,
    /// Whether the successor was a process that had stood by.
    pub from_standby: bool,
    /// It had taken its region over, and began to write. It may have been loading and replaying before.
    pub locked_ns: Option<u64>,
    /// How long the survivor that waited longest could not go on for it, in nanoseconds; null until both have gone on.
    pub stalled_ns: Option<u64>,
    /// How much of the time until it had caught up the successor executed events, in nanoseconds: those of the replay, and those
    /// of the interval that its predecessor died in. Null until it has caught up.
    pub executing_ns: Option<u64>,
}

impl Recovery {
    /// Whether the successor caught up.
    pub fn complete(&self) -> bool {
        self.caught_up_ns.is_some()
    }

    /// The recovery as one line of the summary.
    pub fn line(&self, torus: char) -> String {
        let part = |name: &str, at: Option<u64>| at.map(|ns| format!("{name} {}", show::span(ns)));
        let parts = [
            part("detected", self.detected_ns),
            part("started", self.started_ns),
            part("loaded", self.loaded_ns),
            part("rehydrated", self.rehydrated_ns),
            part("caught up", self.caught_up_ns),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let end = if self.complete() { "" } else { ", died again" };
        let (number, cause, parts) = (self.incarnation, &self.cause, parts.join(", "));
        let stall = match self.stalled_ns {
            Some(stalled_ns) => format!("; survivors stalled {}", show::span(stalled_ns)),
            None => String::new(),
        };
        format!(
            "{torus} #{number} after {cause}: {parts}{end} ({} intervals replayed{stall})",
            self.replayed_intervals
        )
    }
}

/// The recovery that a record of the log tells of.
pub fn from_record(record: &shm_layout::control::Recovery) -> Recovery {
    let part = |event_ns: u64| since(record.death_ns, event_ns);
    Recovery {
        incarnation: record.incarnation,
        cause: death::in_words(record.cause),
        death_ns: record.death_ns,
        detected_ns: part(record.detected_ns),
        respawned_ns: part(record.spawned_ns),
        started_ns: part(record.started_ns),
        loaded_ns: part(record.loaded_ns),
        rehydrated_ns: part(record.rehydrated_ns),
        caught_up_ns: part(record.caught_up_ns),
        replayed_intervals: record.replayed_intervals,
        from_standby: record.from_standby,
        locked_ns: part(record.locked_ns),
        stalled_ns: record.stalled_ns,
        executing_ns: (record.caught_up_ns != 0).then_some(record.executing_ns),
    }
}

/// The time of an event since a death, both on the monotonic clock; 0 stands for "did not happen".
pub fn since(death_ns: u64, event_ns: u64) -> Option<u64> {
    (event_ns != 0).then(|| event_ns.saturating_sub(death_ns))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A recovery for tests.
    pub(crate) fn sample() -> Recovery {
        Recovery {
            incarnation: 2,
            cause: "SIGKILL".into(),
            death_ns: 7_000_000_000,
            detected_ns: Some(2_800_000),
            respawned_ns: Some(4_000_000),
            started_ns: Some(5_000_000),
            loaded_ns: Some(9_000_000),
            rehydrated_ns: Some(12_500_000),
            caught_up_ns: Some(13_000_000),
            replayed_intervals: 7,
            from_standby: true,
            locked_ns: Some(6_000_000),
            stalled_ns: Some(400_000),
            executing_ns: Some(3_600_000),
        }
    }

    #[test]
    fn the_line_names_the_parts() {
        assert_eq!(
            sample().line('B'),
            "B #2 after SIGKILL: detected 2.80 ms, started 5.00 ms, loaded 9.00 ms, rehydrated 12.5 ms, caught up \
             13.0 ms (7 intervals replayed; survivors stalled 400 µs)"
        );
    }

    #[test]
    fn a_recovery_that_died_says_so() {
        let mut recovery = sample();
        recovery.rehydrated_ns = None;
        recovery.caught_up_ns = None;
        assert!(!recovery.complete());
        assert!(recovery.line('A').contains("loaded 9.00 ms, died again"));
    }

    #[test]
    fn what_did_not_happen_has_no_time() {
        assert_eq!(since(100, 0), None);
        assert_eq!(since(100, 150), Some(50));
        assert_eq!(
            since(100, 90),
            Some(0),
            "a heartbeat may be younger than the clock that was read before it"
        );
    }
}
