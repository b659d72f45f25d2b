//! Handing a torus over while its last worker is still being torn down.
//!
//! The owner word says that a worker's thread has ended. If that worker was at work, and had got further than those
//! before it, then nothing that its exit status could say would change the verdict: it is replaced at once. The successor
//! takes the region over when the kernel says that its predecessor has no memory any more. In every other case the pidfd is
//! waited for.

use shm_layout::owner::OwnerDied;

use super::Watchdog;
use super::death::{self, Fault, LastWord};
use super::looking;
use super::policy::Death;
use super::slot::Process;
use super::table::Event;

/// A worker that is dead and has been replaced, and whose process has not ended yet.
#[derive(Debug)]
pub struct Dying {
    index: usize,
    process: Process,
    fault: Option<Fault>,
    /// Its recovery in the log, which does not know the cause yet.
    recovery: u64,
}

impl Dying {
    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

impl Watchdog<'_> {
    /// Looks at the owner words of all regions.
    pub(super) fn look_at_owners(&mut self) {
        for index in 0..self.slots.len() {
            if self.owner_has_died(index) {
                self.happen(index, Event::Dying);
            }
        }
    }

    /// Whether the worker is known to have died in a way that asks for a successor at once.
    fn owner_has_died(&self, index: usize) -> bool {
        let (slot, status) = (&self.slots[index], self.status(index));
        slot.process.is_some()
            && !self.is_held(slot.torus)
            // Everybody goes back first: until then nobody is started.
            && !self.is_taking_back()
            && OwnerDied::from_word(status.owner_word()).is_some_and(|died| died.is(slot.incarnation))
            && status.incarnation() == slot.incarnation
            && self.last_word(index) == LastWord::AtWork
            && status.boundary() > slot.best_boundary
    }

    /// Notes the death and starts the successor.
    pub(super) fn hand_over(&mut self, index: usize) {
        let (now_ns, boundary) = (self.now_ns, self.status(index).boundary());
        self.close_recovery(index);
        let slot = &mut self.slots[index];
        let Some(process) = slot.process.take() else {
            return;
        };
        slot.detected_ns = now_ns;
        if slot.away_since_ns == 0 {
            slot.away_since_ns = now_ns;
        }
        slot.lock_held_since_ns = 0;
        slot.best_boundary = boundary;
        slot.policy.on_death(Death {
            progressed: true,
            from_outside: false,
        });
        let fault = slot.fault;
        self.open_recovery(index);
        if let Some(open) = &self.slots[index].recovery {
            self.dying.push(Dying {
                index,
                process,
                fault,
                recovery: open.number,
            });
        }
        self.spawn(index);
    }

    /// The processes that have been replaced and whose pidfd says so have ended: their recoveries learn how.
    pub(super) fn reap_dying(&mut self, exited: &[bool]) {
        let mut exited = exited.iter();
        let (ended, dying) = std::mem::take(&mut self.dying)
            .into_iter()
            .partition(|_| *exited.next().unwrap_or(&false));
        self.dying = dying;
        let ended: Vec<Dying> = ended;
        for dying in ended {
            self.note_ending(&dying);
        }
    }

    fn note_ending(&mut self, dying: &Dying) {
        let ending = looking::ending(&dying.process.pidfd);
        let cause = death::cause(ending, dying.fault);
        let control = &self.post.segment.control;
        let slot = &mut self.slots[dying.index];
        if let Some(mut record) = control.reader().recovery(dying.recovery) {
            record.cause = cause;
            control.update_recovery(dying.recovery, &record);
        }
        if let Some(open) = slot
            .recovery
            .as_mut()
            .filter(|open| open.number == dying.recovery)
        {
            open.record.cause = cause;
        }
        let (torus, told) = (slot.torus, death::told(ending, dying.fault));
        self.console
            .say(&format!("torus {torus} died ({told}); it has been replaced"));
    }
}
