//! Adaptive intervals in real processes: the length follows what is violated, and deaths change nothing.

use crate::support::{Run, Status, Torus, until};

fn length(status: &Status) -> u64 {
    status.number(Torus::A, "interval")
}

#[test]
fn an_adaptive_run_follows_its_violations_and_is_exact_under_kills() {
    let run = Run::new("adaptive");
    let small = ["--sides", "8,8,8", "-p", "population=16", "-p", "remote=0.1"];
    run.start(
        &[
            &["--model", "phold", "--adaptive", "--interval", "1000"],
            &small[..],
        ]
        .concat(),
    );
    // Nothing is conserved in phold, so no response can satisfy this.
    let hold = ["B", "--kind", "invariant", "--value", "9", "--tolerance", "1"];
    run.braid("constrain", &hold).exits(0);
    until("the intervals are short", || {
        (length(&run.look()) == 100).then_some(())
    });
    for torus in Torus::ALL {
        run.kill(torus);
        run.wait_for("recovered");
    }
    assert!(run.status().number(Torus::C, "violations") > 0);
    run.braid("constrain", &["B", "--remove", "--kind", "invariant"])
        .exits(0);
    run.kill(Torus::B);
    run.wait_for("recovered");
    until("the intervals are long", || {
        (length(&run.look()) > 2_000).then_some(())
    });
    run.kill(Torus::A);
    run.wait_for("recovered");
    let ends = run.stop();
    assert!(ends.iter().all(|end| end.tick == ends[0].tick), "{ends:?}");
    run.verify();
}

#[test]
fn an_adaptive_run_with_an_end_executes_all_events_up_to_it() {
    let run = Run::new("adaptive-end");
    run.start(&[
        "--model",
        "heat",
        "--sides",
        "8,8,8",
        "--adaptive",
        "--tolerance",
        "3",
        "--until",
        "60000",
    ]);
    let ends = run.finish();
    assert!(ends.iter().all(|end| end.tick == 60_001), "{ends:?}");
    run.verify();
}

#[test]
fn a_first_length_outside_the_limits_is_refused() {
    let run = Run::new("adaptive-limits");
    for interval in ["99", "10001"] {
        run.braid("start", &["--adaptive", "--interval", interval])
            .exits(2)
            .explains(&["100 to 10000", "--adaptive"]);
    }
}
