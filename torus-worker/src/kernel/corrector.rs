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
    is_taken: &'a dyn Fn(u32) -> bool,
    emitted: Vec<TimedEvent>,
}

impl<'a, C: Pod> Corrector<'a, C> {
    /// `number` tells the corrections of one boundary apart, `is_taken` the cells that belong to processes that are
    /// moving between tori.
    pub(super) fn new(
        state: &'a mut State<C>,
        tick: u64,
        number: u32,
        is_taken: &'a dyn Fn(u32) -> bool,
    ) -> Self {
        let World { seed, torus, .. } = state.world;
        let stream = TickKey::new(seed, torus, tick | BOUNDARY_KEY).stream(number);
        Self {
            state,
            tick,
            stream,
            is_taken,
            emitted: Vec::new(),
        }
    }

    /// What was emitted.
    pub(super) fn into_emitted(self) -> Vec<TimedEvent> {
        self.emitted
    }

    /// The tick of the boundary.
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// The world the torus belongs to.
    pub fn world(&self) -> World {
        self.state.world
    }

    /// Pending events, without those emitted here.
    pub fn pending(&self) -> u64 {
        self.state.pending()
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

    /// Emits a corrective event for a cell of this torus, `delay` ticks after the boundary. If the cell's process has
    /// moved to another torus, the event follows it.
    pub fn emit(&mut self, cell: u32, delay: u32, payload: i64) {
        self.emitted.push(TimedEvent {
            time: self.tick + u64::from(delay),
            dst: cell,
            src: Source::new(SourceKind::Corrective, self.state.world.torus, cell),
            payload,
        });
    }

    /// Puts a process into a cell that has none. Returns whether it did: a cell that waits for a process from another
    /// torus, or whose own has moved there, takes no other.
    ///
    /// # Errors
    /// No such cell.
    pub fn spawn(&mut self, cell: u32, process: C) -> Result<bool, KernelError> {
        if self.process(cell).is_some() || (self.is_taken)(cell) {
            return Ok(false);
        }
        self.state.spawn(cell, process)?;
        Ok(true)
    }

    /// Removes the process in a cell. Returns whether there was one. The cell's edges stay.
    pub fn retire(&mut self, cell: u32) -> bool {
        let is_there = self.process(cell).is_some();
        if is_there {
            self.state.cells.retire(cell);
        }
        is_there
    }

    /// Withdraws the first `count` pending events in canonical order: by time, destination, source, payload. Those that
    /// wait for a process from another torus stay. It reads and sorts the pending events, and allocates.
    pub fn withdraw(&mut self, count: u64) {
        self.state.wheel.withdraw(count);
    }
}
