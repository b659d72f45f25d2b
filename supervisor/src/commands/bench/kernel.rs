//! The kernel: one torus in one thread, against the bare hold operation and the same semantics on a heap.

use braid_bench_baselines::kernel::{Effort, figures};

use super::Bench;
use super::report::Section;
use super::{comparators, report};
use crate::error::CommandError;

/// Measures it.
pub fn measure(bench: &Bench) -> Result<Section, CommandError> {
    let effort = bench.pick(Effort::QUICK, Effort::FULL);
    let mut section = report::Section::new(
        "kernel",
        vec![format!(
            "one torus, one thread, {} rounds of {} events, in turns; processor time per event",
            effort.rounds, effort.events
        )],
    );
    section.figures = figures(effort, &mut |what| bench.progress(what));
    bench.interrupt.check()?;
    comparators::kernel(bench, &mut section)?;
    Ok(section)
}
