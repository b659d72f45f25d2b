//! A model that shows what became of every event and every process: events are tokens with a number, processes have names.

use bytemuck::{Pod, Zeroable};
use shm_layout::record::{Event, Source, TimedEvent};
use torus_worker::model::{
    CapacityHint, Edge, KernelError, Model, Outbox, ParameterError, Parameters, Place, Setup, Site, World,
};

/// Processes of each torus at first; the other cells are free.
pub const PROCESSES: u32 = 20;
/// Tokens of each process at first.
pub const TOKENS: u32 = 2;
/// Out-edges of each process within its torus; one more leads to each peer.
const DEGREE: u32 = 3;

/// Tokens hop from process to process and carry amounts.
pub struct Tokens;

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Holder {
    /// Its number in the run.
    pub name: u32,
    /// Tokens that it has seen, modulo 2^32.
    pub seen: u32,
    /// What it holds.
    pub amount: i64,
    /// A running mix of what it has seen, in order.
    pub folded: u64,
}

/// A token: its number in the lower half, its amount in the upper.
pub fn token(number: u32, amount: i32) -> i64 {
    i64::from(amount) << 32 | i64::from(number)
}

/// The number of a token.
pub fn number(payload: i64) -> u32 {
    payload as u32
}

/// The amount of a token.
pub fn amount(payload: i64) -> i64 {
    payload >> 32
}

/// The cell of a process at first.
pub fn cell_of(process: u32, cells: u32) -> u32 {
    process * cells / PROCESSES
}

impl Model for Tokens {
    const NAME: &'static str = "tokens";
    const ABOUT: &'static str = "numbered tokens hop between named processes";
    type Cell = Holder;

    fn new(_: &Parameters, _: &World) -> Result<Self, ParameterError> {
        Ok(Tokens)
    }

    fn capacity(&self, _: &World) -> CapacityHint {
        CapacityHint {
            pending: 1024,
            edges: 1024,
            remote_per_interval: 1024,
        }
    }

    fn set_up(&self, setup: &mut Setup<'_, Self>) -> Result<(), KernelError> {
        let World { torus, lattice, .. } = setup.world();
        let (cells, first) = (lattice.cells(), torus.index() as u32 * PROCESSES);
        for process in 0..PROCESSES {
            let cell = cell_of(process, cells);
            setup.spawn(
                cell,
                Holder {
                    name: first + process,
                    seen: 0,
                    amount: 1000,
                    folded: 0,
                },
            )?;
            let peers: Vec<_> = setup.world().peers().collect();
            for (number, torus) in (0..).zip((0..DEGREE).map(|_| torus).chain(peers)) {
                let to = (process * 7 + number * 5 + number * number) % PROCESSES;
                let to = Place {
                    torus,
                    cell: cell_of(to, cells),
                };
                setup.connect(
                    cell,
                    Edge {
                        to,
                        delay: 1 + number,
                    },
                )?;
            }
            for round in 0..TOKENS {
                setup.schedule(TimedEvent {
                    time: u64::from(1 + round + process % 5),
                    dst: cell,
                    src: Source::model(torus, cell),
                    payload: token((first + process) * TOKENS + round, 7),
                })?;
            }
        }
        Ok(())
    }

    fn handle(&self, site: &mut Site<'_, Holder>, bag: &[Event], out: &mut Outbox<'_>) {
        assert!(
            bag.is_sorted_by_key(|event| (event.src.0, event.payload)),
            "a bag comes in canonical order"
        );
        let cell = site.cell();
        let Some(holder) = site.process() else {
            panic!("a token came to cell {cell}, which has no process");
        };
        for event in bag {
            holder.seen = holder.seen.wrapping_add(1);
            holder.folded = (holder.folded.rotate_left(9) ^ event.payload.cast_unsigned())
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(u64::from(event.src.0));
            holder.amount += amount(event.payload);
            let gives = out.draw_below(20) as i64;
            holder.amount -= gives;
            let edge = out.draw_below(out.out_degree() as u64) as usize;
            let delay = 1 + out.draw_below(12) as u32;
            out.send(edge, delay, token(number(event.payload), gives as i32));
        }
    }

    fn conserved_in_cell(&self, process: &Holder) -> i64 {
        process.amount
    }

    fn conserved_in_event(&self, event: &Event) -> i64 {
        amount(event.payload)
    }
}
