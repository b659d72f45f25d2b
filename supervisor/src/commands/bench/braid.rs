//! Braid: three braided workers against the same three unbraided, and what the exchange costs.

use std::time::Duration;

use braid_bench_baselines::figure::{Figure, Target};
use braid_bench_baselines::rounds::median;

use super::report::Section;
use super::runs::Run;
use super::sampling::{Rate, rate};
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

/// The rates of one round.
struct Round {
    alone: Rate,
    unbraided: Rate,
    braided: Rate,
    remote: Rate,
}

/// Measures it.
pub fn measure(bench: &Bench) -> Result<Section, CommandError> {
    let rounds = bench.pick(1, 5);
    let mut section = Section::new("braid", settings(rounds));
    let mut measured = Vec::new();
    for number in 1..=rounds {
        bench.progress(&format!(
            "braided and unbraided workers, round {number} of {rounds}"
        ));
        measured.push(round(bench)?);
    }
    section.figures.extend(figures(&measured));
    section.figures.extend(exchange::measure(bench)?);
    sweep::measure(bench, &mut section)?;
    Ok(section)
}

fn settings(rounds: usize) -> Vec<String> {
    vec![
        format!(
            "phold, 32³ cells, {POPULATION} pending events a torus, k = 1000, L = 2; real workers and supervisors, {rounds} \
             rounds in turns, from frame to frame"
        ),
        format!(
            "with {REMOTE} remote: {} pending events a torus, so that both execute the same number of events a tick",
            raised_population()
        ),
    ]
}

/// A remote event is under way for so much longer that the population must grow for as many to be due at each tick.
fn raised_population() -> u64 {
    (POPULATION * (MEAN_DELAY + REMOTE * REMOTE_DELAY) / MEAN_DELAY).round() as u64
}

fn round(bench: &Bench) -> Result<Round, CommandError> {
    let window = Duration::from_millis(bench.pick(100, 1500));
    let warm_up = Duration::from_millis(bench.pick(50, 500));
    let watch = |runs: &[&Run], warm_up| rate(bench, runs, warm_up, window);
    let single = || bench.workshop.start(&["--tori", "1"]);
    let alone = watch(&[&single()?], warm_up)?;
    let unbraided = {
        let (a, b, c) = (single()?, single()?, single()?);
        watch(&[&a, &b, &c], warm_up)?
    };
    let braided = watch(&[&bench.workshop.start(&[])?], warm_up)?;
    let remote = {
        let (population, remote) = (
            format!("population={}", raised_population()),
            format!("remote={REMOTE}"),
        );
        let run = bench.workshop.start(&["-p", &population, "-p", &remote])?;
        // Until remote events arrive as evenly as they leave.
        watch(&[&run], 2 * warm_up)?
    };
    Ok(Round {
        alone,
        unbraided,
        braided,
        remote,
    })
}

fn figures(rounds: &[Round]) -> Vec<Figure> {
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let aggregate = |name: &str, value| Figure::new(name, of(value), "events/s");
    let per_tick = |name: &str, value| Figure::new(name, of(value), "events/tick");
    let cpu = |name: &str, value| Figure::new(name, of(value), "ns");
    vec![
        aggregate("three braided workers", |round| round.braided.events_per_s)
            .against(
                "the same three unbraided",
                of(|round| round.braided.events_per_s / round.unbraided.events_per_s),
                Some(Target::AtLeast(0.95)),
            )
            .against(
                "one worker alone",
                of(|round| round.braided.events_per_s / round.alone.events_per_s),
                None,
            ),
        aggregate("the same three unbraided", |round| round.unbraided.events_per_s),
        aggregate("one worker alone", |round| round.alone.events_per_s),
        aggregate("three braided, 10 % remote", |round| round.remote.events_per_s).against(
            "three braided workers",
            of(|round| round.remote.events_per_s / round.braided.events_per_s),
            Some(Target::AtLeast(0.8)),
        ),
        per_tick("three braided workers, per torus", |round| {
            round.braided.events_per_tick
        }),
        per_tick("three braided, 10 % remote, per torus", |round| {
            round.remote.events_per_tick
        }),
        cpu("processor time per event, braided", |round| {
            round.braided.cpu_ns_per_event
        })
        .against(
            "unbraided",
            of(|round| round.braided.cpu_ns_per_event / round.unbraided.cpu_ns_per_event),
            None,
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
