//! Stopping all workers at one boundary that none has passed, without asking any of them.
//!
//! The supervisor chooses a boundary S ahead of everyone. It stores `stop_at` = S and then looks at every worker's
//! announced boundary; a worker announces its boundary and then looks at `stop_at`. Both put a sequentially consistent
//! fence between their store and their loads (Dekker 1965), so at least one of the two sees the other's store: either
//! the worker sees S and holds, or the supervisor sees the worker at or beyond S and raises S. Only when all were below
//! S does it store `stop_decided` = S, which is final. No worker needs to be alive for that.
//!
//! The announced boundary never goes back: a successor that replays announces nothing before it has caught up.

use super::sync::{Ordering, fence};
use super::words::{Own, View};

/// The value of both stop words while no stop is asked for.
pub const NO_STOP: u64 = u64::MAX;

/// What a worker at a boundary may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Enter the interval.
    Go,
    /// Wait at this boundary and look again: a stop is proposed here or before, but not decided.
    Hold,
    /// The run ends at this boundary, which is the decided one.
    Finish {
        /// The decided boundary.
        at: u64,
    },
}

/// The two words by which a stop is asked for.
#[derive(Clone, Copy, Debug)]
pub struct StopWords {
    /// Index of `stop_at`.
    pub stop_at: usize,
    /// Index of `stop_decided`.
    pub stop_decided: usize,
}

impl StopWords {
    /// The worker at `boundary`: announces it in word `announced` of its own status cell, then looks.
    pub fn announce(&self, status: &Own<'_>, announced: usize, boundary: u64, control: View<'_>) -> Verdict {
        if status.load(announced) < boundary {
            // Ordering: Release (in `store_release`); synchronizes with the Acquire in `StatusReader::boundary`.
            status.store_release(announced, boundary);
        }
        // Ordering: SeqCst fence between the announcement and the look at `stop_at`; pairs with the fence in
        // `StopWords::propose`: one of the two sides sees the other's store.
        fence(Ordering::SeqCst);
        self.look(boundary, control)
    }

    /// The worker that holds at `boundary`: looks again.
    pub fn look(&self, boundary: u64, control: View<'_>) -> Verdict {
        // Ordering: none needed; `announce` has fenced, and a later value only lets the worker go or finish.
        let stop_at = control.load(self.stop_at);
        if boundary < stop_at {
            return Verdict::Go;
        }
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `StopWords::propose`.
        let decided = control.load_acquire(self.stop_decided);
        if decided == stop_at {
            Verdict::Finish { at: decided }
        } else {
            Verdict::Hold
        }
    }

    /// The supervisor: proposes to stop at `stop`, and decides it if no worker has come that far. `boundaries` are the
    /// workers' status cells with the index of the announced boundary.
    ///
    /// # Errors
    /// The highest boundary announced, if it is `stop` or beyond; the workers there hold until the proposal is raised
    /// above it (or withdrawn).
    pub fn propose<'v>(
        &self,
        control: &Own<'_>,
        stop: u64,
        boundaries: impl IntoIterator<Item = (View<'v>, usize)>,
    ) -> Result<(), u64> {
        control.store(self.stop_at, stop);
        // Ordering: SeqCst fence between the proposal and the look at the boundaries; pairs with the fence in
        // `StopWords::announce`: one of the two sides sees the other's store.
        fence(Ordering::SeqCst);
        let highest = boundaries
            .into_iter()
            .map(|(status, announced)| status.load(announced))
            .max()
            .unwrap_or(0);
        if highest >= stop {
            return Err(highest);
        }
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `StopWords::look`.
        control.store_release(self.stop_decided, stop);
        Ok(())
    }

    /// The supervisor: no stop. Only before the first worker of a (resumed) run starts.
    pub fn clear(&self, control: &Own<'_>) {
        control.store(self.stop_decided, NO_STOP);
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `ControlReader::stop_at`. No worker
        // lives that could look meanwhile.
        control.store_release(self.stop_at, NO_STOP);
    }
}
