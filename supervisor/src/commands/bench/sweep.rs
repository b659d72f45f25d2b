//! The sweep over interval length k and lag L: how fast coupled boundaries converge, and what braiding costs then.
//!
//! Convergence is measured in one process with `heat`: torus A begins with all the heat, evenly, the others with none, and
//! the faces are left to the coupling. Virtual time does not depend on the machine, so one run is enough. The cost is
//! measured on real runs of `phold`, each in turns with one of the default configuration that lives through the sweep.

use std::time::Duration;

use braid_bench_baselines::figure::Figure;
use braid_bench_baselines::rounds::median;
use shm_layout::torus::Torus;
use torus_worker::in_process::InProcess;
use torus_worker::models::Heat;

use super::Bench;
use super::plots::Plot;
use super::report::Section;
use super::runs::Run;
use super::sampling::{Length, Turn};
use super::turns::{Contestant, Rounds, take_turns};
use crate::error::CommandError;

/// The default, which the others are compared with.
const DEFAULT: (u64, u32) = (1000, 2);
/// Heat of every cell of torus A at the beginning.
const HOT: i64 = 10_000;
/// Converged: no face cell differs between two tori by more than this part of what they began with.
const CONVERGED: f64 = 0.05;
/// The side of the lattices on which convergence is measured.
const SIDE: u32 = 8;
/// Nothing converges any more after so many ticks.
const TICKS_MAX: u64 = 20_000_000;

/// One point of the sweep.
struct Point {
    interval: u64,
    lag: u32,
    /// Ticks until the faces have converged.
    ticks: f64,
    /// Aggregate events per second.
    events_per_s: f64,
    /// The same in relation to the default configuration's, by round.
    speed: Vec<f64>,
}

/// Measures it, and draws it.
pub fn measure(bench: &Bench, section: &mut Section) -> Result<(), CommandError> {
    let intervals = bench.pick(vec![100, 1000], vec![100, 300, 1000, 3000, 10_000]);
    let lags: Vec<u32> = bench.pick(vec![1, 2], vec![1, 2, 4, 8]);
    let places: Vec<(u64, u32)> = lags
        .iter()
        .flat_map(|lag| intervals.iter().map(|interval| (*interval, *lag)))
        .collect();
    bench.progress("sweep: how fast the coupling converges");
    let ticks = convergences(bench, &places)?;
    let default = start(bench, DEFAULT)?;
    let mut points = Vec::new();
    for (place, ticks) in places.into_iter().zip(ticks) {
        points.push(point(bench, place, ticks, &default)?);
    }
    section.figures.extend(figures(&points));
    section.plots.extend(plots(&points, &lags));
    Ok(())
}

/// [`convergence`] at each place. It is of no matter how long that takes, so all processors work at it.
fn convergences(bench: &Bench, places: &[(u64, u32)]) -> Result<Vec<f64>, CommandError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = |first: usize| {
        let own = places.iter().skip(first).step_by(threads);
        own.map(|(interval, lag)| convergence(bench, *interval, *lag))
            .collect::<Result<Vec<_>, CommandError>>()
    };
    let shares: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || share(first)))
            .collect();
        let joined = workers.into_iter().map(|worker| {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect::<Result<_, CommandError>>()
    })?;
    Ok((0..places.len())
        .map(|at| shares[at % threads][at / threads])
        .collect())
}

/// Ticks of virtual time until the three faces have converged.
fn convergence(bench: &Bench, interval: u64, lag: u32) -> Result<f64, CommandError> {
    let cells = i64::from(SIDE).pow(3);
    let (hot, sides) = (format!("hot={}", cells * HOT), format!("{SIDE},{SIDE},{SIDE}"));
    let spread = format!("spread={SIDE}");
    let (k, l) = (interval.to_string(), lag.to_string());
    let options = [
        "--model",
        "heat",
        "-p",
        &hot,
        "-p",
        &spread,
        "--sides",
        &sides,
        "--interval",
        &k,
        "--lag",
        &l,
    ];
    let config = bench.workshop.configuration(&options)?;
    let failed = |error: torus_worker::in_process::InProcessError| CommandError::Failed(error.to_string());
    let mut run = InProcess::<Heat>::new(&config, Default::default()).map_err(failed)?;
    let tolerance = (CONVERGED * HOT as f64) as i64;
    loop {
        bench.interrupt.check()?;
        run.execute_interval().map_err(failed)?;
        let ticks = run.boundary() * interval;
        if largest_difference(&run) <= tolerance {
            return Ok(ticks as f64);
        }
        if ticks > TICKS_MAX {
            return Err(CommandError::Failed(format!(
                "the faces of heat do not converge at k = {interval}, L = {lag}"
            )));
        }
    }
}

