//! Model checking of the lanes: the shipped file over loom's atomics.
#![allow(
    dead_code,
    missing_docs,
    reason = "the included files offer more than one test uses"
)]

#[path = "../src/lane.rs"]
mod lane;
#[path = "../src/record.rs"]
mod record;
#[path = "../src/torus.rs"]
mod torus;
#[path = "../src/words.rs"]
mod words;

#[path = "common/loom_sync.rs"]
mod sync;

use lane::{LaneReader, LaneWriter, lane_words};
use loom::sync::Arc;
use loom::thread;
use record::LaneEntry;
use sync::AtomicU64;
use words::{Own, View};

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

fn entry(n: u64) -> LaneEntry {
    LaneEntry {
        at: n,
        dst: n as u32,
        payload: -(n as i64),
        ..Default::default()
    }
}

/// A client pushes through a lane of one entry while the torus takes in and gives free.
fn push_and_take_in(trust: bool) {
    let (lane, status) = (zeros(lane_words(1)), zeros(1));
    let (their_lane, their_status) = (lane.clone(), status.clone());
    let client = thread::spawn(move || {
        let writer = LaneWriter::new(Own::new(&their_lane), 1);
        let mut pushed = 0;
        for n in 0..2 {
            let free = if trust {
                View::new(&their_status).load_acquire(0)
            } else {
                n
            };
            match writer.push(&[entry(1 + n)], free) {
                Ok(()) => pushed += 1,
                Err(full) => {
                    assert_eq!((full.room, full.wanted), (0, 1));
                    break;
                }
            }
        }
        assert_eq!(writer.head(), pushed);
    });
    let reader = LaneReader::new(View::new(&lane), 1);
    let own = Own::new(&status);
    let mut position = 0;
    for _ in 0..2 {
        while position < reader.head() {
            assert_eq!(reader.read(position), entry(1 + position), "not what was pushed");
            position += 1;
            own.store_release(0, position);
        }
    }
    client.join().expect("the client does not panic");
}

#[test]
fn every_entry_below_the_head_is_whole_and_none_is_overwritten_before_it_is_free() {
    model(3, || push_and_take_in(true));
}

#[test]
#[should_panic(expected = "not what was pushed")]
fn canary_a_client_that_does_not_wait_for_room_is_caught() {
    model(3, || push_and_take_in(false));
}
