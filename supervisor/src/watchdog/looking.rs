//! Looking at workers: their status cells, hearts, locks and endings.

use shm_layout::frame::Frame;
use shm_layout::segment::LockByte;
use shm_layout::status::{Phase, StatusReader};
use shm_layout::sys::pidfd::PidFd;

use super::Watchdog;
use super::adopt;
use super::console::Look;
use super::death::Ending;
use super::slot::Slot;
use super::table::{Event, State};
use crate::report::collect::newest_frame;

/// How often a held lock is looked at.
const LOCK_PERIOD_NS: u64 = 1_000_000;
/// How long a dead worker's region lock may stay held before its holder is judged.
const LOCK_PATIENCE_NS: u64 = 100_000_000;
/// A worker that loads its state may hold its breath this much longer than one that runs.
const LOADING_FACTOR: u64 = 4;
/// How often recoveries that are under way are looked at: their times are taken by the worker, not by this look.
const RECOVERY_PERIOD_NS: u64 = 20_000_000;

/// How the process behind a readable pidfd ended; unknown when it is not a child of this process.
pub(super) fn ending(pidfd: &PidFd) -> Ending {
    use shm_layout::sys::pidfd::ExitStatus;
    match pidfd.wait() {
        Ok(Some(ExitStatus::Code(code))) => Ending::Code(code),
        Ok(Some(ExitStatus::Signal(signal))) => Ending::Signal(signal),
        _ => Ending::Unknown,
    }
}

impl<'s> Watchdog<'s> {
    /// The status cell of a torus.
    pub(super) fn status(&self, index: usize) -> StatusReader<'s> {
        self.post.segment.regions[index].status
    }

    /// One look at a heart, if it is due. A worker that still loads gets more time.
    pub(super) fn heart_stands_still(&mut self, index: usize) -> bool {
        let status = self.status(index);
        let slot = &mut self.slots[index];
        let loading = status.incarnation() != slot.incarnation
            || matches!(status.phase(), Phase::None | Phase::Starting | Phase::Rehydrating);
        let Some(process) = &mut slot.process else {
            return false;
        };
        if self.now_ns < process.hang.next_look_ns() {
            return false;
        }
        let factor = if loading { LOADING_FACTOR } else { 1 };
        process.hang.look(status.heartbeat(), self.now_ns, factor)
    }

    /// The worker is dead; may its region be written? While its lock is held, somebody lives who is not known here: a
    /// worker that a supervisor started just before it died. If it is the expected one it is adopted, else killed.
    pub(super) fn look_at_lock(&mut self, index: usize) {
        let torus = self.slots[index].torus;
        if !self.post.file.is_locked(LockByte::Region(torus)).unwrap_or(true) {
            self.happen(index, Event::LockFree);
            return;
        }
        let slot = &mut self.slots[index];
        if slot.lock_held_since_ns == 0 {
            slot.lock_held_since_ns = self.now_ns;
        } else if self.now_ns - slot.lock_held_since_ns >= LOCK_PATIENCE_NS {
            slot.lock_held_since_ns = self.now_ns;
            self.judge_lock_holder(index);
        }
    }

    fn judge_lock_holder(&mut self, index: usize) {
        let expected = self
            .post
            .segment
            .control
            .reader()
            .expected_incarnation(self.slots[index].torus);
        match adopt::living(&self.status(index)) {
            Some((pidfd, identity)) if identity.incarnation == expected => {
                let slot = &mut self.slots[index];
                adopt::take_over(slot, pidfd, identity, self.post.config, self.now_ns);
                // It is the successor that a supervisor before this one ordered: no other is to come.
                slot.recovery = None;
                slot.away_since_ns = 0;
                slot.lock_held_since_ns = 0;
            }
            Some((pidfd, identity)) => {
                let (torus, pid) = (self.slots[index].torus, identity.pid);
                // One that dies on its own meanwhile is as good.
                let _ = pidfd.send_signal(nix::libc::SIGKILL);
                self.console.say(&format!(
                    "torus {torus} was held by process {pid} of an older start: killed it"
                ));
            }
            None => {}
        }
    }

    /// When something is due for this torus.
    pub(super) fn slot_deadline_ns(&self, slot: &Slot) -> Option<u64> {
        let recovery = slot.recovery.map(|_| self.now_ns + RECOVERY_PERIOD_NS);
        let own = match slot.state {
            State::Alive => slot.process.as_ref().map(|process| process.hang.next_look_ns()),
            State::Fenced => Some(self.now_ns + LOCK_PERIOD_NS),
            State::Resting if self.is_taking_back() => None,
            State::Resting => self.resting_deadline_ns(slot),
            State::Killed | State::Over => None,
        };
        own.into_iter()
            .chain(recovery)
            .chain(slot.complaints.next_look_ns())
            .min()
    }

    /// Shows the live line when it is due.
    pub(super) fn show_progress(&mut self) {
        if self.now_ns < self.console.due_ns() {
            return;
        }
        let control = self.post.segment.control.reader();
        let looks = self.slots.iter().enumerate().map(|(index, slot)| {
            let region = &self.post.segment.regions[index];
            let frame = newest_frame(region, self.post.config.face_cells());
            let live = slot.state == State::Alive
                && matches!(region.status.phase(), Phase::Running | Phase::Finished);
            Look {
                torus: slot.torus.letter(),
                tick: frame.as_ref().map_or(0, Frame::boundary_tick),
                events: frame.as_ref().map_or(0, Frame::events),
                restarts: control.restarts(slot.torus),
                live: live || slot.state == State::Over,
            }
        });
        let looks = looks.collect();
        self.console.show(self.now_ns, looks);
    }
}
