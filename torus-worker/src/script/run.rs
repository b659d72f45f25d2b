//! `run-script`: a script on one torus of model `cascade`, line by line.

use super::{Command, Line, OrderHash, Script, ScriptError};
use crate::kernel::{Kernel, KernelError, Lattice, LatticeError, World};
use crate::models::Cascade;
use shm_layout::config::Capacity;
use shm_layout::record::{Event, TimedEvent};
use shm_layout::torus::Torus;
use std::io::Write;

/// Pending events that `run-script` has room for by default. Memory is used only as far as events need it.
pub const PENDING_DEFAULT: u32 = 1 << 20;

/// How many edges `dump` lists one by one.
const EDGES_LISTED: usize = 8;

/// Why a script could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunScriptError {
    /// The script is wrong, or the torus refused or could not go on.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The torus could not be made.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The lattice cannot be.
    #[error(transparent)]
    Lattice(#[from] LatticeError),
    /// The results could not be written.
    #[error("writing the results failed: {0}")]
    Output(#[from] std::io::Error),
}

/// Runs a script on one torus with the given sides and room for `pending` events, and writes one line for each
/// `run_until` and several for each `dump`, in the format of the golden expectations.
///
/// # Errors
/// A line that the torus refuses, a capacity that is used up, or an output that cannot be written.
pub fn run_script(
    script: &Script,
    sides: [u32; 3],
    pending: u32,
    out: impl Write,
) -> Result<(), RunScriptError> {
    script.check_tori(1)?;
    let world = World {
        torus: Torus::A,
        tori: 1,
        lattice: Lattice::new(sides)?,
        interval: 1000,
        lag: 1,
        seed: 0,
    };
    let edges = u32::try_from(script.edges(Torus::A)).unwrap_or(u32::MAX);
    let capacity = Capacity {
        pending,
        edges,
        remote_per_interval: 0,
        lanes: 0,
        lane_entries: 0,
        frames: 0,
    };
    let kernel = Kernel::new(Cascade, world, capacity)?;
    let mut run = Run {
        script,
        kernel,
        edges: Vec::new(),
        order: OrderHash::default(),
        out,
    };
    for line in script.lines() {
        run.line(line)?;
    }
    Ok(run.out.flush()?)
}

struct Run<'a, W> {
    script: &'a Script,
    kernel: Kernel<Cascade>,
    /// Source cell and ordinal of each edge, in order of creation.
    edges: Vec<(u32, usize)>,
    order: OrderHash,
    out: W,
}

impl<W: Write> Run<'_, W> {
    fn line(&mut self, line: &Line) -> Result<(), RunScriptError> {
        match line.command {
            Command::RunUntil(tick) => self.run_until(line, tick),
            Command::Dump => self.dump(),
            Command::Edge { from, .. } => self.edge(line, from.cell(&self.kernel.world().lattice)),
            Command::Process(_) | Command::Inject { .. } => {
                Ok(self.script.apply_line(line, &mut self.kernel)?)
            }
        }
    }

    fn edge(&mut self, line: &Line, from: u32) -> Result<(), RunScriptError> {
        let ordinal = self.kernel.out_degree(from);
        self.script.apply_line(line, &mut self.kernel)?;
        if self.kernel.out_degree(from) > ordinal {
            self.edges.push((from, ordinal));
        }
        Ok(())
    }

    fn run_until(&mut self, line: &Line, tick: u64) -> Result<(), RunScriptError> {
        let before = self.kernel.events();
        let order = &mut self.order;
        let result = self.kernel.run_observed(tick.saturating_add(1), |time, event| {
            let Event { dst, src, payload } = *event;
            order.event(&TimedEvent {
                time,
                dst,
                src,
                payload,
            });
        });
        result.map_err(|error| self.script.refused(line, error))?;
        let (total, pending, last_time) = (
            self.kernel.events(),
            self.kernel.pending(),
            self.kernel.last_time(),
        );
        let (processed, hash) = (total - before, self.order.value());
        writeln!(
            self.out,
            "until {tick} processed {processed} total {total} pending {pending} last_time {last_time} \
             order_fnv1a64 {hash:016x}"
        )?;
        Ok(())
    }

    fn dump(&mut self) -> Result<(), RunScriptError> {
        let delay =
            |&(from, ordinal): &(u32, usize)| self.kernel.edge(from, ordinal).map_or(0, |edge| edge.delay);
        let delays: Vec<_> = self.edges.iter().map(delay).collect();
        let mut hash = OrderHash::default();
        delays.iter().for_each(|delay| hash.word(u64::from(*delay)));
        let (count, sum) = (
            delays.len(),
            delays.iter().map(|delay| u64::from(*delay)).sum::<u64>(),
        );
        writeln!(
            self.out,
            "edges {count} delay_sum {sum} delays_fnv1a64 {:016x}",
            hash.value()
        )?;

        let pending = self.kernel.pending_events();
        let mut hash = OrderHash::default();
        pending.iter().for_each(|event| hash.event(event));
        writeln!(
            self.out,
            "pending {} pending_fnv1a64 {:016x}",
            pending.len(),
            hash.value()
        )?;

        for (index, delay) in delays.iter().take(EDGES_LISTED).enumerate() {
            writeln!(self.out, "edge {index} delay {delay}")?;
        }
        Ok(())
    }
}
