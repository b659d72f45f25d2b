//! Memory: resident bytes of every process over a long run, its speed at the end against the beginning, and what
//! configurations take.
//!
//! The beginning and the end of a long run lie far apart, and the machine is another one by then. So before its last tenth
//! the run is frozen, and another one like it is started: the two then take turns, one in its last tenth, the other in its
//! first.

use std::time::Duration;

use braid_bench_baselines::figure::{Figure, Target};
use braid_bench_baselines::rounds::median;
use shm_layout::control::RunState;
use shm_layout::layout::Layout;
use shm_layout::torus::TORI;

use super::Bench;
use super::plots::Plot;
use super::report::Section;
use super::runs::Run;
use super::sampling::{Length, Rate, Turn};
use super::turns::{Contestant, Rounds};
use crate::error::CommandError;

/// How often a long run is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes that the resident memory of a process may grow by once everything has been touched.
const SLACK: f64 = 65_536.0;
/// What a container's /dev/shm holds by default.
const SHM_BYTES: f64 = (64 << 20) as f64;

/// Intervals of a turn.
const TURN: u64 = 6;
/// Intervals that a turn may take beyond that: before it counts, and until the run is frozen.
const RESERVE: u64 = 6;

/// A configuration: its name, and the options that make it.
type Configuration = (&'static str, &'static [&'static str]);

const CONFIGURATIONS: [Configuration; 6] = [
    ("default (phold, 32³)", &[]),
    ("phold, 10 % remote", &["-p", "remote=0.1"]),
    ("heat, 32³", &["--model", "heat"]),
    ("phold, L = 8", &["--lag", "8"]),
    ("phold, 64³", &["--sides", "64,64,64"]),
    ("phold, one torus", &["--tori", "1"]),
];

/// A look at a run.
struct Look {
    /// Events executed by all tori.
    events: u64,
    /// Boundary of the slowest torus.
    boundary: u64,
    /// Resident bytes by process.
    resident: Vec<u64>,
}

/// Measures it.
pub fn measure(bench: &Bench) -> Result<Section, CommandError> {
    let long: &[&str] = bench.pick(
        &["--until", "300000", "-p", "population=8192"],
        &["--until", "1000000"],
    );
    let mut section = Section::new("memory", settings(long));
    bench.progress(&format!("a run with {}", long.join(" ")));
    let run = bench.workshop.start(long)?;
    let names: Vec<String> = run.processes().into_iter().map(|(name, _)| name).collect();
    let mut following = Following::of(bench, &run);
    following.up_to(last_interval(&run) * 9 / 10)?;
    let rounds = compare_with_beginning(bench, long, &mut following)?;
    run.thaw()?;
    following.up_to(u64::MAX)?;
    let looks = following.looks;
    let touched = touched(&run, &looks);
    drop(run);
    section.figures.extend(flatness(&names, &looks, touched));
    section.figures.extend(steadiness(&rounds));
    section.plots.push(plot(&names, &looks));
    for configuration in CONFIGURATIONS.iter().take(bench.pick(2, CONFIGURATIONS.len())) {
        bench.progress(&format!("memory of {}", configuration.0));
        section.figures.extend(by_configuration(bench, configuration)?);
    }
    Ok(section)
}

fn settings(long: &[&str]) -> Vec<String> {
    vec![
        format!(
            "phold to its end with `{}`; resident memory as the kernel counts it page by page",
            long.join(" ")
        ),
        "speed: its last tenth in turns with the beginning of another run like it, one of them frozen"
            .to_owned(),
    ]
}

/// Whole intervals of a run that ends by itself.
fn last_interval(run: &Run) -> u64 {
    let config = run.config();
    config.until.unwrap_or(0) / config.interval
}

/// Lets a run that has come to its last tenth, and another one that begins, take turns for as long as it lasts.
fn compare_with_beginning(
    bench: &Bench,
    options: &[&str],
    following: &mut Following<'_>,
) -> Result<Rounds, CommandError> {
    let long = following.run;
    long.freeze()?;
    bench.progress("another one, until all of its memory has been touched");
    let other = bench.workshop.start(options)?;
    let mut beginning = Following::of(bench, &other);
    beginning.up_to(all_touched(&other))?;
    let turn = Turn {
        settle: Duration::from_millis(bench.pick(5, 20)),
        length: Length::Intervals(bench.pick(2, TURN)),
    };
    let contestants = [long, &other].map(|run| Contestant {
        runs: vec![run],
        turn,
    });
    let mut rounds = Rounds::begin(&contestants)?;
    while following.boundary() + bench.pick(2, TURN) + RESERVE <= last_interval(long) {
        bench.progress(&format!(
            "its interval {} of {}",
            following.boundary(),
            last_interval(long)
        ));
        rounds.play(bench, &contestants)?;
        following.look();
    }
    Ok(rounds)
}

/// A run that is looked at while it goes on.
struct Following<'r> {
    bench: &'r Bench,
    run: &'r Run,
    processes: Vec<(String, u32)>,
    looks: Vec<Look>,
}

impl<'r> Following<'r> {
    fn of(bench: &'r Bench, run: &'r Run) -> Following<'r> {
        Following {
            bench,
            run,
            processes: run.processes(),
            looks: Vec::new(),
        }
    }

    /// The boundary that its slowest torus had reached at the last look.
    fn boundary(&self) -> u64 {
        self.looks.last().map_or(0, |look| look.boundary)
    }

    /// Looks once; what has not gone on is not looked at again.
    fn look(&mut self) {
        let look = look(self.run, &self.processes);
        let boundary = self.boundary();
        self.looks
            .extend(look.filter(|look| self.looks.is_empty() || look.boundary > boundary));
    }

    /// Looks until it has reached this boundary, or until it is over, if that is `u64::MAX`.
    fn up_to(&mut self, boundary: u64) -> Result<(), CommandError> {
        loop {
            self.look();
            if self.boundary() >= boundary {
                return Ok(());
            }
            match self.run.views().control.run_state() {
                Some(RunState::Finished) if boundary == u64::MAX && self.looks.len() >= 2 => return Ok(()),
                Some(RunState::Finished | RunState::Failed | RunState::Stopped) => {
                    return Err(CommandError::Failed(
                        "the run was over before its memory could be followed".to_owned(),
                    ));
                }
                _ => self.bench.interrupt.pass(self.bench.pick(LOOK / 10, LOOK))?,
            }
        }
    }
}

