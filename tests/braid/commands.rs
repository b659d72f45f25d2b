//! Commands that change the simulated state: taken in once, at a boundary that is printed, and part of the journal.

use super::ENDLESS;
use crate::support::{Run, Status, Torus, until};

/// The constraints of a torus, as `status` shows them.
fn entries(status: &Status, torus: Torus) -> Vec<(u64, i64)> {
    let list = status.torus(torus)["constraints"]
        .as_array()
        .expect("constraints");
    let number = |entry: &serde_json::Value| (entry["entry"].as_u64(), entry["value"].as_i64());
    list.iter()
        .map(|entry| match number(entry) {
            (Some(number), Some(value)) => (number, value),
            _ => panic!("no entry: {entry}"),
        })
        .collect()
}

fn await_entries(run: &Run, expected: &[(u64, i64)]) {
    until("all tori have the entries", || {
        let status = run.look();
        let all = Torus::ALL
            .iter()
            .all(|torus| entries(&status, *torus) == expected);
        all.then_some(())
    });
}

fn constrain(run: &Run, torus: &str, value: i64) -> serde_json::Value {
    let value = value.to_string();
    let arguments = [
        torus,
        "--kind",
        "pending",
        "--value",
        &value,
        "--tolerance",
        "1000000",
        "--json",
    ];
    run.braid("constrain", &arguments).exits(0).json()
}

#[test]
fn a_command_prints_its_boundary_and_counts_once_across_deaths() {
    let run = Run::new("commands");
    run.start(ENDLESS);
    let first = constrain(&run, "A", 500);
    let (boundary, binding) = (first["boundary"].as_u64(), first["binding_at"].as_u64());
    let (boundary, binding) = (boundary.expect("boundary"), binding.expect("binding_at"));
    assert!((boundary + 2..=boundary + 4).contains(&binding), "{first}");
    assert_eq!(first["entry"], 0);
    await_entries(&run, &[(0, 500)]);
    for torus in Torus::ALL {
        run.kill(torus);
        let set = constrain(&run, "B", 600 + torus.index() as i64);
        assert_eq!(set["entry"], 1, "the kind keeps its entry");
        run.wait_for("recovered");
    }
    await_entries(&run, &[(0, 500), (1, 602)]);
    run.braid("constrain", &["--list"])
        .exits(0)
        .prints(&["SET BY", "pending"]);
    run.braid("constrain", &["A", "--remove", "--kind", "pending"])
        .exits(0);
    run.braid("constrain", &["B", "--remove", "--entry", "1"])
        .exits(0);
    await_entries(&run, &[]);
    run.braid("constrain", &["--list"])
        .exits(0)
        .prints(&["no constraint"]);
    run.stop();
    run.verify();
}

#[test]
fn entries_that_are_used_up_or_not_ones_own_are_refused() {
    let run = Run::new("used-up");
    run.start(ENDLESS);
    let set = |entry: &str| {
        let pending = ["--kind", "pending", "--value", "9", "--tolerance", "1000000"];
        run.braid("constrain", &[&["B", "--entry", entry], &pending[..]].concat())
    };
    set("3")
        .exits(2)
        .explains(&["entry 3 is torus A's", "1, 4, 7, 10, 13"]);
    set("16").exits(2).explains(&["there is no entry 16"]);
    for entry in ["1", "4", "7", "10", "13"] {
        set(entry).exits(0);
    }
    run.braid(
        "constrain",
        &["B", "--kind", "active", "--value", "9", "--tolerance", "1000000"],
    )
    .exits(1)
    .explains(&["its 5 entries are used up", "--remove"]);
    run.stop();
    run.verify();
}

#[test]
fn a_command_without_a_supervisor_or_a_run_says_so() {
    let run = Run::new("unsupervised");
    let remove = |torus| run.braid("constrain", &[torus, "--remove", "--kind", "active"]);
    remove("A").exits(4);
    run.start(ENDLESS);
    run.braid("constrain", &["A", "--remove"]).exits(2);
    run.braid("constrain", &["A", "--kind", "speed"])
        .exits(2)
        .explains(&["event-rate"]);
    run.kill_supervisor();
    remove("A").exits(3).explains(&["no supervisor", "start --name"]);
    run.stop();
    remove("A").exits(3).explains(&["not running"]);
    run.verify();
}
