//! The recovery log: from the death of a worker to its successor having caught up. The times of the successor are its
//! own, from its status cell, so the watchdog need not look at the right moment.

use shm_layout::control::Recovery;
use shm_layout::status::{Phase, StatusReader};
use shm_layout::torus::Torus;

use super::slot::OpenRecovery;
use super::{Watchdog, death};

impl Watchdog<'_> {
    /// A worker is dead: its recovery begins.
    pub(super) fn open_recovery(&mut self, index: usize) {
        let control = &self.post.segment.control;
        let slot = &self.slots[index];
        let cause = death::cause(slot.ending, slot.fault);
        let mut record = Recovery::new(slot.torus, self.next_incarnation(index), cause);
        record.death_ns = self.death_ns(index);
        record.detected_ns = slot.detected_ns;
        let number = control.push_recovery(&record);
        self.slots[index].recovery = Some(OpenRecovery { number, record });
    }

    /// When the worker died: when the watchdog killed it, else its last heartbeat.
    fn death_ns(&self, index: usize) -> u64 {
        let slot = &self.slots[index];
        let killed_ns = self.post.segment.control.reader().killed_at_ns(slot.torus);
        let status = self.status(index);
        let own_kill = killed_ns > slot.spawned_ns && killed_ns <= slot.detected_ns;
        let heartbeat_ns = status.heartbeat_ns();
        match () {
            () if own_kill => killed_ns,
            // A cell that an earlier boot of the machine left: its clock is another one.
            () if heartbeat_ns > slot.detected_ns => slot.detected_ns,
            () => heartbeat_ns.max(slot.spawned_ns).min(slot.detected_ns),
        }
    }

    /// The successor has been started.
    pub(super) fn note_spawned(&mut self, index: usize, from_standby: bool) {
        let slot = &mut self.slots[index];
        if let Some(open) = &mut slot.recovery {
            open.record.spawned_ns = slot.spawned_ns;
            open.record.from_standby = from_standby;
            open.record.incarnation = slot.incarnation;
            self.post
                .segment
                .control
                .update_recovery(open.number, &open.record);
        }
    }

    /// Copies what successors have written about themselves, until they have caught up.
    pub(super) fn follow_recoveries(&mut self) {
        for index in 0..self.slots.len() {
            self.follow_recovery(index);
        }
    }

    fn follow_recovery(&mut self, index: usize) {
        let status = self.status(index);
        let slot = &mut self.slots[index];
        let Some(open) = &mut slot.recovery else { return };
        // Until the successor has been started and holds the lock, the cell is its predecessor's.
        if open.record.spawned_ns == 0 || status.incarnation() != open.record.incarnation {
            return;
        }
        let before = open.record;
        copy_times(&mut open.record, &status, self.now_ns);
        if open.record == before {
            return;
        }
        self.post
            .segment
            .control
            .update_recovery(open.number, &open.record);
        if open.record.caught_up_ns != 0 {
            let done = *open;
            slot.recovery = None;
            slot.away_since_ns = 0;
            slot.gave_up = false;
            self.settling.push(done);
        }
    }

    /// The successor is dead too: its recovery stays as it is.
    pub(super) fn close_recovery(&mut self, index: usize) {
        self.follow_recovery(index);
        self.slots[index].recovery = None;
    }

    /// After another supervisor's death: a recovery that the log holds unfinished goes on, be it that the successor lives, or
    /// that the dead supervisor had yet to start it.
    pub(super) fn reopen_recoveries(&mut self) {
        let control = self.post.segment.control.reader();
        let count = control.recovery_count();
        for index in 0..self.slots.len() {
            let started_ns = self.status(index).started_ns();
            let next = self.next_incarnation(index);
            let slot = &mut self.slots[index];
            let of_torus = |torus: Torus| move |record: &Recovery| record.torus == torus;
            let last = (0..count)
                .rev()
                .take(shm_layout::control::RECOVERIES)
                .find_map(|number| {
                    control
                        .recovery(number)
                        .filter(of_torus(slot.torus))
                        .map(|record| OpenRecovery { number, record })
                });
            // Of a worker that lives, or of one that is yet to be started.
            let unfinished = |open: &OpenRecovery| match slot.process {
                Some(_) => open.record.incarnation == slot.incarnation && open.record.caught_up_ns == 0,
                None => open.record.incarnation == next && open.record.spawned_ns == 0,
            };
            slot.recovery = last.filter(unfinished);
            let alive = slot.process.is_some();
            if let Some(open) = slot
                .recovery
                .as_mut()
                .filter(|open| alive && open.record.spawned_ns == 0)
            {
                // The supervisor died between starting the worker and noting it.
                open.record.spawned_ns = started_ns;
            }
        }
    }
}

/// The times that this incarnation wrote: what its predecessor left in the cell is older than its death.
fn copy_times(record: &mut Recovery, status: &StatusReader<'_>, now_ns: u64) {
    let own = |at_ns: u64| {
        if (record.detected_ns..=now_ns).contains(&at_ns) {
            at_ns
        } else {
            0
        }
    };
    let started_ns = own(status.started_ns());
    let rehydrated_ns = own(status.replayed_ns());
    let caught_up_ns = match own(status.caught_up_ns()) {
        // It had nothing more to do than to say so.
        0 if status.phase() == Phase::Finished => own(status.heartbeat_ns()),
        at_ns => at_ns,
    };
    let loaded_ns = own(status.loaded_ns());
    if started_ns != 0 {
        // The successor may run before the call that started it returns here.
        record.spawned_ns = record.spawned_ns.min(started_ns);
    }
    record.started_ns = started_ns;
    record.locked_ns = own(status.locked_ns());
    record.loaded_ns = loaded_ns;
    record.rehydrated_ns = rehydrated_ns;
    record.caught_up_ns = caught_up_ns;
    record.executing_ns = if caught_up_ns == 0 {
        0
    } else {
        status.executing_ns()
    };
    record.replayed_intervals = if rehydrated_ns == 0 {
        0
    } else {
        status.replayed_intervals()
    };
}
