//! Processes move between the tori of a real run, while the workers of either side are killed.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use support::{PATIENCE, Random, Run, Torus, until};

/// Processes that are asked to move, one after the other.
const MOVES: u64 = 24;
/// Within this time of its command a migration is over, kills or not.
const MIGRATION: Duration = Duration::from_millis(12);

type Cell = [u64; 3];

fn start(test: &str, further: &[&str]) -> Run {
    let run = Run::new(test);
    let shape = [
        "--sides",
        "8,8,8",
        "-p",
        "occupied=128",
        "-p",
        "population=1024",
        "-p",
        "remote=0.1",
    ];
    run.start(&[&shape, further].concat());
    run
}

fn text([x, y, z]: Cell) -> String {
    format!("{x},{y},{z}")
}

/// Asks for a migration; returns the new place.
fn migrate(run: &Run, from: Torus, cell: Cell, to: Torus) -> Cell {
    let (from, cell, to) = (from.letter().to_string(), text(cell), to.letter().to_string());
    let limit = format!("{}s", PATIENCE.as_secs() - 10);
    let arguments = [&cell, "--from", &from, "--to", &to, "--timeout", &limit, "--json"];
    let told = run.braid("migrate", &arguments).exits(0).json();
    assert_eq!(told["to"]["torus"].as_str(), Some(to.as_str()), "{told}");
    let number = |axis: usize| told["to"]["cell"][axis].as_u64().expect("a coordinate");
    [number(0), number(1), number(2)]
}

/// Processes that moved out and in, over all pairs.
fn moved(run: &Run) -> [u64; 2] {
    let status = run.status();
    let sum = |field: &str| {
        let peers = status
            .tori()
            .iter()
            .flat_map(|torus| torus["migrations"]["peers"].as_array().expect("peers"));
        peers.map(|peer| peer[field].as_u64().expect("a number")).sum()
    };
    [sum("moved_out"), sum("moved_in")]
}

#[test]
fn processes_that_move_while_either_side_is_killed_arrive_once_and_the_run_is_exact() {
    let mut random = Random::announced();
    let run = start("moving", &[]);
    // Every fourth of the 512 cells has a process, cell number x·64 + y·8 + z: those with z = 0 and z = 4.
    let mut places: BTreeMap<u64, (Torus, Cell)> = (0..12)
        .map(|process| {
            let torus = Torus::ALL[process as usize % 3];
            (
                process,
                (torus, [1 + process % 7, process / 2, 4 * (process % 2)]),
            )
        })
        .collect();
    let mut kills = 0;
    for _ in 0..MOVES {
        let process = random.below(12);
        let (from, cell) = places[&process];
        let to = random.pick(&from.peers(3).collect::<Vec<_>>());
        let victims: Vec<Torus> = (0..1 + random.below(2))
            .map(|_| random.pick(&[from, to]))
            .collect();
        let moments = random.fork();
        let new = std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                let mut moments = moments;
                for victim in &victims {
                    moments.pass(MIGRATION);
                    run.kill(*victim);
                }
            });
            let new = migrate(&run, from, cell, to);
            killer.join().expect("the killer does not fail");
            new
        });
        kills += victims.len() as u64;
        places.insert(process, (to, new));
    }
    run.wait_for("recovered");
    assert_eq!(moved(&run), [MOVES, MOVES], "each arrived once");
    run.stop();
    assert_eq!(run.status().restarts(), kills);
    run.verify();
}

#[test]
fn what_cannot_move_is_refused_with_a_sentence_and_exit_code_1() {
    let run = start("staying", &[]);
    run.braid("migrate", &["1,1,1", "--from", "A", "--to", "B"])
        .exits(1)
        .explains(&["A:1,1,1", "torus B", "no process in that cell"]);
    run.braid("migrate", &["1,1,0", "--from", "A", "--to", "A"])
        .exits(2)
        .explains(&["name another one"]);
    let new = migrate(&run, Torus::A, [1, 1, 0], Torus::B);
    run.braid("migrate", &["1,1,0", "--from", "A", "--to", "C"])
        .exits(1)
        .explains(&["has moved to another torus"]);
    assert_eq!(migrate(&run, Torus::B, new, Torus::A), [1, 1, 0], "home again");
    run.stop();
    run.braid("status", &[]).exits(0).prints(&[
        "moved A to B   1",
        "moved B to A   1",
        "refused, the last because",
    ]);
    run.verify();
}

#[test]
fn nothing_moves_to_a_torus_that_is_absent_and_nothing_in_a_run_that_is_stopped() {
    let run = start("deserted", &["--on-loss", "degrade", "--degrade-after", "100ms"]);
    let to_b = ["1,1,0", "--from", "A", "--to", "B"];
    run.braid("kill", &["B", "--hold"]).exits(0);
    until("B is absent", || (run.look().state() == "degraded").then_some(()));
    run.braid("migrate", &to_b)
        .exits(1)
        .explains(&["A:1,1,0", "torus B", "the target is absent"]);
    run.braid("release", &["B"]).exits(0);
    until("B takes part again", || {
        (run.look().state() == "running").then_some(())
    });
    migrate(&run, Torus::A, [1, 1, 0], Torus::B);
    run.stop();
    run.braid("migrate", &to_b)
        .exits(3)
        .explains(&["is not running, so no command reaches it"]);
    run.verify();
}

#[test]
fn a_run_of_one_torus_has_nowhere_to_move_to() {
    let run = start("lonely", &["--tori", "1"]);
    run.braid("migrate", &["1,1,0", "--from", "A", "--to", "B"])
        .exits(2)
        .explains(&["torus B"]);
}

#[test]
fn a_load_that_is_balanced_while_workers_are_killed_ends_as_if_nobody_had_been() {
    let mut random = Random::announced();
    let further = ["-p", "skew=6", "--balance", "25", "--until", "400000"];
    let calm = start("balanced", &further);
    let ends = calm.finish();
    assert!(moved(&calm)[0] > 0, "there was something to balance");
    let storm = start("balanced-storm", &further);
    for torus in Torus::ALL {
        random.pass(Duration::from_millis(60));
        if storm.look().state() == "running" {
            storm.kill(torus);
        }
    }
    assert_eq!(storm.finish(), ends);
    storm.verify();
}
