//! Model checking of the stop protocol and of the doorbells: the shipped files over loom's atomics.
#![allow(
    dead_code,
    missing_docs,
    reason = "the included files offer more than one test uses"
)]

#[path = "../src/doorbell.rs"]
mod doorbell;
#[path = "../src/stop.rs"]
mod stop;
#[path = "../src/words.rs"]
mod words;

#[path = "common/loom_sync.rs"]
mod sync;

use loom::sync::Arc;
use loom::thread;
use stop::{NO_STOP, StopWords, Verdict};
use sync::AtomicU64;
use words::{Own, View};

const WORDS: StopWords = StopWords {
    stop_at: 0,
    stop_decided: 1,
};

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = executions.clone();
    builder.check(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        body();
    });
    let executions = executions.load(std::sync::atomic::Ordering::Relaxed);
    println!("{executions} executions");
    assert!(
        executions > 5,
        "a model with {executions} executions explores nothing"
    );
}

fn zeros(words: usize) -> Arc<Vec<AtomicU64>> {
    Arc::new((0..words).map(|_| AtomicU64::new(0)).collect())
}

type Announce = fn(&Own<'_>, u64, View<'_>) -> Verdict;

/// A worker that executes intervals until it has to wait; returns the boundary at which it stands then.
fn work(status: &[AtomicU64], control: &[AtomicU64], until: u64, announce: Announce) -> u64 {
    let (own, control) = (Own::new(status), View::new(control));
    let mut boundary = 0;
    while boundary < until && announce(&own, boundary, control) == Verdict::Go {
        boundary += 1;
    }
    boundary
}

fn nobody_passes(workers: usize, until: u64, announce: Announce) {
    let control = zeros(2);
    let supervisor = Own::new(&control);
    WORDS.clear(&supervisor);
    let cells: Vec<_> = (0..workers).map(|_| zeros(1)).collect();
    let threads: Vec<_> = cells
        .iter()
        .map(|cell| {
            let (cell, control) = (cell.clone(), control.clone());
            thread::spawn(move || work(&cell, &control, until, announce))
        })
        .collect();
    let views = || cells.iter().map(|cell| (View::new(cell), 0));
    let mut stop = 1;
    while let Err(highest) = WORDS.propose(&supervisor, stop, views()) {
        assert!(highest >= stop);
        stop = highest + 1;
    }
    for thread in threads {
        let stands = thread.join().expect("a worker does not panic");
        assert!(
            stands <= stop,
            "a worker stands at {stands}, beyond the decided stop {stop}"
        );
        // Who held at a proposal that was raised may go on; who stands at the decided one finishes there.
        let verdict = WORDS.look(stands, View::new(&control));
        let expected = if stands == stop {
            Verdict::Finish { at: stop }
        } else {
            Verdict::Go
        };
        assert_eq!(verdict, expected);
    }
    assert_ne!(View::new(&control).load(1), NO_STOP);
}

fn announce(own: &Own<'_>, boundary: u64, control: View<'_>) -> Verdict {
    WORDS.announce(own, 0, boundary, control)
}

#[test]
fn no_worker_passes_a_decided_stop() {
    model(3, || nobody_passes(1, 3, announce));
    model(2, || nobody_passes(2, 2, announce));
}

#[test]
#[should_panic(expected = "beyond the decided stop")]
fn canary_announcing_without_the_fence_is_caught() {
    model(3, || {
        nobody_passes(1, 3, |own, boundary, control| {
            own.store_release(0, boundary);
            WORDS.look(boundary, control)
        })
    });
}

/// The sleeper's last look sees what was published, or the ringer sees the sleeper.
fn wake_up_call(ring: fn(&Own<'_>)) {
    let (ringer, sleeper) = (zeros(2), zeros(1));
    let (published, asleep) = (ringer.clone(), sleeper.clone());
    let thread = thread::spawn(move || {
        let own = Own::new(&published);
        own.store_release(1, 1);
        ring(&own);
        doorbell::sleeps(View::new(&asleep), 0)
    });
    let own = Own::new(&sleeper);
    doorbell::fall_asleep(&own, 0);
    let seen = View::new(&ringer).load_acquire(1) == 1;
    let woken = thread.join().expect("the ringer does not panic");
    assert!(seen || woken, "a lost wake-up");
    doorbell::wake_up(&own, 0);
    assert!(!doorbell::sleeps(View::new(&sleeper), 0));
}

#[test]
fn no_wake_up_is_lost() {
    model(3, || wake_up_call(|own| doorbell::ring(own, 0)));
}

#[test]
#[should_panic(expected = "a lost wake-up")]
fn canary_ringing_without_the_fence_is_caught() {
    model(3, || wake_up_call(|own| own.store_release(0, 1)));
}
