//! The torus kernel: one deterministic discrete-event simulation, a pure function of its state and its intake. It knows
//! no clock, no map, no ring and no file.
//!
//! One tick has four steps, each with a file of its own: [`tick`] takes the events due, [`collide`] groups them into
//! input bags, [`route`] sends what the processes emit; *stabilize* happens at boundaries, outside the kernel.

mod arrivals;
mod cells;
mod checkpoint;
mod chunks;
mod collide;
mod corrector;
mod damage;
mod digest;
mod edges;
mod error;
mod hits;
mod lattice;
mod migrate;
mod prefetch;
mod route;
mod setup;
mod site;
mod slots;
mod state;
mod state_digest;
mod tick;
mod wheel;
#[cfg(test)]
mod wheel_oracle;
mod world;

pub use arrivals::Arrivals;
pub use checkpoint::{LoadError, Sink};
pub use corrector::Corrector;
pub use damage::Damage;
pub use error::{KernelError, Resource, TIME_MAX};
pub use lattice::{Lattice, LatticeError, SIDE_MAX, SIDE_MIN};
pub use migrate::Belongings;
pub use route::Outbox;
pub use setup::Setup;
pub use site::Site;
pub use tick::Progress;
pub use world::{Edge, Place, World};

use crate::model::{Deviation, Model};
use route::Remote;
use shm_layout::config::Capacity;
use shm_layout::record::{Event, TimedEvent};
use shm_layout::torus::Torus;
use state::State;

/// One torus with its model.
pub struct Kernel<M: Model> {
    model: M,
    state: State<M::Cell>,
}

impl<M: Model> Kernel<M> {
    /// An empty torus of the given capacity. It allocates all it will ever need while it runs.
    ///
    /// # Errors
    /// This torus is not one of the run's.
    pub fn new(model: M, world: World, capacity: Capacity) -> Result<Self, KernelError> {
        if !world.has(world.torus) {
            let World { torus, tori, .. } = world;
            return Err(KernelError::NoSuchPeer {
                torus,
                to: torus,
                tori,
            });
        }
        Ok(Kernel {
            model,
            state: State::new(world, capacity),
        })
    }

    /// The memory of this kernel for another torus of the same run, empty: nothing has to be allocated, and what has been
    /// touched is not touched for the first time.
    pub fn into_torus(self, model: M, world: World) -> Self {
        let mut state = self.state;
        state.world = world;
        state.remote = Remote::new(state.capacity.remote_per_interval, world.peers());
        state.clear();
        Kernel { model, state }
    }

    /// Lets the model fill the empty torus: the state at boundary 0.
    ///
    /// # Errors
    /// What does not fit.
    pub fn set_up(&mut self) -> Result<(), KernelError> {
        self.model.set_up(&mut Setup {
            state: &mut self.state,
        })?;
        self.pack_edges();
        Ok(())
    }

    /// Lays the edges out in the order of cells, without holes: worthwhile once all are created. It changes no result.
    pub fn pack_edges(&mut self) {
        self.state.edges.pack(&mut self.state.cells.list);
    }

    /// Back to an empty torus at time 0.
    pub fn clear(&mut self) {
        self.state.clear();
    }

    /// Puts a process into a cell, in place of the one it has.
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

    /// Schedules an event for a cell of this torus, not before [`Kernel::last_time`].
    ///
    /// # Errors
    /// No such cell, a time that is past or beyond the end of virtual time, or more pending events than the capacity.
    pub fn schedule(&mut self, event: TimedEvent) -> Result<(), KernelError> {
        self.state.schedule(event)
    }

    /// Schedules what a peer sent as [`Kernel::schedule`] does each event. It takes the events over with their memory, and
    /// leaves other memory in their place, whose content means nothing.
    ///
    /// # Errors
    /// As there, of the first one that does not fit.
    pub fn schedule_arrivals(&mut self, arrivals: &mut Arrivals) -> Result<(), KernelError> {
        self.state.schedule_arrivals(arrivals)
    }

    /// Begins an interval: empties the buffers of events for peers; what is emitted from now on arrives at
    /// `remote_floor` at the earliest, and comes back from the peers that are `refusing`, by torus. Where far fewer events
    /// are pending than once were, they are moved together, for which memory is allocated.
    pub fn begin_interval(&mut self, remote_floor: u64, refusing: [bool; 3]) {
        self.state.remote.begin(remote_floor, refusing);
        self.state.wheel.gather();
    }

    /// Events for a peer that came back in this interval because it refuses them.
    pub fn refused(&self, to: Torus) -> u64 {
        self.state.remote.refused(to)
    }

    /// Lets the model answer a deviation from a constraint at the boundary at `tick`, without spawning processes in cells
    /// of which `is_taken` is true. Returns the events that it emits, which are not scheduled yet.
    ///
    /// # Errors
    /// What the response needs does not fit.
    pub fn correct(
        &mut self,
        deviation: &Deviation,
        tick: u64,
        is_taken: &dyn Fn(u32) -> bool,
    ) -> Result<Vec<TimedEvent>, KernelError> {
        let number = deviation.kind as u32;
        let mut corrector = Corrector::new(&mut self.state, tick, number, is_taken);
        self.model.correct(deviation, &mut corrector)?;
        Ok(corrector.into_emitted())
    }

