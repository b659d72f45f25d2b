//! Tori that are away: the others wait, or go on without them from one agreed boundary, and they return.

use super::ENDLESS;
use crate::support::{Run, Torus, until};

const DEGRADE: &[&str] = &["--on-loss", "degrade", "--degrade-after", "100ms"];

fn start(run: &Run) {
    run.start(&[ENDLESS, DEGRADE].concat());
}

fn hold(run: &Run, torus: Torus) {
    run.braid("kill", &[&torus.to_string(), "--hold"]).exits(0);
}

fn release(run: &Run, torus: Torus) {
    run.braid("release", &[&torus.to_string()]).exits(0);
}

/// Waits until `torus` is absent and the others have gone on for a while; returns the boundary it is absent from.
fn await_absence(run: &Run, torus: Torus, others: &[Torus]) -> u64 {
    until("the others go on without it", || {
        let status = run.look();
        let from = status.torus(torus)["absence"]["from_boundary"].as_u64()?;
        let gone_on = |other: &Torus| status.number(*other, "boundary") > from + 20;
        others.iter().all(gone_on).then_some(from)
    })
}

/// Waits until nobody is absent any more.
fn await_return(run: &Run) {
    until("all tori take part again", || {
        (run.look().state() == "running").then_some(())
    });
}

#[test]
fn torus_failure_and_recovery() {
    let run = Run::new("absence");
    start(&run);
    hold(&run, Torus::B);
    let from = await_absence(&run, Torus::B, &[Torus::A, Torus::C]);
    let answer = run.braid("status", &[]).exits(5);
    answer.prints(&[
        "degraded",
        &format!("B  absent from boundary {from}"),
        "held away",
    ]);
    assert!(
        run.look().torus(Torus::A)["refused"]["B"].as_u64() > Some(0),
        "what was for B came back and is counted"
    );
    release(&run, Torus::B);
    await_return(&run);
    run.kill(Torus::B);
    run.wait_for("recovered");
    run.stop();
    run.verify();
}

#[test]
fn a_run_that_lost_a_torus_is_exact_however_its_workers_die() {
    let run = Run::new("losses");
    start(&run);
    for (held, killed) in [(Torus::A, Torus::C), (Torus::C, Torus::A), (Torus::B, Torus::B)] {
        hold(&run, held);
        let others: Vec<Torus> = Torus::ALL.into_iter().filter(|torus| *torus != held).collect();
        await_absence(&run, held, &others);
        release(&run, held);
        if killed == held {
            // It dies on its way back.
            until("it is on its way", || {
                run.look().torus(held)["pid"].as_u64().map(drop)
            });
        }
        run.kill(killed);
        await_return(&run);
    }
    run.kill_supervisor();
    run.start(&[ENDLESS, DEGRADE].concat());
    run.stop();
    run.verify();
}

#[test]
fn the_last_torus_goes_on_alone_and_the_others_return_to_it() {
    let run = Run::new("last");
    start(&run);
    hold(&run, Torus::A);
    await_absence(&run, Torus::A, &[Torus::B, Torus::C]);
    hold(&run, Torus::C);
    await_absence(&run, Torus::C, &[Torus::B]);
    release(&run, Torus::A);
    release(&run, Torus::C);
    await_return(&run);
    run.stop();
    run.verify();
}

#[test]
fn a_run_can_end_without_a_torus_that_is_held_away_and_take_it_up_again() {
    let run = Run::new("behind");
    start(&run);
    hold(&run, Torus::C);
    await_absence(&run, Torus::C, &[Torus::A, Torus::B]);
    run.braid("stop", &[]).exits(0);
    let status = run.look();
    assert_eq!(status.state(), "stopped");
    assert!(status.number(Torus::C, "boundary") < status.number(Torus::A, "boundary"));
    run.verify();
    run.start(&["--resume"]);
    await_return(&run);
    run.stop();
    run.verify();
}

#[test]
fn without_degrade_the_others_wait_and_nothing_is_refused() {
    let run = Run::new("waits");
    run.start(ENDLESS);
    hold(&run, Torus::B);
    let stands = until("the others have used up their lag", || {
        let status = run.look();
        let boundaries = [Torus::A, Torus::C].map(|torus| status.number(torus, "boundary"));
        let behind = status.number(Torus::B, "boundary");
        boundaries.iter().all(|b| *b == behind + 2).then_some(boundaries)
    });
    assert_eq!(run.look().state(), "running");
    release(&run, Torus::B);
    until("they go on", || {
        (run.look().number(Torus::A, "boundary") > stands[0] + 5).then_some(())
    });
    run.stop();
    assert!(
        run.look().torus(Torus::A)["refused"]
            .as_object()
            .is_some_and(|refused| refused.is_empty())
    );
    run.verify();
}

#[test]
fn holding_needs_a_supervisor_and_degrading_three_tori() {
    let run = Run::new("refused");
    run.braid("start", &["--tori", "1", "--on-loss", "degrade", "--detach"])
        .exits(2)
        .explains(&["--on-loss degrade", "three tori"]);
    run.start(ENDLESS);
    run.kill_supervisor();
    run.braid("kill", &["B", "--hold"])
        .exits(3)
        .explains(&["no supervisor", "--hold"]);
    run.braid("release", &["B"]).exits(3).explains(&["no supervisor"]);
    run.start(ENDLESS);
    run.braid("release", &["B"]).exits(0).explains(&["was not held"]);
    run.stop();
}
