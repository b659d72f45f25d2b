//! The demonstration of the README: workers killed in turn, some while they recover, and the run ends as if nobody had
//! been; what was injected meanwhile counts exactly once.

mod support;

use std::time::Duration;

use shm_layout::names::journal_path;
use shm_layout::segment::SegmentFile;
use support::{End, Random, Run, Torus, until};
use torus_worker::journal::{FileJournal, Record};

/// `start --model phold -p remote=0.1 --until N`, on lattices of the default size.
const UNTIL: u64 = 250_000;
/// The injected events ask for this tick and are taken in long before, so they execute at the same tick in every run.
const AT: u64 = 240_000;
/// How often each worker is killed in turn.
const ROUNDS: u64 = 3;
const INTERVAL: u64 = 1000;
const PAYLOADS: [i64; 3] = [1001, 1002, 1003];

fn start(test: &str) -> Run {
    let run = Run::new(test);
    run.start(&[
        "--model",
        "phold",
        "-p",
        "remote=0.1",
        "--until",
        &UNTIL.to_string(),
    ]);
    run
}

/// An event for each torus.
fn inject(run: &Run) {
    for (torus, payload) in Torus::ALL.iter().zip(PAYLOADS) {
        let (torus, payload) = (torus.letter().to_string(), payload.to_string());
        let event = [
            &torus,
            "1,2,3",
            "--payload",
            &payload,
            "--at",
            &AT.to_string(),
            "--client",
            "demo",
            "--json",
        ];
        let told = run.braid("inject", &event).exits(0).json();
        assert!(
            told["boundary"]
                .as_u64()
                .is_some_and(|boundary| boundary * INTERVAL < AT),
            "{told}"
        );
        assert_eq!(told["committed"].as_u64(), Some(1));
    }
}

/// Kills each worker in turn, spread over what is left of the run; every other time its successor too.
fn kill_in_turn(run: &Run, random: &mut Random) -> u64 {
    let eyes = run.eyes();
    let first = eyes.slowest();
    let (turns, mut kills, mut last) = (ROUNDS * 3, 0, [0; 3]);
    for turn in 0..turns {
        let torus = Torus::ALL[turn as usize % 3];
        let goal = first + (UNTIL / INTERVAL - first) * turn / (turns + 2);
        until("the run gets to the next kill", || {
            (eyes.slowest() >= goal).then_some(())
        });
        for _ in 0..=turn % 2 {
            let worker = run.worker_after(torus, last[torus.index()]);
            // Into an interval at first; into the recovery the second time.
            random.pass(Duration::from_millis(12));
            worker.kill();
            run.note(&format!(
                "SIGKILL to {torus} #{}, process {}",
                worker.incarnation, worker.pid
            ));
            last[torus.index()] = worker.incarnation;
            kills += 1;
        }
    }
    kills
}

/// The payloads that a torus took in, from its journal.
fn taken_in(run: &Run, torus: Torus) -> Vec<i64> {
    let file = SegmentFile::open(run.segment()).expect("the segment of a run that is over");
    let path = journal_path(file.config(), torus);
    let records = FileJournal::read(&path, file.config(), torus).expect("a whole journal");
    let injected = records.iter().filter_map(|record| match record {
        Record::Intake { injected, .. } => Some(injected),
        _ => None,
    });
    injected
        .flatten()
        .map(|injection| injection.entry.payload)
        .collect()
}

#[test]
fn a_run_whose_workers_are_killed_in_turn_ends_in_the_digests_of_the_run_without_kills() {
    let mut random = Random::announced();
    let calm = start("calm").finish();
    let run = start("storm");
    let kills = kill_in_turn(&run, &mut random);
    assert_eq!(run.finish(), calm, "the same final digests as without kills");
    assert_eq!(run.status().restarts(), kills, "each death had one successor");
    run.verify();
}

#[test]
fn every_event_injected_while_workers_are_killed_counts_exactly_once() {
    let mut random = Random::announced();
    let calm = start("calm-injected");
    inject(&calm);
    let run = start("storm-injected");
    run.kill(Torus::B);
    inject(&run);
    kill_in_turn(&run, &mut random);
    // The boundaries that took the events in differ, and stand in the digest of the state; what was executed does not.
    let executed = |ends: Vec<End>| {
        ends.into_iter()
            .map(|end| (end.torus, end.tick, end.events, end.history))
    };
    assert!(
        executed(run.finish()).eq(executed(calm.finish())),
        "the same events as without kills"
    );
    run.verify();
    for (torus, payload) in Torus::ALL.iter().zip(PAYLOADS) {
        assert_eq!(
            taken_in(&run, *torus),
            [payload],
            "torus {torus} took its event in exactly once"
        );
    }
}
