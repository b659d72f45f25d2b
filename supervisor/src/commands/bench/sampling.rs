//! How fast runs are: their committed frames, looked at from outside at the moments at which they appear.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use shm_layout::torus::Torus;

use super::Bench;
use super::runs::Run;
use crate::error::CommandError;

/// How often a run is looked at while a frame is awaited.
const LOOK: Duration = Duration::from_micros(300);
/// A torus that commits nothing for so long does not run.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long is measured: from a torus's first frame after the settling time to a later one.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// To the first frame after this time.
    Time(Duration),
    /// To the frame that closes so many further intervals.
    Intervals(u64),
}

/// How runs are watched.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// What goes by before anything counts: caches fill, and what waited while the runs were frozen is done.
    pub settle: Duration,
    /// What counts.
    pub length: Length,
}

/// What a torus did between two of its frames.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Events executed.
    pub events: u64,
    /// Ticks of virtual time.
    pub ticks: u64,
    /// Nanoseconds between the two commits.
    pub ns: u64,
    /// Processor time of its worker, in nanoseconds.
    pub cpu_ns: u64,
}

/// What some tori did together.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Events per second, the sum over the tori.
    pub events_per_s: f64,
    /// Events per tick and torus.
    pub events_per_tick: f64,
    /// Processor time per event, in nanoseconds.
    pub cpu_ns_per_event: f64,
}

impl Rate {
    fn of(progress: &[Progress]) -> Rate {
        let sum = |of: fn(&Progress) -> f64| progress.iter().map(of).sum::<f64>();
        let events = sum(|torus| torus.events as f64).max(1.0);
        Rate {
            events_per_s: sum(|torus| torus.events as f64 * 1e9 / torus.ns.max(1) as f64),
            events_per_tick: events / sum(|torus| torus.ticks as f64).max(1.0),
            cpu_ns_per_event: sum(|torus| torus.cpu_ns as f64) / events,
        }
    }
}

/// The state of a torus at the moment at which a frame of its was seen to be committed.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    head: u64,
    events: u64,
    tick: u64,
    cpu_ns: u64,
}

/// One torus of a run.
type Place<'a> = (&'a Run, Torus);

fn head((run, torus): Place<'_>) -> u64 {
    let views = run.views();
    views
        .regions
        .get(torus.index())
        .map_or(0, |region| region.ring.head())
}

fn mark(place: Place<'_>) -> Option<Mark> {
    let (run, torus) = place;
    let at = Instant::now();
    let views = run.views();
    let frame = run.newest_frame(views.regions.get(torus.index())?)?;
    Some(Mark {
        at,
        head: frame.interval() + 1,
        events: frame.events(),
        tick: frame.boundary_tick(),
        cpu_ns: run.worker(torus).map_or(0, cpu_ns),
    })
}

/// Processor time of a process so far; 0 once it is gone.
pub fn cpu_ns(pid: u32) -> u64 {
    let pid = Pid::from_raw(pid as nix::libc::pid_t);
    let time = ClockId::pid_cpu_clock_id(pid).and_then(clock_gettime);
    time.map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}

/// The number of the frame after the newest one of each.
fn next(places: &[Place<'_>]) -> Vec<u64> {
    places.iter().map(|place| head(*place) + 1).collect()
}

/// Waits until each has committed so many frames.
fn marks(bench: &Bench, places: &[Place<'_>], goals: &[u64]) -> Result<Vec<Mark>, CommandError> {
    let mut found: Vec<Option<Mark>> = vec![None; places.len()];
    let begin = Instant::now();
    loop {
        bench.interrupt.check()?;
        for ((place, goal), found) in places.iter().zip(goals).zip(&mut found) {
            if found.is_none() && head(*place) >= *goal {
                *found = mark(*place);
            }
        }
        if found.iter().all(Option::is_some) {
            return Ok(found.into_iter().flatten().collect());
        }
        if begin.elapsed() > PATIENCE {
            return Err(CommandError::Failed(format!(
                "a torus of a measured run does not commit what is waited for within {} s",
                PATIENCE.as_secs()
            )));
        }
        std::thread::sleep(LOOK);
    }
}

/// Watches runs that are at work, all at once.
pub fn rate(bench: &Bench, runs: &[&Run], turn: Turn) -> Result<Rate, CommandError> {
    let places: Vec<Place<'_>> = runs
        .iter()
        .flat_map(|run| run.tori().iter().map(|torus| (*run, *torus)))
        .collect();
    bench.interrupt.pass(turn.settle)?;
    let before = marks(bench, &places, &next(&places))?;
    let goals = match turn.length {
        Length::Time(time) => {
            bench.interrupt.pass(time)?;
            next(&places)
        }
        Length::Intervals(count) => before.iter().map(|mark| mark.head + count).collect(),
    };
    let after = marks(bench, &places, &goals)?;
    let progress: Vec<Progress> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| between(before, after))
        .collect();
    Ok(Rate::of(&progress))
}

fn between(before: &Mark, after: &Mark) -> Progress {
    debug_assert!(after.head > before.head);
    Progress {
        events: after.events - before.events,
        ticks: after.tick - before.tick,
        ns: (after.at - before.at).as_nanos() as u64,
        cpu_ns: after.cpu_ns.saturating_sub(before.cpu_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_add_up_over_tori() {
        let torus = |ns| Progress {
            events: 1000,
            ticks: 10,
            ns,
            cpu_ns: 5000,
        };
        let rate = Rate::of(&[torus(1_000_000), torus(2_000_000)]);
        assert_eq!(rate.events_per_s, 1_500_000.0);
        assert_eq!((rate.events_per_tick, rate.cpu_ns_per_event), (100.0, 5.0));
    }

    #[test]
    fn this_process_uses_processor_time_and_no_process_uses_none() {
        assert!(cpu_ns(std::process::id()) > 0);
        assert_eq!(cpu_ns(0x7fff_fffe), 0);
    }
}
