//! The crash simulator: the shipped protocol over a segment on the heap, killed at every step.
//!
//! Every run ends in the digests of its oracle, the same configuration and journals executed uncrashed in one process.
//! Random parts print their seed; `BRAID_SEED=n cargo test …` repeats them.

mod absences;
mod canary;
mod commands;
mod lies;
mod migration;
mod random;
mod scrub;
mod world;

use random::Random;
use shm_layout::config::{Capacity, RunConfig};
use shm_layout::torus::Torus;
use torus_worker::journal::MemoryJournal;
use torus_worker::member::Point;
use torus_worker::model::Model;
use torus_worker::models::{Cascade, Heat, Phold};
use world::{Act, Damage, Outcome, Plan, run};

/// A braid small enough to be killed at each of its steps.
pub fn small<M: Model>(lag: u32, parameters: &[(&str, &str)], script: Option<&str>) -> RunConfig {
    let mut config = RunConfig::new("simulated", M::NAME);
    config.parameters = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    config.parameters.sort();
    config.script = script.map(str::to_owned);
    config.sides = [4, 4, 4];
    config.interval = 8;
    config.lag = lag;
    config.until = Some(90);
    config.tolerance = 8;
    config.capacity = Capacity {
        pending: 2048,
        edges: 1024,
        remote_per_interval: 256,
        lanes: 3,
        lane_entries: 4,
        frames: 2 * lag + 1,
    };
    let world = torus_worker::setup::world(&config, Torus::A).expect("a lattice");
    config.checkpoint_bytes =
        8 * torus_worker::node::checkpoint::words_max::<M>(&world, &config.capacity) as u64;
    config
}

/// A small `phold` with remote events.
pub fn phold(lag: u32) -> RunConfig {
    small::<Phold>(
        lag,
        &[("population", "48"), ("remote", "0.3"), ("max_delay", "8")],
        None,
    )
}

/// A small `heat`.
pub fn heat(lag: u32) -> RunConfig {
    small::<Heat>(lag, &[("hot", "100000")], None)
}

const SCRIPT: &str = "process A:0 0 0\nprocess B:1 1 1\nedge A:0 0 0 B:1 1 1 3\nedge B:1 1 1 C:2 2 2 5\n\
                      edge C:2 2 2 A:0 0 0 2\nedge A:0 0 0 A:0 1 0 4\ninject A:0 0 0 A:0 0 0 7\n";

/// A small `cascade` over three tori.
pub fn cascade(lag: u32) -> RunConfig {
    small::<Cascade>(lag, &[], Some(SCRIPT))
}

/// The same with intervals whose length the tori choose.
fn adaptive(config: RunConfig) -> RunConfig {
    RunConfig {
        adaptive: true,
        interval: 150,
        until: Some(3_000),
        ..config
    }
}

/// Events that hop slowly, so that the longer intervals have not too many.
fn slow_phold(lag: u32) -> RunConfig {
    small::<Phold>(
        lag,
        &[("population", "8"), ("remote", "0.3"), ("max_delay", "128")],
        None,
    )
}

/// Runs a plan and holds its outcome against the oracle.
pub fn exact<M: Model>(config: &RunConfig, plan: &Plan) -> Outcome {
    let outcome = run::<M, MemoryJournal>(config, plan).unwrap_or_else(|error| panic!("{error}\n{plan:?}"));
    assert_eq!(outcome.digests, outcome.oracle, "{plan:?}");
    assert_eq!(outcome.digests.len(), usize::from(config.tori), "{plan:?}");
    outcome
}

/// Kills each torus at every point that it reaches in a calm run.
fn killed_at_every_point<M: Model>(config: &RunConfig, inject: bool, companion: bool) {
    let calm = Plan {
        inject,
        ..Plan::calm(11)
    };
    killed_at_every_point_of::<M>(config, &calm, companion);
}

fn killed_at_every_point_of<M: Model>(config: &RunConfig, calm: &Plan, companion: bool) {
    let oracle = exact::<M>(config, calm);
    assert!(oracle.digests[0].events > 0, "the run does something");
    let mut kills = 0;
    for torus in Torus::of_run(config.tori) {
        for at in 1..=oracle.count[torus.index()] {
            let mut plan = calm.clone();
            plan.deaths[torus.index()] = vec![at];
            plan.companion = companion.then(|| torus.next());
            let outcome = exact::<M>(config, &plan);
            kills += outcome.killed;
            if !plan.inject && !plan.command {
                assert_eq!(outcome.digests, oracle.digests, "{plan:?}");
            }
        }
    }
    println!("{} points killed at: {kills}", config.model);
    assert_eq!(kills, oracle.count.iter().sum::<u64>());
}

#[test]
fn phold_and_heat_killed_at_every_point_with_constraints_equal_their_oracles() {
    killed_at_every_point_of::<Phold>(&phold(2), &commanded(7), false);
    killed_at_every_point_of::<Heat>(&heat(1), &commanded(8), false);
}

