//! Memory: resident bytes of every process over a long run, its speed at the end against the beginning, and what
//! configurations take.

use std::time::{Duration, Instant};

use braid_bench_baselines::figure::{Figure, Target};
use shm_layout::control::RunState;
use shm_layout::layout::Layout;

use super::Bench;
use super::plots::Plot;
use super::report::Section;
use super::runs::Run;
use super::sampling::cpu_ns;
use crate::error::CommandError;

/// How often a long run is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes that the resident memory of a process may grow by once everything has been touched.
const SLACK: f64 = 65_536.0;
/// What a container's /dev/shm holds by default.
const SHM_BYTES: f64 = (64 << 20) as f64;

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
    at: Instant,
    /// Events executed by all tori.
    events: u64,
    /// Boundary of the slowest torus.
    boundary: u64,
    /// Processor time of all workers.
    cpu_ns: u64,
    /// Resident bytes by process.
    resident: Vec<u64>,
}

/// Measures it.
pub fn measure(bench: &Bench) -> Result<Section, CommandError> {
    let long: &[&str] = bench.pick(
        &["--until", "15000", "--interval", "20", "-p", "population=8192"],
        &["--until", "1000000"],
    );
    let mut section = Section::new(
        "memory",
        vec![format!(
            "phold to its end with `{}`; resident memory as the kernel counts it page by page",
            long.join(" ")
        )],
    );
    bench.progress(&format!("a run with {}", long.join(" ")));
    let run = bench.workshop.start(long)?;
    let names: Vec<String> = run.processes().into_iter().map(|(name, _)| name).collect();
    let looks = follow(bench, &run)?;
    let touched = touched(&run, &looks);
    drop(run);
    section.figures.extend(flatness(&names, &looks, touched));
    section.figures.extend(steadiness(&looks[touched..]));
    section.plots.push(plot(&names, &looks));
    for configuration in CONFIGURATIONS.iter().take(bench.pick(2, CONFIGURATIONS.len())) {
        bench.progress(&format!("memory of {}", configuration.0));
        section.figures.extend(by_configuration(bench, configuration)?);
    }
    Ok(section)
}

/// Looks at a run until it is over.
fn follow(bench: &Bench, run: &Run) -> Result<Vec<Look>, CommandError> {
    let processes = run.processes();
    let mut looks: Vec<Look> = Vec::new();
    loop {
        if let Some(look) = look(run, &processes)
            && looks.last().is_none_or(|last| last.boundary < look.boundary)
        {
            looks.push(look);
        }
        match run.views().control.run_state() {
            Some(RunState::Finished) if looks.len() >= 2 => return Ok(looks),
            Some(RunState::Finished | RunState::Failed | RunState::Stopped) => {
                return Err(CommandError::Failed(
                    "the run was over before its memory could be followed".to_owned(),
                ));
            }
            _ => bench.interrupt.pass(bench.pick(LOOK / 10, LOOK))?,
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
        at: Instant::now(),
        events: frames.iter().map(|frame| frame.events()).sum(),
        boundary: frames.iter().map(|frame| frame.interval() + 1).min().unwrap_or(0),
        cpu_ns: processes.iter().skip(1).map(|(_, pid)| cpu_ns(*pid)).sum(),
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

/// The first look at which every page of the configuration has been touched: rings and logs have come round, and both
/// slots of checkpoints and mirrors have been written. The last look if there is none.
fn touched(run: &Run, looks: &[Look]) -> usize {
    let rounds = 2 * u64::from(run.config().capacity.frames);
    let last = looks.last().map_or(0, |look| look.boundary);
    let from = rounds.min(last / 2);
    looks
        .iter()
        .position(|look| look.boundary >= from)
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

/// The first tenth against the last tenth of the looks.
fn steadiness(looks: &[Look]) -> Vec<Figure> {
    let tenth = (looks.len() / 10).max(1);
    let (first, last) = (&looks[..=tenth], &looks[looks.len() - 1 - tenth..]);
    let per_s = |looks: &[Look]| {
        let (begin, end) = (&looks[0], &looks[looks.len() - 1]);
        (end.events - begin.events) as f64 / (end.at - begin.at).as_secs_f64().max(1e-9)
    };
    let per_cpu_s = |looks: &[Look]| {
        let (begin, end) = (&looks[0], &looks[looks.len() - 1]);
        (end.events - begin.events) as f64 * 1e9 / end.cpu_ns.saturating_sub(begin.cpu_ns).max(1) as f64
    };
    vec![
        Figure::new("events per second in the last tenth", per_s(last), "events/s").against(
            "the first tenth",
            per_s(last) / per_s(first),
            Some(Target::AtLeast(0.97)),
        ),
        Figure::new(
            "events per second of processor time, last tenth",
            per_cpu_s(last),
            "events/s",
        )
        .against("the first tenth", per_cpu_s(last) / per_cpu_s(first), None),
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

    fn look(seconds: u64, events: u64, resident: u64) -> Look {
        static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        Look {
            at: *BEGIN.get_or_init(Instant::now) + Duration::from_secs(seconds),
            events,
            boundary: seconds,
            cpu_ns: seconds * 1_000_000_000,
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
    fn a_run_that_slows_down_is_seen() {
        let looks: Vec<Look> = (0..=20)
            .map(|s| look(s, if s <= 10 { 100 * s } else { 1000 + 90 * (s - 10) }, 0))
            .collect();
        let figures = steadiness(&looks);
        assert!((figures[0].ratios[0].value - 0.9).abs() < 1e-9, "{figures:?}");
        assert!(!figures[0].meets_its_targets());
    }

    #[test]
    fn this_process_has_resident_memory() {
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
