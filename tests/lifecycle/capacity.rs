//! A capacity that is reached: a failure that names it, and a resume with more of it that ends as if it had been there.

use crate::support::{Answer, End, Run};

/// Every eighth tick an event leaves the first ring for the second, where it stays: pending events grow without end, but
/// slowly. One in eight ticks sends one to B, where it ends.
const GROWING: &str = "\
edge A:0 0 0 A:1 0 0 1\nedge A:1 0 0 A:2 0 0 1\nedge A:2 0 0 A:3 0 0 1\nedge A:3 0 0 A:4 0 0 1
edge A:4 0 0 A:5 0 0 1\nedge A:5 0 0 A:6 0 0 1\nedge A:6 0 0 A:7 0 0 1\nedge A:7 0 0 A:0 0 0 1
edge A:0 0 0 A:0 1 0 1\nedge A:0 1 0 A:1 1 0 1\nedge A:1 1 0 A:0 1 0 1
edge A:0 0 0 B:0 0 0 1\ninject A:0 0 0 A:7 0 0 1\n";

/// As above; each round in the second ring also sends an event to C: so do events between tori.
const CROSSING: &str = "edge A:0 1 0 C:0 0 0 1\n";

/// Where a run ends that has room from the start.
fn roomy(script: &str, room: &[&str]) -> Vec<End> {
    let run = Run::new("roomy");
    start(&run, script, room).exits(0);
    let ends = run.ends("finished");
    run.verify();
    ends
}

fn start(run: &Run, script: &str, room: &[&str]) -> Answer {
    let script = run.file("growing.scenario", script);
    let script = script.to_str().expect("UTF-8");
    let fixed = [
        "--script",
        script,
        "--sides",
        "8,8,8",
        "--interval",
        "100",
        "--until",
        "9999",
    ];
    run.braid("start", &fixed.iter().chain(room).copied().collect::<Vec<_>>())
}

#[test]
fn pending_events_beyond_the_capacity_fail_the_run_and_more_room_continues_it_exactly() {
    let run = Run::new("pending");
    let answer = start(&run, GROWING, &["--pending", "600"]).exits(1);
    assert!(answer.out.contains("failed"), "{answer}");
    let status = run.braid("status", &["--json"]).exits(1).json();
    let reason = status["reason"].as_str().expect("a reason");
    for part in ["torus A", "tick ", "600", "--pending"] {
        assert!(reason.contains(part), "{part:?} in {reason:?}");
    }
    run.braid("wait", &[]).exits(1).explains(&["--pending"]);
    run.braid("verify", &[]).exits(1).explains(&["failed"]);
    run.braid("start", &["--detach"]).exits(1).explains(&["--resume"]);
    // With the same room it fails again, at the same tick.
    run.braid("start", &["--resume"]).exits(1);
    assert_eq!(
        run.braid("status", &["--json"]).exits(1).json()["reason"],
        status["reason"]
    );
    run.braid("start", &["--resume", "--pending", "5000"]).exits(0);
    run.verify();
    assert_eq!(run.ends("finished"), roomy(GROWING, &["--pending", "5000"]));
}

#[test]
fn remote_events_beyond_the_capacity_fail_the_run_and_more_room_continues_it_exactly() {
    let run = Run::new("remote");
    let script = format!("{GROWING}{CROSSING}");
    start(&run, &script, &["--remote-per-interval", "2000"]).exits(1);
    let status = run.braid("status", &["--json"]).exits(1).json();
    let reason = status["reason"].as_str().expect("a reason");
    for part in ["torus A", "tick ", "2000", "--remote-per-interval"] {
        assert!(reason.contains(part), "{part:?} in {reason:?}");
    }
    let room = ["--remote-per-interval", "100000"];
    run.start(&["--resume", room[0], room[1]]);
    run.finish();
    run.verify();
    assert_eq!(run.ends("finished"), roomy(&script, &room));
}

#[test]
fn a_stopped_run_gets_more_of_everything_and_stays_exact() {
    let run = Run::new("more");
    run.start(super::ENDLESS);
    run.braid("inject", &["A", "1,1,1", "--payload", "7", "--client", "feeder"])
        .exits(0);
    run.stop();
    let pending = [
        "--resume",
        "--pending",
        "100000",
        "--edges",
        "50000",
        "--lanes",
        "20",
    ];
    run.start(&[&pending[..], &["--remote-per-interval", "9000"]].concat());
    let told = run
        .braid(
            "inject",
            &["A", "1,1,1", "--payload", "8", "--client", "feeder", "--json"],
        )
        .exits(0)
        .json();
    assert_eq!(
        (told["committed"].as_u64(), told["pushed"].as_u64()),
        (Some(2), Some(2)),
        "the lane was carried over"
    );
    run.kill(crate::support::Torus::B);
    run.wait_for("recovered");
    run.stop();
    run.verify();
}

#[test]
fn a_setup_that_does_not_fit_is_refused_before_anything_is_created() {
    let run = Run::new("small");
    let refused = start(&run, GROWING, &["--edges", "5"]).exits(2);
    refused.explains(&["--edges", "5"]);
    run.braid(
        "start",
        &["--model", "phold", "--sides", "8,8,8", "--pending", "100"],
    )
    .exits(2)
    .explains(&["--pending"]);
    run.braid("status", &[]).exits(4);
}
