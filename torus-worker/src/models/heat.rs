//! `heat`: diffusion of a conserved whole quantity over the lattice, and over the shared faces of three tori.
//!
//! A cell that is touched sends an eighth of what it holds (rounded towards zero) to each of its six neighbours and
//! keeps the rest, to the last unit. Arrivals fall on multiples of `period`, so a cell sends at most once per
//! period however many neighbours and peers touch it, and the number of pending events stays bounded.

use crate::model::{
    CapacityHint, ConstraintKind, Corrector, Coupling, Deviation, Edge, Event, KernelError, Model, Outbox,
    ParameterError, ParameterSpec, Parameters, Place, Setup, Site, World,
};
use bytemuck::{Pod, Zeroable};
use shm_layout::record::{Source, TimedEvent};
use shm_layout::torus::Torus;

const PARAMETERS: &[ParameterSpec] = &[
    ParameterSpec {
        name: "hot",
        default: "1000000",
        meaning: "units of heat that torus A starts with; may be negative",
    },
    ParameterSpec {
        name: "spread",
        default: "1",
        meaning: "side in cells of the cube from (0,0,0) on over which they are spread evenly, 1 to 128",
    },
    ParameterSpec {
        name: "period",
        default: "50",
        meaning: "ticks from one exchange between neighbours to the next, 1 to 65536",
    },
];

/// Cells that serve as sources or sinks when the total is to change.
const SPRINGS: u32 = 256;

/// The model `heat`.
#[derive(Clone, Copy, Debug)]
pub struct Heat {
    hot: i64,
    spread: u32,
    period: u32,
}

/// A process of `heat`: what the cell holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Store {
    /// Units of heat.
    pub value: i64,
}

impl Heat {
    /// The hot cells of torus A with what each starts with; the first takes what does not divide evenly.
    fn hot_cells(&self, world: &World) -> Vec<(u32, i64)> {
        let lattice = world.lattice;
        let [x, y, z] = lattice.sides().map(|side| i64::from(side.min(self.spread)));
        let count = x * y * z;
        let coordinates = (0..x).flat_map(|x| (0..y).flat_map(move |y| (0..z).map(move |z| (x, y, z))));
        let share = |at| {
            if at == 0 {
                self.hot / count + self.hot % count
            } else {
                self.hot / count
            }
        };
        (0..)
            .zip(coordinates)
            .map(|(at, (x, y, z))| (lattice.cell(x, y, z), share(at)))
            .collect()
    }
}

impl Model for Heat {
    const NAME: &'static str = "heat";
    const ABOUT: &'static str = "Diffusion of an exactly conserved quantity, from a hot spot in torus A";
    const COUPLING: Coupling = Coupling::Conserved;
    type Cell = Store;

    fn parameters() -> &'static [ParameterSpec] {
        PARAMETERS
    }

    fn new(parameters: &Parameters, _world: &World) -> Result<Self, ParameterError> {
        // Sums over all cells stay far from the ends of an i64.
        let hot = parameters.integer("hot", -(1 << 60)..=1 << 60)?;
        let spread = parameters.integer("spread", 1..=128)? as u32;
        let period = parameters.integer("period", 1..=65536)? as u32;
        Ok(Heat { hot, spread, period })
    }

    /// In each period a cell sends to its six neighbours once at the common tick; a face cell that the coupling touches
    /// may do so once more.
    fn capacity(&self, world: &World) -> CapacityHint {
        let (cells, face) = (world.lattice.cells(), world.lattice.face_cells());
        CapacityHint {
            pending: 6 * cells + 16 * face + 4096,
            edges: 6 * cells,
            remote_per_interval: (2 * face).max(1024),
        }
    }

    fn set_up(&self, setup: &mut Setup<'_, Self>) -> Result<(), KernelError> {
        let world = setup.world();
        for cell in 0..world.lattice.cells() {
            setup.spawn(cell, Store::default())?;
            for neighbour in world.lattice.neighbours(cell) {
                let to = Place {
                    torus: world.torus,
                    cell: neighbour,
                };
                setup.connect(
                    cell,
                    Edge {
                        to,
                        delay: self.period,
                    },
                )?;
            }
        }
        if world.torus == Torus::A {
            for (cell, amount) in self.hot_cells(&world) {
                let src = Source::model(world.torus, cell);
                setup.schedule(TimedEvent {
                    time: 0,
                    dst: cell,
                    src,
                    payload: amount,
                })?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn handle(&self, site: &mut Site<'_, Store>, bag: &[Event], out: &mut Outbox<'_>) {
        let arrived = bag
            .iter()
            .fold(0i64, |sum, event| sum.wrapping_add(event.payload));
        if site.process().is_none() {
            site.spawn(Store::default());
        }
        let period = u64::from(self.period);
        let delay = (period - site.tick() % period) as u32;
        let Some(store) = site.process() else { return };
        store.value = store.value.wrapping_add(arrived);
        let part = store.value / 8;
        if part == 0 {
            return;
        }
        for index in 0..out.out_degree() {
            store.value -= part;
            out.send(index, delay, part);
        }
    }

    /// Sources, or sinks, in cells spread evenly over the lattice, at the next common tick of an exchange, so that no cell
    /// sends more often on their account. A sink may leave a cell with less than nothing, which its neighbours then fill.
    fn correct(&self, deviation: &Deviation, torus: &mut Corrector<'_, Store>) -> Result<(), KernelError> {
        if deviation.kind != ConstraintKind::Invariant {
            return Ok(());
        }
        let (step, cells) = (deviation.step(), torus.world().lattice.cells());
        let springs = cells.min(SPRINGS);
        let period = u64::from(self.period);
        let delay = (torus.tick().next_multiple_of(period) - torus.tick()) as u32;
        let (share, rest) = (step / i64::from(springs), step % i64::from(springs));
        for spring in 0..springs {
            let unit = if i64::from(spring) < rest.abs() {
                rest.signum()
            } else {
                0
            };
            if share + unit != 0 {
                torus.emit(spring * (cells / springs), delay, share + unit);
            }
        }
        Ok(())
    }

    fn boundary_value(&self, process: &Store) -> i32 {
        process.value.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
    }

    fn conserved_in_cell(&self, process: &Store) -> i64 {
        process.value
    }

    fn conserved_in_event(&self, event: &Event) -> i64 {
        event.payload
    }
}
