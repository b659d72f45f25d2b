//! How runs begin.

use super::{ENDLESS, SHORT};
use crate::support::{Run, Torus, until};
use std::process::Command;

#[test]
fn detach_returns_when_all_three_are_ready() {
    let run = Run::new("detach");
    run.start(ENDLESS);
    let status = run.status();
    assert_eq!(status.state(), "running");
    for torus in Torus::ALL {
        assert_eq!(status.torus(torus)["phase"], "running", "{}", status.0);
        assert!(status.number(torus, "pid") > 0);
    }
    run.braid("wait", &["--for", "ready"]).exits(0);
    run.stop();
}

#[test]
fn start_alone_runs_phold_on_three_tori_named_default_until_ctrl_c() {
    let run = Run::named_default("alone");
    let foreground = run.foreground(&[]);
    run.wait_for("ready");
    let status = run.status();
    assert_eq!(
        (status.0["name"].as_str(), status.0["model"]["name"].as_str()),
        (Some("default"), Some("phold"))
    );
    assert_eq!(status.tori().len(), 3);
    foreground.signal(nix::libc::SIGINT);
    foreground
        .finish()
        .exits(0)
        .prints(&["default: stopped at boundary", "digests:", "restarts: 0"]);
    run.ends("stopped");
}

#[test]
fn wait_for_ready_may_come_before_start() {
    let run = Run::new("early");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run.braid("wait", &["--for", "ready", "--timeout", "100s"]));
        run.start(ENDLESS);
        let answer = waiting.join().expect("no panic");
        assert_eq!(answer.code(), Some(0), "{answer}");
    });
    run.stop();
}

#[test]
fn of_two_starts_at_the_same_time_one_wins() {
    let run = Run::new("race");
    let arguments: Vec<&str> = ENDLESS.iter().copied().chain(["--detach"]).collect();
    let mut codes = std::thread::scope(|scope| {
        let start = || run.braid("start", &arguments).code();
        let both = [scope.spawn(start), scope.spawn(start)];
        both.map(|one| one.join().expect("no panic"))
    });
    codes.sort();
    assert_eq!(codes, [Some(0), Some(8)]);
    let segment = run.segment().to_string_lossy();
    let workers = crate::support::processes_naming(&format!("--braid-worker run --segment {segment}"));
    assert_eq!(workers.len(), 3, "three workers: {workers:?}");
    run.stop();
    run.verify();
}

#[test]
fn a_dry_run_prints_the_memory_that_it_would_take_and_starts_nothing() {
    let run = Run::new("dry");
    let arguments: Vec<&str> = ENDLESS.iter().copied().chain(["--dry-run"]).collect();
    run.braid("start", &arguments)
        .exits(0)
        .prints(&["segment", "MiB", "frame", "OFFSET"]);
    run.braid("status", &[]).exits(4);
}

#[test]
fn a_segment_on_disk_holds_a_whole_run_beside_its_journals() {
    let run = Run::on_disk("disk");
    run.start(ENDLESS);
    run.kill(Torus::B);
    run.wait_for("recovered");
    run.stop();
    run.verify();
    assert!(run.folder().join("run.segment.journals/journal.B").exists());
    // The name finds it too.
    let mut by_name = Command::new(crate::support::BRAID);
    by_name.args(["status", "--name", run.name()]);
    run.execute(run.in_its_place(by_name)).exits(0);
    run.braid("clean", &[]).exits(0);
    assert!(!run.segment().exists() && !run.folder().join("run.segment.journals").exists());
}

#[test]
fn a_run_in_the_foreground_ends_with_events_digests_and_recoveries() {
    let run = Run::new("summary");
    let foreground = run.foreground(ENDLESS);
    run.wait_for("ready");
    run.kill(Torus::C);
    until("the recovery is complete", || {
        let recoveries = run.look().torus(Torus::C)["recoveries"].clone();
        recoveries[0]["caught_up_ns"].as_u64()
    });
    foreground.signal(nix::libc::SIGTERM);
    let answer = foreground.finish().exits(0);
    let answer = answer.prints(&[
        "events: ",
        "digests:\n  A  history ",
        "restarts: 1",
        "C #2 after SIGKILL: detected ",
    ]);
    assert!(answer.out.contains("caught up"), "{answer}");
    assert!(
        !answer.err.contains('\r'),
        "plain lines where no terminal is\n{answer}"
    );
    assert!(answer.err.contains("torus C died (SIGKILL)"), "{answer}");
}

#[test]
fn a_summary_in_json_is_the_report_of_status() {
    let run = Run::new("json");
    let arguments: Vec<&str> = SHORT.iter().copied().chain(["--json"]).collect();
    let summary = run.braid("start", &arguments).exits(0).json();
    let status = run.status().0;
    assert_eq!(summary["tori"], status["tori"]);
    assert_eq!(
        (&summary["state"], &summary["schema_version"]),
        (&status["state"], &status["schema_version"])
    );
}
