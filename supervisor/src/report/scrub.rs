//! What scrubbing has done for a run.

use serde::Serialize;
use shm_layout::audit::AuditReader;
use shm_layout::config::RunConfig;
use shm_layout::control::{ControlReader, Rollback};
use shm_layout::torus::Torus;

use crate::text::show;
use crate::watchdog::adopt::living_process as living;
use crate::watchdog::rollback::in_words;

/// The audit of a run.
#[derive(Debug, Clone, Serialize)]
pub struct ScrubReport {
    /// Whether committed intervals are executed again and compared.
    pub enabled: bool,
    /// The scrubber's process; null when none lives.
    pub pid: Option<u32>,
    /// Intervals within which a fault of memory is found.
    pub bound_intervals: u64,
    /// Each torus; empty without scrubbing.
    pub tori: Vec<AuditReport>,
    /// Intervals executed again.
    pub audits: u64,
    /// Checkpoints and final states compared.
    pub states: u64,
    /// What was found, ever: by the scrubber, or by a successor's replay.
    pub findings: u64,
    /// The newest rollbacks, oldest first.
    pub rollbacks: Vec<RollbackReport>,
}

/// How far a torus has been audited.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct AuditReport {
    /// The torus.
    pub torus: char,
    /// All its frames below this boundary are what their re-execution gave.
    pub verified: u64,
    /// Its newest checkpoint whose whole past has been audited.
    pub cleared: u64,
}

/// One rollback.
#[derive(Debug, Clone, Serialize)]
pub struct RollbackReport {
    /// Its number, from 1.
    pub number: u64,
    /// The torus in which something was found.
    pub torus: char,
    /// The first interval that differed; of a state, the boundary.
    pub interval: u64,
    /// What differed: frame, state, error, replay.
    pub difference: &'static str,
    /// The boundary that the torus had reached by then.
    pub found_at: u64,
    /// The boundary that each torus went back to, in letter order.
    pub cuts: Vec<u64>,
    /// The boundary up to which each executed again with the intake that it had, in letter order.
    pub redo_until: Vec<u64>,
    /// Nanoseconds from the order until all had; null while they have not, and when a later rollback took its place.
    pub corrected_ns: Option<u64>,
    /// The finding as a sentence.
    #[serde(skip)]
    sentence: String,
}

/// What the segment says about it.
pub fn of(config: &RunConfig, control: &ControlReader<'_>, audit: &AuditReader<'_>) -> ScrubReport {
    let tori = Torus::of_run(config.tori);
    let shown = if config.scrub { tori } else { &[] };
    ScrubReport {
        enabled: config.scrub,
        pid: audit
            .identity()
            .and_then(|identity| living(&identity))
            .map(|(_, pid)| pid),
        bound_intervals: config.capacity.frames.into(),
        tori: shown
            .iter()
            .map(|torus| AuditReport {
                torus: torus.letter(),
                verified: audit.verified(*torus),
                cleared: audit.cleared(*torus),
            })
            .collect(),
        audits: audit.audits(),
        states: audit.states(),
        findings: control.rollback_count(),
        rollbacks: control
            .rollbacks()
            .iter()
            .map(|order| rollback(order, tori))
            .collect(),
    }
}

fn rollback(order: &Rollback, tori: &[Torus]) -> RollbackReport {
    let finding = &order.finding;
    let corrected = order.corrected_ns != 0;
    RollbackReport {
        number: order.number,
        torus: finding.torus.letter(),
        interval: finding.interval,
        difference: finding.difference.name(),
        found_at: finding.found_at,
        cuts: tori.iter().map(|torus| order.part(*torus).cut).collect(),
        redo_until: tori.iter().map(|torus| order.part(*torus).redo_until).collect(),
        corrected_ns: corrected.then(|| order.corrected_ns.saturating_sub(order.ordered_ns)),
        sentence: in_words(finding),
    }
}

/// The lines of `status`; nothing without scrubbing.
pub fn lines(report: &ScrubReport) -> String {
    if !report.enabled {
        return String::new();
    }
    let one = |torus: &AuditReport| format!("{} {} (cleared {})", torus.torus, torus.verified, torus.cleared);
    let tori: Vec<_> = report.tori.iter().map(one).collect();
    let mut out = format!(
        "scrubbing      audited to {}; {} intervals, {} states; a fault is found within {} intervals; {} rollbacks\n",
        tori.join(", "),
        show::count(report.audits),
        show::count(report.states),
        report.bound_intervals,
        report.findings,
    );
    if let Some(last) = report.rollbacks.last() {
        let after = match last.corrected_ns {
            Some(ns) => format!("corrected after {}", show::span(ns)),
            None => "under way".to_owned(),
        };
        out.push_str(&format!(
            "last rollback  #{} {}; back to {:?}, again to {:?}, {after}\n",
            last.number, last.sentence, last.cuts, last.redo_until
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use shm_layout::audit::{Difference, Finding};
    use shm_layout::heap::HeapSegment;
    use shm_layout::rollback;

    #[test]
    fn the_report_names_the_interval_and_the_way_back() {
        let mut config = RunConfig::new("scrubbed", "phold");
        config.sides = [4; 3];
        config.scrub = true;
        let segment = HeapSegment::new(&config).unwrap();
        let finding = Finding {
            torus: Torus::B,
            interval: 57,
            difference: Difference::Frame,
            found_at: 61,
            committed: 1,
            executed: 2,
        };
        let mut order = rollback::order(finding, 1, 2, [62, 61, 62], [40; 3], None);
        (order.ordered_ns, order.corrected_ns) = (5, 85_000_005);
        segment.supervisor().control.order_rollback(&order);
        segment.scrubber().audit.set_verified(Torus::A, 58);
        let reader = segment.reader();
        let report = of(&config, &reader.control, &reader.audit);
        let text = lines(&report);
        assert!(text.contains("audited to A 58 (cleared 0)"), "{text}");
        assert!(text.contains("frame 57 of torus B"), "{text}");
        assert!(text.contains("back to [59, 57, 59]"), "{text}");
        assert!(text.contains("corrected after 85.0 ms"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["rollbacks"][0]["difference"], "frame");
        config.scrub = false;
        assert_eq!(lines(&of(&config, &reader.control, &reader.audit)), "");
    }
}
