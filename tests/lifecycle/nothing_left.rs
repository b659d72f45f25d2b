//! What a run leaves behind: at its end no process, lock or socket; after `clean` nothing at all.

use super::ENDLESS;
use crate::support::{Run, Torus};

#[test]
fn nothing_runs_after_the_end_and_nothing_is_left_after_clean() {
    let run = Run::new("gone");
    run.start(ENDLESS);
    let traces = run.traces();
    assert!(traces.socket_is_there(), "the socket that is looked for below");
    assert!(traces.locks() >= 4, "the locks that are looked for below");
    run.kill(Torus::B);
    run.wait_for("recovered");
    run.stop();
    traces.assert_quiet(run.name());
    run.verify();
    run.braid("clean", &[]).exits(0);
    traces.assert_gone(run.name());
    let state = run.folder().join("state");
    let left: Vec<_> = std::fs::read_dir(&state)
        .expect("the state directory")
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?}");
    run.braid("clean", &[]).exits(4);
    run.braid("status", &[]).exits(4);
}

#[test]
fn nothing_is_left_after_everything_was_killed_and_cleaned() {
    let run = Run::new("gone-dead");
    run.start(ENDLESS);
    let traces = run.traces();
    run.kill_everybody();
    traces.assert_quiet(run.name());
    run.braid("clean", &[]).exits(0);
    traces.assert_gone(run.name());
}

#[test]
fn a_run_that_runs_is_not_cleaned_away() {
    let run = Run::new("kept");
    run.start(ENDLESS);
    run.braid("clean", &[]).exits(8).explains(&["running", "stop"]);
    run.kill_supervisor();
    run.braid("clean", &[]).exits(8).explains(&["running"]);
    run.stop();
    run.verify();
    run.braid("clean", &[]).exits(0);
}

#[test]
fn clean_all_removes_what_is_over_and_keeps_what_runs() {
    // In directories of its own: `--all` is meant.
    let run = Run::named_default("all");
    run.start(ENDLESS);
    let other = |command: &str, rest: &[&str]| {
        let mut line = std::process::Command::new(crate::support::BRAID);
        line.args([command, "--name", "over"]).args(rest);
        run.execute(run.in_its_place(line))
    };
    other("start", super::SHORT).exits(0);
    let all = || {
        let mut line = std::process::Command::new(crate::support::BRAID);
        line.args(["clean", "--all"]);
        run.execute(run.in_its_place(line))
    };
    all()
        .exits(0)
        .explains(&["default is running", "removed the run over"]);
    other("status", &[]).exits(4);
    assert_eq!(run.status().state(), "running");
    run.stop();
    all().exits(0);
    run.braid("status", &[]).exits(4);
}
