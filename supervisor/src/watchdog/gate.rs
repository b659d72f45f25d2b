//! The start gate: workers that are ready wait at it, and all begin together.

use shm_layout::control::RunState;
use shm_layout::status::Phase;
use shm_layout::sys::clock;

use super::Watchdog;
use super::table::State;

/// How often workers that start are looked at.
const START_PERIOD_NS: u64 = 1_000_000;

impl Watchdog<'_> {
    /// Opens the gate once every worker stands at it; a successor finds it open.
    pub(super) fn open_gate_when_ready(&mut self) {
        if self.ready {
            return;
        }
        let control = &self.post.segment.control;
        if !control.reader().gate_is_open() {
            if !(0..self.slots.len()).all(|index| self.stands_at_gate(index)) {
                return;
            }
            control.set_started_ns(clock::realtime_ns());
            control.set_run_state(RunState::Running);
            control.open_gate(control.reader().gate_number() + 1);
            control.ring_doorbell();
            self.stopping.gate_opened(self.post.config, self.now_ns);
        }
        self.ready = true;
    }

    fn stands_at_gate(&self, index: usize) -> bool {
        let (slot, status) = (&self.slots[index], self.status(index));
        let there = matches!(status.phase(), Phase::Waiting | Phase::Running | Phase::Finished);
        slot.state == State::Over
            || (slot.state == State::Alive && status.incarnation() == slot.incarnation && there)
    }

    /// When to look at the gate again; never once it is open.
    pub(super) fn gate_deadline_ns(&self) -> Option<u64> {
        (!self.ready).then_some(self.now_ns + START_PERIOD_NS)
    }
}
