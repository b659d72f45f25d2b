//! Adaptive intervals over three tori in one process: they agree on every boundary, and the length follows violations.

use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;
use torus_worker::in_process::InProcess;
use torus_worker::journal::Record;
use torus_worker::model::{ConstraintKind, Model};
use torus_worker::models::{Heat, Phold};
use torus_worker::node::Injection;
use torus_worker::node::command::Command;
use torus_worker::node::coupling::least_tolerance;
use torus_worker::node::pace::is_epoch;

fn config<M: Model>(lag: u32, interval: u64) -> RunConfig {
    let mut config = RunConfig::new("adaptive", M::NAME);
    config.sides = [4, 4, 4];
    if M::NAME == "phold" {
        config.parameters = vec![("population".into(), "2".into())];
    }
    config.adaptive = true;
    (config.interval, config.lag) = (interval, lag);
    config.tolerance = least_tolerance(M::COUPLING, lag);
    config.capacity.pending = 100_000;
    config
}

/// A journal of torus A in which nothing can satisfy a constraint from one boundary to another.
fn impossible(during: &[(u64, u64)]) -> [Vec<Record>; 3] {
    let hold = Command::Constrain {
        entry: None,
        kind: ConstraintKind::Invariant,
        value: 1_000,
        tolerance: 1,
    };
    let release = Command::ReleaseKind(ConstraintKind::Invariant);
    let commands = during
        .iter()
        .flat_map(|(from, to)| [(*from, hold), (*to, release)]);
    let records = commands
        .zip(1..)
        .map(|((boundary, command), position)| Record::Intake {
            boundary,
            lanes: vec![position],
            injected: vec![Injection {
                lane: 0,
                entry: command.entry(Torus::A),
            }],
        });
    [records.collect(), Vec::new(), Vec::new()]
}

/// Executes so many intervals; returns the length of each. All tori have the same boundaries.
fn lengths<M: Model>(run: &mut InProcess<M>, intervals: u64) -> Vec<u64> {
    let mut ticks = vec![0];
    for _ in 0..intervals {
        run.execute_interval().expect("enough room");
        let all = Torus::ALL.map(|torus| run.newest_frame(torus).expect("just published").boundary_tick());
        assert!(all.iter().all(|tick| *tick == all[0]), "{all:?}");
        ticks.push(all[0]);
    }
    ticks.windows(2).map(|two| two[1] - two[0]).collect()
}

/// How often a length that went down goes up, or the other way round.
fn turns(lengths: &[u64]) -> usize {
    let changes: Vec<bool> = lengths
        .windows(2)
        .filter(|two| two[0] != two[1])
        .map(|two| two[1] > two[0])
        .collect();
    changes.windows(2).filter(|two| two[0] != two[1]).count()
}

#[test]
fn violations_that_rise_and_fall_take_the_length_down_and_up_without_flapping() {
    for lag in 1..=8 {
        let mut run =
            InProcess::<Phold>::new(&config::<Phold>(lag, 1000), impossible(&[(5, 500), (1500, 1800)]))
                .expect("a valid configuration");
        let lengths = lengths(&mut run, 1800);
        let least = lengths[..700].iter().min().expect("not empty");
        let most = lengths[500..1500].iter().max().expect("not empty");
        println!(
            "lag {lag}: from 1000 down to {least}, up to {most}, down to {}",
            lengths[1799]
        );
        assert_eq!(*least, 100, "lag {lag}");
        assert!(*most >= 2_000 && *most <= 10_000, "lag {lag}: {most}");
        assert!(lengths[1799] < *most / 4, "lag {lag}");
        assert_eq!(turns(&lengths), 2, "lag {lag}: down, up, down");
    }
}

#[test]
fn the_length_changes_2l_intervals_after_an_epoch_and_at_no_other_time() {
    for lag in 1..=8 {
        let mut run = InProcess::<Phold>::new(&config::<Phold>(lag, 300), impossible(&[(10, 400)]))
            .expect("a valid configuration");
        let lengths = lengths(&mut run, 800);
        let lag = u64::from(lag);
        for (two, n) in lengths.windows(2).zip(1..) {
            if two[0] != two[1] {
                assert!(
                    n > 2 * lag && is_epoch(n - 2 * lag, lag),
                    "interval {n} at lag {lag}"
                );
                let step = [(two[0] * 4 / 5).max(100), (two[0] * 6 / 5).min(10_000)];
                assert!(step.contains(&two[1]), "{two:?}");
            }
        }
    }
}

#[test]
fn faces_that_differ_shorten_the_intervals_of_heat_and_faces_at_rest_lengthen_them() {
    let mut config = config::<Heat>(2, 500);
    config.parameters = vec![("hot".into(), "100000".into())];
    // Above what the whole eighths of cells that keep exchanging leave between the faces.
    config.tolerance = 64;
    let mut run = InProcess::<Heat>::new(&config, Default::default()).expect("a valid configuration");
    let lengths = lengths(&mut run, 1200);
    let least = lengths.iter().min().expect("not empty");
    println!("heat: from 500 down to {least}, then up to {}", lengths[1199]);
    assert!(*least < 500 && lengths[1199] > 500);
    assert_eq!(turns(&lengths), 1);
}

#[test]
fn a_run_without_violations_keeps_the_length_until_it_was_quiet_for_long() {
    let mut run = InProcess::<Phold>::new(&config::<Phold>(2, 1000), Default::default())
        .expect("a valid configuration");
    let lengths = lengths(&mut run, 40);
    assert!(lengths[..20].iter().all(|length| *length == 1000), "{lengths:?}");
    assert!(lengths.is_sorted() && lengths[39] > 1000, "{lengths:?}");
}
