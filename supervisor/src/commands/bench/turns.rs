//! Turns: contestants that live side by side, of which one at a time is at work.
//!
//! The speed of a machine that others use changes within seconds. So no contestant is measured for long at a stretch: all
//! are started together, the workers of all but the one whose turn it is are frozen, and every round has a turn of each.
//! What is compared stands within a second or two of each other, and each round gives a ratio of its own.
//!
//! How fast a process is also depends on where its memory happens to lie, and that it keeps for life. Where that matters,
//! several sets of the same contestants are started one after the other, and their rounds are put together.

use super::Bench;
use super::runs::Run;
use super::sampling::{Rate, Turn, rate};
use crate::error::CommandError;

/// Runs that are at work together. A run may be part of several contestants.
pub struct Contestant<'r> {
    /// The runs.
    pub runs: Vec<&'r Run>,
    /// How they are watched.
    pub turn: Turn,
}

/// What each contestant did in each round.
#[derive(Clone, Debug)]
pub struct Rounds {
    /// One list per contestant, one rate per round.
    rates: Vec<Vec<Rate>>,
}

/// Lets the contestants take turns for so many rounds. All runs have been at work for a while, and are frozen afterwards.
pub fn take_turns(
    bench: &Bench,
    what: &str,
    contestants: &[Contestant<'_>],
    rounds: usize,
) -> Result<Rounds, CommandError> {
    let mut played = Rounds::begin(contestants)?;
    for round in 1..=rounds {
        bench.progress(&format!("{what}, round {round} of {rounds}"));
        played.play(bench, contestants)?;
    }
    Ok(played)
}

/// One turn.
fn take(bench: &Bench, contestant: &Contestant<'_>) -> Result<Rate, CommandError> {
    for run in &contestant.runs {
        run.thaw()?;
    }
    let rate = rate(bench, &contestant.runs, contestant.turn)?;
    for run in &contestant.runs {
        run.freeze()?;
    }
    Ok(rate)
}

/// Every other round goes backwards: a machine that becomes steadily slower is then slower for everyone.
fn order(played: usize, contestants: usize) -> Vec<usize> {
    let forward = 0..contestants;
    if played.is_multiple_of(2) {
        forward.collect()
    } else {
        forward.rev().collect()
    }
}

impl Rounds {
    /// No round yet; everybody is frozen.
    pub fn begin(contestants: &[Contestant<'_>]) -> Result<Rounds, CommandError> {
        for run in contestants.iter().flat_map(|contestant| &contestant.runs) {
            run.freeze()?;
        }
        Ok(Rounds {
            rates: vec![Vec::new(); contestants.len()],
        })
    }

    /// One round: a turn of each.
    pub fn play(&mut self, bench: &Bench, contestants: &[Contestant<'_>]) -> Result<(), CommandError> {
        for at in order(self.count(), contestants.len()) {
            self.rates[at].push(take(bench, &contestants[at])?);
        }
        Ok(())
    }

    /// Adds the rounds of another set of the same contestants.
    pub fn extend(&mut self, other: Rounds) {
        for (rates, others) in self.rates.iter_mut().zip(other.rates) {
            rates.extend(others);
        }
    }

    /// Rounds that have been played.
    fn count(&self) -> usize {
        self.rates.iter().map(Vec::len).min().unwrap_or(0)
    }

    /// A value of a contestant, by round.
    pub fn each(&self, contestant: usize, value: fn(&Rate) -> f64) -> Vec<f64> {
        self.rates[contestant].iter().map(value).collect()
    }

    /// A value of one contestant in relation to another's in the same round, by round.
    pub fn ratios(&self, contestant: usize, to: usize, value: fn(&Rate) -> f64) -> Vec<f64> {
        let pairs = self.rates[contestant].iter().zip(&self.rates[to]);
        pairs.map(|(own, other)| value(own) / value(other)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_round_goes_backwards() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let rate = |events_per_s| Rate {
            events_per_s,
            events_per_tick: 1.0,
            cpu_ns_per_event: 10.0,
        };
        let rounds = Rounds {
            rates: vec![vec![rate(9.0), rate(90.0)], vec![rate(10.0), rate(100.0)]],
        };
        assert_eq!(rounds.ratios(0, 1, |rate| rate.events_per_s), [0.9, 0.9]);
        assert_eq!(rounds.each(1, |rate| rate.events_per_s), [10.0, 100.0]);
        let mut both = rounds.clone();
        both.extend(rounds);
        assert_eq!(both.each(0, |rate| rate.events_per_s), [9.0, 90.0, 9.0, 90.0]);
    }
}
