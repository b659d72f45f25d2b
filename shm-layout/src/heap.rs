//! A segment in the memory of one process, for the simulator, for `verify` and for tests.

use crate::config::RunConfig;
use crate::layout::{Layout, LayoutError};
use crate::region::{
    AuditSegment, LaneSegment, Memory, ReaderSegment, Span, SupervisorSegment, WorkerSegment,
};
use crate::sync::{AtomicU64, Ordering};
use crate::torus::Torus;
use std::fmt;

/// A segment without a file: the same parts at the same offsets, all zero at first, control words initialised.
///
/// Several views may be taken at once, also of the same part: a crashed worker's and its successor's. It is up to the
/// caller that only one of them writes.
pub struct HeapSegment {
    layout: Layout,
    words: Box<[AtomicU64]>,
}

impl fmt::Debug for HeapSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeapSegment({} bytes)", self.layout.total_bytes())
    }
}

impl HeapSegment {
    /// A segment for `config`.
    ///
    /// # Errors
    /// [`LayoutError`] if the configuration is not valid.
    pub fn new(config: &RunConfig) -> Result<Self, LayoutError> {
        let layout = Layout::compute(config)?;
        let segment = Self {
            words: zeros((layout.total_bytes() / 8) as usize),
            layout,
        };
        segment.supervisor().control.initialise();
        Ok(segment)
    }

    /// Where everything stands.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn memory(&self) -> Memory<'_> {
        let all = Span::new(0, &self.words);
        Memory {
            layout: &self.layout,
            read: all,
            write: [all, all],
        }
    }

    /// What the worker of `torus` holds; `None` if the run has no such torus.
    pub fn worker(&self, torus: Torus) -> Option<WorkerSegment<'_>> {
        self.memory().worker(torus)
    }

    /// What the supervisor holds.
    pub fn supervisor(&self) -> SupervisorSegment<'_> {
        self.memory().supervisor()
    }

    /// What the scrubber holds.
    pub fn scrubber(&self) -> AuditSegment<'_> {
        self.memory().scrubber()
    }

    /// What an inspector holds.
    pub fn reader(&self) -> ReaderSegment<'_> {
        self.memory().reader()
    }

    /// What the client of `lane` holds; without writing ends if the run has no such lane.
    pub fn lane(&self, lane: u32) -> LaneSegment<'_> {
        self.memory().lane(lane)
    }

    /// All words, to damage some in a test.
    pub fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    /// A copy of all words.
    pub fn snapshot(&self) -> Vec<u64> {
        // Ordering: none needed; the caller's thread is the only one that writes.
        self.words
            .iter()
            .map(|word| word.load(Ordering::Relaxed))
            .collect()
    }

    /// Sets all words to what [`HeapSegment::snapshot`] returned for a segment of the same configuration.
    pub fn restore(&self, snapshot: &[u64]) {
        for (word, value) in self.words.iter().zip(snapshot) {
            // Ordering: none needed; the caller's thread is the only one that reads.
            word.store(*value, Ordering::Relaxed);
        }
    }
}

/// Zeroed words straight from the allocator, which gives large blocks out untouched.
fn zeros(words: usize) -> Box<[AtomicU64]> {
    let zeros = vec![0_u64; words].into_boxed_slice();
    // SAFETY: `AtomicU64` has the size, alignment and bit validity of `u64`, so the box may change its type.
    unsafe { Box::from_raw(Box::into_raw(zeros) as *mut [AtomicU64]) }
}
