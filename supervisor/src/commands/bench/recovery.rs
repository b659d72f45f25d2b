//! Recovery: many kills one after another on a dense run, read from the log that the run itself keeps.

use std::time::{Duration, Instant};

use braid_bench_baselines::figure::{Figure, Target};
use braid_bench_baselines::rounds::median;
use nix::libc::SIGKILL;
use shm_layout::torus::Torus;

use super::Bench;
use super::plots::Plot;
use super::report::Section;
use super::runs::Run;
use crate::error::CommandError;
use crate::report::recovery::Recovery;
use crate::socket::client::ask;
use crate::socket::message::{Request, Response};

/// Checkpoint budgets in percent of the run time; the second is the default.
const BUDGETS: [&str; 4] = ["1", "2", "5", "10"];
/// How often the run is looked at.
const LOOK: Duration = Duration::from_micros(200);
/// A recovery that takes longer is a failure of the run.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a process that stands by is waited for.
const STANDBY_PATIENCE: Duration = Duration::from_secs(2);

/// One kill, and what came of it.
struct Kill {
    recovery: Recovery,
    /// The longest time in which a survivor committed nothing, beyond what it usually takes.
    stall_ns: f64,
}

/// Measures it.
pub fn measure(bench: &Bench) -> Result<Section, CommandError> {
    let kills = bench.pick(20, 200);
    let mut section = Section::new("recovery", settings(kills));
    let run = bench.workshop.start(&[])?;
    bench.interrupt.pass(Duration::from_millis(300))?;
    let measured = kill_often(bench, &run, kills, "2 %", true)?;
    section.figures.extend(figures(&measured));
    let hasty = kill_often(bench, &run, bench.pick(3, 60), "2 %, in quick succession", false)?;
    drop(run);
    section.figures.push(Figure::new(
        "kills in quick succession, to caught up, median",
        median(times(&hasty, |recovery| recovery.caught_up_ns)),
        "ns",
    ));
    let mut curves = vec![
        ("median".to_owned(), Vec::new()),
        ("99th percentile".to_owned(), Vec::new()),
    ];
    for budget in BUDGETS {
        let run = bench.workshop.start(&["--checkpoint-budget", budget])?;
        bench.interrupt.pass(Duration::from_millis(300))?;
        let measured = kill_often(bench, &run, bench.pick(3, 60), &format!("{budget} %"), true)?;
        let caught_up = times(&measured, |recovery| recovery.caught_up_ns);
        let percent: f64 = budget.parse().unwrap_or(0.0);
        let figures = [median(caught_up.clone()), percentile(caught_up, 0.99)];
        section.figures.push(Figure::new(
            format!("kill to caught up, median, checkpoint budget {budget} %"),
            figures[0],
            "ns",
        ));
        for ((_, points), ns) in curves.iter_mut().zip(figures) {
            points.push((percent, ns / 1e6));
        }
    }
    section.plots.push(Plot {
        file: "recovery",
        title: "From SIGKILL to caught up, phold dense".to_owned(),
        x: "checkpoint budget, percent of run time",
        y: "ms",
        logarithmic: false,
        curves,
    });
    Ok(section)
}

fn settings(kills: usize) -> Vec<String> {
    vec![format!(
        "phold, 32³ cells, 32 768 pending events a torus, k = 1000, L = 2; {kills} times SIGKILL, to A, B and C in turn, each \
         when the last one has caught up and a process stands by again, and some 10 to 110 ms more"
    )]
}

/// With `calm` each kill finds everything as it was before the last one, otherwise it may come amid the aftermath.
fn kill_often(
    bench: &Bench,
    run: &Run,
    kills: usize,
    budget: &str,
    calm: bool,
) -> Result<Vec<Kill>, CommandError> {
    let mut measured = Vec::with_capacity(kills);
    for number in 0..kills {
        if number % 20 == 0 {
            bench.progress(&format!(
                "kill {} of {kills}, checkpoint budget {budget}",
                number + 1
            ));
        }
        measured.push(kill(bench, run, Torus::ALL[number % 3])?);
        if calm {
            await_standby(bench, run)?;
        }
        // Spread evenly over the time between two checkpoints.
        let pause = 10 + 100 * (number as u64 * 61 % 100) / 100;
        bench.interrupt.pass(Duration::from_millis(pause))?;
    }
    Ok(measured)
}

/// Waits until a process stands by. One that cannot be had is not waited for: its absence is then part of what is measured.
fn await_standby(bench: &Bench, run: &Run) -> Result<(), CommandError> {
    let begin = Instant::now();
    while run.views().control.standby_pid() == 0 && begin.elapsed() < STANDBY_PATIENCE {
        bench.interrupt.pass(LOOK)?;
    }
    Ok(())
}

fn kill(bench: &Bench, run: &Run, torus: Torus) -> Result<Kill, CommandError> {
    let mut watch = Watch::new(run, torus);
    let before = recoveries(run, torus)?.len();
    let signal = SIGKILL;
    let request = Request::Kill {
        torus: torus.index() as u8,
        signal,
        hold: false,
    };
    match ask(run.segment(), &request)? {
        Response::Killed { .. } => {}
        other => {
            return Err(CommandError::Failed(format!(
                "the supervisor does not kill: {other:?}"
            )));
        }
    }
    let begin = Instant::now();
    loop {
        bench.interrupt.check()?;
        watch.look();
        if caught_up(run, torus, before) {
            break;
        }
        if begin.elapsed() > PATIENCE {
            return Err(CommandError::Failed(format!(
                "torus {torus} has not caught up within {} s",
                PATIENCE.as_secs()
            )));
        }
        std::thread::sleep(LOOK);
    }
    let all = recoveries(run, torus)?;
    let recovery = all
        .last()
        .cloned()
        .ok_or_else(|| CommandError::Failed("the log of recoveries is empty".to_owned()))?;
    Ok(Kill {
        recovery,
        stall_ns: watch.stall_ns(),
    })
}

