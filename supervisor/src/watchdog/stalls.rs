//! What a recovery cost the survivors. A survivor notes in its status cell how long it waited for the first frame of a
//! successor. It may take that frame in long after the successor has caught up, so a recovery settles for a while.

use shm_layout::control::Recovery;
use shm_layout::status::StatusReader;
use shm_layout::torus::Torus;

use super::Watchdog;
use crate::report::recovery::from_record;

/// Nanoseconds between two looks at the survivors' notes.
const PERIOD_NS: u64 = 50_000_000;
/// A survivor that has not taken the frame in for so long is waiting for something else; its note is not waited for.
const PATIENCE_NS: u64 = 2_000_000_000;

impl Watchdog<'_> {
    /// Looks at the recoveries that are complete but for the survivors' notes, and tells of those that are settled.
    pub(super) fn settle_recoveries(&mut self) {
        for mut open in std::mem::take(&mut self.settling) {
            open.record.stalled_ns = self.stall_of(&open.record);
            let late = self.now_ns >= open.record.caught_up_ns + PATIENCE_NS;
            if open.record.stalled_ns.is_none() && !late && !self.is_over() {
                self.settling.push(open);
                continue;
            }
            let mut record = open.record;
            if let Some(logged) = self.post.segment.control.reader().recovery(open.number) {
                // The process of the one before may have ended since.
                record.cause = logged.cause;
            }
            self.post.segment.control.update_recovery(open.number, &record);
            let line = from_record(&record).line(record.torus.letter());
            self.console.say(&format!("recovered: {line}"));
        }
    }

    /// When to look at the survivors' notes again.
    pub(super) fn settling_deadline_ns(&self) -> Option<u64> {
        (!self.settling.is_empty()).then_some(self.now_ns + PERIOD_NS)
    }

    fn is_over(&self) -> bool {
        self.slots.iter().all(|slot| slot.state == super::State::Over)
    }

    /// The longest stall of a survivor; none as long as one has not taken in the successor's first frame.
    fn stall_of(&self, record: &Recovery) -> Option<u64> {
        let survivors = (0..self.slots.len()).filter(|index| self.slots[*index].torus != record.torus);
        let stalls = survivors.map(|index| stall(&self.status(index), record.torus, record));
        stalls.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }
}

/// How long this survivor could not go on for the death.
fn stall(survivor: &StatusReader<'_>, torus: Torus, record: &Recovery) -> Option<u64> {
    let noted = survivor.stall_incarnation(torus);
    let (from_ns, to_ns) = (survivor.stall_from_ns(torus), survivor.stall_to_ns(torus));
    // What it waited before the death it waited for a worker that was merely slower.
    (noted == record.incarnation).then(|| to_ns.saturating_sub(from_ns.max(record.death_ns)))
}
