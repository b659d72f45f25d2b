//! Own: from which moment on a member writes its region.
//!
//! A successor reads, loads and replays as soon as its predecessor is known to be dying; it writes when it has taken the
//! region over, which it can when the kernel says that its predecessor has no memory any more. In between it trusts
//! nobody's word that the predecessor is dead: what it had read must still stand when the region is its own, or it has to begin
//! again. So a false alarm costs time and nothing else.

use shm_layout::checkpoint_slots::OWN_SLOTS;
use shm_layout::region::WorkerSegment;

use crate::journal::Journal;
use crate::model::Model;

use super::{Host, Member, MemberError, Point};

/// What a region holds that only its owner moves: it tells whether anything was committed, or a checkpoint begun or
/// published, between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    frames: u64,
    checkpoints: [Option<u64>; OWN_SLOTS],
    /// The newest rollback order: one that has been given since then is carried out first.
    order: u64,
}

impl Found {
    pub(super) fn look(segment: &WorkerSegment<'_>) -> Self {
        let region = &segment.own;
        let checkpoints = region.checkpoints.reader();
        let boundary = |slot| checkpoints.header(slot).map(|header| header.boundary);
        Found {
            frames: region.ring.head(),
            checkpoints: std::array::from_fn(boundary),
            order: segment.control.rollback_count(),
        }
    }
}

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Tells the member that the region is its own: the caller holds the lock. Returns whether what the member has read
    /// still stands; if not, a predecessor wrote in the meantime, and the caller rehydrates anew.
    ///
    /// # Errors
    /// [`MemberError`]; nothing but the journal's end has been written then.
    pub fn own(&mut self) -> Result<bool, MemberError> {
        if self.found != Found::look(&self.segment) {
            return Ok(false);
        }
        self.journal.truncate(self.journal_end)?;
        self.host.reach(Point::JournalTruncated)?;
        self.take_stock();
        self.owned = true;
        Ok(true)
    }
}
