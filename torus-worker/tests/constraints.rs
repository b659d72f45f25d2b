//! Constraints over three tori in one process: who is bound from when, what each measures, and what answers do.

use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;
use torus_worker::in_process::InProcess;
use torus_worker::journal::Record;
use torus_worker::model::{ConstraintKind, Model};
use torus_worker::models::{Heat, Phold};
use torus_worker::node::command::Command;
use torus_worker::node::coupling::least_tolerance;
use torus_worker::node::{Injection, Node};

fn config<M: Model>(lag: u32, parameters: &[(&str, &str)]) -> RunConfig {
    let mut config = RunConfig::new("held", M::NAME);
    config.parameters = parameters
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    config.parameters.sort();
    config.sides = [8, 8, 8];
    config.interval = 200;
    config.lag = lag;
    config.tolerance = least_tolerance(M::COUPLING, lag);
    config.capacity.pending = 100_000;
    config.capacity.edges = 10_000;
    config.capacity.remote_per_interval = 10_000;
    config
}

fn hold(kind: ConstraintKind, value: i64, tolerance: u64) -> Command {
    Command::Constrain {
        entry: None,
        kind,
        value,
        tolerance,
    }
}

/// A run in which commands are taken in: (boundary, torus, command), in the order of boundaries.
fn run<M: Model>(config: &RunConfig, commands: &[(u64, Torus, Command)]) -> InProcess<M> {
    let mut journals = [const { Vec::new() }; 3];
    for torus in Torus::ALL {
        let own = commands.iter().filter(|(_, of, _)| *of == torus);
        journals[torus.index()] = own
            .zip(1..)
            .map(|((boundary, _, command), position)| Record::Intake {
                boundary: *boundary,
                lanes: vec![position],
                injected: vec![Injection {
                    lane: 0,
                    entry: command.entry(torus),
                }],
            })
            .collect();
    }
    InProcess::new(config, journals).expect("a valid configuration")
}

fn execute<M: Model>(run: &mut InProcess<M>, intervals: u64) {
    (0..intervals).for_each(|_| run.execute_interval().expect("enough room"));
}

fn node<M: Model>(run: &InProcess<M>, torus: Torus) -> &Node<M> {
    run.nodes().find(|(own, _)| *own == torus).expect("three tori").1
}

fn is_bound<M: Model>(run: &InProcess<M>, torus: Torus, entry: usize) -> bool {
    let frame = run.newest_frame(torus).expect("just published");
    frame.constraint(entry).kind != 0
}

#[test]
fn an_entry_binds_all_within_one_cycle_and_the_lag_and_is_removed_likewise() {
    for lag in [1, 2, 3, 5, 8] {
        for (setting, at) in Torus::ALL
            .into_iter()
            .flat_map(|torus| (5..8).map(move |at| (torus, at)))
        {
            let limit = 3 + u64::from(lag);
            let commands = [
                (at, setting, hold(ConstraintKind::Pending, 512, 1_000_000)),
                (40, setting, Command::ReleaseKind(ConstraintKind::Pending)),
            ];
            let mut run = run::<Phold>(&config::<Phold>(lag, &[("population", "64")]), &commands);
            execute(&mut run, at);
            let entry = setting.index();
            assert!(Torus::ALL.iter().all(|torus| !is_bound(&run, *torus, entry)));
            execute(&mut run, 1);
            assert!(is_bound(&run, setting, entry), "at once where it is set");
            execute(&mut run, limit);
            assert!(
                Torus::ALL.iter().all(|torus| is_bound(&run, *torus, entry)),
                "lag {lag}"
            );
            assert!(
                Torus::ALL
                    .iter()
                    .all(|torus| node(&run, *torus).verdicts()[entry].is_some())
            );
            let rest = 41 - run.boundary();
            execute(&mut run, rest);
            assert!(!is_bound(&run, setting, entry));
            execute(&mut run, limit);
            assert!(
                Torus::ALL.iter().all(|torus| !is_bound(&run, *torus, entry)),
                "lag {lag}"
            );
            assert!(
                Torus::ALL
                    .iter()
                    .all(|torus| node(&run, *torus).verdicts()[entry].is_none())
            );
        }
    }
}

/// Executes `settle` intervals and then as many again, in which every torus has to be within the tolerance. Returns the
/// last boundary at which one was not.
fn settles<M: Model>(run: &mut InProcess<M>, entry: usize, settle: u64) -> u64 {
    let begin = run.boundary();
    let mut last = begin;
    for _ in 0..2 * settle {
        execute(run, 1);
        let verdicts = Torus::ALL.map(|torus| node(run, torus).verdicts()[entry].expect("bound"));
        if verdicts.iter().any(|verdict| verdict.violated) {
            last = run.boundary();
            assert!(
                last < begin + settle,
                "not settled at boundary {last}: {verdicts:?}"
            );
        }
    }
    last
}

