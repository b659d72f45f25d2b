//! Braid: three braided workers against the same three unbraided, and what the exchange costs.

use std::time::Duration;

use braid_bench_baselines::figure::{Figure, Target};
use braid_bench_baselines::rounds::median;

use super::report::Section;
use super::runs::Run;
use super::sampling::{Length, Rate, Turn};
use super::turns::{Contestant, Rounds, take_turns};
use super::{Bench, exchange, sweep};
use crate::error::CommandError;

/// Events per torus of the standard load.
const POPULATION: f64 = 32_768.0;
/// Mean of the delays from 1 to 64.
const MEAN_DELAY: f64 = 32.5;
/// The part of the events that goes to a peer.
const REMOTE: f64 = 0.1;
/// Ticks that a remote event travels on top, at the default interval and lag.
const REMOTE_DELAY: f64 = 2.0 * 1000.0;

/// The contestants, in this order.
const ALONE: usize = 0;
const UNBRAIDED: usize = 1;
const BRAIDED: usize = 2;
const DISTANT: usize = 3;

/// Measures it.
pub fn measure(bench: &Bench) -> Result<Section, CommandError> {
    let (sets, rounds) = bench.pick((1, 2), (4, 4));
    let mut section = Section::new("braid", settings(sets, rounds));
    section.figures.extend(figures(&contests(bench, sets, rounds)?));
    section.figures.extend(exchange::measure(bench)?);
    sweep::measure(bench, &mut section)?;
    Ok(section)
}

fn settings(sets: usize, rounds: usize) -> Vec<String> {
    vec![
        format!(
            "phold, 32³ cells, {POPULATION} pending events a torus, k = 1000, L = 2; real workers and supervisors in \
             {rounds} rounds of short turns, all but one frozen, from frame to frame; then all are started anew: {sets} times"
        ),
        format!(
            "with {REMOTE} remote: {} pending events a torus, so that both execute the same number of events a tick",
            raised_population()
        ),
        "rounds: how many, and between what the middle half of their ratios lies".to_owned(),
    ]
}

/// A remote event is under way for so much longer that the population must grow for as many to be due at each tick.
fn raised_population() -> u64 {
    (POPULATION * (MEAN_DELAY + REMOTE * REMOTE_DELAY) / MEAN_DELAY).round() as u64
}

/// Each set is started anew: where the memory of a process lies makes some percent of its speed, and is so for life.
fn contests(bench: &Bench, sets: usize, rounds: usize) -> Result<Rounds, CommandError> {
    let mut all = contest(bench, "braided and unbraided workers", rounds)?;
    for set in 2..=sets {
        all.extend(contest(bench, &format!("set {set} of {sets}"), rounds)?);
    }
    Ok(all)
}

/// Starts all contestants and lets them take turns.
fn contest(bench: &Bench, what: &str, rounds: usize) -> Result<Rounds, CommandError> {
    bench.progress(what);
    let (population, remote) = (
        format!("population={}", raised_population()),
        format!("remote={REMOTE}"),
    );
    let distant = start(bench, 1, &["-p", &population, "-p", &remote])?;
    let braided = start(bench, 1, &[])?;
    let unbraided = start(bench, 3, &["--tori", "1"])?;
    let turn = Turn {
        settle: Duration::from_millis(bench.pick(30, 100)),
        length: Length::Time(Duration::from_millis(bench.pick(60, 500))),
    };
    let contestants = [&unbraided[..1], &unbraided, &braided, &distant].map(|runs| Contestant {
        runs: runs.iter().collect(),
        turn,
    });
    take_turns(bench, what, &contestants, rounds)
}

/// Starts so many runs and freezes them once they have come into their stride: remote events arrive as evenly as they leave.
fn start(bench: &Bench, count: usize, options: &[&str]) -> Result<Vec<Run>, CommandError> {
    let start = |_| bench.workshop.start(options);
    let runs = (0..count).map(start).collect::<Result<Vec<Run>, _>>()?;
    bench.interrupt.pass(Duration::from_millis(bench.pick(50, 700)))?;
    for run in &runs {
        run.freeze()?;
    }
    Ok(runs)
}

fn figures(rounds: &Rounds) -> Vec<Figure> {
    let speed = |rate: &Rate| rate.events_per_s;
    let cpu = |rate: &Rate| rate.cpu_ns_per_event;
    let aggregate = |name: &str, at| Figure::new(name, median(rounds.each(at, speed)), "events/s");
    let per_tick = |name: &str, at| {
        let value = median(rounds.each(at, |rate| rate.events_per_tick));
        Figure::new(name, value, "events/tick")
    };
    let cpu_of = |name: &str, at, to, against| {
        Figure::new(name, median(rounds.each(at, cpu)), "ns").against_in_rounds(
            against,
            rounds.ratios(at, to, cpu),
            None,
        )
    };
    vec![
        aggregate("three braided workers", BRAIDED)
            .against_in_rounds(
                "the same three unbraided",
                rounds.ratios(BRAIDED, UNBRAIDED, speed),
                Some(Target::AtLeast(0.95)),
            )
            .against_in_rounds("one worker alone", rounds.ratios(BRAIDED, ALONE, speed), None),
        aggregate("the same three unbraided", UNBRAIDED),
        aggregate("one worker alone", ALONE),
        aggregate("three braided, 10 % remote", DISTANT).against_in_rounds(
            "three braided workers",
            rounds.ratios(DISTANT, BRAIDED, speed),
            Some(Target::AtLeast(0.8)),
        ),
        per_tick("three braided workers, per torus", BRAIDED),
        per_tick("three braided, 10 % remote, per torus", DISTANT),
        cpu_of(
            "processor time per event, braided",
            BRAIDED,
            UNBRAIDED,
            "unbraided",
        ),
        cpu_of(
            "processor time per event, 10 % remote",
            DISTANT,
            BRAIDED,
            "braided",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_population_is_raised_by_the_mean_delay() {
        // 32.5 ticks become 232.5.
        assert_eq!(raised_population(), 234_417);
    }
}
