//! `status`, `wait` and `ls`: what they say, and their exit codes.

use super::{ENDLESS, SHORT};
use crate::support::{Run, Torus, until};

#[test]
fn the_exit_code_of_status_is_the_state_of_the_run() {
    let run = Run::new("codes");
    run.braid("status", &["--json"]).exits(4).explains(&[run.name()]);
    run.start(ENDLESS);
    assert_eq!(
        run.braid("status", &["--json"]).exits(0).json()["state"],
        "running"
    );
    run.kill_everybody();
    let status = run.braid("status", &["--json"]).exits(1).json();
    assert_eq!(status["state"], "failed");
    assert!(
        status["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("--resume")),
        "{status}"
    );
    run.start(&["--resume"]);
    run.stop();
    assert_eq!(
        run.braid("status", &["--json"]).exits(0).json()["state"],
        "stopped"
    );
    run.braid("clean", &[]).exits(0);
    run.start(SHORT);
    run.finish();
    run.braid("status", &[])
        .exits(0)
        .prints(&["finished", "A  history "]);
}

#[test]
fn the_report_has_the_promised_fields() {
    let run = Run::new("fields");
    run.start(ENDLESS);
    run.braid("kill", &["A"]).exits(0);
    run.wait_for("recovered");
    run.stop();
    let status = run.status().0;
    assert_eq!(
        (status["schema_version"].as_u64(), status["name"].as_str()),
        (Some(1), Some(run.name()))
    );
    for torus in status["tori"].as_array().expect("tori") {
        for field in ["incarnation", "tick", "events", "pending", "restarts"] {
            assert!(torus[field].is_u64(), "{field} in {torus}");
        }
        for digest in ["history_digest", "state_digest"] {
            let text = torus[digest].as_str().expect("a digest");
            assert!(
                text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{digest} {text}"
            );
        }
        assert!(torus["pid"].is_null(), "nobody is left");
    }
    let recovery = &status["tori"][0]["recoveries"][0];
    for part in ["detected_ns", "respawned_ns", "rehydrated_ns", "caught_up_ns"] {
        assert!(recovery[part].is_u64(), "{part} in {recovery}");
    }
}

#[test]
fn wait_ends_when_there_is_nothing_to_wait_for() {
    let run = Run::new("wait");
    run.braid("wait", &[]).exits(4);
    run.start(ENDLESS);
    run.braid("wait", &["--for", "finished", "--timeout", "50ms"])
        .exits(7)
        .explains(&[run.name(), "finished"]);
    run.braid("wait", &["--for", "ready"]).exits(0);
    run.braid("wait", &["--for", "recovered"]).exits(0);
    run.kill_everybody();
    run.braid("wait", &["--for", "finished"])
        .exits(1)
        .explains(&["dead"]);
    run.start(&["--resume"]);
    run.stop();
    run.braid("wait", &["--for", "finished"]).exits(0);
    run.braid("wait", &["--for", "ready"]).exits(3);
}

#[test]
fn wait_for_recovered_returns_when_the_successor_has_caught_up() {
    let run = Run::new("recovered");
    run.start(ENDLESS);
    for round in 1..=5 {
        run.braid("kill", &["B"]).exits(0);
        run.wait_for("recovered");
        let status = run.status();
        assert_eq!(status.number(Torus::B, "incarnation"), round + 1);
        let last = &status.torus(Torus::B)["recoveries"][round as usize - 1];
        assert!(last["caught_up_ns"].is_u64(), "{last}");
    }
    run.stop();
    run.verify();
}

#[test]
fn ls_lists_runs_with_their_states() {
    let run = Run::new("listed");
    run.start(ENDLESS);
    let row = || {
        let list = run.braid("ls", &["--json"]).exits(0).json();
        let rows = list["runs"].as_array().expect("runs").clone();
        rows.into_iter().find(|row| row["name"] == run.name())
    };
    assert_eq!(row().expect("it is listed")["state"], "running");
    run.braid("ls", &[]).exits(0).prints(&[run.name(), "phold"]);
    run.kill_everybody();
    assert_eq!(row().expect("it is listed")["state"], "failed");
    run.start(&["--resume"]);
    run.stop();
    assert_eq!(row().expect("it is listed")["state"], "stopped");
    run.braid("clean", &[]).exits(0);
    assert!(row().is_none());
}

#[test]
fn status_may_look_at_any_moment() {
    let run = Run::new("looks");
    run.start(ENDLESS);
    let mut last = 0;
    for _ in 0..30 {
        run.kill(Torus::A);
        let status = run.status();
        assert_eq!(status.state(), "running");
        let tick = status.number(Torus::B, "tick");
        assert!(tick >= last, "virtual time went back from {last} to {tick}");
        last = tick;
    }
    run.wait_for("recovered");
    until("all are running", || {
        let status = run.look();
        Torus::ALL
            .iter()
            .all(|torus| status.torus(*torus)["phase"] == "running")
            .then_some(())
    });
    run.stop();
    run.verify();
}
