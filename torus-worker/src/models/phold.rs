//! `phold`: the standard benchmark of parallel discrete-event simulation (Fujimoto, *Performance of Time Warp under
//! synthetic workloads*, 1990). A fixed population of events hops along random out-edges with random delays.

use super::population::{change_events, change_processes, events_for_rate};
use crate::model::{
    CapacityHint, ConstraintKind, Corrector, Coupling, Deviation, Edge, Event, KernelError, Model, Outbox,
    ParameterError, ParameterSpec, Parameters, Place, Setup, Site, World,
};
use bytemuck::{Pod, Zeroable};
use shm_layout::record::{Source, TimedEvent};
use shm_layout::torus::Torus;

const PARAMETERS: &[ParameterSpec] = &[
    ParameterSpec {
        name: "population",
        default: "cells",
        meaning: "events per torus, spread evenly over the processes; \"cells\" means one per process",
    },
    ParameterSpec {
        name: "skew",
        default: "1",
        meaning: "torus A starts with this many times the population, 1 to 1024",
    },
    ParameterSpec {
        name: "occupied",
        default: "cells",
        meaning: "processes per torus, spread evenly over the cells, so that others can move to the rest; \"cells\" means all",
    },
    ParameterSpec {
        name: "degree",
        default: "2",
        meaning: "out-edges of each process to random ones of its torus, 1 to 64 and no more than there are",
    },
    ParameterSpec {
        name: "remote",
        default: "0",
        meaning: "part of the events that go to a random process of a random other torus, 0 to 1",
    },
    ParameterSpec {
        name: "max_delay",
        default: "64",
        meaning: "delays are uniform from 1 to this many ticks, 1 to 256",
    },
];

/// The model `phold`.
#[derive(Clone, Copy, Debug)]
pub struct Phold {
    population: u32,
    skew: u32,
    occupied: u32,
    degree: u32,
    /// An event goes to a peer if a 32-bit draw is below this.
    remote_below: u64,
    peers: u32,
    max_delay: u32,
    /// L·k: what a remote event's delay has on top, so that it never has to be held back for the peer.
    remote_delay: u32,
}

/// A process of `phold`: it counts, and folds what it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Tally {
    /// Events handled, modulo 2^32.
    pub handled: u32,
    /// A running mix of their payloads in the order of handling.
    pub folded: u32,
}

impl Phold {
    /// The cell of a process, by its number.
    fn cell_of(&self, number: u32, cells: u32) -> u32 {
        (u64::from(number) * u64::from(cells) / u64::from(self.occupied)) as u32
    }

    /// Events that a torus starts with.
    fn population_of(&self, torus: Torus) -> u32 {
        let skew = if torus == Torus::A { self.skew } else { 1 };
        self.population.saturating_mul(skew)
    }

    fn first_event(&self, setup: &Setup<'_, Self>, number: u32, cells: u32) -> TimedEvent {
        let cell = self.cell_of(number % self.occupied, cells);
        let mut stream = setup.stream(cell);
        // Past the draws for the cell's edges, one per round of processes.
        let draws = 2 * (self.degree + self.peers) + number / self.occupied;
        (0..draws).for_each(|_| {
            stream.draw();
        });
        let time = 1 + stream.below(u64::from(self.max_delay));
        TimedEvent {
            time,
            dst: cell,
            src: Source::model(setup.world().torus, cell),
            payload: 0,
        }
    }

    fn connect_cell(&self, setup: &mut Setup<'_, Self>, cell: u32) -> Result<(), KernelError> {
        let World { torus, lattice, .. } = setup.world();
        let mut stream = setup.stream(cell);
        let mut any_cell = || {
            let number = stream.below(u64::from(self.occupied)) as u32;
            self.cell_of(number, lattice.cells())
        };
        let mut degree = 0;
        while degree < self.degree as usize {
            // Drawing a cell twice creates no second edge, so draw again.
            let to = Place {
                torus,
                cell: any_cell(),
            };
            setup.connect(
                cell,
                Edge {
                    to,
                    delay: self.max_delay,
                },
            )?;
            degree = setup.out_degree(cell);
        }
        if self.remote_below > 0 {
            for peer in setup.world().peers() {
                let to = Place {
                    torus: peer,
                    cell: any_cell(),
                };
                setup.connect(
                    cell,
                    Edge {
                        to,
                        delay: self.remote_delay + self.max_delay,
                    },
                )?;
            }
        }
        Ok(())
    }
}

impl Model for Phold {
    const NAME: &'static str = "phold";
    const ABOUT: &'static str = "The standard benchmark: a fixed population of events hops at random";
    const COUPLING: Coupling = Coupling::None;
    type Cell = Tally;

