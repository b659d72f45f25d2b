//! How long coupled faces take to come to rest: computed from gain and lag, and held against the rounded system.
//!
//! Without rounding, one face cell of the three tori is a linear system. The widest spread of its values at some boundary is a
//! convex function of the values at the start, so over all starts within a difference it is largest at the corners of the
//! cube, of which six are not in agreement already. Running the system from each says after how many boundaries every
//! spread is within the tolerance for good. Rounding adds at most [`rounding_cycles`] (docs/ARCHITECTURE.md).

use std::collections::VecDeque;
use std::ops::{AddAssign, Neg, Sub};

use super::coupling::Gain;
use crate::model::Coupling;

#[cfg(test)]
mod in_braid;
#[cfg(test)]
mod tests;

/// One face cell of three tori under the rules of coupling, and nothing else: every third frame a torus projects, its peers
/// take it in L boundaries later, and a conserved counter-entry arrives L boundaries after that.
struct Faces<V> {
    values: [V; 3],
    projections: VecDeque<(usize, V)>,
    counter_entries: VecDeque<[V; 3]>,
    boundary: usize,
    lag: usize,
    conserved: bool,
}

impl<V> Faces<V>
where
    V: Copy + Default + PartialOrd + AddAssign + Neg<Output = V> + Sub<Output = V>,
{
    fn new(values: [V; 3], coupling: Coupling, lag: u32) -> Self {
        let counter_entries = std::iter::repeat_n([V::default(); 3], lag as usize).collect();
        Self {
            values,
            projections: VecDeque::new(),
            counter_entries,
            boundary: 0,
            lag: lag as usize,
            conserved: coupling == Coupling::Conserved,
        }
    }

    fn step(&mut self, correction: impl Fn(V) -> V) {
        let mut owed = [V::default(); 3];
        let arriving = self.counter_entries.pop_front().unwrap_or_default();
        let due = (self.projections.len() == self.lag)
            .then(|| self.projections.pop_front())
            .flatten();
        if let Some((projecting, value)) = due {
            for own in (0..3).filter(|own| *own != projecting) {
                let step = correction(value - self.values[own]);
                self.values[own] += step;
                if self.conserved {
                    owed[projecting] += -step;
                }
            }
        }
        self.counter_entries.push_back(owed);
        for (value, entry) in self.values.iter_mut().zip(arriving) {
            *value += entry;
        }
        let projecting = self.boundary % 3;
        self.projections.push_back((projecting, self.values[projecting]));
        self.boundary += 1;
    }

    fn spread(&self) -> V {
        let [a, b, c] = self.values;
        let (most, least) = if a > b { (a, b) } else { (b, a) };
        (if c > most { c } else { most }) - (if c < least { c } else { least })
    }

    /// The cycles after which the spread is within `bound` for good: it was so for [`QUIET`] boundaries. `None` if that
    /// takes more than [`PATIENCE`].
    fn rest(mut self, bound: V, correction: impl Fn(V) -> V) -> Option<u64> {
        let mut last = 0;
        for boundary in 1..=PATIENCE {
            if boundary > last + QUIET {
                return Some(last.div_ceil(3));
            }
            self.step(&correction);
            if self.spread() > bound {
                last = boundary;
            }
        }
        None
    }
}

/// Boundaries without a spread that is too wide, after which none comes any more: several times as long as any exchange
/// is under way.
const QUIET: u64 = 1000;
/// Boundaries that are looked at: the default gains take a few hundred.
const PATIENCE: u64 = 300_000;

/// The cycles after which faces that were up to `difference` apart are within the tolerance for good, in exact numbers.
fn exact_cycles(coupling: Coupling, gain: Gain, lag: u32, difference: i64, tolerance: u32) -> Option<u64> {
    let factor = f64::from(gain.numerator) / f64::from(gain.denominator);
    // Whole values that differ by less than one are equal.
    let bound = f64::from(tolerance).max(0.5);
    let rest = |corner: u32| {
        let values = [0, 1, 2].map(|axis| f64::from(corner >> axis & 1) * difference as f64);
        Faces::new(values, coupling, lag).rest(bound, |step| factor * step)
    };
    // Each corner but the two of agreement.
    (1..7)
        .map(rest)
        .try_fold(0, |most, cycles| Some(most.max(cycles?)))
}

/// What rounding adds at most: a whole step for every difference near the tolerance keeps a delayed exchange in motion for a
/// while longer, a convex step for about one turn of what is in flight.
fn rounding_cycles(coupling: Coupling, lag: u32) -> u64 {
    match coupling {
        Coupling::None => 0,
        Coupling::Convex => lag.into(),
        Coupling::Conserved => 3 * u64::from(lag),
    }
}

/// The cycles after which coupled faces that are up to `difference` apart are within the tolerance for good, if nothing
/// else changes them. `None` where nothing is coupled, or where a very small gain takes longer than anybody waits.
pub fn cycles_to_rest(
    coupling: Coupling,
    gain: Gain,
    lag: u32,
    difference: i64,
    tolerance: u32,
) -> Option<u64> {
    if coupling == Coupling::None {
        return None;
    }
    let exact = exact_cycles(coupling, gain, lag, difference, tolerance)?;
    Some(exact + rounding_cycles(coupling, lag))
}
