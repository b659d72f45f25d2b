//! The state of a torus without its model: cells, edges, pending events, counters.

use super::arrivals::Arrivals;
use super::cells::Cells;
use super::collide::Collider;
use super::edges::{Connected, Edges};
use super::error::{KernelError, Resource, TIME_MAX};
use super::route::{Postponed, Remote};
use super::wheel::Wheel;
use super::world::{Edge, World};
use shm_layout::config::Capacity;
use shm_layout::record::{Event, TimedEvent};
use shm_layout::torus::Torus;

pub(super) struct State<C> {
    pub(super) world: World,
    pub(super) capacity: Capacity,
    pub(super) cells: Cells<C>,
    pub(super) edges: Edges,
    pub(super) wheel: Wheel,
    /// Pending events for cells whose process is on its way here (see `migrate`).
    pub(super) held: Vec<TimedEvent>,
    pub(super) remote: Remote,
    pub(super) postponed: Postponed,
    pub(super) collider: Collider,
    /// The events of the tick being executed, in order, if someone looks at them.
    pub(super) due: Vec<Event>,
    pub(super) events: u64,
    pub(super) last_time: u64,
    pub(super) history_digest: u64,
    /// What stopped the torus for good: after it the state is incomplete.
    pub(super) failure: Option<KernelError>,
}

impl<C: bytemuck::Pod> State<C> {
    pub(super) fn new(world: World, capacity: Capacity) -> State<C> {
        let from_a_peer = match world.tori {
            1 => 0,
            _ => capacity.remote_per_interval,
        };
        State {
            world,
            capacity,
            cells: Cells::new(world.lattice.cells()),
            edges: Edges::new(capacity.edges),
            wheel: Wheel::new(capacity.pending, from_a_peer),
            held: Vec::new(),
            remote: Remote::new(capacity.remote_per_interval, world.peers()),
            postponed: Postponed::new(),
            collider: Collider::new(world.lattice.cells(), capacity.pending),
            due: Vec::with_capacity(capacity.pending as usize),
            events: 0,
            last_time: 0,
            history_digest: 0,
            failure: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.edges.clear();
        self.wheel.clear(0);
        self.held.clear();
        self.remote.begin(0, [false; 3]);
        self.events = 0;
        self.last_time = 0;
        self.history_digest = 0;
        self.failure = None;
    }

    pub(super) fn spawn(&mut self, cell: u32, state: C) -> Result<(), KernelError> {
        self.check_cell(cell)?;
        self.cells.spawn(cell, state);
        Ok(())
    }

    pub(super) fn connect(&mut self, from: u32, edge: Edge) -> Result<(), KernelError> {
        self.check_edge(from, &edge)?;
        match self.edges.connect(&mut self.cells.list, from, edge) {
            Connected::Full => Err(self.full(Resource::Edges, self.last_time)),
            Connected::Created | Connected::Replaced => Ok(()),
        }
    }

    pub(super) fn check_edge(&self, from: u32, edge: &Edge) -> Result<(), KernelError> {
        let torus = self.world.torus;
        self.check_cell(from)?;
        self.check_cell(edge.to.cell)?;
        if edge.to.torus != torus {
            self.check_peer(edge.to.torus)?;
        }
        if edge.delay == 0 {
            return Err(KernelError::NoDelay { torus, cell: from });
        }
        Ok(())
    }

    pub(super) fn edge(&self, from: u32, index: usize) -> Option<Edge> {
        let cell = self.cells.list.get(from as usize)?;
        self.edges.of(cell).nth(index).map(|link| link.edge())
    }

    pub(super) fn schedule(&mut self, event: TimedEvent) -> Result<(), KernelError> {
        self.check_event(&event)?;
        self.wheel.schedule(event.time, event.event());
        Ok(())
    }

    /// Schedules what a peer sent, one event after the other until one does not fit. Where all do, they are taken over as
    /// they are.
    pub(super) fn schedule_arrivals(&mut self, arrivals: &mut Arrivals) -> Result<(), KernelError> {
        let room = u64::from(self.capacity.pending).saturating_sub(self.pending());
        let are_plain = arrivals.are_within(self.cells.count(), self.last_time..=TIME_MAX);
        if arrivals.events().len() as u64 > room || !are_plain {
            return arrivals
                .events()
                .iter()
                .try_for_each(|event| self.schedule(*event));
        }
        self.wheel.schedule_arrivals(arrivals);
        Ok(())
    }

    /// Pending events, those included that wait for their process.
    pub(super) fn pending(&self) -> u64 {
        self.wheel.pending() + self.held.len() as u64
    }

    /// Whether one more event can be pending.
    pub(super) fn check_event(&self, event: &TimedEvent) -> Result<(), KernelError> {
        let TimedEvent { time, dst, .. } = *event;
        let torus = self.world.torus;
        self.check_cell(dst)?;
        if time > TIME_MAX {
            return Err(KernelError::TimeOverflow { torus, time });
        }
        if time < self.last_time {
            return Err(KernelError::Past {
                torus,
                time,
                last_time: self.last_time,
            });
        }
        if self.pending() >= u64::from(self.capacity.pending) {
            return Err(self.full(Resource::Pending, time));
        }
        Ok(())
    }

    pub(super) fn send_remote(&mut self, to: Torus, event: TimedEvent) -> Result<(), KernelError> {
        self.check_cell(event.dst)?;
        self.check_peer(to)?;
        self.remote.push(to.index(), event);
        self.check_remote()
    }

    /// Whether all that was to be sent in this interval had room.
    pub(super) fn check_remote(&self) -> Result<(), KernelError> {
        if self.remote.is_overflown() {
            return Err(self.full(Resource::RemotePerInterval, self.last_time));
        }
        Ok(())
    }

    /// The error of a capacity that is used up at a tick.
    pub(super) fn full(&self, what: Resource, tick: u64) -> KernelError {
        let capacity = match what {
            Resource::Pending => self.capacity.pending,
            Resource::Edges => self.capacity.edges,
            Resource::RemotePerInterval => self.capacity.remote_per_interval,
        };
        KernelError::Capacity {
            what,
            torus: self.world.torus,
            tick,
            capacity,
        }
    }

    fn check_cell(&self, cell: u32) -> Result<(), KernelError> {
        let cells = self.cells.count();
        if cell < cells {
            Ok(())
        } else {
            Err(KernelError::NoSuchCell {
                torus: self.world.torus,
                cell,
                cells,
            })
        }
    }

    pub(super) fn check_peer(&self, to: Torus) -> Result<(), KernelError> {
        let World { torus, tori, .. } = self.world;
        if to != torus && self.world.has(to) {
            Ok(())
        } else {
            Err(KernelError::NoSuchPeer { torus, to, tori })
        }
    }
}
