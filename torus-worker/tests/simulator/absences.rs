//! Tori that are held away while the others go on without them, and return.

use shm_layout::config::{OnLoss, RunConfig};
use shm_layout::torus::Torus;
use torus_worker::models::{Cascade, Heat, Phold};

use crate::random::{self, Random};
use crate::world::{Act, Plan};
use crate::{adaptive, cascade, exact, heat, phold, random_plan, slow_phold};

/// A run long enough to be left and entered again.
fn degrading(mut config: RunConfig, until: u64) -> RunConfig {
    config.on_loss = OnLoss::Degrade;
    config.until = Some(until);
    config
}

/// A `cascade` without its dead end: that would be on another torus for a process that has moved, and what comes back while
/// that torus is absent would go round with the rest, twice as much at every turn.
fn ring(lag: u32) -> RunConfig {
    let mut config = cascade(lag);
    let script = config.script.iter().flat_map(|script| script.lines());
    let script = script.filter(|line| !line.starts_with("edge A:0 0 0 A:"));
    config.script = Some(script.map(|line| format!("{line}\n")).collect());
    config
}

#[test]
fn a_torus_that_is_held_away_returns_and_the_run_equals_its_oracle() {
    for lag in [1, 2, 3] {
        for torus in Torus::ALL {
            let mut plan = Plan::calm(7);
            plan.acts = vec![(150, Act::HeldAway(torus, 1000))];
            let outcome = exact::<Phold>(&degrading(phold(lag), 8000), &plan);
            assert_eq!(outcome.absences, [1, 1], "{plan:?}");
            assert!(outcome.refused > 0, "{plan:?}");
        }
    }
}

#[test]
fn two_tori_held_away_return_one_after_the_other() {
    for (first, second) in [(0, 1), (0, 2), (1, 2), (2, 0)] {
        let mut plan = Plan::calm(9);
        plan.acts = vec![
            (150, Act::HeldAway(Torus::ALL[first], 1500)),
            (900, Act::HeldAway(Torus::ALL[second], 1500)),
        ];
        let outcome = exact::<Heat>(&degrading(heat(2), 8000), &plan);
        assert_eq!(outcome.absences, [2, 2], "{plan:?}");
    }
}

#[test]
fn the_last_torus_is_never_declared_absent() {
    let mut plan = Plan::calm(3);
    plan.acts = Torus::ALL
        .iter()
        .map(|torus| (200, Act::HeldAway(*torus, 2000)))
        .collect();
    let outcome = exact::<Phold>(&degrading(phold(2), 1500), &plan);
    assert_eq!(outcome.absences, [2, 2]);
}

#[test]
fn random_schedules_of_absences_deaths_and_injections_equal_their_oracles() {
    let mut random = Random::new(random::seed());
    let (mut absences, mut returns, mut deaths, mut refused) = (0, 0, 0, 0);
    for round in 0..300 {
        let lag = 1 + random.below(4) as u32;
        let mut plan = random_plan(&mut random);
        plan.stop_after = None;
        for deaths in &mut plan.deaths {
            *deaths = (0..random.below(12)).map(|_| 1 + random.below(4000)).collect();
        }
        plan.acts = (0..1 + random.below(5))
            .map(|_| {
                let act = match random.below(14) {
                    0 => Act::StopAndResume,
                    1 => Act::EverythingDies,
                    2 => Act::EverythingDiesAndGrows,
                    3 | 4 => Act::Hangs(Torus::ALL[random.below(3) as usize], random.below(2000)),
                    _ => Act::HeldAway(Torus::ALL[random.below(3) as usize], random.below(2000)),
                };
                (random.below(8000), act)
            })
            .collect();
        plan.acts.sort_by_key(|(at, _)| *at);
        let until = 1000 + random.below(2500);
        let outcome = match round % 4 {
            0 => exact::<Phold>(&degrading(phold(lag), until), &plan),
            1 => exact::<Phold>(&degrading(adaptive(slow_phold(lag)), 8 * until), &plan),
            2 => exact::<Heat>(&degrading(heat(lag), until), &plan),
            _ => exact::<Cascade>(&degrading(ring(lag), until), &plan),
        };
        assert!(outcome.injected[1] <= outcome.injected[0], "{plan:?}");
        absences += outcome.absences[0];
        returns += outcome.absences[1];
        deaths += outcome.killed;
        refused += outcome.refused;
    }
    println!("{absences} absences, {returns} returns, {deaths} deaths, {refused} events came back");
    assert!(absences > 100 && returns > 20 && deaths > 300 && refused > 1000);
}
