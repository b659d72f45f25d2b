//! How long coupled faces take to come to rest: computed from gain and lag, and held against the rounded system.
//!
//! Without rounding, one face cell of the three tori is a linear system. The widest spread of its values at some boundary is a
//! convex function of the values at the start, so over all starts within a difference it is largest at the corners of the
//! cube, of which six are not in agreement already. Running the system from each says after how many boundaries every
//! spread is within the tolerance for good. Rounding adds at most [`rounding_cycles`] (docs/ARCHITECTURE.md).

use super::coupling::{Gain, GainError, check_tolerance, conserved_gain_limit, correction, least_tolerance};
use crate::model::Coupling;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::ops::{AddAssign, Neg, Sub};

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

    /// The cycles after which the spread is within `bound` for good, as far as `boundaries` show.
    fn rest(mut self, bound: V, boundaries: usize, correction: impl Fn(V) -> V) -> u64 {
        let mut last = 0;
        for boundary in 1..=boundaries {
            self.step(&correction);
            if self.spread() > bound {
                last = boundary as u64;
            }
        }
        last.div_ceil(3)
    }
}

/// Boundaries that are looked at: the slowest gain tested takes under a thousand.
const BOUNDARIES: usize = 3000;

/// The cycles after which faces that were up to `difference` apart are within the tolerance for good, in exact numbers.
fn exact_cycles(coupling: Coupling, gain: Gain, lag: u32, difference: i64, tolerance: u32) -> u64 {
    let factor = f64::from(gain.numerator) / f64::from(gain.denominator);
    // Whole values that differ by less than one are equal.
    let bound = f64::from(tolerance).max(0.5);
    let corners =
        (1..7).map(|corner: u32| [0, 1, 2].map(|axis| f64::from(corner >> axis & 1) * difference as f64));
    let rests =
        corners.map(|values| Faces::new(values, coupling, lag).rest(bound, BOUNDARIES, |step| factor * step));
    rests.max().unwrap_or(0)
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

fn computed_cycles(coupling: Coupling, gain: Gain, lag: u32, difference: i64, tolerance: u32) -> u64 {
    exact_cycles(coupling, gain, lag, difference, tolerance) + rounding_cycles(coupling, lag)
}

fn measured_cycles(coupling: Coupling, gain: Gain, lag: u32, values: [i64; 3], tolerance: u32) -> u64 {
    let faces = Faces::new(values, coupling, lag);
    faces.rest(tolerance.into(), BOUNDARIES, |difference| {
        correction(difference, gain, tolerance)
    })
}

fn fraction(numerator: u32, denominator: u32) -> Gain {
    Gain {
        numerator,
        denominator,
    }
}

/// A spread of 10⁶ at the default gain and the least tolerance: docs/ARCHITECTURE.md has the same numbers.
#[test]
fn the_documented_cycles_are_the_computed_ones_and_no_random_face_takes_longer() {
    const MILLION: i64 = 1_000_000;
    let mut random = crate::random::TickKey::new(7, shm_layout::torus::Torus::A, 0).stream(0);
    let mut computed = [[0; 8]; 2];
    for (row, coupling) in [Coupling::Conserved, Coupling::Convex].into_iter().enumerate() {
        for lag in 1..=8 {
            let (gain, tolerance) = (Gain::default_for(coupling, lag), least_tolerance(coupling, lag));
            let bound = computed_cycles(coupling, gain, lag, MILLION, tolerance);
            let mut draw = || random.below(MILLION as u64 + 1) as i64;
            let faces = (0..300).map(|_| [draw(), draw(), draw()]);
            let corners = (1..7).map(|corner: i64| [0, 1, 2].map(|axis| (corner >> axis & 1) * MILLION));
            let measured = faces
                .chain(corners)
                .map(|values| measured_cycles(coupling, gain, lag, values, tolerance))
                .max()
                .unwrap_or(0);
            println!("{coupling:?}, lag {lag}: at rest after {measured} cycles, computed {bound}");
            assert!(measured <= bound, "{coupling:?}, lag {lag}: {measured} > {bound}");
            computed[row][lag as usize - 1] = bound;
        }
    }
    assert_eq!(computed[0], DOCUMENTED_CONSERVED);
    assert_eq!(computed[1], DOCUMENTED_CONVEX);
}

const DOCUMENTED_CONSERVED: [u64; 8] = [15, 56, 37, 63, 66, 75, 96, 131];
const DOCUMENTED_CONVEX: [u64; 8] = [8, 20, 32, 33, 64, 68, 70, 108];

proptest! {
    #[test]
    fn conserved_faces_settle_within_the_computed_cycles_and_keep_their_total(
        values in proptest::array::uniform3(-1_000_000_i64..1_000_000),
        lag in 1_u32..=8,
        weaker in 0_u32..3,
        wider in 0_u32..20,
    ) {
        let coupling = Coupling::Conserved;
        let gain = fraction(1, conserved_gain_limit(lag) << weaker);
        prop_assert!(gain.check(coupling, lag).is_ok());
        let tolerance = least_tolerance(coupling, lag) + wider;
        let difference = Faces::new(values, coupling, lag).spread();
        let bound = computed_cycles(coupling, gain, lag, difference, tolerance);
        let measured = measured_cycles(coupling, gain, lag, values, tolerance);
        prop_assert!(measured <= bound, "{measured} cycles, computed {bound}");
        let mut faces = Faces::new(values, coupling, lag);
        for _ in 0..3 * bound {
            faces.step(|difference| correction(difference, gain, tolerance));
            let in_transit: i64 = faces.counter_entries.iter().flatten().sum();
            prop_assert_eq!(faces.values.iter().sum::<i64>() + in_transit, values.iter().sum::<i64>());
        }
    }

    #[test]
    fn convex_faces_settle_within_the_computed_cycles_and_never_leave_their_range(
        values in proptest::array::uniform3(-1_000_000_i64..1_000_000),
        lag in 1_u32..=8,
        numerator in 1_u32..=8,
        wider in 0_u32..20,
    ) {
        let (coupling, gain) = (Coupling::Convex, fraction(numerator, 8));
        prop_assume!(gain.check(coupling, lag).is_ok());
        let tolerance = least_tolerance(coupling, lag) + wider;
        let difference = Faces::new(values, coupling, lag).spread();
        let bound = computed_cycles(coupling, gain, lag, difference, tolerance);
        let measured = measured_cycles(coupling, gain, lag, values, tolerance);
        prop_assert!(measured <= bound, "{measured} cycles, computed {bound}");
        let (low, high) = (values.iter().min().copied(), values.iter().max().copied());
        let mut faces = Faces::new(values, coupling, lag);
        for _ in 0..3 * bound {
            faces.step(|difference| correction(difference, gain, tolerance));
            prop_assert!(faces.values.iter().all(|v| Some(*v) >= low && Some(*v) <= high));
        }
    }
}

#[test]
fn what_is_refused_does_not_come_to_rest() {
    let start = [1_000_000, 0, 500];
    let spread_of = |coupling, gain: Gain, lag: u32, tolerance| {
        let mut faces = Faces::new(start, coupling, lag);
        (0..90).for_each(|_| faces.step(|difference| correction(difference, gain, tolerance)));
        faces.spread()
    };
    for lag in [3, 6] {
        let gain = fraction(1, 2);
        assert!(gain.check(Coupling::Conserved, lag).is_err());
        let spread = spread_of(Coupling::Conserved, gain, lag, 8);
        assert!(
            spread > 1_000_000,
            "a conserved exchange at lag {lag} grows without bound"
        );
    }
    for lag in 2..=8 {
        let one = fraction(1, 1);
        assert!(matches!(
            one.check(Coupling::Convex, lag),
            Err(GainError::Rotates { .. })
        ));
        assert!(
            spread_of(Coupling::Convex, one, lag, 0) > 0,
            "old values go round at lag {lag}"
        );
        assert!(check_tolerance(0, Coupling::Convex, lag).is_err());
    }
}
