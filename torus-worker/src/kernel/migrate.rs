//! Moving a process: what leaves one torus, what another takes in, and the events that wait for it there.
//!
//! All of this happens at boundaries and reads or rebuilds whole arrays; ticks pay nothing for it.

use super::Kernel;
use super::edges::Link;
use super::error::{KernelError, Resource};
use super::state::State;
use super::world::{Edge, Place};
use crate::model::Model;
use shm_layout::record::TimedEvent;
use shm_layout::torus::Torus;

/// All that belongs to the process of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belongings<C> {
    /// The process's state.
    pub process: C,
    /// The cell's out-edges, in order of creation.
    pub edges: Vec<Edge>,
    /// The pending events for the cell, in no particular order.
    pub events: Vec<TimedEvent>,
}

impl<M: Model> Kernel<M> {
    /// Takes the process of a cell out of this torus, with its out-edges and pending events; none if there is none.
    pub fn depart(&mut self, cell: u32) -> Option<Belongings<M::Cell>> {
        let process = *self.process(cell)?;
        let state = &mut self.state;
        let edges = state.edges.detach(&mut state.cells.list[cell as usize]);
        state.cells.retire(cell);
        let events = state.wheel.extract(cell);
        Some(Belongings {
            process,
            edges,
            events,
        })
    }

    /// Puts a process with its out-edges, in their order, into a cell that has neither.
    ///
    /// # Errors
    /// No such cell, an edge that leads nowhere, or more edges than the capacity.
    pub fn arrive(&mut self, cell: u32, process: M::Cell, edges: &[Edge]) -> Result<(), KernelError> {
        self.state.spawn(cell, process)?;
        self.state.attach(cell, edges)
    }

    /// Makes every edge of this torus that leads to the first place of a pair lead to the second.
    pub fn redirect(&mut self, moves: &[(Place, Place)]) {
        let word = |to| Link::new(Edge { to, delay: 1 }).to;
        let moves: Vec<_> = moves.iter().map(|(from, to)| (word(*from), word(*to))).collect();
        let State { cells, edges, .. } = &mut self.state;
        for cell in &mut cells.list {
            for link in edges.of_mut(cell) {
                if let Some((_, to)) = moves.iter().find(|(from, _)| *from == link.to) {
                    link.to = *to;
                }
            }
        }
    }

    /// For every cell whether anything of this torus is there or leads there: a process, an out-edge, an edge of this
    /// torus, or a pending event.
    pub fn in_use(&self) -> Vec<bool> {
        let State {
            world, cells, edges, ..
        } = &self.state;
        let mut used = vec![false; cells.list.len()];
        for (number, cell) in cells.list.iter().enumerate() {
            used[number] |= cell.target.is_present() || cell.target.degree() > 0;
            for link in edges.of(cell) {
                let Place { torus, cell } = link.edge().to;
                used[cell as usize] |= torus == world.torus;
            }
        }
        for (cell, pending) in self.pending_by_cell().into_iter().enumerate() {
            used[cell] |= pending > 0;
        }
        used
    }

    /// How many events are pending for each cell, those that wait for its process included.
    pub fn pending_by_cell(&self) -> Vec<u32> {
        let mut counts = vec![0; self.state.cells.list.len()];
        self.state.wheel.visit(|_, event| counts[event.dst as usize] += 1);
        for event in &self.state.held {
            counts[event.dst as usize] += 1;
        }
        counts
    }

    /// Keeps an event for a cell whose process is on its way here. It is pending, but not executed before it is released.
    ///
    /// # Errors
    /// As [`Kernel::schedule`].
    pub fn hold(&mut self, event: TimedEvent) -> Result<(), KernelError> {
        self.state.check_event(&event)?;
        self.state.held.push(event);
        Ok(())
    }

    /// Gives back the events that are kept for the cells named, in no particular order.
    pub fn release(&mut self, is_due: impl Fn(u32) -> bool) -> Vec<TimedEvent> {
        let held = std::mem::take(&mut self.state.held);
        let (released, kept) = held.into_iter().partition(|event| is_due(event.dst));
        self.state.held = kept;
        released
    }

    /// Sends a record that is no event to a peer: what it carries as a time is left as it is.
    ///
    /// # Errors
    /// No such peer, or more events than the capacity of one interval.
    pub fn send_control(&mut self, to: Torus, record: TimedEvent) -> Result<(), KernelError> {
        self.state.check_peer(to)?;
        self.state.remote.push_as_is(to.index(), record);
        self.state.check_remote()
    }
}

impl<C: bytemuck::Pod> State<C> {
    fn attach(&mut self, cell: u32, edges: &[Edge]) -> Result<(), KernelError> {
        for edge in edges {
            self.check_edge(cell, edge)?;
        }
        let links = edges.iter().map(|edge| Link::new(*edge));
        if self.edges.attach(&mut self.cells.list, cell, links) {
            Ok(())
        } else {
            Err(self.full(Resource::Edges, self.last_time))
        }
    }
}
