//! Workers that hang, crash on their own, or are signalled in other ways than SIGKILL: replaced, and the run exact.

use super::ENDLESS;
use crate::support::{Run, Torus, until};
use nix::libc::{SIGCONT, SIGSTOP};

/// Stops the run and holds it against its uncrashed execution.
#[track_caller]
fn exact(run: &Run) {
    run.stop();
    run.verify();
}

fn await_cause(run: &Run, torus: Torus, cause: &str) {
    until("the death is reported", || {
        run.look()
            .causes(torus)
            .last()
            .filter(|last| *last == cause)
            .cloned()
    });
    run.wait_for("recovered");
}

#[test]
fn a_worker_that_hangs_is_replaced() {
    let run = Run::new("hang");
    let arguments: Vec<&str> = ENDLESS
        .iter()
        .copied()
        .chain(["--hang-timeout", "400ms"])
        .collect();
    run.start(&arguments);
    let hung = run.worker(Torus::A);
    run.braid("kill", &["A", "--signal", "STOP"]).exits(0);
    await_cause(&run, Torus::A, "hung");
    assert!(!hung.lives(), "the process that hung is dead, not left frozen");
    let status = run.status();
    assert_eq!(
        [Torus::B, Torus::C].map(|torus| status.number(torus, "restarts")),
        [0, 0],
        "who waits does not hang"
    );
    exact(&run);
}

#[test]
fn a_worker_that_is_frozen_for_less_than_the_timeout_is_not_replaced() {
    let run = Run::new("frozen");
    let arguments: Vec<&str> = ENDLESS.iter().copied().chain(["--hang-timeout", "1h"]).collect();
    run.start(&arguments);
    let worker = run.worker(Torus::B);
    worker.signal(SIGSTOP);
    let eyes = run.eyes();
    until("its peers wait for it", || {
        let boundary = eyes.boundary(Torus::A);
        std::thread::sleep(std::time::Duration::from_millis(20));
        (eyes.boundary(Torus::A) == boundary).then_some(())
    });
    worker.signal(SIGCONT);
    let boundary = eyes.slowest();
    until("the run goes on", || {
        (eyes.slowest() > boundary + 10).then_some(())
    });
    assert_eq!(run.status().restarts(), 0);
    exact(&run);
}

#[test]
fn a_frozen_supervisor_replaces_who_died_meanwhile_and_convicts_nobody() {
    let run = Run::new("frozen-supervisor");
    let arguments: Vec<&str> = ENDLESS
        .iter()
        .copied()
        .chain(["--hang-timeout", "100ms"])
        .collect();
    run.start(&arguments);
    let supervisor = run.eyes().supervisor().expect("it lives");
    supervisor.signal(SIGSTOP);
    let dead = run.kill(Torus::C);
    until("it is dead", || (!dead.lives()).then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(300));
    supervisor.signal(SIGCONT);
    await_cause(&run, Torus::C, "SIGKILL");
    exact(&run);
}

#[test]
fn crashes_of_its_own_are_survived_and_named() {
    let run = Run::new("crashes");
    run.start(ENDLESS);
    for signal in ["SEGV", "ABRT", "BUS", "TERM"] {
        run.braid("kill", &["B", "--signal", signal]).exits(0);
        await_cause(&run, Torus::B, &format!("SIG{signal}"));
    }
    exact(&run);
}

#[test]
fn signals_of_a_terminal_do_not_reach_into_workers() {
    let run = Run::new("ignored");
    run.start(ENDLESS);
    let worker = run.worker(Torus::A);
    for signal in ["INT", "HUP"] {
        run.braid("kill", &["A", "--signal", signal]).exits(0);
    }
    let eyes = run.eyes();
    let boundary = eyes.slowest();
    until("the run goes on", || {
        (eyes.slowest() > boundary + 10).then_some(())
    });
    assert!(worker.lives());
    assert_eq!(run.status().restarts(), 0);
    exact(&run);
}

#[test]
fn the_parts_of_a_recovery_are_in_their_order() {
    let run = Run::new("parts");
    run.start(ENDLESS);
    run.braid("kill", &["C"]).exits(0);
    run.wait_for("recovered");
    let status = run.status();
    let recovery = &status.torus(Torus::C)["recoveries"][0];
    let part = |name: &str| {
        recovery[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {recovery}"))
    };
    let parts = [
        "detected_ns",
        "respawned_ns",
        "started_ns",
        "loaded_ns",
        "rehydrated_ns",
        "caught_up_ns",
    ]
    .map(part);
    assert!(parts.is_sorted(), "{recovery}");
    let executing_ns = part("executing_ns");
    assert!((1..=parts[5] - parts[3]).contains(&executing_ns), "{recovery}");
    assert_eq!(
        (recovery["incarnation"].as_u64(), recovery["cause"].as_str()),
        (Some(2), Some("SIGKILL"))
    );
    exact(&run);
}