/// Whether the torus has one more recovery than before, and has caught up in the last.
fn caught_up(run: &Run, torus: Torus, before: usize) -> bool {
    let records = run.views().control.recoveries();
    let of_torus: Vec<_> = records.iter().filter(|record| record.torus == torus).collect();
    of_torus.len() > before && of_torus.last().is_some_and(|record| record.caught_up_ns != 0)
}

fn recoveries(run: &Run, torus: Torus) -> Result<Vec<Recovery>, CommandError> {
    let report = run.report()?;
    let tori = report.tori.into_iter();
    Ok(tori
        .filter(|report| report.torus == torus.letter())
        .flat_map(|report| report.recoveries)
        .collect())
}

/// Watches how the survivors go on while one is away.
struct Watch<'r> {
    run: &'r Run,
    survivors: Vec<(usize, u64, Instant, Duration)>,
    begin: Instant,
    usual: Duration,
}

impl<'r> Watch<'r> {
    fn new(run: &'r Run, dead: Torus) -> Watch<'r> {
        let now = Instant::now();
        let heads = run
            .views()
            .regions
            .iter()
            .map(|region| region.ring.head())
            .collect::<Vec<_>>();
        let survivors = (0..heads.len()).filter(|at| *at != dead.index());
        // What an interval takes on the whole; a frame of a run that has just begun does not matter.
        let elapsed = run.report().map_or(0, |report| report.elapsed_ns);
        let intervals = heads.iter().max().copied().unwrap_or(0).max(1);
        Watch {
            run,
            survivors: survivors.map(|at| (at, heads[at], now, Duration::ZERO)).collect(),
            begin: now,
            usual: Duration::from_nanos(elapsed / intervals),
        }
    }

    fn look(&mut self) {
        let now = Instant::now();
        let views = self.run.views();
        for (at, seen, since, longest) in &mut self.survivors {
            let head = views.regions[*at].ring.head();
            if head > *seen {
                (*seen, *since) = (head, now);
            }
            *longest = (*longest).max(now - *since);
        }
    }

    fn stall_ns(&self) -> f64 {
        debug_assert!(self.begin.elapsed() >= Duration::ZERO);
        let longest = self
            .survivors
            .iter()
            .map(|(.., longest)| *longest)
            .max()
            .unwrap_or_default();
        longest.saturating_sub(self.usual).as_nanos() as f64
    }
}

fn times(kills: &[Kill], part: fn(&Recovery) -> Option<u64>) -> Vec<f64> {
    kills
        .iter()
        .filter_map(|kill| part(&kill.recovery))
        .map(|ns| ns as f64)
        .collect()
}

/// The value that this part of all is at most.
fn percentile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (values.len() as f64 * part).ceil() as usize;
    values
        .get(at.saturating_sub(1).min(last))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Everything but the time in which the successor executed events, be they of committed intervals or of the one in which its
/// predecessor died.
fn without_replay(recovery: &Recovery) -> Option<u64> {
    Some(recovery.caught_up_ns?.saturating_sub(recovery.executing_ns?))
}

/// Everything but the time from loaded to rehydrated.
fn without_replay_of_committed(recovery: &Recovery) -> Option<u64> {
    let replay = recovery.rehydrated_ns?.saturating_sub(recovery.loaded_ns?);
    Some(recovery.caught_up_ns?.saturating_sub(replay))
}

fn figures(kills: &[Kill]) -> Vec<Figure> {
    let ms = 1e6;
    let caught_up = times(kills, |recovery| recovery.caught_up_ns);
    let bounded = |name: &str, ns: f64, bound: f64, in_words| {
        Figure::new(name, ns, "ns").against(in_words, ns / bound, Some(Target::AtMost(1.0)))
    };
    let part = |name: &str, part| Figure::new(name, median(times(kills, part)), "ns");
    let intervals = kills.iter().map(|kill| kill.recovery.replayed_intervals as f64);
    let stalls: Vec<f64> = kills.iter().map(|kill| kill.stall_ns).collect();
    let middle = median(caught_up.clone());
    vec![
        bounded("kill to caught up, median", middle, 30.0 * ms, "30 ms").against(
            "10 ms, the goal",
            middle / (10.0 * ms),
            None,
        ),
        bounded(
            "kill to caught up, 99th percentile",
            percentile(caught_up, 0.99),
            80.0 * ms,
            "80 ms",
        ),
        bounded(
            "without the replay, median",
            median(times(kills, without_replay)),
            5.0 * ms,
            "5 ms",
        ),
        part(
            "without the replay of committed intervals, median",
            without_replay_of_committed,
        ),
        part("kill to detected, median", |recovery| recovery.detected_ns),
        bounded(
            "kill to the successor's first instruction, median",
            median(times(kills, |recovery| recovery.started_ns)),
            2.0 * ms,
            "2 ms",
        ),
        part("kill to checkpoint loaded, median", |recovery| recovery.loaded_ns),
        part("kill to replayed, median", |recovery| recovery.rehydrated_ns),
        Figure::new(
            "intervals replayed, median",
            median(intervals.collect()),
            "intervals",
        ),
        Figure::new("survivors' stall, median", median(stalls.clone()), "ns"),
        Figure::new(
            "survivors' stall, 99th percentile",
            percentile(stalls, 0.99),
            "ns",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(values.clone(), 0.99), 198.0);
        assert_eq!(percentile(values[..20].to_vec(), 0.99), 20.0);
        assert!(percentile(Vec::new(), 0.5).is_nan());
    }
}
