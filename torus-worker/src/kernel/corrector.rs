//! What a model answers a deviation from a constraint with, at a boundary: events for its own cells, processes, and withdrawals.

use super::error::KernelError;
use super::state::State;
use super::world::World;
use crate::random::{Stream, TickKey};
use bytemuck::Pod;
use shm_layout::record::{Source, SourceKind, TimedEvent};

/// Bit of the key of a boundary's draws; no tick has it, so they are apart from the draws of the handlers.
const BOUNDARY_KEY: u64 = 1 << 63;

/// A torus at a boundary, as the corrective response of its model sees it.
pub struct Corrector<'a, C> {
    state: &'a mut State<C>,
    tick: u64,
    stream: Stream,
}

impl<'a, C: Pod> Corrector<'a, C> {
    pub(super) fn new(state: &'a mut State<C>, tick: u64, number: u32) -> Self {
        let World { seed, torus, .. } = state.world;
        let stream = TickKey::new(seed, torus, tick | BOUNDARY_KEY).stream(number);
        Self { state, tick, stream }
    }

    /// The tick of the boundary.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// The world the torus belongs to.
    pub fn world(&self) -> World {
        self.state.world
    }

    /// Pending events.
    pub fn pending(&self) -> u64 {
        self.state.wheel.pending()
    }

    /// Cells with a process.
    pub fn active(&self) -> u32 {
        self.state.cells.active
    }

    /// The process in a cell.
    pub fn process(&self, cell: u32) -> Option<&C> {
        self.state.cells.process(cell)
    }

    /// A random number below `bound`, of this torus and boundary.
    pub fn draw_below(&mut self, bound: u64) -> u64 {
        self.stream.below(bound)
    }

    /// Schedules a corrective event for a cell, `delay` ticks after the boundary.
    ///
    /// # Errors
    /// No such cell, or more pending events than the capacity.
    pub fn emit(&mut self, cell: u32, delay: u32, payload: i64) -> Result<(), KernelError> {
        self.state.schedule(TimedEvent {
            time: self.tick + u64::from(delay),
            dst: cell,
            src: Source::new(SourceKind::Corrective, self.state.world.torus, cell),
            payload,
        })
    }

    /// Puts a process into a cell, in place of the one it has.
    ///
    /// # Errors
    /// No such cell.
    pub fn spawn(&mut self, cell: u32, process: C) -> Result<(), KernelError> {
        self.state.spawn(cell, process)
    }

    /// Removes the process in a cell, if it has one. The cell's edges stay.
    pub fn retire(&mut self, cell: u32) {
        self.state.cells.retire(cell);
    }

    /// Withdraws the first `count` pending events in canonical order: by time, destination, source, payload. It reads and
    /// sorts the pending events, and allocates.
    pub fn withdraw(&mut self, count: u64) {
        self.state.wheel.withdraw(count);
    }
}
