//! A user's model in a worker binary of its own, `torus-worker/examples/relay.rs`: it runs, is killed, recovers and is
//! verified as the built-in ones, by the very binary that it was started with.

mod support;

use std::path::{Path, PathBuf};

use support::{BRAID, Run, Torus, until};

/// The example, where `cargo test` puts it: beside the program under test.
fn relay() -> PathBuf {
    let folder = Path::new(BRAID).parent().expect("the program stands in a folder");
    let path = folder.join("examples/relay");
    assert!(
        path.exists(),
        "{} is not there; `cargo test`, or `cargo build -p torus-worker --examples`",
        path.display()
    );
    path
}

fn arguments<'a>(worker: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [
        &["--worker", worker, "--model", "relay", "--sides", "8,8,8"],
        more,
    ]
    .concat()
}

#[test]
fn a_users_model_is_killed_and_ends_as_if_it_never_was() {
    let relay = relay();
    let worker = relay.to_str().expect("UTF-8");
    let run = Run::new("relay");
    run.start(&arguments(worker, &["-p", "runners=100"]));
    let mut last = [0; 3];
    for torus in Torus::ALL.iter().chain(&Torus::ALL) {
        let found = run.worker_after(*torus, last[torus.index()]);
        found.kill();
        last[torus.index()] = found.incarnation;
    }
    run.wait_for("recovered");
    let eyes = run.eyes();
    let boundary = eyes.slowest();
    until("it goes on", || (eyes.slowest() > boundary + 10).then_some(()));
    run.kill_everybody();
    run.start(&["--resume"]);
    let ends = run.stop();
    run.verify();
    let calm = Run::new("relay-calm");
    let last_tick = (ends[0].boundary * 1000 - 1).to_string();
    calm.start(&arguments(worker, &["-p", "runners=100", "--until", &last_tick]));
    assert_eq!(calm.finish(), ends, "with and without kills");
    assert!(ends.iter().all(|end| end.events > 0));
}

#[test]
fn a_users_model_runs_on_one_torus_too() {
    let relay = relay();
    let run = Run::new("relay-one");
    let worker = relay.to_str().expect("UTF-8");
    run.start(&arguments(worker, &["--tori", "1", "--until", "50000"]));
    run.finish();
    run.verify();
}

#[test]
fn its_parameters_are_checked_by_its_own_words() {
    let relay = relay();
    let worker = relay.to_str().expect("UTF-8");
    let run = Run::new("relay-bad");
    let refused = run
        .braid("start", &arguments(worker, &["-p", "runners=0"]))
        .exits(2);
    refused.explains(&["runners=0", "from 1 to 100000"]);
    run.braid("start", &arguments(worker, &["-p", "speed=1"]))
        .exits(2)
        .explains(&["relay", "runners (default 256)"]);
    run.braid("start", &["--worker", worker, "--model", "phold"])
        .exits(2)
        .explains(&["phold", "relay"]);
    run.braid("status", &[]).exits(4);
}

#[test]
fn verify_by_another_binary_is_refused_with_the_version_that_is_needed() {
    let run = Run::new("relay-other");
    let copy = run.program("relay", &relay());
    run.start(&arguments(copy.to_str().expect("UTF-8"), &["--until", "20000"]));
    run.finish();
    run.verify();
    let worker = run.status().0["worker"].clone();
    let text = |field: &str| worker[field].as_str().expect("text").to_owned();
    let (version, build) = (text("version"), text("build_hash"));
    let needed = [copy.to_str().expect("UTF-8"), "needs version", &version, &build];
    // Another program in its place; the same program with one byte more; none at all.
    run.program("relay", Path::new(BRAID));
    run.braid("verify", &[]).exits(1).explains(&needed);
    let longer = run.file(
        "longer",
        [&std::fs::read(relay()).expect("the example")[..], &[0]].concat(),
    );
    run.program("relay", &longer);
    run.braid("verify", &[]).exits(1).explains(&needed);
    std::fs::remove_file(&copy).expect("it exists");
    run.braid("verify", &[]).exits(1).explains(&needed);
    // A worker that is asked directly knows its own build too.
    let mut direct = std::process::Command::new(BRAID);
    direct
        .args(["--braid-worker", "verify", "--segment"])
        .arg(run.segment());
    run.execute(direct)
        .exits(1)
        .explains(&["needs", &version, &build]);
    // The right one, back in its place.
    run.program("relay", &relay());
    run.verify();
}
