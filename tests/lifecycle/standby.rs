//! The process that stands by: it becomes the successor of whoever dies, is missed by nobody, and is never left over.

use std::path::Path;

use crate::ENDLESS;
use crate::support::{BRAID, Certain, Run, Torus, until};
use shm_layout::sys::pidfd::PidFd;

/// The process that stands by, once there is one.
fn standby(run: &Run) -> Certain {
    until("a process stands by", || {
        let pid = run.look().0["supervisor"]["standby"].as_u64()? as u32;
        let pidfd = PidFd::open(pid).ok()?;
        pidfd.alive().ok()?.then_some(Certain {
            pidfd,
            pid,
            incarnation: 0,
        })
    })
}

/// Whether the newest successor of a torus had stood by.
fn had_stood_by(run: &Run, torus: Torus) -> bool {
    let status = run.status();
    let recoveries = status.torus(torus)["recoveries"].as_array().expect("recoveries");
    let newest = recoveries.last().expect("a recovery");
    newest["from_standby"].as_bool().expect("a word")
}

fn log(run: &Run) -> String {
    let path = run.look().0["files"]["log"].as_str().expect("a path").to_owned();
    std::fs::read_to_string(path).expect("a log")
}

#[test]
fn the_process_that_stands_by_becomes_the_successor_of_whoever_dies() {
    let run = Run::new("standby");
    run.start(ENDLESS);
    for torus in [Torus::B, Torus::A] {
        let waiting = standby(&run);
        run.kill(torus);
        run.wait_for("recovered");
        assert!(had_stood_by(&run, torus));
        assert_eq!(run.worker(torus).pid, waiting.pid);
    }
    let (waiting, traces) = (standby(&run), run.traces());
    run.stop();
    assert!(!waiting.lives(), "nobody stands by after the end");
    traces.assert_quiet(run.name());
    run.verify();
}

#[test]
fn without_a_process_that_stands_by_a_successor_is_started_when_it_is_needed() {
    let run = Run::new("no-standby");
    run.start(ENDLESS);
    let waiting = standby(&run);
    waiting.kill();
    until("it is dead", || (!waiting.lives()).then_some(()));
    run.kill(Torus::C);
    run.wait_for("recovered");
    assert!(!had_stood_by(&run, Torus::C));
    assert_ne!(standby(&run).pid, waiting.pid, "later another one stands by");
    run.stop();
    run.verify();
}

#[test]
fn a_process_that_dies_with_its_order_is_followed_by_another_successor() {
    let run = Run::new("ordered");
    run.start(ENDLESS);
    let waiting = standby(&run);
    waiting.signal(nix::libc::SIGSTOP);
    let before = run.kill(Torus::A);
    until("it is told to take over", || {
        run.look().0["supervisor"]["standby"].is_null().then_some(())
    });
    waiting.kill();
    let successor = run.worker_after(Torus::A, before.incarnation);
    assert_ne!(successor.pid, waiting.pid);
    run.wait_for("recovered");
    run.stop();
    run.verify();
}

#[test]
fn the_process_that_stands_by_ends_with_its_supervisor() {
    let run = Run::new("orphan");
    run.start(ENDLESS);
    let waiting = standby(&run);
    run.kill_supervisor();
    until("it has ended", || (!waiting.lives()).then_some(()));
    run.start(&[]);
    assert_ne!(standby(&run).pid, waiting.pid);
    assert_eq!(run.status().restarts(), 0, "no worker was");
    run.stop();
    run.verify();
}

#[test]
fn a_process_of_the_right_build_takes_over_after_the_program_was_replaced_and_none_of_another_build_stands_by()
 {
    let run = Run::new("rebuilt");
    let worker = run.program("worker", Path::new(BRAID));
    let path = worker.to_str().expect("UTF-8");
    run.start(&[ENDLESS, &["--worker", path]].concat());
    let waiting = standby(&run);
    let other = run.file("other", "another build");
    std::fs::rename(&worker, worker.with_extension("kept")).expect("ours");
    std::fs::rename(&other, &worker).expect("ours");
    run.kill(Torus::B);
    run.wait_for("recovered");
    assert_eq!(run.worker(Torus::B).pid, waiting.pid);
    until("the other build is refused", || {
        log(&run).contains("no process stands by").then_some(())
    });
    assert!(run.status().0["supervisor"]["standby"].is_null());
    std::fs::rename(worker.with_extension("kept"), &worker).expect("ours");
    run.stop();
    run.verify();
}

#[test]
fn a_program_that_cannot_stand_by_recovers_without() {
    let run = Run::new("old-program");
    let script = format!("#!/bin/sh\n[ \"$2\" = stand-by ] && exit 2\nexec {BRAID} \"$@\"\n");
    let text = run.file("text", &script);
    let worker = run.program("worker", &text);
    let path = worker.to_str().expect("UTF-8");
    run.start(&[ENDLESS, &["--worker", path]].concat());
    until("it has been tried", || {
        log(&run)
            .contains("the process that stood by ended (exit code 2)")
            .then_some(())
    });
    run.kill(Torus::A);
    run.wait_for("recovered");
    assert!(!had_stood_by(&run, Torus::A));
    run.stop();
}
