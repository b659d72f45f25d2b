//! Boundary coupling: how far a face cell moves towards what a peer projected.
//!
//! The x=0 faces of the three tori are one shared interface. A receiver compares the projected value with its own and
//! corrects itself by a fraction of the difference, the gain. docs/ARCHITECTURE.md derives the bounds checked here.

use crate::model::Coupling;

/// A fraction of a difference, in (0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    /// Numerator, at least 1.
    pub numerator: u32,
    /// Denominator, at least the numerator.
    pub denominator: u32,
}

/// Why a gain is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GainError {
    /// Not a fraction in (0, 1].
    #[error("the gain {numerator}/{denominator} is not in (0, 1]; give a fraction such as --gain 1/2")]
    NotAFraction {
        /// Numerator as given.
        numerator: u32,
        /// Denominator as given.
        denominator: u32,
    },
    /// The delayed exchange would oscillate.
    #[error(
        "the gain {numerator}/{denominator} would make the coupled faces oscillate: the model exchanges a conserved \
         quantity, whose counter-entry arrives {lag} boundaries later; with a lag of {lag} the largest stable gain is \
         1/{limit}; lower --gain or --lag"
    )]
    Oscillates {
        /// Numerator as given.
        numerator: u32,
        /// Denominator as given.
        denominator: u32,
        /// The lag L in intervals.
        lag: u32,
        /// The denominator of the largest allowed gain.
        limit: u32,
    },
    /// The faces would hand each other's stale values round: for ever at a gain of 1, for long and with rounding for ever
    /// above 1/2.
    #[error(
        "the gain {numerator}/{denominator} at a lag of {lag} makes the coupled faces hand each other's old values round; \
         from lag 2 on the largest gain is 1/2; lower --gain, or use --lag 1"
    )]
    Rotates {
        /// Numerator as given.
        numerator: u32,
        /// Denominator as given.
        denominator: u32,
        /// The lag L in intervals.
        lag: u32,
    },
    /// The tolerance is inside the rounding noise.
    #[error(
        "the tolerance {tolerance} is below {least}, within which rounded corrections at lag {lag} never come to rest; \
         raise --tolerance"
    )]
    ToleranceTooSmall {
        /// Tolerance as given.
        tolerance: u32,
        /// The smallest allowed tolerance.
        least: u32,
        /// The lag L in intervals.
        lag: u32,
    },
}

/// The denominator of the largest stable gain of a conserved exchange at lag L (docs/ARCHITECTURE.md, "Coupling").
pub fn conserved_gain_limit(lag: u32) -> u32 {
    2 * lag.next_power_of_two().max(2)
}

/// The smallest tolerance at which coupled faces come to rest in spite of rounding away from zero.
///
/// A convex step at lag 1 always comes to rest exactly; from lag 2 on three faces can hand a difference of 1 round for
/// ever, as a rounded step covers all of it. A conserved exchange is disturbed by the rounding of the corrections in
/// flight. The values stand above the largest spread that remained in random trials of the model below
/// (docs/ARCHITECTURE.md), which the property tests repeat.
pub fn least_tolerance(coupling: Coupling, lag: u32) -> u32 {
    match coupling {
        Coupling::None => 0,
        Coupling::Convex => u32::from(lag > 1),
        Coupling::Conserved => 2 + lag / 2,
    }
}

impl Gain {
    /// The default: 1/2 for a quantity that is not conserved, the largest stable fraction for one that is.
    pub fn default_for(coupling: Coupling, lag: u32) -> Self {
        let denominator = match coupling {
            Coupling::None | Coupling::Convex => 2,
            Coupling::Conserved => conserved_gain_limit(lag),
        };
        Self {
            numerator: 1,
            denominator,
        }
    }

    /// Refuses a gain that is no fraction, or that would oscillate at this lag.
    ///
    /// # Errors
    /// [`GainError`], with the largest gain that is stable.
    pub fn check(self, coupling: Coupling, lag: u32) -> Result<Self, GainError> {
        let Self {
            numerator,
            denominator,
        } = self;
        if numerator == 0 || numerator > denominator {
            return Err(GainError::NotAFraction {
                numerator,
                denominator,
            });
        }
        let limit = conserved_gain_limit(lag);
        if coupling == Coupling::Conserved && u64::from(numerator) * u64::from(limit) > u64::from(denominator)
        {
            return Err(GainError::Oscillates {
                numerator,
                denominator,
                lag,
                limit,
            });
        }
        if coupling == Coupling::Convex && numerator > denominator / 2 && lag > 1 {
            return Err(GainError::Rotates {
                numerator,
                denominator,
                lag,
            });
        }
        Ok(self)
    }
}