    fn parameters() -> &'static [ParameterSpec] {
        PARAMETERS
    }

    fn new(parameters: &Parameters, world: &World) -> Result<Self, ParameterError> {
        let cells = world.lattice.cells();
        let occupied = match parameters.text("occupied")? {
            "cells" => cells,
            _ => parameters.integer("occupied", 1..=i64::from(cells))? as u32,
        };
        let population = match parameters.text("population")? {
            "cells" => occupied,
            _ => parameters.integer("population", 0..=1 << 26)? as u32,
        };
        let skew = parameters.integer("skew", 1..=1024)? as u32;
        let degree = parameters.integer("degree", 1..=64.min(i64::from(occupied)))? as u32;
        let remote = parameters.fraction("remote")?;
        let max_delay = parameters.integer("max_delay", 1..=256)? as u32;
        let peers = if remote > 0.0 {
            world.peers().count() as u32
        } else {
            0
        };
        // Exact: the product by a power of two loses nothing, and the cast truncates.
        let remote_below = if peers > 0 {
            (remote * 4_294_967_296.0) as u64
        } else {
            0
        };
        let remote_delay = u64::from(world.lag).saturating_mul(world.interval).min(1 << 30) as u32;
        Ok(Phold {
            population,
            skew,
            occupied,
            degree,
            remote_below,
            peers,
            max_delay,
            remote_delay,
        })
    }

    /// Without remote events the population is all there is; the other half is for injected ones. With them, the
    /// population of three tori wanders: a torus holds its own share give or take some square roots of it, and can
    /// hold all three only if they are small. In one interval an event is sent to a peer at most once, because it
    /// comes back no earlier than L intervals later. Where processes can move, one torus may come to hold all events.
    fn capacity(&self, world: &World) -> CapacityHint {
        let cells = world.lattice.cells();
        let edges = cells * (self.degree + self.peers);
        let most = self.population_of(Torus::A);
        if self.occupied < cells {
            return CapacityHint {
                pending: most
                    .saturating_add(self.population.saturating_mul(2))
                    .saturating_add(2048),
                edges,
                remote_per_interval: most.saturating_add(2048),
            };
        }
        if self.remote_below == 0 {
            let pending = most.saturating_mul(2).max(1024);
            return CapacityHint {
                pending,
                edges,
                remote_per_interval: 1024,
            };
        }
        CapacityHint {
            pending: most.saturating_mul(2).saturating_add(2048),
            edges,
            remote_per_interval: most.saturating_add(2048),
        }
    }

    fn set_up(&self, setup: &mut Setup<'_, Self>) -> Result<(), KernelError> {
        let World { torus, lattice, .. } = setup.world();
        let cells = lattice.cells();
        for cell in (0..self.occupied).map(|number| self.cell_of(number, cells)) {
            setup.spawn(cell, Tally::default())?;
            self.connect_cell(setup, cell)?;
        }
        let population = self.population_of(torus);
        for number in 0..population {
            // Spread evenly also when there are fewer events than processes.
            let spread = if population < self.occupied {
                (u64::from(number) * u64::from(self.occupied) / u64::from(population)) as u32
            } else {
                number
            };
            setup.schedule(self.first_event(setup, spread, cells))?;
        }
        Ok(())
    }

    #[inline(always)]
    fn handle(&self, site: &mut Site<'_, Tally>, bag: &[Event], out: &mut Outbox<'_>) {
        // An event from outside for a cell without a process ends there.
        if out.out_degree() == 0 {
            return;
        }
        for event in bag {
            if let Some(tally) = site.process() {
                tally.handled = tally.handled.wrapping_add(1);
                tally.folded = tally.folded.rotate_left(5) ^ event.payload as u32;
            }
            // The payload counts the hops, as a 32-bit number that wraps.
            let payload = i64::from((event.payload as i32).wrapping_add(1));
            let draw = out.draw();
            let delay = 1 + scale(draw & 0xffff_ffff, self.max_delay) as u32;
            let choice = draw >> 32;
            let (edge, delay) = if self.remote_below > 0 && out.draw() >> 32 < self.remote_below {
                let peer = scale(choice, self.peers);
                (u64::from(self.degree) + peer, self.remote_delay + delay)
            } else {
                (scale(choice, self.degree), delay)
            };
            out.send(edge as usize, delay, payload);
        }
    }

    /// The population goes up and down for the number of pending events and for the event rate, processes are spawned
    /// and retired for their number.
    fn correct(&self, deviation: &Deviation, torus: &mut Corrector<'_, Tally>) -> Result<(), KernelError> {
        let (step, max_delay) = (deviation.step(), self.max_delay);
        // A quarter of what the model asks for stays free: for events that clients inject and that peers send.
        let most = u64::from(self.capacity(&torus.world()).pending) / 4 * 3;
        match deviation.kind {
            ConstraintKind::Pending => change_events(torus, step, max_delay, most),
            ConstraintKind::EventRate => {
                let events = events_for_rate(step, u64::from(max_delay) + 1);
                change_events(torus, events, max_delay, most);
            }
            ConstraintKind::Active => change_processes(torus, step)?,
            // Nothing is conserved here.
            ConstraintKind::Invariant => {}
        }
        Ok(())
    }

    fn boundary_value(&self, process: &Tally) -> i32 {
        // A face shows the low 31 bits of the count.
        (process.handled & 0x7fff_ffff) as i32
    }
}

/// A 32-bit draw scaled to 0 to `bound` − 1.
#[inline(always)]
fn scale(draw: u64, bound: u32) -> u64 {
    (draw * u64::from(bound)) >> 32
}
