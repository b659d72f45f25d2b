//! Worker binaries that are none.

use std::path::PathBuf;

use super::ENDLESS;
use crate::support::Run;

/// `start --worker` fails, names the program and what is wrong with it, and creates nothing.
#[track_caller]
fn refused(run: &Run, worker: &str, code: i32, says: &[&str]) {
    for detach in [&[][..], &["--detach"]] {
        let arguments = [&["--worker", worker], ENDLESS, detach].concat();
        run.braid("start", &arguments)
            .exits(code)
            .explains(says)
            .explains(&[worker]);
        run.braid("status", &[]).exits(4);
    }
}

fn script(run: &Run, name: &str, text: &str) -> PathBuf {
    run.program(name, &run.file(&format!("{name}.text"), text))
}

#[test]
fn programs_that_do_not_speak_the_protocol_are_refused_with_what_they_said() {
    let run = Run::new("strangers");
    let says = ["does not speak the worker protocol", "main"];
    let real = |path: &str| {
        std::fs::canonicalize(path)
            .expect("it exists")
            .to_str()
            .expect("UTF-8")
            .to_owned()
    };
    refused(&run, &real("/bin/true"), 1, &says);
    refused(&run, &real("/bin/false"), 1, &says);
    refused(&run, &real("/bin/cat"), 1, &says);
    let echo = script(&run, "echo", "#!/bin/sh\nexec cat\n");
    refused(&run, echo.to_str().expect("UTF-8"), 1, &says);
    let braid = crate::support::BRAID;
    let other =
        format!("#!/bin/sh\nexec '{braid}' \"$@\" | sed 's/\"braid_worker\":1/\"braid_worker\":99/'\n");
    let newer = script(&run, "newer", &other);
    refused(
        &run,
        newer.to_str().expect("UTF-8"),
        1,
        &["version 99", "this program speaks 1"],
    );
}

#[test]
fn a_program_that_says_nothing_is_given_up() {
    let run = Run::new("silent");
    // A length that no other process on this machine sleeps for.
    let sleep = format!("sleep 600.{}", std::process::id());
    let silent = script(&run, "silent", &format!("#!/bin/sh\nexec {sleep}\n"));
    let arguments = [&["--worker", silent.to_str().expect("UTF-8")], ENDLESS].concat();
    run.braid("start", &arguments)
        .exits(1)
        .explains(&["does not speak the worker protocol", "did not answer within"]);
    run.braid("status", &[]).exits(4);
    assert!(
        crate::support::processes_naming(&sleep).is_empty(),
        "it is not left behind"
    );
}

#[test]
fn a_program_that_never_stops_talking_is_given_up() {
    let run = Run::new("talker");
    let talker = script(&run, "talker", "#!/bin/sh\nexec yes braid\n");
    let arguments = [&["--worker", talker.to_str().expect("UTF-8")], ENDLESS].concat();
    run.braid("start", &arguments)
        .exits(1)
        .explains(&["does not speak the worker protocol", "bytes"]);
}

#[test]
fn a_program_that_is_not_there_or_cannot_be_run_is_refused() {
    let run = Run::new("missing");
    refused(&run, "/no/such/worker", 2, &["no worker binary"]);
    let text = run.file("text", "hello\n");
    refused(&run, text.to_str().expect("UTF-8"), 1, &["cannot be started"]);
}

#[test]
fn a_worker_that_dies_at_once_fails_the_run_with_the_reason() {
    let run = Run::new("dies");
    // It describes itself as the real one does, and then cannot run.
    let text = format!(
        "#!/bin/sh\n[ \"$2\" = describe ] && exec '{}' \"$@\"\nexit 3\n",
        crate::support::BRAID
    );
    let worker = script(&run, "dies", &text);
    let arguments = [
        &["--worker", worker.to_str().expect("UTF-8"), "--detach"],
        ENDLESS,
    ]
    .concat();
    let answer = run.braid("start", &arguments).exits(1);
    answer.explains(&["exit code 3", "without progress"]);
}

#[test]
fn a_worker_subcommand_given_by_hand_explains_itself() {
    let run = Run::new("by-hand");
    let mut command = std::process::Command::new(crate::support::BRAID);
    command.args(["--braid-worker", "nonsense"]);
    run.execute(command)
        .exits(2)
        .explains(&["Braid worker", "--worker"]);
}
