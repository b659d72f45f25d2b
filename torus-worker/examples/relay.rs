//! A model of your own, as a worker binary of its own: the template to start from.
//!
//! ```sh
//! cargo build --release -p torus-worker --example relay
//! braid-supervisor start --worker target/release/examples/relay --model relay -p runners=500 --until 1000000
//! ```
//!
//! In a crate of your own it is the same: depend on `torus-worker`, implement [`Model`], and let `main` be one line.
//! `kill`, `status`, `verify` and everything else work as with the built-in models. Three rules make a model exact, and
//! verifiable: all state is in the cells, all randomness is from [`Outbox::draw`], and no clock is ever read.
//!
//! What it models: runners on straight tracks along x. A step takes a random time; who has run round the lattice hands
//! the baton to the same cell of the next torus, where the next runner starts. The cells count who came by.

use std::process::ExitCode;

use bytemuck::{Pod, Zeroable};
use shm_layout::record::{Source, TimedEvent};
use torus_worker::model::*;
use torus_worker::process::{ModelEntry, main as worker_main};

struct Relay {
    runners: u32,
    slowest: u64,
    /// Steps of a lap: the side of the lattice along x.
    lap: i64,
    /// A hand-over to another torus takes no less than the lag, so its delay stands on top of that.
    handover: u32,
}

/// The state of a cell's process: plain bytes, no pointers.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Post {
    passed: u64,
}

/// A cell's out-edges, in the order in which `set_up` makes them.
const NEXT_CELL: usize = 0;
const NEXT_TORUS: usize = 1;

impl Model for Relay {
    const NAME: &'static str = "relay";
    const ABOUT: &'static str = "Runners round the lattice who hand their batons on from torus to torus";
    type Cell = Post;

    fn parameters() -> &'static [ParameterSpec] {
        &[
            ParameterSpec {
                name: "runners",
                default: "256",
                meaning: "batons per torus, 1 to 100000",
            },
            ParameterSpec {
                name: "slowest",
                default: "40",
                meaning: "most ticks that a step takes, 1 to 1000",
            },
        ]
    }

    fn new(parameters: &Parameters, world: &World) -> Result<Self, ParameterError> {
        let runners = parameters.integer("runners", 1..=100_000)? as u32;
        let slowest = parameters.integer("slowest", 1..=1000)? as u64;
        let handover = u32::try_from(u64::from(world.lag) * world.interval).unwrap_or(u32::MAX / 2);
        Ok(Relay {
            runners,
            slowest,
            lap: i64::from(world.lattice.sides()[0]),
            handover,
        })
    }

    /// All batons may meet on one torus; each is handed over at most once in an interval.
    fn capacity(&self, world: &World) -> CapacityHint {
        let batons = self.runners * u32::from(world.tori) + 1024;
        CapacityHint {
            pending: batons,
            edges: 2 * world.lattice.cells(),
            remote_per_interval: batons,
        }
    }

    fn set_up(&self, setup: &mut Setup<'_, Self>) -> Result<(), KernelError> {
        let world = setup.world();
        let (torus, lattice) = (world.torus, world.lattice);
        for cell in 0..lattice.cells() {
            let [x, y, z] = lattice.coordinates(cell).map(i64::from);
            setup.spawn(cell, Post { passed: 0 })?;
            setup.connect(
                cell,
                Edge {
                    to: Place {
                        torus,
                        cell: lattice.cell(x + 1, y, z),
                    },
                    delay: 1,
                },
            )?;
            if let Some(next) = world.peers().next() {
                setup.connect(
                    cell,
                    Edge {
                        to: Place { torus: next, cell },
                        delay: self.handover + 1,
                    },
                )?;
            }
        }
        for runner in 0..self.runners {
            let cell = runner % lattice.cells();
            let src = Source::model(torus, cell);
            setup.schedule(TimedEvent {
                time: 1 + u64::from(runner % 100),
                dst: cell,
                src,
                payload: 0,
            })?;
        }
        Ok(())
    }

    /// Every event is a baton; its payload counts the steps of the present lap.
    fn handle(&self, site: &mut Site<'_, Post>, bag: &[Event], out: &mut Outbox<'_>) {
        for baton in bag {
            if let Some(post) = site.process() {
                post.passed += 1;
            }
            let pause = 1 + out.draw_below(self.slowest) as u32;
            if baton.payload >= self.lap && out.out_degree() > NEXT_TORUS {
                out.send(NEXT_TORUS, self.handover + pause, 0);
            } else {
                out.send(NEXT_CELL, pause, baton.payload + 1);
            }
        }
    }

    fn boundary_value(&self, post: &Post) -> i32 {
        (post.passed & 0x7fff_ffff) as i32
    }
}

fn main() -> ExitCode {
    worker_main(&[ModelEntry::of::<Relay>()])
}
