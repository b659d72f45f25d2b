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