#[test]
fn adaptive_runs_killed_at_every_point_equal_their_oracles() {
    killed_at_every_point_of::<Phold>(&adaptive(slow_phold(1)), &commanded(3), false);
    killed_at_every_point_of::<Phold>(&adaptive(slow_phold(2)), &commanded(5), true);
}

fn commanded(seed: u64) -> Plan {
    Plan {
        command: true,
        ..Plan::calm(seed)
    }
}

#[test]
fn phold_killed_at_every_point_ends_as_if_it_had_not_been() {
    for lag in [1, 2, 3] {
        killed_at_every_point::<Phold>(&phold(lag), false, false);
    }
}

#[test]
fn heat_killed_at_every_point_ends_as_if_it_had_not_been() {
    for lag in [1, 2] {
        killed_at_every_point::<Heat>(&heat(lag), false, false);
    }
}

#[test]
fn cascade_killed_at_every_point_with_injection_equals_its_oracle() {
    for lag in [1, 2] {
        killed_at_every_point::<Cascade>(&cascade(lag), true, false);
    }
}

#[test]
fn two_tori_killed_together_at_every_point_equal_their_oracle() {
    killed_at_every_point::<Phold>(&phold(2), true, true);
    killed_at_every_point::<Heat>(&heat(1), false, true);
}

#[test]
fn one_torus_alone_recovers_from_its_own_two_slots() {
    let mut config = small::<Phold>(2, &[("population", "48"), ("max_delay", "8")], None);
    config.tori = 1;
    killed_at_every_point::<Phold>(&config, false, false);
    killed_at_every_point::<Phold>(&config, true, false);
}

#[test]
fn a_successor_that_began_before_its_predecessor_was_dead_begins_again_if_anything_was_committed_since() {
    let mut random = Random::new(random::seed());
    let mut successions = [0; 2];
    for round in 0..150 {
        let lag = 1 + random.below(4) as u32;
        let plan = Plan {
            heirs: true,
            ..random_plan(&mut random)
        };
        let outcome = match round % 3 {
            0 => exact::<Phold>(&phold(lag), &plan),
            1 => exact::<Heat>(&heat(lag), &plan),
            _ => exact::<Cascade>(&cascade(lag), &plan),
        };
        successions
            .iter_mut()
            .zip(outcome.successions)
            .for_each(|(sum, count)| *sum += count);
    }
    println!("{successions:?} successions, and heirs that began again");
    assert!(successions[0] > 150 && successions[1] > 50);
}

#[test]
fn a_successor_killed_at_every_point_of_its_recovery_leaves_the_next_one_nothing_to_miss() {
    let config = phold(2);
    let calm = exact::<Phold>(&config, &Plan::calm(5));
    for first in (1..=calm.count[1]).step_by(7) {
        for later in 1..=40 {
            let mut plan = Plan::calm(5);
            plan.deaths[1] = vec![first, first + later];
            assert_eq!(exact::<Phold>(&config, &plan).digests, calm.digests, "{plan:?}");
        }
    }
}

/// A random plan: several deaths of every torus, with or without companions, hangs, injections and a stop.
pub fn random_plan(random: &mut Random) -> Plan {
    let mut plan = Plan::calm(random.next());
    for deaths in &mut plan.deaths {
        *deaths = (0..random.below(8)).map(|_| 1 + random.below(400)).collect();
    }
    plan.companion = (random.below(4) == 0).then(|| Torus::ALL[random.below(3) as usize]);
    plan.inject = random.below(2) == 0;
    plan.command = random.below(2) == 0;
    plan.migrate = random.below(2) == 0;
    plan.stop_after = (random.below(3) == 0).then(|| random.below(1500));
    plan.acts = (0..random.below(4))
        .map(|_| {
            let torus = Torus::ALL[random.below(3) as usize];
            (random.below(1500), Act::Hangs(torus, random.below(400)))
        })
        .collect();
    plan.acts.sort_by_key(|(at, _)| *at);
    plan
}

#[test]
fn random_schedules_of_deaths_injections_and_stops_equal_their_oracles() {
    let mut random = Random::new(random::seed());
    let (mut deaths, mut injected) = (0, 0);
    for round in 0..400 {
        let lag = 1 + random.below(4) as u32;
        let plan = random_plan(&mut random);
        let outcome = match round % 5 {
            0 => exact::<Phold>(&phold(lag), &plan),
            1 => exact::<Heat>(&heat(lag), &plan),
            2 => exact::<Phold>(&adaptive(slow_phold(lag)), &plan),
            3 => exact::<Heat>(&adaptive(heat(lag)), &plan),
            _ => exact::<Cascade>(&cascade(lag), &plan),
        };
        deaths += outcome.killed;
        injected += outcome.injected[1];
        assert!(
            outcome.injected[1] <= outcome.injected[0],
            "no event counts twice: {:?}",
            outcome.injected
        );
    }
    println!("{deaths} deaths, {injected} injected events");
    assert!(deaths > 400 && injected > 400);
}