/// None once one of the processes is gone.
fn look(run: &Run, processes: &[(String, u32)]) -> Option<Look> {
    let views = run.views();
    let frames: Option<Vec<_>> = views
        .regions
        .iter()
        .map(|region| run.newest_frame(region))
        .collect();
    let frames = frames?;
    let resident: Option<Vec<u64>> = processes.iter().map(|(_, pid)| resident_bytes(*pid)).collect();
    Some(Look {
        events: frames.iter().map(|frame| frame.events()).sum(),
        boundary: frames.iter().map(|frame| frame.interval() + 1).min().unwrap_or(0),
        resident: resident?,
    })
}

/// Resident bytes of a process, counted page by page: the cheap counter of `statm` is only right within some pages for
/// every processor.
fn resident_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// The boundary from which on every page of the configuration has been touched: both slots of checkpoints and mirrors have
/// been written, and every slot of the rings and logs has held a frame with a projection. One in three has one, so that
/// takes three rounds, and L intervals more until it is logged. Half of the run if it is short.
fn all_touched(run: &Run) -> u64 {
    let config = run.config();
    let rounds = TORI as u64 * u64::from(config.capacity.frames) + 2 * u64::from(config.lag);
    rounds.min(last_interval(run) / 2)
}

/// The first look from there on; one follows.
fn touched(run: &Run, looks: &[Look]) -> usize {
    looks
        .iter()
        .position(|look| look.boundary >= all_touched(run))
        .unwrap_or(0)
        .min(looks.len().saturating_sub(2))
}

