//! Options of `start` that no run can have: exit code 2, and nothing is created.

use super::ENDLESS;
use crate::support::{Run, Traces};

/// `start` with these arguments is a usage error that says these things, and leaves nothing.
#[track_caller]
fn refused(arguments: &[&str], says: &[&str]) {
    let run = Run::new("refused");
    for detach in [&[][..], &["--detach"]] {
        run.braid("start", &[arguments, detach].concat())
            .exits(2)
            .explains(says);
        run.braid("status", &[]).exits(4);
    }
    let state: Vec<_> = std::fs::read_dir(run.folder().join("state"))
        .expect("it exists")
        .flatten()
        .collect();
    assert!(state.is_empty(), "{state:?}");
}

#[test]
fn an_unknown_model_is_refused_with_the_models_there_are() {
    refused(&["--model", "phlod"], &["phlod", "phold", "heat", "cascade"]);
}

#[test]
fn an_unknown_parameter_is_refused_with_the_parameters_there_are() {
    refused(
        &["--model", "phold", "-p", "remot=0.1"],
        &["phold", "\"remot\"", "remote (default 0)", "population"],
    );
    refused(
        &["--model", "cascade", "-p", "x=1"],
        &["cascade", "\"x\"", "none"],
    );
}

#[test]
fn a_bad_value_is_refused_with_what_was_expected() {
    refused(&["-p", "remote=2"], &["remote=2", "a number from 0 to 1"]);
    refused(&["-p", "remote=much"], &["remote=much", "a number from 0 to 1"]);
    refused(&["-p", "degree=0"], &["degree=0", "from 1 to 64"]);
    refused(&["-p", "remote"], &["KEY=VALUE", "remote"]);
    refused(&["-p", "remote=0.1", "-p", "remote=0.2"], &["remote", "once"]);
}

#[test]
fn sides_that_are_no_powers_of_two_are_refused() {
    refused(&["--sides", "24,32,32"], &["24", "powers of two from 4 to 128"]);
    refused(&["--sides", "32,32,256"], &["256", "powers of two from 4 to 128"]);
    refused(&["--sides", "2,32,32"], &["powers of two from 4 to 128"]);
    refused(&["--sides", "32,32"], &["32,32", "three whole numbers"]);
}

#[test]
fn numbers_outside_their_limits_are_refused_with_the_limits() {
    refused(&["--lag", "9"], &["--lag 9", "1 to 8"]);
    refused(&["--lag", "0"], &["--lag 0", "1 to 8"]);
    refused(&["--interval", "0"], &["--interval 0"]);
    refused(&["--tori", "2"], &["'2'", "1 torus or 3"]);
    refused(&["--until", "18446744073709551615"], &["--until", "2^62"]);
    refused(&["--lanes", "32"], &["--lanes", "32"]);
    refused(&["--hang-timeout", "1ms"], &["--hang-timeout", "50"]);
    refused(&["--for", "soon"], &["soon", "30s"]);
    refused(&["--until", "5", "--for", "3s"], &["--until", "--for"]);
}

#[test]
fn a_gain_that_would_oscillate_is_refused_with_the_largest_that_does_not() {
    refused(
        &["--model", "heat", "--gain", "1/2"],
        &["1/2", "oscillate", "1/4"],
    );
    refused(
        &["--model", "heat", "--lag", "8", "--gain", "1/8"],
        &["1/8", "lag of 8", "1/16"],
    );
    refused(&["--model", "heat", "--gain", "3/2"], &["3/2"]);
}

#[test]
fn names_that_are_none_are_refused() {
    for name in ["../etc", "-x", ".hidden", "a b", "", "x.new-12"] {
        let run = Run::new("name");
        let mut line = std::process::Command::new(crate::support::BRAID);
        line.args(["start", &format!("--name={name}"), "--until", "1000"]);
        run.execute(run.in_its_place(line))
            .exits(2)
            .explains(&["64", "name"]);
    }
}

#[test]
fn more_memory_than_there_can_be_is_refused_with_the_amount() {
    let run = Run::new("huge");
    let huge = [
        "--sides",
        "128,128,128",
        "--pending",
        "1000000000",
        "--edges",
        "1000000000",
    ];
    let answer = run.braid("start", &huge);
    assert!(matches!(answer.code(), Some(1 | 2)), "{answer}");
    assert!(answer.err.contains("bytes"), "{answer}");
    run.braid("status", &[]).exits(4);
}

#[test]
fn a_name_in_use_is_refused_and_its_run_not_disturbed() {
    let run = Run::new("in-use");
    run.start(ENDLESS);
    run.braid("start", &["--model", "heat"])
        .exits(8)
        .explains(&[run.name(), "already running", "status"]);
    assert_eq!(run.status().0["model"]["name"], "phold");
    let elsewhere = run.folder().join("elsewhere.segment");
    let answer = run
        .braid("start", &["--segment", elsewhere.to_str().expect("UTF-8")])
        .exits(1);
    answer.explains(&[run.name(), "--name", "clean"]);
    assert!(Traces::of(run.segment()).socket_is_there());
    run.stop();
    run.verify();
}

#[test]
fn a_command_that_there_is_not_is_a_usage_error() {
    let run = Run::new("command");
    run.braid("strat", &[]).exits(2).explains(&["strat", "start"]);
    run.braid("start", &["--untill", "5"])
        .exits(2)
        .explains(&["--untill", "--until"]);
    run.braid("kill", &["A", "--signal", "NOPE"])
        .exits(2)
        .explains(&["NOPE"]);
}
