//! Rounds: contestants that take turns, and the medians of what they needed.

use nix::time::{ClockId, clock_gettime};

/// What one contestant did in one round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Events executed.
    pub events: u64,
    /// Processor time of the measuring thread, in nanoseconds.
    pub ns: u64,
}

impl Sample {
    /// Nanoseconds per event.
    pub fn ns_per_event(self) -> f64 {
        self.ns as f64 / self.events.max(1) as f64
    }
}

/// Runs `work`, which returns how many events it executed. It counts the processor time of this thread, so that what
/// others do on the machine meanwhile shows as little as it can.
pub fn timed(work: impl FnOnce() -> u64) -> Sample {
    let start = thread_ns();
    let events = work();
    Sample {
        events,
        ns: thread_ns() - start,
    }
}

/// Processor time of this thread so far; 0 where the system does not tell.
fn thread_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}

/// Someone who takes part: each call is one round.
pub type Contestant<'a> = Box<dyn FnMut() -> Sample + 'a>;

/// Nanoseconds per event of each contestant in each round.
#[derive(Clone, Debug)]
pub struct Rounds {
    /// One list per contestant, one value per round.
    ns_per_event: Vec<Vec<f64>>,
}

/// Lets the contestants take turns for so many rounds, after one that does not count.
pub fn take_turns(contestants: &mut [Contestant<'_>], rounds: usize) -> Rounds {
    let mut ns_per_event = vec![Vec::with_capacity(rounds); contestants.len()];
    for round in 0..=rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut ns_per_event) {
            let sample = contestant();
            if round > 0 {
                times.push(sample.ns_per_event());
            }
        }
    }
    Rounds { ns_per_event }
}

impl Rounds {
    /// Median time per event of a contestant, in nanoseconds.
    pub fn ns(&self, contestant: usize) -> f64 {
        median(self.ns_per_event[contestant].clone())
    }

    /// Median over the rounds of the time per event of one contestant in relation to another's in the same round.
    pub fn ratio(&self, contestant: usize, to: usize) -> f64 {
        let pairs = self.ns_per_event[contestant].iter().zip(&self.ns_per_event[to]);
        median(pairs.map(|(time, other)| time / other).collect())
    }

    /// How many times as fast as another one a contestant is: the inverse ratio.
    pub fn speedup(&self, contestant: usize, over: usize) -> f64 {
        self.ratio(over, contestant)
    }
}

/// The middle value, or the mean of the two in the middle; NaN if there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.is_empty()) {
        (_, true) => f64::NAN,
        (1, _) => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// The values that a quarter of all lie below and above, between two of them in proportion; NaN if there is none.
pub fn quartiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_unstable_by(f64::total_cmp);
    [0.25, 0.75].map(|part| {
        let position = values.len().saturating_sub(1) as f64 * part;
        let (below, above) = (position.floor() as usize, position.ceil() as usize);
        match (values.get(below), values.get(above)) {
            (Some(low), Some(high)) => low + (high - low) * position.fract(),
            _ => f64::NAN,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median(vec![5.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn quartiles_lie_between_the_values_beside_them() {
        assert_eq!(quartiles(vec![5.0, 1.0, 2.0, 3.0, 4.0]), [2.0, 4.0]);
        assert_eq!(quartiles(vec![2.0, 1.0]), [1.25, 1.75]);
        assert_eq!(quartiles(vec![7.0]), [7.0, 7.0]);
        assert!(quartiles(Vec::new()).iter().all(|value| value.is_nan()));
    }

    #[test]
    fn contestants_take_turns_and_the_first_round_does_not_count() {
        let (mut a, mut b) = (0, 0);
        let mut contestants: [Contestant<'_>; 2] = [
            Box::new(|| {
                a += 1;
                Sample {
                    events: 1,
                    ns: a * 10,
                }
            }),
            Box::new(|| {
                b += 1;
                Sample {
                    events: 2,
                    ns: b * 10,
                }
            }),
        ];
        let rounds = take_turns(&mut contestants, 3);
        assert_eq!((rounds.ns(0), rounds.ns(1)), (30.0, 15.0));
        assert_eq!((rounds.ratio(0, 1), rounds.ratio(1, 0)), (2.0, 0.5));
    }
}
