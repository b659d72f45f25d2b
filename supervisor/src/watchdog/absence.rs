//! Going on without a torus: when it has been away for so long that the others shall, and who is held away.
//!
//! The order is the one that docs/RECOVERY.md argues with: the process is proved dead, then the region lock is taken
//! here, then the boundary is computed from what was committed, then it is appended to the membership log. Only then may
//! a successor have the lock.

use shm_layout::config::{OnLoss, RunConfig};
use shm_layout::membership::AbsenceEntry;
use shm_layout::segment::LockByte;
use shm_layout::sys::clock;
use shm_layout::torus::Torus;
use torus_worker::member::declare::absence_of;

use super::Watchdog;
use super::slot::Slot;
use super::table::{Intent, State};
use crate::text::show;

/// How long until it is looked again, after an absence could not be declared.
const LOOK_AGAIN_NS: u64 = 100_000_000;

/// When a torus that is dead and not being replaced is to be declared absent, CLOCK_MONOTONIC in ns; `None` if never.
fn due_ns(config: &RunConfig, slot: &Slot) -> Option<u64> {
    let may = config.on_loss == OnLoss::Degrade && slot.state == State::Resting;
    let patience_ns = config.degrade_after_ms * 1_000_000;
    (may && slot.away_since_ns > 0).then(|| (slot.away_since_ns + patience_ns).max(slot.absence_look_ns))
}

impl Watchdog<'_> {
    /// Whether a torus is held away, so that it is not replaced.
    pub(super) fn is_held(&self, torus: Torus) -> bool {
        self.post.segment.control.reader().held(torus) != 0
    }

    /// When something is due for a torus that is dead, with its region free: its restart, or its absence.
    pub(super) fn resting_deadline_ns(&self, slot: &Slot) -> Option<u64> {
        let restart = Some(slot.restart_ns).filter(|_| !self.is_held(slot.torus));
        restart.into_iter().chain(due_ns(self.post.config, slot)).min()
    }

    /// Declares a torus absent if it has been away for too long and somebody is left.
    pub(super) fn consider_absence(&mut self, index: usize) {
        let due = due_ns(self.post.config, &self.slots[index]);
        if self.intent != Intent::GoOn || due.is_none_or(|due_ns| self.now_ns < due_ns) {
            return;
        }
        self.slots[index].absence_look_ns = self.now_ns + LOOK_AGAIN_NS;
        if let Some(entry) = self.declare(self.slots[index].torus) {
            let away = self.now_ns.saturating_sub(self.slots[index].away_since_ns);
            self.console.say(&format!(
                "torus {} has been away for {}: the others go on without it from boundary {}",
                entry.torus,
                show::span(away),
                entry.from
            ));
        }
    }

    /// Appends the absence to the membership log, with the region lock held here meanwhile.
    fn declare(&mut self, torus: Torus) -> Option<AbsenceEntry> {
        let (segment, file) = (self.post.segment, self.post.file);
        let lock = LockByte::Region(torus);
        if !file.try_lock(lock).unwrap_or(false) {
            return None;
        }
        let log = segment.memberships.reader();
        let entry = absence_of(
            torus,
            &segment.regions,
            log,
            self.post.config,
            clock::realtime_ns(),
        );
        let appended = entry.map(|entry| segment.memberships.append(&entry));
        if let Err(error) = file.unlock(lock) {
            self.console
                .say(&format!("the region lock of torus {torus} stays held: {error}"));
        }
        match appended? {
            Ok(()) => {
                segment.control.ring_doorbell();
                entry
            }
            Err(full) => {
                self.console.say(&full.to_string());
                None
            }
        }
    }

    /// Whether the others go on without a torus, or will.
    pub(super) fn can_be_left(&self, torus: Torus) -> bool {
        let (segment, config) = (self.post.segment, self.post.config);
        let log = segment.memberships.reader();
        config.on_loss == OnLoss::Degrade
            && (log.last_of(torus).is_some() || absence_of(torus, &segment.regions, log, config, 0).is_some())
    }

    /// A run whose other tori have ended ends without one that is held away, or that does not come up.
    pub(super) fn leave_behind(&mut self) {
        let is_over = |slot: &Slot| slot.state == State::Over;
        let stays = |slot: &Slot| slot.state == State::Resting && (slot.gave_up || self.is_held(slot.torus));
        let left: Vec<usize> = (0..self.slots.len())
            .filter(|index| stays(&self.slots[*index]))
            .collect();
        let others = self.slots.len() - left.len();
        let over = self.slots.iter().filter(|slot| is_over(slot)).count();
        if left.is_empty() || others == 0 || over < others {
            return;
        }
        for index in left {
            self.slots[index].state = State::Over;
            self.slots[index].left_behind = true;
            let torus = self.slots[index].torus;
            self.console.say(&format!("torus {torus} is left behind"));
        }
    }

    /// Keeps a torus away: its worker is not replaced until it is released.
    pub(super) fn hold(&mut self, torus: Torus) {
        self.post.segment.control.set_held(torus, 1);
        self.console.say(&format!(
            "torus {torus} is held away; `release {torus}` brings it back"
        ));
    }

    /// Lets the worker of a torus be replaced again. Says whether it was held.
    pub(super) fn release(&mut self, index: usize) -> bool {
        let torus = self.slots[index].torus;
        let was_held = self.is_held(torus);
        self.post.segment.control.set_held(torus, 0);
        self.slots[index].restart_ns = self.now_ns;
        self.slots[index].gave_up = false;
        was_held
    }
}
