//! The bound against the rounded system: random faces, every allowed lag, weaker gains and wider tolerances.

use super::*;
use crate::node::coupling::{GainError, check_tolerance, conserved_gain_limit, correction, least_tolerance};
use proptest::prelude::*;

fn measured_cycles(coupling: Coupling, gain: Gain, lag: u32, values: [i64; 3], tolerance: u32) -> u64 {
    let faces = Faces::new(values, coupling, lag);
    let rest = faces.rest(tolerance.into(), |difference| {
        correction(difference, gain, tolerance)
    });
    rest.expect("it comes to rest")
}

fn computed_cycles(coupling: Coupling, gain: Gain, lag: u32, difference: i64, tolerance: u32) -> u64 {
    cycles_to_rest(coupling, gain, lag, difference, tolerance).expect("it comes to rest")
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
