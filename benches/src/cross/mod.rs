//! Two processes that hand over events and frames, by Braid's strands and frame rings and by other means.
//!
//! The child process sends, this one receives and measures, from the first arrival to the last. Every contestant sends
//! the same number of items of the same size from a buffer that is prepared beforehand, and the receiver folds every word
//! it gets, so nobody skips the reading. Waiting is looking, the same loop for all that share memory.

pub mod braid;
pub mod floor;
pub mod peer;
pub mod pipes;
pub mod ring_floor;
pub mod wait;

use std::time::{Duration, Instant};

/// An event of the contestants other than Braid: 32 bytes. (A strand's event has 24.)
pub type PlainEvent = [u64; 4];
/// Words of a frame with a projection of a 32×32 face.
pub const FRAME_WORDS: usize = shm_layout::frame::frame_words(32 * 32);
/// Words of a frame without one.
pub const HEADER_WORDS: usize = shm_layout::frame::FRAME_HEADER_WORDS;
/// A frame of the contestants other than Braid: as long as one of Braid's.
pub type PlainFrame = [u64; FRAME_WORDS];
/// A frame without a projection of the contestants other than Braid.
pub type PlainHeader = [u64; HEADER_WORDS];

/// What is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Events, this many published at once.
    Events(usize),
    /// Frames of [`FRAME_WORDS`] words, one at a time.
    Frames,
    /// One event there and one back, to and fro.
    EventEcho,
    /// One header of [`HEADER_WORDS`] words there and one back.
    HeaderEcho,
}

/// A contestant's task: what, and how many of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// What is handed over.
    pub what: What,
    /// How many events or frames, a multiple of what is published at once; for an echo, how many times to and fro.
    pub count: u64,
}

/// A receiver's clock and the fold of what it got.
#[derive(Debug)]
pub(crate) struct Arrival {
    begin: Option<Instant>,
    counted: u64,
    fold: u64,
}

/// How long some items took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// How many items.
    pub items: u64,
    /// In what time.
    pub time: Duration,
}

impl Timed {
    /// Nanoseconds per item.
    pub fn ns_each(self) -> f64 {
        self.time.as_nanos() as f64 / self.items.max(1) as f64
    }
}

impl Arrival {
    pub(crate) fn new() -> Self {
        Arrival {
            begin: None,
            counted: 0,
            fold: 0,
        }
    }

    /// So many items have arrived. The first lot starts the clock and is not counted itself.
    #[inline]
    pub(crate) fn note(&mut self, items: usize) {
        match self.begin {
            Some(_) => self.counted += items as u64,
            None => self.begin = Some(Instant::now()),
        }
    }

    /// Folds words in.
    #[inline]
    pub(crate) fn fold(&mut self, words: &[u64]) {
        self.fold = words.iter().fold(self.fold, |sum, word| sum.wrapping_add(*word));
    }

    pub(crate) fn finish(self) -> Timed {
        std::hint::black_box(self.fold);
        Timed {
            items: self.counted,
            time: self.begin.map_or(Duration::ZERO, |begin| begin.elapsed()),
        }
    }
}
