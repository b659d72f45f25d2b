//! How runs end: all tori at one boundary, whoever asks for it.

use super::{ENDLESS, SHORT};
use crate::support::{Run, Torus, until};
use nix::libc::{SIGINT, SIGTERM};

#[test]
fn stop_ends_all_three_at_one_boundary() {
    let run = Run::new("stop");
    run.start(ENDLESS);
    run.stop();
    run.braid("stop", &[])
        .exits(3)
        .explains(&["not running", "stopped"]);
    run.verify();
}

#[test]
fn stop_counts_also_while_workers_die() {
    let run = Run::new("stop-dying");
    run.start(ENDLESS);
    run.kill(Torus::A);
    run.kill(Torus::B);
    run.stop();
    run.verify();
}

#[test]
fn ctrl_c_stops_at_one_boundary_with_the_summary_on_standard_output() {
    let run = Run::new("ctrl-c");
    let foreground = run.foreground(ENDLESS);
    run.wait_for("ready");
    foreground.signal(SIGINT);
    let answer = foreground.finish().exits(0);
    let heading = format!("{}: stopped at boundary", run.name());
    assert!(
        answer.out.starts_with(&heading),
        "standard output is data alone\n{answer}"
    );
    run.ends("stopped");
    run.verify();
}

#[test]
fn sigterm_stops_a_run_in_the_background() {
    let run = Run::new("sigterm");
    run.start(ENDLESS);
    run.eyes().supervisor().expect("it lives").signal(SIGTERM);
    run.wait_for("finished");
    run.ends("stopped");
    run.verify();
}

#[test]
fn a_time_limit_ends_all_three_at_one_boundary() {
    let run = Run::new("limit");
    let arguments: Vec<&str> = ENDLESS.iter().copied().chain(["--for", "300ms"]).collect();
    run.braid("start", &arguments)
        .exits(0)
        .prints(&["finished at boundary"]);
    run.ends("finished");
    run.verify();
}

#[test]
fn until_executes_the_last_tick_and_none_beyond() {
    let run = Run::new("until");
    run.braid("start", SHORT).exits(0);
    let ends = run.ends("finished");
    assert!(ends.iter().all(|end| end.tick == 20_001), "{ends:?}");
    run.verify();
}

#[test]
fn a_run_goes_on_after_stops_as_if_there_had_been_none() {
    let arguments = |run: &Run| {
        run.start(&[
            "--model",
            "heat",
            "-p",
            "period=500",
            "--sides",
            "8,8,8",
            "--until",
            "3000000",
        ]);
    };
    let calm = Run::new("calm");
    arguments(&calm);
    let expected = calm.finish();
    let run = Run::new("on-and-off");
    arguments(&run);
    for _ in 0..3 {
        let code = run.braid("stop", &[]).code();
        if code == Some(3) || run.status().state() == "finished" {
            break;
        }
        run.ends("stopped");
        run.start(&["--resume"]);
    }
    assert_eq!(run.finish(), expected);
    run.verify();
}

#[test]
fn a_run_that_is_over_gives_its_memory_back_and_keeps_its_report() {
    let run = Run::new("shrink");
    run.start(ENDLESS);
    let bytes = |field: &str| run.status().0["files"][field].as_u64().expect("bytes");
    assert!(
        bytes("allocated_bytes") >= bytes("segment_bytes"),
        "allocated in full while it runs"
    );
    run.stop();
    assert!(bytes("allocated_bytes") < bytes("segment_bytes") / 2, "shrunk");
    run.verify();
    run.start(&["--resume"]);
    assert!(
        bytes("allocated_bytes") >= bytes("segment_bytes"),
        "allocated in full again"
    );
    run.stop();
    run.verify();
}

#[test]
fn verify_is_refused_while_the_run_runs() {
    let run = Run::new("verify-early");
    run.start(ENDLESS);
    run.braid("verify", &[]).exits(8).explains(&["still running"]);
    run.stop();
    let report = run.braid("verify", &["--json"]).exits(0).json();
    assert_eq!(report["identical"], true, "{report}");
}

#[test]
fn verify_says_where_a_run_parts_from_its_journal() {
    let run = Run::new("parts");
    run.start(ENDLESS);
    run.braid("inject", &["B", "1,2,3", "--payload", "5"]).exits(0);
    run.stop();
    run.verify();
    let journal = run.folder().join("state").join(run.name()).join("journal.B");
    let whole = std::fs::read(&journal).expect("the journal of B");
    // The injected event is taken out of the journal, which is well formed without it.
    std::fs::write(&journal, without_intake(&whole)).expect("writable");
    run.braid("verify", &[]).exits(6).prints(&["differs", "torus B"]);
    std::fs::write(&journal, whole).expect("writable");
    run.verify();
}

/// The journal without its first record of an intake (postcard writes a record's kind first; 0 is an intake).
fn without_intake(journal: &[u8]) -> Vec<u8> {
    let mut at = torus_worker::journal::HEADER_BYTES as usize;
    loop {
        let length: [u8; 4] = journal[at..at + 4].try_into().expect("four bytes");
        let end = at + 8 + u32::from_le_bytes(length) as usize;
        if journal[at + 8] == 0 {
            return [&journal[..at], &journal[end..]].concat();
        }
        at = end;
    }
}

#[test]
fn a_second_ctrl_c_leaves_a_run_that_resume_continues() {
    let run = Run::new("twice");
    let foreground = run.foreground(ENDLESS);
    run.wait_for("ready");
    // A worker that is frozen cannot reach the boundary of the stop, so the first signal alone does not end the run.
    let frozen = run.worker(Torus::A);
    frozen.signal(nix::libc::SIGSTOP);
    foreground.signal(SIGINT);
    until("the stop is under way", || {
        run.look().0["final_boundary"].as_u64()
    });
    foreground.signal(SIGINT);
    let answer = foreground.finish();
    assert!(matches!(answer.code(), Some(0 | 1)), "{answer}");
    if run.status().state() != "stopped" {
        run.start(&["--resume"]);
        run.stop();
    }
    run.verify();
}
