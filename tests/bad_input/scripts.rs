//! Malformed scripts: exit code 2, with file, line number and what was expected.

use crate::support::{BRAID, Run};

/// `start --script` refuses the text, and names the file, the line and what it should have been.
#[track_caller]
fn refused(text: &str, line: usize, says: &[&str]) {
    let run = Run::new("script");
    let script = run.file("my.scenario", text);
    let script = script.to_str().expect("UTF-8");
    let place = format!("{script}:{line}: ");
    run.braid("start", &["--script", script, "--sides", "8,8,8"])
        .exits(2)
        .explains(&[&place])
        .explains(says);
    run.braid("status", &[]).exits(4);
}

#[test]
fn a_malformed_line_is_named_with_what_was_expected() {
    refused(
        "process 0 0 0\nproces 1 1 1\n",
        2,
        &["expected `process`", "found `proces`"],
    );
    refused(
        "# a comment\n\nedge 0 0 0  1 0 0\n",
        3,
        &["delay", "the end of the line"],
    );
    refused(
        "edge 0 0 0  1 0 0  0\n",
        1,
        &["delay, a whole number from 1", "found `0`"],
    );
    refused(
        "edge 0 0 0  1 zero 0  5\n",
        1,
        &["three whole numbers", "found `zero`"],
    );
    refused("process D:1 2 3\n", 1, &["A, B and C", "found `D:1`"]);
    refused(
        "inject 0 0 0  0 0 0  9999999999\n",
        1,
        &["the payload", "found `9999999999`"],
    );
    refused(
        "inject A:0 0 0  B:0 0 0  1\n",
        1,
        &["a source on the destination's torus A"],
    );
    refused("process 0 0 0 0\n", 1, &["the end of the line after `process`"]);
}

#[test]
fn run_until_and_dump_are_refused_under_start() {
    refused("process 0 0 0\nrun_until 500\n", 2, &["`run_until`", "--until"]);
    refused("process 0 0 0\n\ndump\n", 3, &["`dump`"]);
}

#[test]
fn a_torus_that_the_run_does_not_have_is_refused() {
    let run = Run::new("script-tori");
    let script = run.file("my.scenario", "process 0 0 0\nedge 0 0 0 B:1 1 1 5\n");
    let script = script.to_str().expect("UTF-8");
    let place = format!("{script}:2: ");
    run.braid("start", &["--tori", "1", "--script", script])
        .exits(2)
        .explains(&[&place, "no torus B", "--tori 1"]);
}

#[test]
fn a_script_that_is_not_there_or_no_text_is_refused() {
    let run = Run::new("no-script");
    run.braid("start", &["--script", "/no/such/file"])
        .exits(2)
        .explains(&["/no/such/file"]);
    let binary = run.file("binary.scenario", [0xff, 0xfe, 0x00]);
    run.braid("start", &["--script", binary.to_str().expect("UTF-8")])
        .exits(2)
        .explains(&["binary.scenario"]);
    let folder = run.folder().to_str().expect("UTF-8");
    run.braid("start", &["--script", folder])
        .exits(2)
        .explains(&[folder]);
}

#[test]
fn run_script_names_file_and_line_too() {
    let run = Run::new("run-script");
    let script = run.file("my.scenario", "process 0 0 0\nedge 0 0 0\n");
    let mut command = std::process::Command::new(BRAID);
    command.arg("run-script").arg(&script);
    run.execute(command)
        .exits(2)
        .explains(&[&format!("{}:2: expected", script.display())]);
    let mut command = std::process::Command::new(BRAID);
    command.args(["run-script", "/no/such/file"]);
    let answer = run.execute(command);
    assert!(matches!(answer.code(), Some(1 | 2)), "{answer}");
    assert!(answer.err.contains("/no/such/file"), "{answer}");
}