/// The largest difference between two tori at the same face cell.
fn largest_difference(run: &InProcess<Heat>) -> i64 {
    let face = |torus: Torus| {
        let mut face = vec![0; (SIDE * SIDE) as usize];
        if let Some((_, node)) = run.nodes().find(|(other, _)| *other == torus) {
            node.kernel().face_into(&mut face);
        }
        face
    };
    let [a, b, c] = Torus::ALL.map(face);
    let cells = a.iter().zip(&b).zip(&c);
    let differences = cells.map(|((a, b), c)| {
        let values = [a, b, c].map(|value| i64::from(*value));
        values.iter().max().unwrap_or(&0) - values.iter().min().unwrap_or(&0)
    });
    differences.max().unwrap_or(0)
}

/// Starts three braided workers and freezes them once they have come into their stride.
fn start(bench: &Bench, (interval, lag): (u64, u32)) -> Result<Run, CommandError> {
    let (k, l) = (interval.to_string(), lag.to_string());
    let run = bench.workshop.start(&["--interval", &k, "--lag", &l])?;
    bench.interrupt.pass(Duration::from_millis(bench.pick(30, 300)))?;
    run.freeze()?;
    Ok(run)
}

fn point(
    bench: &Bench,
    (interval, lag): (u64, u32),
    ticks: f64,
    default: &Run,
) -> Result<Point, CommandError> {
    let what = format!("sweep: k = {interval}, L = {lag}");
    let run = start(bench, (interval, lag))?;
    let rounds = throughput(bench, &what, &run, default)?;
    Ok(Point {
        interval,
        lag,
        ticks,
        events_per_s: median(rounds.each(0, |rate| rate.events_per_s)),
        speed: rounds.ratios(0, 1, |rate| rate.events_per_s),
    })
}

/// How fast a run is, and the default configuration's in turns with it.
fn throughput(bench: &Bench, what: &str, run: &Run, default: &Run) -> Result<Rounds, CommandError> {
    let turn = Turn {
        settle: Duration::from_millis(bench.pick(20, 40)),
        length: Length::Time(Duration::from_millis(bench.pick(40, 220))),
    };
    let contestants = [run, default].map(|run| Contestant {
        runs: vec![run],
        turn,
    });
    take_turns(bench, what, &contestants, bench.pick(1, 3))
}

fn figures(points: &[Point]) -> Vec<Figure> {
    let default = points.iter().find(|point| (point.interval, point.lag) == DEFAULT);
    let pair = |point: &Point| {
        let name = format!("k = {}, L = {}", point.interval, point.lag);
        let mut ticks = Figure::new(format!("{name}: coupling converges"), point.ticks, "ticks");
        let mut speed = Figure::new(
            format!("{name}: three braided workers"),
            point.events_per_s,
            "events/s",
        );
        if let Some(default) = default {
            ticks = ticks.against("k = 1000, L = 2", point.ticks / default.ticks, None);
        }
        speed = speed.against_in_rounds("k = 1000, L = 2", point.speed.clone(), None);
        [ticks, speed]
    };
    points.iter().flat_map(pair).collect()
}

fn plots(points: &[Point], lags: &[u32]) -> Vec<Plot> {
    let curves = |value: fn(&Point) -> f64| {
        let curve = |lag: &u32| {
            let of_lag = points.iter().filter(|point| point.lag == *lag);
            let points = of_lag.map(|point| (point.interval as f64, value(point)));
            (format!("L = {lag}"), points.collect())
        };
        lags.iter().map(curve).collect()
    };
    let plot = |file, title: &str, y, value| Plot {
        file,
        title: title.to_owned(),
        x: "interval k, in ticks",
        y,
        logarithmic: true,
        curves: curves(value),
    };
    vec![
        plot(
            "convergence",
            "Ticks until the coupled faces of heat agree within 5 %",
            "ticks",
            |point| point.ticks,
        ),
        plot(
            "throughput",
            "Three braided workers of phold, 32 768 pending events each",
            "events per second",
            |point| point.events_per_s,
        ),
    ]
}
