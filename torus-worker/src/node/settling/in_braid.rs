//! The same rules in the braid itself: three nodes whose face cells hold what they are given and change by nothing but the
//! coupling follow the system step by step, and come to rest within the computed cycles.

use proptest::prelude::*;
use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;

use super::{Faces, cycles_to_rest};
use crate::in_process::InProcess;
use crate::model::{
    CapacityHint, Coupling, Event, KernelError, Model, Outbox, ParameterError, Parameters, Setup, Site, World,
};
use crate::node::coupling::{Gain, conserved_gain_limit, correction, least_tolerance};

/// Cells that begin at random and stay as they are.
struct Still<const CONSERVED: bool>;

/// No two cells are further apart.
const RANGE: u64 = 1_000_000;

impl<const CONSERVED: bool> Model for Still<CONSERVED> {
    const NAME: &'static str = "still";
    const ABOUT: &'static str = "Face cells that only the coupling changes";
    const COUPLING: Coupling = match CONSERVED {
        true => Coupling::Conserved,
        false => Coupling::Convex,
    };
    type Cell = i64;

    fn new(_: &Parameters, _: &World) -> Result<Self, ParameterError> {
        Ok(Still)
    }

    fn capacity(&self, world: &World) -> CapacityHint {
        let face = world.lattice.face_cells();
        CapacityHint {
            pending: 64 * face,
            edges: 1,
            remote_per_interval: 4 * face,
        }
    }

    fn set_up(&self, setup: &mut Setup<'_, Self>) -> Result<(), KernelError> {
        for cell in 0..setup.world().lattice.face_cells() {
            let value = setup.stream(cell).below(RANGE) as i64;
            setup.spawn(cell, value)?;
        }
        Ok(())
    }

    fn handle(&self, site: &mut Site<'_, i64>, bag: &[Event], _: &mut Outbox<'_>) {
        if let Some(value) = site.process() {
            *value += bag.iter().map(|event| event.payload).sum::<i64>();
        }
    }

    fn boundary_value(&self, process: &i64) -> i32 {
        *process as i32
    }

    fn conserved_in_cell(&self, process: &i64) -> i64 {
        *process
    }

    fn conserved_in_event(&self, event: &Event) -> i64 {
        event.payload
    }
}

const CELLS: u32 = 16;

fn values<M: Model>(run: &InProcess<M>, cell: u32) -> [i64; 3] {
    let mut values = run
        .nodes()
        .map(|(_, node)| i64::from(node.kernel().cell_value(cell)));
    std::array::from_fn(|_| values.next().expect("three tori"))
}

/// Runs the braid until all faces must be at rest, and for as long again.
fn settle<M: Model>(seed: u64, lag: u32, gain: Gain, tolerance: u32) -> Result<(), TestCaseError> {
    let mut config = RunConfig::new("still", M::NAME);
    config.sides = [4, 4, 4];
    config.interval = 10;
    (config.lag, config.seed, config.tolerance) = (lag, seed, tolerance);
    config.gain = Some((gain.numerator, gain.denominator));
    let mut run = InProcess::<M>::new(&config, Default::default()).expect("a valid configuration");
    let mut faces: Vec<Faces<i64>> = (0..CELLS)
        .map(|cell| Faces::new(values(&run, cell), M::COUPLING, lag))
        .collect();
    let apart = faces.iter().map(Faces::spread).max().unwrap_or(0);
    let bound = cycles_to_rest(M::COUPLING, gain, lag, apart, tolerance).expect("it comes to rest");
    for boundary in 1..=6 * bound {
        run.execute_interval().expect("enough room");
        for (cell, face) in (0..CELLS).zip(&mut faces) {
            face.step(|difference| correction(difference, gain, tolerance));
            let found = values(&run, cell);
            prop_assert_eq!(found, face.values, "cell {} at boundary {}", cell, boundary);
            let is_at_rest = face.spread() <= i64::from(tolerance);
            prop_assert!(
                is_at_rest || boundary <= 3 * bound,
                "{found:?} after {boundary} boundaries"
            );
        }
    }
    let corrected = Torus::ALL.map(|torus| run.newest_frame(torus).expect("a frame").violations());
    prop_assert_eq!(corrected, [0; 3]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn conserved_faces_of_a_braid_follow_the_system_and_rest_within_the_computed_cycles(
        seed in any::<u64>(),
        lag in 1_u32..=8,
        weaker in 0_u32..3,
        wider in 0_u32..20,
    ) {
        let gain = Gain { numerator: 1, denominator: conserved_gain_limit(lag) << weaker };
        settle::<Still<true>>(seed, lag, gain, least_tolerance(Coupling::Conserved, lag) + wider)?;
    }

    #[test]
    fn convex_faces_of_a_braid_follow_the_system_and_rest_within_the_computed_cycles(
        seed in any::<u64>(),
        lag in 1_u32..=8,
        numerator in 1_u32..=8,
        wider in 0_u32..20,
    ) {
        let gain = Gain { numerator, denominator: 8 };
        prop_assume!(gain.check(Coupling::Convex, lag).is_ok());
        settle::<Still<false>>(seed, lag, gain, least_tolerance(Coupling::Convex, lag) + wider)?;
    }
}
