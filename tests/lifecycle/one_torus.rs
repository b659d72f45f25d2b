//! `--tori 1`: no peers that hold mirrors; it recovers from its own slots.

use crate::support::{Random, Run, Torus};
use std::time::Duration;

const ALONE: &[&str] = &[
    "--tori",
    "1",
    "--model",
    "phold",
    "-p",
    "population=64",
    "--sides",
    "8,8,8",
];

#[test]
fn one_torus_alone_recovers_from_its_own_slots() {
    let mut random = Random::announced();
    let run = Run::new("one");
    run.start(ALONE);
    let mut incarnation = 0;
    for _ in 0..6 {
        let worker = run.worker_after(Torus::A, incarnation);
        random.pass(Duration::from_millis(30));
        worker.kill();
        incarnation = worker.incarnation;
    }
    run.wait_for("recovered");
    run.kill_everybody();
    run.start(&["--resume"]);
    let ends = run.stop();
    assert_eq!(ends.len(), 1);
    run.verify();
    let calm = Run::new("one-calm");
    let last_tick = (ends[0].boundary * 1000 - 1).to_string();
    calm.start(&[ALONE, &["--until", &last_tick]].concat());
    assert_eq!(calm.finish(), ends, "with and without kills");
}

#[test]
fn one_torus_takes_in_events_and_has_no_other() {
    let run = Run::new("one-only");
    run.start(ALONE);
    run.braid("inject", &["A", "1,2,3", "--payload", "9"]).exits(0);
    run.braid("inject", &["B", "1,2,3", "--payload", "9"])
        .exits(2)
        .explains(&["no torus B", "--tori 1"]);
    run.braid("kill", &["C"]).exits(2).explains(&["no torus C"]);
    run.stop();
    run.verify();
}
