//! How much of its time until it has caught up a successor executes events.

use shm_layout::sys::clock;

use super::succession::Worker;
use crate::model::Model;

/// The wall-clock time of all steps that executed events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Executing {
    pub ns: u64,
}

impl Executing {
    /// Lets a member make a step.
    pub(super) fn time<M: Model, R>(
        &mut self,
        member: &mut Worker<'_, M>,
        step: impl FnOnce(&mut Worker<'_, M>) -> R,
    ) -> R {
        let (events, begin_ns) = (member.node().kernel().events(), clock::monotonic_ns());
        let result = step(member);
        if member.node().kernel().events() != events {
            self.ns += clock::monotonic_ns() - begin_ns;
        }
        result
    }
}