#[test]
fn runs_that_are_stopped_killed_whole_grown_and_resumed_equal_their_oracles() {
    let mut random = Random::new(random::seed());
    for round in 0..300 {
        let lag = 1 + random.below(4) as u32;
        let mut plan = random_plan(&mut random);
        plan.stop_after = None;
        let acts = [
            Act::StopAndResume,
            Act::EverythingDies,
            Act::EverythingDiesAndGrows,
        ];
        plan.acts = (0..1 + random.below(4))
            .map(|_| (random.below(3000), acts[random.below(3) as usize]))
            .collect();
        plan.acts.sort_by_key(|(at, _)| *at);
        let (mut config, calm) = match round % 3 {
            0 => (phold(lag), exact::<Phold>(&phold(lag), &Plan::calm(1))),
            1 => (heat(lag), exact::<Heat>(&heat(lag), &Plan::calm(1))),
            _ => (cascade(lag), exact::<Cascade>(&cascade(lag), &Plan::calm(1))),
        };
        config.capacity.frames += random.below(4) as u32;
        let outcome = match round % 3 {
            0 => exact::<Phold>(&config, &plan),
            1 => exact::<Heat>(&config, &plan),
            _ => exact::<Cascade>(&config, &plan),
        };
        assert!(outcome.injected[1] <= outcome.injected[0], "{plan:?}");
        if !plan.inject && !plan.command && !plan.migrate {
            assert_eq!(outcome.digests, calm.digests, "{plan:?}");
        }
    }
}

/// One kind of damage at the death of B, at every point of its life. Returns how often it was beyond repair, which is said
/// plainly and never ends in another state.
fn damaged_at_every_point(damage: Damage, inject: bool) -> usize {
    let config = phold(2);
    let calm = Plan {
        inject,
        ..Plan::calm(23)
    };
    let oracle = exact::<Phold>(&config, &calm);
    let mut lost = 0;
    for at in 1..=oracle.count[1] {
        let mut plan = Plan {
            damage: Some(damage),
            ..calm.clone()
        };
        plan.deaths[1] = vec![at];
        match run::<Phold, MemoryJournal>(&config, &plan) {
            Ok(outcome) => {
                assert_eq!(outcome.digests, outcome.oracle, "{plan:?}");
                assert!(inject || outcome.digests == oracle.digests, "{plan:?}");
            }
            Err(error) if error.contains("cannot be rebuilt") => lost += 1,
            Err(error) => panic!("{error}\n{plan:?}"),
        }
    }
    lost
}

#[test]
fn a_damaged_last_frame_is_written_again_from_the_replay() {
    assert_eq!(
        damaged_at_every_point(Damage::Frame, false) + damaged_at_every_point(Damage::Frame, true),
        0
    );
}

/// All of a strand is damaged, so also ranges of frames that lie before both checkpoints: the deaths with two fresh
/// checkpoints and a peer that is L frames behind, one in twenty or fewer, are beyond repair.
#[test]
fn a_damaged_strand_is_written_again_from_the_replay() {
    for inject in [false, true] {
        let lost = damaged_at_every_point(Damage::Strand, inject);
        assert!(lost < 40, "{lost}");
    }
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_a_mirror_or_an_older_one() {
    assert_eq!(
        damaged_at_every_point(Damage::Checkpoint, false) + damaged_at_every_point(Damage::Checkpoint, true),
        0
    );
}

#[test]
fn the_crash_points_of_a_calm_run_cover_the_live_protocol() {
    let mut config = phold(2);
    config.capacity.lanes = 3;
    let outcome = exact::<Phold>(
        &config,
        &Plan {
            inject: true,
            ..Plan::calm(3)
        },
    );
    let live = [
        Point::BoundaryAnnounced,
        Point::MirrorHalfCopied,
        Point::MirrorPublished,
        Point::CheckpointHalfWritten,
        Point::CheckpointPublished,
        Point::CheckpointAnnounced,
        Point::FrameHalfLogged,
        Point::JournalHalfAppended,
        Point::JournalAppended,
        Point::TakenIn,
        Point::StrandHalfWritten,
        Point::FrameHalfWritten,
        Point::FrameCommitted,
        Point::StopRecorded,
        Point::FinishAnnounced,
    ];
    for point in live {
        assert!(
            outcome.reached.iter().any(|(_, reached)| *reached == point),
            "{point:?} is never reached"
        );
    }
}

#[test]
fn a_stop_ends_all_tori_at_one_boundary_whoever_dies_meanwhile() {
    let mut random = Random::new(random::seed());
    let mut config = phold(2);
    config.until = None;
    for _ in 0..100 {
        let mut plan = random_plan(&mut random);
        plan.stop_after = Some(random.below(3000));
        let outcome = exact::<Phold>(&config, &plan);
        assert!(outcome.boundary >= 1);
    }
}
