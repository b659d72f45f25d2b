//! Model checking of the frame ring and of the strands that it publishes: the shipped files over loom's atomics, with
//! frames of four words.
#![allow(
    dead_code,
    missing_docs,
    unused_imports,
    reason = "the included files offer more than one test uses"
)]

#[path = "../src/hash.rs"]
mod hash;
#[path = "../src/lines.rs"]
mod lines;
#[path = "../src/multiset.rs"]
mod multiset;
#[path = "../src/record.rs"]
mod record;
#[path = "../src/frame_ring.rs"]
mod ring;
#[path = "../src/strand.rs"]
mod strand;
#[path = "../src/torus.rs"]
mod torus;
#[path = "../src/words.rs"]
mod words;

#[path = "common/loom_sync.rs"]
mod sync;

/// A frame small enough to explore: checksum, sequence, interval, payload.
mod frame {
    use super::hash;
    use super::torus::Torus;

    /// The checksum.
    pub const FRAME_HEAD_WORDS: usize = 1;
    pub const FRAME_FLAGS_WORD: usize = 1;
    const FRAME_WORDS: usize = 4;

    pub const fn frame_words(_face_cells: usize) -> usize {
        FRAME_WORDS
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("damaged")]
    pub struct FrameDamage;

    #[derive(Clone, Debug, Default)]
    pub struct Frame(pub [u64; FRAME_WORDS]);

    impl Frame {
        pub fn of(interval: u64) -> Frame {
            let mut frame = Frame([0, interval + 1, interval, 1000 + interval]);
            frame.0[0] = hash::words(&frame.0[1..]);
            frame
        }
        pub fn words(&self) -> &[u64] {
            &self.0
        }
        pub fn words_mut(&mut self) -> &mut [u64] {
            &mut self.0
        }
        pub fn carried_words(&self) -> usize {
            FRAME_WORDS
        }
        pub fn carried_by(&self, _flags: u64) -> usize {
            FRAME_WORDS
        }
        pub fn computed_content(&self) -> u64 {
            hash::words(&self.0[FRAME_HEAD_WORDS..])
        }
        pub fn set_content_hash(&mut self, hash: u64) {
            self.0[0] = hash;
        }
        pub fn interval(&self) -> u64 {
            self.0[2]
        }
        pub fn verify_hashed(&self, content: u64, _torus: Torus, interval: u64) -> Result<(), FrameDamage> {
            let whole = self.0[0] == content && self.0[2] == interval;
            if whole { Ok(()) } else { Err(FrameDamage) }
        }
    }
}

use frame::Frame;
use loom::sync::Arc;
use loom::thread;
use record::TimedEvent;
use ring::{FrameReader, FrameWriter, ReadError};
use strand::{StrandReader, StrandWriter};
use sync::AtomicU64;
use torus::Torus;
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

fn publish(writer: &FrameWriter<'_>, interval: u64) {
    let mut frame = Frame::of(interval);
    writer.write_content(&mut frame);
    writer.write_head(&frame);
    writer.commit(interval);
}

/// One writer goes round a ring of two slots while a reader asks for `asked`.
fn read_while_lapping(asked: u64, publish: fn(&FrameWriter<'_>, u64)) {
    let words = zeros(ring::ring_words(2, 0));
    let theirs = words.clone();
    let writer = thread::spawn(move || {
        let writer = FrameWriter::new(Own::new(&theirs), 2, 0);
        (0..3).for_each(|interval| publish(&writer, interval));
    });
    let mut frame = Frame::default();
    match FrameReader::new(View::new(&words), 2, 0).read(Torus::A, asked, &mut frame) {
        Ok(()) => assert_eq!(frame.0, Frame::of(asked).0),
        Err(ReadError::NotYet { head, .. }) => assert!(head <= asked),
        Err(ReadError::Lapped { head, .. }) => assert!(head >= asked + 2),
        Err(ReadError::Damaged { .. }) => panic!("a frame that was overwritten was taken for a damaged one"),
    }
    writer.join().expect("the writer does not panic");
}

#[test]
fn a_torn_frame_is_never_accepted_and_lapping_is_told_from_damage() {
    for asked in [0, 1, 2] {
        model(3, move || read_while_lapping(asked, publish));
    }
}

#[test]
#[should_panic(expected = "taken for a damaged one")]
fn canary_committing_before_writing_is_caught() {
    model(3, || {
        read_while_lapping(0, |writer, interval| {
            writer.commit(interval);
            writer.write(&Frame::of(interval));
        })
    });
}

fn event(n: u64) -> TimedEvent {
    TimedEvent {
        time: n,
        payload: -(n as i64),
        ..Default::default()
    }
}

/// A strand is written before the frame that names it is committed: who sees the frame sees the events.
fn read_published_strand(strand_first: bool) {
    let (frames, events) = (zeros(ring::ring_words(2, 0)), zeros(strand::strand_words(2)));
    let (their_frames, their_events) = (frames.clone(), events.clone());
    let writer = thread::spawn(move || {
        let ring = FrameWriter::new(Own::new(&their_frames), 2, 0);
        let strand = StrandWriter::new(Own::new(&their_events), 2);
        for interval in 0..2 {
            if strand_first {
                strand.write(interval, &[event(7 + interval)]);
            }
            publish(&ring, interval);
            if !strand_first {
                strand.write(interval, &[event(7 + interval)]);
            }
        }
    });
    let head = FrameReader::new(View::new(&frames), 2, 0).head();
    let strand = StrandReader::new(View::new(&events), 2);
    for interval in 0..head {
        let mut got = [TimedEvent::default()];
        strand.read(interval, &mut got);
        assert_eq!(got, [event(7 + interval)], "published but not visible");
    }
    writer.join().expect("the writer does not panic");
}

#[test]
fn the_head_of_the_ring_publishes_the_strand() {
    model(3, || read_published_strand(true));
}

#[test]
#[should_panic(expected = "published but not visible")]
fn canary_writing_the_strand_after_the_commit_is_caught() {
    model(3, || read_published_strand(false));
}
