//! A supervisor that dies: the workers run on, and the next one takes them over.

use std::time::Duration;

use shm_layout::segment::{LockByte, SegmentFile};

use super::ENDLESS;
use crate::support::{Eyes, Random, Run, Torus, until};

#[test]
fn workers_run_on_without_their_supervisor_and_are_adopted_as_they_are() {
    let run = Run::new("adopted");
    run.start(ENDLESS);
    let eyes = run.eyes();
    let before = pids(&eyes);
    run.kill_supervisor();
    let boundary = eyes.slowest();
    until("they go on", || (eyes.slowest() > boundary + 10).then_some(()));
    let status = run.status();
    assert_eq!(
        (status.state(), &status.0["supervisor"]),
        ("running", &serde_json::Value::Null)
    );
    run.start(&[]);
    assert_eq!(pids(&eyes), before, "the same processes");
    assert_eq!(run.status().restarts(), 0);
    run.stop();
    run.verify();
}

/// A process that the supervisor was starting when it died has its lock until it begins its own program.
#[test]
fn a_lock_that_outlives_its_supervisor_is_waited_for() {
    let run = Run::new("ghost");
    run.start(ENDLESS);
    run.kill_supervisor();
    let file = SegmentFile::open(run.segment()).expect("the segment stands");
    until("the lock is free", || {
        file.try_lock(LockByte::Run).expect("a lock").then_some(())
    });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            file.unlock(LockByte::Run).expect("it is held");
        });
        run.start(&[]);
    });
    assert_eq!(run.status().restarts(), 0);
    run.stop();
    run.verify();
}

#[test]
fn options_that_differ_are_refused_and_those_that_agree_are_not() {
    let run = Run::new("options");
    run.start(ENDLESS);
    run.kill_supervisor();
    for (given, stored) in [
        (["--lag", "3"], "2"),
        (["--model", "heat"], "phold"),
        (["-p", "remote=0.2"], "remote=0.1"),
        (["--sides", "16,16,16"], "8, 8, 8"),
        (["--until", "500"], "None"),
        (["--pending", "999999"], "--pending"),
    ] {
        run.braid("start", &[given[0], given[1], "--detach"])
            .exits(2)
            .explains(&[given[0], stored]);
    }
    run.start(ENDLESS);
    run.stop();
    run.verify();
}

#[test]
fn the_death_of_an_adopted_worker_is_reported_with_an_unknown_status() {
    let run = Run::new("unknown");
    run.start(ENDLESS);
    run.kill_supervisor();
    run.start(&[]);
    run.kill(Torus::B);
    run.wait_for("recovered");
    assert_eq!(run.status().causes(Torus::B), ["exit status unknown"]);
    // Its successor is a child again.
    run.kill(Torus::B);
    until("the second death is known", || {
        (run.look().causes(Torus::B).len() == 2).then_some(())
    });
    run.wait_for("recovered");
    assert_eq!(run.status().causes(Torus::B), ["exit status unknown", "SIGKILL"]);
    run.stop();
    run.verify();
}

#[test]
fn a_worker_that_died_unwatched_is_replaced_by_the_next_supervisor() {
    let run = Run::new("unwatched");
    run.start(ENDLESS);
    run.kill_supervisor();
    run.kill(Torus::A);
    run.kill(Torus::C);
    run.start(&[]);
    run.wait_for("recovered");
    let status = run.status();
    let restarts = Torus::ALL.map(|torus| status.number(torus, "restarts"));
    assert_eq!(restarts, [1, 0, 1]);
    run.stop();
    run.verify();
}

#[test]
fn stop_stands_in_for_a_dead_supervisor() {
    let run = Run::new("stand-in");
    run.start(ENDLESS);
    run.kill_supervisor();
    run.kill(Torus::C);
    run.stop();
    run.verify();
}

#[test]
fn kill_works_without_a_supervisor_and_says_that_nobody_replaces_the_worker() {
    let run = Run::new("kill-alone");
    run.start(ENDLESS);
    run.kill_supervisor();
    run.braid("kill", &["A"]).exits(0).explains(&["no supervisor"]);
    until("it is dead", || {
        run.eyes().worker(Torus::A).is_none().then_some(())
    });
    run.braid("kill", &["A"]).exits(3).explains(&["torus A"]);
    run.start(&[]);
    run.wait_for("recovered");
    run.stop();
    run.verify();
}

#[test]
fn of_two_adopting_starts_one_wins() {
    let run = Run::new("adopters");
    run.start(ENDLESS);
    run.kill_supervisor();
    let mut codes = std::thread::scope(|scope| {
        let start = || run.braid("start", &["--detach"]).code();
        [scope.spawn(start), scope.spawn(start)].map(|one| one.join().expect("no panic"))
    });
    codes.sort();
    assert_eq!(codes, [Some(0), Some(8)]);
    run.stop();
    run.verify();
}

#[test]
fn a_run_that_ends_unwatched_is_closed_by_the_next_supervisor() {
    let run = Run::new("unwatched-end");
    let arguments: Vec<&str> = ENDLESS.iter().copied().chain(["--until", "4000000"]).collect();
    run.start(&arguments);
    run.kill_supervisor();
    let eyes = run.eyes();
    until("all workers have ended", || {
        eyes.everybody().is_empty().then_some(())
    });
    // Nobody is alive and nobody has said that the run is over: resume says so.
    run.start(&["--resume"]);
    run.finish();
    run.verify();
}

#[test]
fn a_supervisor_killed_while_it_replaces_a_worker_is_continued_by_the_next() {
    let mut random = Random::announced();
    let run = Run::new("midway");
    run.start(ENDLESS);
    for round in 1..=20 {
        let torus = random.pick(&Torus::ALL);
        let incarnation = run.kill(torus).incarnation;
        random.pass(Duration::from_millis(5));
        run.kill_supervisor();
        random.pass(Duration::from_millis(5));
        run.start(&[]);
        run.wait_for("recovered");
        let status = run.status();
        assert!(status.number(torus, "incarnation") > incarnation);
        // A successor that had not yet taken its lock when the supervisor died is followed by another one.
        assert!(
            status.restarts() >= round,
            "at least one successor for each death"
        );
    }
    run.stop();
    run.verify();
}

#[test]
fn the_death_of_an_adopted_worker_is_dated_after_its_birth() {
    let run = Run::new("dated");
    run.start(ENDLESS);
    run.braid("kill", &["C"]).exits(0);
    run.wait_for("recovered");
    run.kill_supervisor();
    run.start(&[]);
    run.kill(Torus::C);
    until("the second death is known", || {
        (run.look().causes(Torus::C).len() == 2).then_some(())
    });
    run.wait_for("recovered");
    let status = run.status();
    let recoveries = &status.torus(Torus::C)["recoveries"];
    let part = |number: usize, name: &str| {
        recoveries[number][name]
            .as_u64()
            .expect("a recovery that is complete")
    };
    let first = part(0, "death_ns") + part(0, "caught_up_ns");
    assert!(
        part(1, "death_ns") >= first,
        "it died before it had recovered: {recoveries}"
    );
    run.stop();
}

fn pids(eyes: &Eyes) -> Vec<u32> {
    Torus::ALL
        .iter()
        .filter_map(|torus| eyes.worker(*torus))
        .map(|worker| worker.pid)
        .collect()
}