#[test]
fn heat_gets_sources_and_sinks_until_each_total_is_held_also_with_coupled_faces() {
    for lag in [1, 2, 4, 8] {
        for value in [400_000, 0, -70_001] {
            let commands = [(3, Torus::B, hold(ConstraintKind::Invariant, value, 2_000))];
            let mut run = run::<Heat>(&config::<Heat>(lag, &[("hot", "1000000")]), &commands);
            execute(&mut run, 4 + u64::from(lag) + 3);
            let last = settles(&mut run, 1, 300);
            println!("heat, lag {lag}: each total held at {value} from boundary {last} on");
        }
    }
}

#[test]
fn a_lone_total_halves_its_deviation_at_each_boundary_and_reaches_the_value() {
    let commands = [(3, Torus::A, hold(ConstraintKind::Invariant, -12_345, 0))];
    let mut config = config::<Heat>(2, &[("hot", "1000000")]);
    config.tori = 1;
    let mut run = run::<Heat>(&config, &commands);
    execute(&mut run, 4);
    let mut deviation: i64 = 1_000_000 + 12_345;
    while deviation != 0 {
        execute(&mut run, 1);
        let verdict = node(&run, Torus::A).verdicts()[0].expect("bound");
        assert_eq!(verdict.measured + 12_345, deviation);
        deviation /= 2;
    }
    execute(&mut run, 1);
    assert_eq!(node(&run, Torus::A).kernel().conserved_total(), -12_345);
    assert_eq!(run.newest_frame(Torus::A).expect("a frame").violations(), 0);
}

#[test]
fn phold_changes_its_population_for_pending_events_and_for_the_rate_and_its_processes_too() {
    let of_rate = |population: i64| population * 2000 / 17;
    let goals = [
        (ConstraintKind::Pending, 700, 30),
        (ConstraintKind::Pending, 150, 30),
        (ConstraintKind::EventRate, of_rate(600), 4_000),
        (ConstraintKind::EventRate, of_rate(200), 2_500),
        (ConstraintKind::Active, 512, 0),
        (ConstraintKind::Active, 77, 0),
    ];
    // Events that come and go between the tori make the population wander: by about the root of their number in an
    // interval, some 18 at one in a hundred. The tolerance has to allow for that.
    for (remote, wide) in [("0", 1), ("0.01", 4)] {
        for (kind, value, tolerance) in goals.map(|(kind, value, tolerance)| (kind, value, wide * tolerance))
        {
            let commands = [(3, Torus::C, hold(kind, value, tolerance))];
            let parameters = [("population", "400"), ("remote", remote), ("max_delay", "16")];
            let mut run = run::<Phold>(&config::<Phold>(2, &parameters), &commands);
            execute(&mut run, 9);
            let last = settles(&mut run, 2, 150);
            println!(
                "phold, remote {remote}: {} held at {value} from boundary {last} on",
                kind.name()
            );
        }
    }
}

#[test]
fn what_several_tori_ask_for_is_answered_once() {
    let ask = |torus| (3, torus, hold(ConstraintKind::Pending, 300, 2));
    let commands = [ask(Torus::A), ask(Torus::B), ask(Torus::C)];
    let mut run = run::<Phold>(&config::<Phold>(2, &[("population", "512")]), &commands);
    execute(&mut run, 9);
    for entry in 0..3 {
        settles(&mut run, entry, 10);
    }
    let frame = run.newest_frame(Torus::A).expect("a frame");
    // From 512 down: the half of what is above 300 stays each time, until it is within the tolerance.
    assert_eq!(frame.pending(), 301);
}

#[test]
fn a_constraint_beyond_what_the_model_is_made_for_stays_violated_and_the_run_goes_on() {
    let commands = [(3, Torus::A, hold(ConstraintKind::EventRate, i64::MAX, 5))];
    let mut run = run::<Phold>(&config::<Phold>(2, &[("population", "512")]), &commands);
    execute(&mut run, 60);
    for torus in Torus::ALL {
        assert!(node(&run, torus).verdicts()[0].expect("bound").violated);
        assert_eq!(run.newest_frame(torus).expect("a frame").violations(), 1);
    }
}

#[test]
fn frames_count_violated_entries_and_corrected_faces() {
    let commands = [
        (3, Torus::A, hold(ConstraintKind::Pending, 1_000_000, 1)),
        (3, Torus::A, hold(ConstraintKind::Active, 512, 0)),
    ];
    let mut hot = run::<Heat>(&config::<Heat>(2, &[("hot", "1000000")]), &commands[..1]);
    let mut counts = Vec::new();
    for _ in 0..12 {
        execute(&mut hot, 1);
        counts.push(hot.newest_frame(Torus::B).expect("a frame").violations());
    }
    // Face cells of B are corrected when A's or C's projections differ; A's pending constraint binds from boundary 5 on.
    assert_eq!(counts[..2], [0, 0]);
    assert!(counts[5..].iter().all(|count| *count >= 1), "{counts:?}");
    assert!(counts[5..].contains(&2), "{counts:?}");
    let mut calm = run::<Phold>(&config::<Phold>(2, &[("population", "512")]), &commands[1..]);
    execute(&mut calm, 12);
    assert_eq!(calm.newest_frame(Torus::A).expect("a frame").violations(), 0);
}
