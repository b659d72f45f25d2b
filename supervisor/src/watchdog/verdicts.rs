//! Carries out the table's verdicts on one torus: kill, await the lock, plan, spawn, note.

use super::death::{self, Ending, Fault, LastWord};
use super::policy::{Death, LONGEST_PAUSE_NS, Verdict};
use super::table::{Action, Event, Intent, State, decide};
use super::{Watchdog, looking};
use crate::text::show;
use shm_layout::status::Phase;

impl Watchdog<'_> {
    /// Gives one event to the table and does what it says.
    pub(super) fn happen(&mut self, index: usize, event: Event) {
        let (next, action) = decide(self.slots[index].state, event, self.intent);
        self.slots[index].state = next;
        match action {
            Action::None => {}
            Action::KillHung => self.kill(index, Fault::Hung, "makes no progress"),
            Action::KillDamaged => {
                let what = "has published what a peer finds damaged (its memory was written over)";
                self.kill(index, Fault::Damaged, what);
            }
            Action::HandOver => self.hand_over(index),
            Action::AwaitLock => self.note_death(index),
            Action::PlanRestart => self.plan_restart(index),
            Action::Spawn => self.spawn(index),
            Action::NoteFinished => self.slots[index].process = None,
            Action::FailRun => self.fail_by_worker(index),
        }
    }

    /// The processes whose pidfd said so are dead: collects how they ended.
    pub(super) fn reap(&mut self, exited: &[bool]) {
        let living: Vec<usize> = (0..self.slots.len())
            .filter(|&i| self.slots[i].process.is_some())
            .collect();
        for (&index, _) in living.iter().zip(exited).filter(|(_, exited)| **exited) {
            let slot = &mut self.slots[index];
            let Some(process) = &slot.process else { continue };
            slot.ending = looking::ending(&process.pidfd);
            let ending = slot.ending;
            let event = self.judge_death(index, ending);
            self.happen(index, event);
        }
    }

    /// What the worker last said about itself; what an earlier incarnation said does not count.
    pub(super) fn last_word(&self, index: usize) -> LastWord {
        let status = self.status(index);
        if status.incarnation() != self.slots[index].incarnation {
            return LastWord::AtWork;
        }
        match status.phase() {
            Phase::Finished => LastWord::Finished,
            Phase::Failed => LastWord::Failed,
            _ => LastWord::AtWork,
        }
    }

    fn kill(&mut self, index: usize, fault: Fault, why: &str) {
        let slot = &mut self.slots[index];
        let Some(process) = &slot.process else { return };
        slot.fault = Some(fault);
        self.post
            .segment
            .control
            .set_killed_at_ns(slot.torus, self.now_ns);
        // A process that has just died cannot be signalled; its pidfd says so in the next pass.
        let _ = process.pidfd.send_signal(nix::libc::SIGKILL);
        let (torus, pid) = (slot.torus, process.pid);
        self.console.say(&format!(
            "torus {torus} {why}: killed process {pid}, replacing it"
        ));
    }

    fn note_death(&mut self, index: usize) {
        if self.slots[index].not_started.is_some() && self.slots[index].recovery.is_some() {
            // The recovery of the worker before goes on: nobody has come to life since.
            return;
        }
        let now_ns = self.now_ns;
        self.close_recovery(index);
        let slot = &mut self.slots[index];
        slot.process = None;
        slot.detected_ns = now_ns;
        if slot.away_since_ns == 0 {
            slot.away_since_ns = now_ns;
        }
        slot.lock_held_since_ns = 0;
        self.open_recovery(index);
    }

    /// The predecessor is proved dead and its region free: asks the policy when the successor may start.
    fn plan_restart(&mut self, index: usize) {
        if self.restarts_for_rollback(index) {
            return;
        }
        let boundary = self.status(index).boundary();
        let slot = &mut self.slots[index];
        let progressed = boundary > slot.best_boundary;
        slot.best_boundary = slot.best_boundary.max(boundary);
        let from_outside = death::from_outside(slot.ending) && slot.fault.is_none();
        let cause = death::told(slot.ending, slot.fault);
        let torus = slot.torus;
        match slot.policy.on_death(Death {
            progressed,
            from_outside,
        }) {
            Verdict::RestartAfter(pause_ns) => {
                slot.restart_ns = self.now_ns + pause_ns;
                let pause = if pause_ns == 0 {
                    String::new()
                } else {
                    format!(" in {}", show::span(pause_ns))
                };
                self.console
                    .say(&format!("torus {torus} died ({cause}); restarting it{pause}"));
            }
            Verdict::GiveUp(times) if self.can_be_left(torus) => {
                let slot = &mut self.slots[index];
                slot.gave_up = true;
                slot.restart_ns = self.now_ns + LONGEST_PAUSE_NS;
                let pause = show::span(LONGEST_PAUSE_NS);
                self.console.say(&format!(
                    "torus {torus} died ({cause}), {times} times without progress; trying again in {pause}"
                ));
            }
            Verdict::GiveUp(times) => {
                let slot = &mut self.slots[index];
                slot.state = State::Over;
                let reason = match &slot.not_started {
                    Some(why) => {
                        format!("the worker of torus {torus} could not be started {times} times: {why}")
                    }
                    None => format!(
                        "the worker of torus {torus} died {times} times in a row without progress (last: {cause}); \
                         the run's log says more"
                    ),
                };
                self.abandon(Some(index), &reason);
            }
        }
    }

    /// A worker gave up and said why in its status cell.
    fn fail_by_worker(&mut self, index: usize) {
        self.close_recovery(index);
        self.slots[index].process = None;
        let torus = self.slots[index].torus;
        let text = match self.status(index).failure() {
            Some((_, text)) if !text.is_empty() => text,
            _ => format!("the worker of torus {torus} gave up without a reason; its log says more"),
        };
        self.abandon(Some(index), &text);
    }

    /// Gives the run up: nobody is started any more, and who lives is killed. The state of all stays in the segment.
    pub(super) fn abandon(&mut self, index: Option<usize>, reason: &str) {
        if self.intent == Intent::Abandon {
            return;
        }
        self.intent = Intent::Abandon;
        let torus = index.map(|index| self.slots[index].torus);
        self.post.segment.control.set_failure(torus, reason);
        self.console.say(&format!("failed: {reason}"));
        for slot in &mut self.slots {
            match (&slot.process, slot.state) {
                (Some(process), State::Alive | State::Killed) => {
                    // As above: one that has just died is seen by its pidfd.
                    let _ = process.pidfd.send_signal(nix::libc::SIGKILL);
                    slot.state = State::Killed;
                }
                _ => slot.state = State::Over,
            }
        }
    }

    /// Everything that is due for one torus without an outside event: lock, restart, hang.
    pub(super) fn look_at_workers(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots[index].exists() && self.slots[index].process.is_none() {
                // Found dead when the run was adopted.
                let event = self.judge_death(index, Ending::Unknown);
                self.happen(index, event);
            }
            if self.slots[index].state == State::Fenced {
                self.look_at_lock(index);
            }
            self.consider_absence(index);
            let slot = &self.slots[index];
            let is_due = slot.state == State::Resting && self.now_ns >= slot.restart_ns;
            if is_due && !self.is_held(slot.torus) && !self.is_taking_back() {
                self.happen(index, Event::RestartDue);
            }
            if self.slots[index].state == State::Alive && self.heart_stands_still(index) {
                self.happen(index, Event::Stalled);
            }
        }
    }
}