fn flatness(names: &[String], looks: &[Look], touched: usize) -> Vec<Figure> {
    let begin = &looks[touched].resident;
    let figure = |(at, name): (usize, &String)| {
        let most = looks[touched..]
            .iter()
            .map(|look| look.resident[at])
            .max()
            .unwrap_or(0);
        let growth = most.saturating_sub(begin[at]) as f64;
        Figure::new(format!("growth of the {name}"), growth, "bytes").against(
            "64 KiB",
            growth / SLACK,
            Some(Target::AtMost(1.0)),
        )
    };
    let mut figures: Vec<Figure> = names.iter().enumerate().map(figure).collect();
    let (first, last) = (&looks[touched], &looks[looks.len() - 1]);
    figures.push(Figure::new(
        "events until all was touched",
        first.events as f64,
        "events",
    ));
    figures.push(Figure::new("events in the whole", last.events as f64, "events"));
    figures
}

/// The long run in its last tenth against the other one in its first.
fn steadiness(rounds: &Rounds) -> Vec<Figure> {
    let figure = |name: &str, value: fn(&Rate) -> f64, target| {
        Figure::new(name, median(rounds.each(0, value)), "events/s").against_in_rounds(
            "the first tenth",
            rounds.ratios(0, 1, value),
            target,
        )
    };
    vec![
        figure(
            "events per second in the last tenth",
            |rate| rate.events_per_s,
            Some(Target::AtLeast(0.97)),
        ),
        figure(
            "events per second of processor time, last tenth",
            |rate| 1e9 / rate.cpu_ns_per_event,
            None,
        ),
    ]
}

fn plot(names: &[String], looks: &[Look]) -> Plot {
    let curve = |(at, name): (usize, &String)| {
        let points = looks.iter().map(|look| {
            (
                look.events as f64 / 1e6,
                look.resident[at] as f64 / (1 << 20) as f64,
            )
        });
        (name.clone(), points.collect())
    };
    Plot {
        file: "memory",
        title: "Resident memory of every process".to_owned(),
        x: "million events executed",
        y: "MiB",
        logarithmic: false,
        curves: names.iter().enumerate().map(curve).collect(),
    }
}

/// The segment and the processes of a configuration that has run for a while.
fn by_configuration(bench: &Bench, (name, options): &Configuration) -> Result<Vec<Figure>, CommandError> {
    let config = bench.workshop.configuration(options)?;
    let layout = Layout::compute(&config).map_err(|error| CommandError::Failed(error.to_string()))?;
    let segment = layout.total_bytes() as f64;
    let figure = Figure::new(format!("segment, {name}"), segment, "bytes");
    let is_default = options.is_empty();
    let mut figures = vec![if is_default {
        figure.against(
            "64 MiB of /dev/shm",
            segment / SHM_BYTES,
            Some(Target::AtMost(1.0)),
        )
    } else {
        figure
    }];
    let run = bench.workshop.start(options)?;
    bench
        .interrupt
        .pass(Duration::from_millis(bench.pick(100, 1500)))?;
    debug_assert_eq!(run.segment_bytes(), layout.total_bytes());
    for (process, pid) in run.processes() {
        if let Some(bytes) = resident_bytes(pid) {
            figures.push(Figure::new(
                format!("resident, {name}, {process}"),
                bytes as f64,
                "bytes",
            ));
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(boundary: u64, events: u64, resident: u64) -> Look {
        Look {
            events,
            boundary,
            resident: vec![resident],
        }
    }

    #[test]
    fn growth_counts_from_where_all_was_touched() {
        let looks = [
            look(0, 0, 100),
            look(1, 10, 5000),
            look(2, 20, 5000),
            look(3, 30, 9096),
        ];
        let figures = flatness(&["worker A".to_owned()], &looks, 1);
        assert_eq!(figures[0].value, 4096.0);
        assert!(figures[0].meets_its_targets());
        assert!(
            !flatness(&["worker A".to_owned()], &[look(0, 0, 0), look(1, 1, 70_000)], 0)[0]
                .meets_its_targets()
        );
    }

    #[test]
    fn this_process_has_resident_memory() {
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
