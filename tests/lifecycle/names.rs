//! What `start` does with a name that exists.

use super::{ENDLESS, SHORT};
use crate::support::{Run, Torus};

#[test]
fn a_name_whose_supervisor_lives_is_left_alone() {
    let run = Run::new("alive");
    run.start(ENDLESS);
    let before = pids(&run);
    for arguments in [&["--detach"][..], &[], &["--replace"], &["--resume"]] {
        run.braid("start", arguments)
            .exits(8)
            .explains(&[run.name(), "already running"]);
    }
    assert_eq!(pids(&run), before, "nobody was touched");
    run.stop();
    run.verify();
}

#[test]
fn a_dead_unfinished_run_is_kept_for_resume_or_clean() {
    let run = Run::new("dead");
    run.start(ENDLESS);
    run.kill_everybody();
    for arguments in [&["--detach"][..], &[], &["--replace"]] {
        run.braid("start", arguments)
            .exits(1)
            .explains(&[run.name(), "--resume", "clean"]);
    }
    run.start(&["--resume"]);
    run.stop();
    run.verify();
}

#[test]
fn a_finished_run_is_replaced_only_on_demand() {
    let run = Run::new("finished");
    run.start(SHORT);
    let first = run.finish();
    run.braid("start", SHORT)
        .exits(1)
        .explains(&[run.name(), "--replace", "clean"]);
    run.braid("start", &["--resume"]).exits(1).explains(&["finished"]);
    assert_eq!(run.ends("finished"), first, "it is still there");
    let other: Vec<&str> = SHORT
        .iter()
        .copied()
        .chain(["--seed", "2", "--replace", "--detach"])
        .collect();
    run.braid("start", &other).exits(0);
    let second = run.finish();
    assert_ne!(first[0].history, second[0].history, "another run");
    run.verify();
}

#[test]
fn a_stopped_run_is_replaced_only_on_demand_and_goes_on_with_resume() {
    let run = Run::new("stopped");
    run.start(ENDLESS);
    let stopped = run.stop();
    run.braid("start", &["--detach"])
        .exits(1)
        .explains(&["--replace"]);
    run.start(&["--resume"]);
    let eyes = run.eyes();
    crate::support::until("it goes on", || {
        (eyes.slowest() > stopped[0].boundary + 5).then_some(())
    });
    run.stop();
    run.verify();
}

#[test]
fn the_default_run_is_replaced_when_it_is_over() {
    let run = Run::named_default("default");
    run.braid("start", SHORT).exits(0).prints(&["default: finished"]);
    let seed: Vec<&str> = SHORT.iter().copied().chain(["--seed", "2"]).collect();
    run.braid("start", &seed).exits(0).prints(&["default: finished"]);
    run.start(&["--model", "heat", "--sides", "8,8,8"]);
    run.braid("start", &["--detach"]).exits(8);
    run.stop();
    run.start(ENDLESS);
    run.kill_everybody();
    run.braid("start", &["--detach"])
        .exits(1)
        .explains(&["--resume", "clean"]);
}

#[test]
fn there_is_nothing_to_resume_under_a_new_name() {
    let run = Run::new("nothing");
    run.braid("start", &["--resume", "--detach"])
        .exits(4)
        .explains(&[run.name()]);
}

#[test]
fn a_resumed_run_refuses_what_would_change_its_result() {
    let run = Run::new("refused");
    run.start(ENDLESS);
    run.stop();
    for (option, value, stored) in [
        ("--lag", "3", "2"),
        ("--seed", "7", "1"),
        ("--model", "heat", "phold"),
    ] {
        run.braid("start", &["--resume", option, value])
            .exits(2)
            .explains(&[option, value, stored]);
    }
    run.braid("start", &["--resume", "--pending", "64"])
        .exits(2)
        .explains(&["--pending 64", "only grow"]);
    run.start(&["--resume", "--lag", "2", "--seed", "1", "-p", "remote=0.10"]);
    run.stop();
    run.verify();
}

fn pids(run: &Run) -> Vec<u64> {
    let status = run.status();
    let workers = Torus::ALL.iter().map(|torus| status.number(*torus, "pid"));
    workers.chain(status.0["supervisor"]["pid"].as_u64()).collect()
}
