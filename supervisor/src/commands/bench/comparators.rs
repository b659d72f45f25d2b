//! What people would pick instead, as published crates: only in a build with the feature `comparators`.

use super::Bench;
use super::report::Section;
use crate::error::CommandError;

#[cfg(feature = "comparators")]
mod measured {
    use std::time::{Duration, Instant};

    use braid_bench_baselines::comparators::{iceoryx, nexosim};
    use braid_bench_baselines::cross::{Task, What, braid};
    use braid_bench_baselines::figure::Figure;
    use braid_bench_baselines::rounds::median;
    use braid_bench_baselines::{kernel, loads};

    use super::*;
    use crate::commands::bench::ring::{Contestant, Measured, size};

    /// NeXosim, with one thread and with all, against the kernel in the same rounds.
    pub fn kernel(bench: &Bench, section: &mut Section) -> Result<(), CommandError> {
        bench.progress("phold with NeXosim");
        section.settings.push(nexosim::SETTINGS.to_owned());
        let cells: u32 = kernel::SIDES.iter().product();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let phold = |threads| nexosim::Phold::new(cells as usize, threads).map_err(CommandError::Failed);
        let (mut single, mut all) = (phold(1)?, phold(threads)?);
        let mut own = loads::phold(kernel::SIDES, kernel::PENDING, kernel::MAX_DELAY);
        let ticks = bench.pick(100, 1000);
        let mut ns = [const { Vec::new() }; 3];
        for round in 0..=bench.pick(3, 11) {
            bench.interrupt.check()?;
            let begin = Instant::now();
            let events = kernel::kernel_round(&mut own, ticks * 1008).events;
            let times = [
                each(begin.elapsed(), events),
                timed(&mut single, ticks)?,
                timed(&mut all, ticks)?,
            ];
            if round > 0 {
                ns.iter_mut().zip(times).for_each(|(ns, time)| ns.push(time));
            }
        }
        let faster = |at: usize| {
            median(
                ns[at]
                    .iter()
                    .zip(&ns[0])
                    .map(|(other, own)| other / own)
                    .collect(),
            )
        };
        let figure = |name: String, at: usize| {
            Figure::new(name, median(ns[at].clone()), "ns").against(
                "phold, the kernel's, in its time",
                faster(at),
                None,
            )
        };
        section
            .figures
            .push(figure("phold, NeXosim, one thread".to_owned(), 1));
        section
            .figures
            .push(figure(format!("phold, NeXosim, {threads} threads"), 2));
        Ok(())
    }

    fn timed(phold: &mut nexosim::Phold, ticks: u64) -> Result<f64, CommandError> {
        let begin = Instant::now();
        let events = phold.run(ticks).map_err(CommandError::Failed)?;
        Ok(each(begin.elapsed(), events))
    }

    fn each(time: Duration, events: u64) -> f64 {
        time.as_nanos() as f64 / events.max(1) as f64
    }

    /// iceoryx2 against a strand and a frame ring in the same rounds.
    pub fn ring(bench: &Bench, section: &mut Section) -> Result<(), CommandError> {
        bench.progress("events and frames with iceoryx2");
        section.settings.push(iceoryx::SETTINGS.to_owned());
        let path = bench.workshop.segment_path()?;
        let service = format!("braid-bench-{}", std::process::id());
        let (path, service) = (&path, &service);
        let own = |name: &str, what, count| Contestant {
            name: name.to_owned(),
            count,
            round: Box::new(move |count| braid::measure(path, Task { what, count })),
        };
        let others = |name: &str, what, count| Contestant {
            name: name.to_owned(),
            count,
            round: Box::new(move |count| iceoryx::measure(service, Task { what, count })),
        };
        let size = |full| size(bench, full);
        let measured = Measured::take_turns(
            bench,
            &[
                own("strand", What::Events(8192), size(1 << 23)),
                own("frames", What::Frames, size(80_000)),
                own("commit to seen", What::EventEcho, size(20_000)),
                others("iceoryx2, 64 events a sample", What::Events(64), size(1 << 20)),
                others("iceoryx2, an event a sample", What::Events(1), size(1 << 18)),
                others("iceoryx2, frames", What::Frames, size(40_000)),
                others("iceoryx2, one event, latency", What::EventEcho, size(20_000)),
            ],
        )?;
        section.figures.extend([
            measured
                .per_second(3, "events/s")
                .against("a strand's", measured.speed(3, 0), None),
            measured
                .per_second(4, "events/s")
                .against("a strand's", measured.speed(4, 0), None),
            measured
                .per_second(5, "frames/s")
                .against("a frame ring's", measured.speed(5, 1), None),
            measured
                .latency(6)
                .against("commit to seen", measured.speed(2, 6), None),
        ]);
        Ok(())
    }
}

/// Adds what the feature measures for the kernel: nothing without it.
pub fn kernel(bench: &Bench, section: &mut Section) -> Result<(), CommandError> {
    #[cfg(feature = "comparators")]
    measured::kernel(bench, section)?;
    let _ = (bench, section);
    Ok(())
}

/// Adds what the feature measures between two processes: nothing without it.
pub fn ring(bench: &Bench, section: &mut Section) -> Result<(), CommandError> {
    #[cfg(feature = "comparators")]
    measured::ring(bench, section)?;
    let _ = (bench, section);
    Ok(())
}