/// Refuses a tolerance at which the faces would never come to rest.
///
/// # Errors
/// [`GainError::ToleranceTooSmall`].
pub fn check_tolerance(tolerance: u32, coupling: Coupling, lag: u32) -> Result<u32, GainError> {
    let least = least_tolerance(coupling, lag);
    if tolerance < least {
        return Err(GainError::ToleranceTooSmall {
            tolerance,
            least,
            lag,
        });
    }
    Ok(tolerance)
}

/// What to add to the own value, given the projected value minus the own: the difference times the gain, rounded away
/// from zero, never past the difference, and nothing within the tolerance.
pub fn correction(difference: i64, gain: Gain, tolerance: u32) -> i64 {
    let size = difference.unsigned_abs();
    if size <= u64::from(tolerance) {
        return 0;
    }
    // A difference of two i32 has at most 33 bits and the numerator 32: the product fits in 65 bits, hence u128.
    let step = (u128::from(size) * u128::from(gain.numerator)).div_ceil(u128::from(gain.denominator));
    let step = i64::try_from(step.min(u128::from(size))).unwrap_or(i64::MAX);
    if difference < 0 { -step } else { step }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const HALF: Gain = Gain {
        numerator: 1,
        denominator: 2,
    };

    #[test]
    fn a_correction_is_rounded_away_from_zero_and_never_past_the_difference() {
        assert_eq!(correction(1, HALF, 0), 1);
        assert_eq!(correction(-1, HALF, 0), -1);
        assert_eq!(correction(3, HALF, 0), 2);
        assert_eq!(correction(3, HALF, 3), 0);
        assert_eq!(
            correction(
                -7,
                Gain {
                    numerator: 1,
                    denominator: 1
                },
                0
            ),
            -7
        );
        assert_eq!(
            correction(
                i64::from(u32::MAX),
                Gain {
                    numerator: u32::MAX,
                    denominator: u32::MAX
                },
                0
            ),
            i64::from(u32::MAX)
        );
    }

    /// One face cell of three tori under the rules of section 5, and nothing else: every third frame a torus projects,
    /// its peers take it in L boundaries later, and a conserved counter-entry arrives L boundaries after that.
    struct Faces {
        values: [i64; 3],
        projections: VecDeque<(usize, i64)>,
        counter_entries: VecDeque<[i64; 3]>,
        boundary: usize,
        lag: usize,
        conserved: bool,
    }

    impl Faces {
        fn new(values: [i64; 3], lag: usize, conserved: bool) -> Self {
            let counter_entries = std::iter::repeat_n([0; 3], lag).collect();
            Self {
                values,
                projections: VecDeque::new(),
                counter_entries,
                boundary: 0,
                lag,
                conserved,
            }
        }

        fn step(&mut self, gain: Gain, tolerance: u32) {
            let mut owed = [0; 3];
            let arriving = self.counter_entries.pop_front().unwrap_or([0; 3]);
            let due = (self.projections.len() == self.lag)
                .then(|| self.projections.pop_front())
                .flatten();
            if let Some((projecting, value)) = due {
                for own in (0..3).filter(|own| *own != projecting) {
                    let step = correction(value - self.values[own], gain, tolerance);
                    self.values[own] += step;
                    owed[projecting] -= if self.conserved { step } else { 0 };
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

        fn spread(&self) -> i64 {
            let [a, b, c] = self.values;
            a.max(b).max(c) - a.min(b).min(c)
        }

        fn total(&self) -> i64 {
            self.values.iter().sum::<i64>() + self.counter_entries.iter().flatten().sum::<i64>()
        }
    }

    proptest! {
        #[test]
        fn conserved_faces_settle_at_every_allowed_gain_and_lag(
            values in proptest::array::uniform3(-1_000_000_i64..1_000_000),
            lag in 1_u32..=8,
            weaker in 0_u32..3,
        ) {
            let gain = Gain { numerator: 1, denominator: conserved_gain_limit(lag) << weaker };
            prop_assert!(gain.check(Coupling::Conserved, lag).is_ok());
            let tolerance = least_tolerance(Coupling::Conserved, lag);
            let mut faces = Faces::new(values, lag as usize, true);
            let total = faces.total();
            let bound = settle_bound(gain, lag);
            for _ in 0..bound {
                faces.step(gain, tolerance);
                prop_assert_eq!(faces.total(), total);
            }
            for _ in 0..bound {
                faces.step(gain, tolerance);
                prop_assert!(faces.spread() <= i64::from(tolerance), "spread {} at {}", faces.spread(), faces.boundary);
            }
        }

        #[test]
        fn convex_faces_settle_and_never_leave_their_range(
            values in proptest::array::uniform3(-1_000_000_i64..1_000_000),
            lag in 1_u32..=8,
            numerator in 1_u32..=8,
        ) {
            let gain = Gain { numerator, denominator: 8 };
            prop_assume!(gain.check(Coupling::Convex, lag).is_ok());
            let tolerance = least_tolerance(Coupling::Convex, lag);
            let mut faces = Faces::new(values, lag as usize, false);
            let (low, high) = (values.iter().min().copied(), values.iter().max().copied());
            for _ in 0..settle_bound(gain, lag) {
                faces.step(gain, tolerance);
                prop_assert!(faces.values.iter().all(|v| Some(*v) >= low && Some(*v) <= high));
            }
            prop_assert!(faces.spread() <= i64::from(tolerance), "spread {}", faces.spread());
        }
    }

    /// Boundaries after which the tests demand rest. The slowest mode of a cycle of 3 boundaries decays by at least
    /// 1−gain/2, and by no more than 0.9 (spectral radii, docs/ARCHITECTURE.md); a spread of 2·10⁶ has 15 natural units
    /// to go. Doubled for rounding.
    fn settle_bound(gain: Gain, lag: u32) -> usize {
        let decay = (f64::from(gain.numerator) / f64::from(gain.denominator) / 2.0).min(0.1);
        (3.0 * 15.0 / decay * 2.0) as usize + 6 * lag as usize
    }

    #[test]
    fn what_is_refused_does_not_come_to_rest() {
        let spread_of = |conserved, gain: Gain, lag: u32, tolerance| {
            let mut faces = Faces::new([1_000_000, 0, 500], lag as usize, conserved);
            (0..90).for_each(|_| faces.step(gain, tolerance));
            faces.spread()
        };
        for lag in [3, 6] {
            let gain = Gain {
                numerator: 1,
                denominator: 2,
            };
            assert!(gain.check(Coupling::Conserved, lag).is_err());
            assert!(
                spread_of(true, gain, lag, 8) > 1_000_000,
                "a conserved exchange at lag {lag} grows without bound"
            );
        }
        for lag in 2..=8 {
            let one = Gain {
                numerator: 1,
                denominator: 1,
            };
            assert_eq!(
                one.check(Coupling::Convex, lag),
                Err(GainError::Rotates {
                    numerator: 1,
                    denominator: 1,
                    lag
                })
            );
            assert!(
                spread_of(false, one, lag, 0) > 0,
                "old values go round at lag {lag}"
            );
            assert!(check_tolerance(0, Coupling::Convex, lag).is_err());
        }
    }

    #[test]
    fn a_gain_beyond_the_bound_is_refused_with_the_bound() {
        let error = HALF.check(Coupling::Conserved, 2).expect_err("1/2 oscillates");
        assert_eq!(
            error,
            GainError::Oscillates {
                numerator: 1,
                denominator: 2,
                lag: 2,
                limit: 4
            }
        );
        assert!(
            Gain {
                numerator: 0,
                denominator: 4
            }
            .check(Coupling::Convex, 1)
            .is_err()
        );
        assert!(
            Gain {
                numerator: 5,
                denominator: 4
            }
            .check(Coupling::Convex, 1)
            .is_err()
        );
        assert!(HALF.check(Coupling::Convex, 8).is_ok());
    }
}
