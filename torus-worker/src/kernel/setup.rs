//! How a model sets up its torus.

use super::error::KernelError;
use super::state::State;
use super::world::{Edge, World};
use crate::model::Model;
use crate::random::{Stream, TickKey};
use shm_layout::record::TimedEvent;

/// An empty torus that a model fills with processes, edges and first events.
pub struct Setup<'a, M: Model> {
    pub(super) state: &'a mut State<M::Cell>,
}

impl<M: Model> Setup<'_, M> {
    /// The world the torus belongs to.
    pub fn world(&self) -> World {
        self.state.world
    }

    /// Puts a process into a cell.
    ///
    /// # Errors
    /// No such cell.
    pub fn spawn(&mut self, cell: u32, process: M::Cell) -> Result<(), KernelError> {
        self.state.spawn(cell, process)
    }

    /// Creates an edge from a cell, or replaces the delay of the edge that leads there already.
    ///
    /// # Errors
    /// No such cell or peer, a delay of 0, or more edges than the capacity.
    pub fn connect(&mut self, from: u32, edge: Edge) -> Result<(), KernelError> {
        self.state.connect(from, edge)
    }

    /// The out-degree of a cell.
    pub fn out_degree(&self, cell: u32) -> usize {
        self.state
            .cells
            .list
            .get(cell as usize)
            .map_or(0, |cell| cell.target.degree() as usize)
    }

    /// Schedules an event for a cell of this torus.
    ///
    /// # Errors
    /// No such cell, a time beyond the end of virtual time, or more pending events than the capacity.
    pub fn schedule(&mut self, event: TimedEvent) -> Result<(), KernelError> {
        self.state.schedule(event)
    }

    /// The random numbers for setting up a cell, apart from those of every tick.
    pub fn stream(&self, cell: u32) -> Stream {
        TickKey::new(self.state.world.seed, self.state.world.torus, u64::MAX).stream(cell)
    }
}
