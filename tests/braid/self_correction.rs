//! Faults of memory in running workers: found, and taken back with all that they led to.

use std::time::Duration;

use crate::support::{Random, Run, Torus, until};

/// A run that is audited, and whose memory may be damaged.
const AUDITED: &[&str] = &["--scrub", "--faults"];
const KINDS: [&str; 3] = ["cell", "edge", "event"];

fn phold(more: &[&'static str]) -> Vec<&'static str> {
    [super::ENDLESS, more].concat()
}

/// How many rollbacks there were, if none is under way.
fn corrected(run: &Run) -> Option<u64> {
    findings(&run.look().0["scrub"])
}

fn findings(scrub: &serde_json::Value) -> Option<u64> {
    let last = scrub["rollbacks"].as_array()?.last();
    let under_way = last.is_some_and(|last| last["corrected_ns"].is_null());
    scrub["findings"].as_u64().filter(|_| !under_way)
}

fn number(of: &serde_json::Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("no {name} in {of}"))
}

/// How many rollbacks there were, once what happened to torus B at boundary `from` was found, or has left nothing in its
/// state: it has a cleared checkpoint behind it. One look tells both; what is cleared is read first.
fn settled(run: &Run, before: u64, from: u64) -> Option<u64> {
    let scrub = &run.look().0["scrub"];
    let is_cleared = number(&scrub["tori"][1], "cleared") > from;
    findings(scrub).filter(|findings| *findings > before || is_cleared)
}

/// Damages torus B until something is found, and waits until that is corrected. A delay or a value that is written anew
/// before anybody reads it leaves nothing to find.
#[track_caller]
fn corrupt(run: &Run, what: &str) {
    let before = number(&run.look().0["scrub"], "findings");
    let (from, findings) = loop {
        let done = run.braid("corrupt", &["B", "--what", what, "--json"]);
        let from = number(&done.exits(0).json(), "boundary");
        let findings = until("the fault is corrected, or gone", || settled(run, before, from));
        if findings > before {
            break (from, findings);
        }
    };
    assert_eq!(findings, before + 1);
    let status = run.status();
    let scrub = &status.0["scrub"];
    let last = scrub["rollbacks"].as_array().and_then(|all| all.last());
    let last = last.expect("a rollback");
    assert_eq!(last["torus"], "B", "{last}");
    assert!(number(last, "interval") >= from, "{from} {last}");
    let later = number(last, "found_at") - from;
    assert!(later <= number(scrub, "bound_intervals"), "{from} {last}");
}

#[test]
fn consistency_verification_and_self_correction() {
    let until_tick = &["--until", "8000000"];
    let sound = Run::new("sound");
    sound.start(&phold(until_tick));
    let run = Run::new("corrected");
    run.start(&phold(&[AUDITED, until_tick].concat()));
    let traces = run.traces();
    for what in KINDS {
        corrupt(&run, what);
    }
    let ends = run.finish();
    assert_eq!(ends, sound.finish(), "as if nothing had happened");
    run.verify();
    assert_eq!(run.status().0["scrub"]["findings"], 3);
    traces.assert_quiet(run.name());
}

#[test]
fn injected_events_stay_where_they_were_committed_when_everybody_goes_back() {
    let run = Run::new("promises");
    run.start(&phold(AUDITED));
    let mut sent = 0;
    for what in KINDS {
        for torus in ["A", "B", "C"] {
            for _ in 0..4 {
                run.braid(
                    "inject",
                    &[torus, "1,2,3", "--payload", "5", "--client", "feeder"],
                )
                .exits(0);
            }
        }
        sent += 4;
        corrupt(&run, what);
    }
    for torus in ["A", "B", "C"] {
        let count = run.braid("inject", &[torus, "--client", "feeder", "--count-only", "--json"]);
        let count = count.exits(0).json();
        assert_eq!(count["committed"], sent, "{count}");
    }
    run.stop();
    run.verify();
}

/// A new supervisor. The old one may have died after it had ended all workers for a rollback: then the run is resumed.
fn start_again(run: &Run) {
    if run.braid("start", &["--detach"]).code() != Some(0) {
        run.start(&["--resume"]);
    }
}

#[test]
fn deaths_amid_faults_and_their_correction_change_nothing() {
    let mut random = Random::announced();
    let run = Run::new("amid");
    run.start(&phold(AUDITED));
    for round in 0..12_u64 {
        let what = random.pick(&KINDS);
        run.braid("corrupt", &["B", "--what", what]).exits(0);
        random.pass(Duration::from_millis(40));
        match round % 4 {
            0 => {
                if let Some(scrubber) = run.eyes().scrubber() {
                    scrubber.kill();
                    run.note("SIGKILL to the scrubber");
                }
            }
            1 => drop(run.kill(Torus::B)),
            2 => drop(run.kill(random.pick(&[Torus::A, Torus::C]))),
            _ => {
                run.kill_supervisor();
                random.pass(Duration::from_millis(40));
                start_again(&run);
            }
        }
        random.pass(Duration::from_millis(60));
    }
    until("all is corrected", || corrected(&run));
    run.wait_for("recovered");
    run.stop();
    run.verify();
}

#[test]
fn everything_killed_amid_a_correction_is_resumed_and_corrected() {
    let mut random = Random::announced();
    let run = Run::new("everything");
    run.start(&phold(AUDITED));
    for what in KINDS {
        run.braid("corrupt", &["B", "--what", what]).exits(0);
        random.pass(Duration::from_millis(60));
        run.kill_everybody();
        run.start(&["--resume"]);
    }
    until("all is corrected", || corrected(&run));
    run.stop();
    run.verify();
}

#[test]
fn one_torus_alone_is_corrected_too() {
    let run = Run::new("alone");
    run.start(&phold(&[AUDITED, &["--tori", "1"]].concat()));
    run.braid("corrupt", &["A", "--what", "event"]).exits(0);
    until("the fault is corrected", || {
        corrected(&run).filter(|findings| *findings > 0)
    });
    run.stop();
    run.verify();
}

#[test]
fn without_scrubbing_only_verify_finds_a_fault() {
    let run = Run::new("unseen");
    run.start(&phold(&["--faults"]));
    run.braid("corrupt", &["B", "--what", "event"]).exits(0);
    let eyes = run.eyes();
    let boundary = eyes.slowest();
    until("the run goes on", || {
        (eyes.slowest() > boundary + 10).then_some(())
    });
    run.stop();
    run.braid("verify", &[])
        .exits(6)
        .prints(&["torus B parts from its record"]);
}

#[test]
fn a_run_that_does_not_allow_faults_refuses_them() {
    let run = Run::new("refuses");
    run.start(&phold(&["--scrub"]));
    run.braid("corrupt", &["B", "--what", "cell"])
        .exits(1)
        .explains(&["not started with --faults"]);
    run.stop();
    run.verify();
}
