//! NeXosim: PHOLD with a model per cell.
//!
//! An event that arrives at a cell is scheduled by it after its delay, and then sent to one of two random cells: scheduling
//! is a model's own affair there, and sending takes no time. A hop is one of each, as an event of Braid is taken and put.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nexosim::model::{Context, Model, schedulable};
use nexosim::ports::Output;
use nexosim::simulation::{Mailbox, SimInit, Simulation};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

/// The settings, for the report.
pub const SETTINGS: &str =
    "NeXosim 1.0: a model per cell, two outputs each to random cells, one event per cell, delays 1 to 64";

/// How many events each cell has handled; a word per cell, so that no two threads write one.
type Handled = Arc<[AtomicU64]>;

/// A cell of the lattice.
#[derive(Serialize, Deserialize)]
struct Cell {
    outputs: [Output<u32>; 2],
    random: u64,
    number: usize,
    #[serde(skip)]
    handled: Option<Handled>,
}

impl Cell {
    /// SplitMix64 (Steele, Lea and Flood 2014).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[Model]
impl Cell {
    /// An event arrives, and is due after a random delay.
    fn arrive(&mut self, payload: u32, context: &Context<Self>) {
        let ticks = 1 + self.draw() % 64;
        // A delay above zero is what scheduling asks for.
        let scheduled = context.schedule_event(Duration::from_nanos(ticks), schedulable!(Self::hop), payload);
        debug_assert!(scheduled.is_ok());
    }

    #[nexosim(schedulable)]
    async fn hop(&mut self, payload: u32) {
        if let Some(handled) = &self.handled {
            // Ordering: none needed; read when the simulation stands still.
            let count = &handled[self.number];
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        let output = (self.draw() >> 63) as usize;
        self.outputs[output].send(payload.wrapping_add(1)).await;
    }

    #[nexosim(init)]
    async fn init(&mut self, context: &Context<Self>) {
        self.arrive(0, context);
    }
}

/// A simulation that goes on and on.
pub struct Phold {
    simulation: Simulation,
    handled: Handled,
}

impl Phold {
    /// So many cells with an event each, executed by so many threads.
    ///
    /// # Errors
    /// What NeXosim reports, as a sentence.
    pub fn new(cells: usize, threads: usize) -> Result<Phold, String> {
        let handled: Handled = (0..cells).map(|_| AtomicU64::new(0)).collect();
        let mailboxes: Vec<Mailbox<Cell>> = (0..cells).map(|_| Mailbox::new()).collect();
        let mut bench = SimInit::with_num_threads(threads);
        let mut models = Vec::with_capacity(cells);
        for number in 0..cells {
            let mut cell = Cell {
                outputs: [Output::default(), Output::default()],
                random: number as u64,
                number,
                handled: Some(handled.clone()),
            };
            for output in 0..2 {
                let to = (cell.draw() % cells as u64) as usize;
                cell.outputs[output].connect(Cell::arrive, &mailboxes[to]);
            }
            models.push(cell);
        }
        for (number, (cell, mailbox)) in models.into_iter().zip(mailboxes).enumerate() {
            bench = bench.add_model(cell, mailbox, &number.to_string());
        }
        let simulation = bench
            .init(MonotonicTime::EPOCH)
            .map_err(|error| error.to_string())?;
        Ok(Phold { simulation, handled })
    }

    /// Executes so many ticks; returns the events of them.
    ///
    /// # Errors
    /// What NeXosim reports, as a sentence.
    pub fn run(&mut self, ticks: u64) -> Result<u64, String> {
        let before = self.events();
        self.simulation
            .step_until(Duration::from_nanos(ticks))
            .map_err(|error| error.to_string())?;
        Ok(self.events() - before)
    }

    fn events(&self) -> u64 {
        // Ordering: none needed; the simulation stands still.
        self.handled
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }
}