    /// Executes all events before tick `end`, or at least `budget` events: it returns early after the tick that uses
    /// the budget up.
    ///
    /// # Errors
    /// A capacity is used up; the torus cannot go on then, and every later call returns the same error.
    pub fn run(&mut self, end: u64, budget: u64) -> Result<Progress, KernelError> {
        self.state.run(&self.model, end, budget, None)
    }

    /// Executes all events before tick `end` and shows each to `visit` before its tick is executed, in canonical order:
    /// by time, destination, source, payload.
    ///
    /// # Errors
    /// A capacity is used up.
    pub fn run_observed(&mut self, end: u64, mut visit: impl FnMut(u64, &Event)) -> Result<(), KernelError> {
        self.state
            .run(&self.model, end, u64::MAX, Some(&mut visit))
            .map(|_| ())
    }

    /// Sends an event to a cell of a peer, outside any edge. It arrives at its time, or at the floor of the interval if
    /// that is later.
    ///
    /// # Errors
    /// No such cell or peer, or more events than the capacity of one interval.
    pub fn send_remote(&mut self, to: Torus, event: TimedEvent) -> Result<(), KernelError> {
        self.state.send_remote(to, event)
    }

    /// The events for a peer that were emitted in this interval, in order of emission.
    pub fn remote(&self, to: Torus) -> &[TimedEvent] {
        self.state.remote.buffer(to)
    }

    /// Events executed so far.
    pub fn events(&self) -> u64 {
        self.state.events
    }

    /// Pending events.
    pub fn pending(&self) -> u64 {
        self.state.pending()
    }

    /// Active processes.
    pub fn active(&self) -> u32 {
        self.state.cells.active
    }

    /// Edges.
    pub fn edges(&self) -> u32 {
        self.state.edges.count()
    }

    /// The out-edges of a cell by their order of creation; none behind the last.
    pub fn edge(&self, from: u32, index: usize) -> Option<Edge> {
        self.state.edge(from, index)
    }

    /// The number of out-edges of a cell.
    pub fn out_degree(&self, from: u32) -> usize {
        self.state
            .cells
            .list
            .get(from as usize)
            .map_or(0, |cell| cell.target.degree() as usize)
    }

    /// Time of the last executed event, in ticks; 0 at first.
    pub fn last_time(&self) -> u64 {
        self.state.last_time
    }

    /// Hash of every event executed so far, whatever the order among cells.
    pub fn history_digest(&self) -> u64 {
        self.state.history_digest
    }

    /// Hash of the full state: processes, edges, pending events and counters. It reads the whole state.
    pub fn state_digest(&self) -> u64 {
        self.state.state_digest()
    }

    /// The world the torus belongs to.
    pub fn world(&self) -> &World {
        &self.state.world
    }

    /// The model.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The capacities.
    pub fn capacity(&self) -> &Capacity {
        &self.state.capacity
    }

    /// The process in a cell.
    pub fn process(&self, cell: u32) -> Option<&M::Cell> {
        self.state.cells.process(cell)
    }

    /// The boundary value of a cell; 0 without a process.
    pub fn cell_value(&self, cell: u32) -> i32 {
        self.process(cell)
            .map_or(0, |process| self.model.boundary_value(process))
    }

    /// The boundary values of the face x = 0, one per cell, for as many as `face` has room for.
    pub fn face_into(&self, face: &mut [i32]) {
        let cells = self.state.world.lattice.face_cells() as usize;
        for (cell, value) in self.state.cells.list[..cells].iter().zip(face) {
            let present = cell.target.is_present();
            *value = if present {
                self.model.boundary_value(&cell.state)
            } else {
                0
            };
        }
    }

    /// The conserved quantity in cells and pending events, modulo 2^64. What was sent to peers and is not yet taken in
    /// there is in neither torus: count it from the strands.
    pub fn conserved_total(&self) -> i64 {
        let cells = self
            .state
            .cells
            .processes()
            .map(|(_, process)| self.model.conserved_in_cell(process));
        let mut total = cells.fold(0, i64::wrapping_add);
        let mut add = |event: &Event| total = total.wrapping_add(self.model.conserved_in_event(event));
        self.state.wheel.visit(|_, event| add(event));
        self.state.held.iter().for_each(|event| add(&event.event()));
        total
    }

    /// All pending events in canonical order: by time, destination, source, payload. For dumps and tests.
    pub fn pending_events(&self) -> Vec<TimedEvent> {
        let mut events = self.state.held.clone();
        self.state.wheel.visit(|time, &Event { dst, src, payload }| {
            events.push(TimedEvent {
                time,
                dst,
                src,
                payload,
            });
        });
        events.sort_unstable_by_key(|event| (event.time, event.dst, event.src.0, event.payload));
        events
    }
}
