//! Redo: what a rollback took back is executed again with the intake that it had.
//!
//! Clients were told that their events are committed, and at which boundary. So the lanes are not read before the torus
//! stands where it stood: up to there the events come from the copy of the journal, at the same boundaries, and are
//! journaled again. Where an interval was not tainted, its frame comes out the same as before.

use std::collections::VecDeque;

use shm_layout::region::WorkerSegment;

use crate::journal::{Journal, Record};
use crate::model::Model;
use crate::node::{Injection, LANES_MAX};

use super::rollback::newest_order;
use super::{Host, Member, MemberError};

/// The intake that is to be taken in again.
#[derive(Default)]
pub(super) struct Redo {
    /// The rollback under whose number the copy of the journal is kept; 0: none is.
    number: u64,
    /// From this boundary on the lanes are read.
    until: u64,
    /// In the order of their boundaries.
    intakes: VecDeque<Intake>,
}

struct Intake {
    boundary: u64,
    lanes: Vec<u64>,
    injected: Vec<Injection>,
}

impl Redo {
    /// What is to be done again from boundary `from` on, by the newest rollback order.
    pub(super) fn from<J: Journal>(
        segment: &WorkerSegment<'_>,
        journal: &mut J,
        from: u64,
    ) -> Result<Self, MemberError> {
        let Some(order) = newest_order(segment)? else {
            return Ok(Self::default());
        };
        let part = order.part(segment.torus);
        if part.cut == part.redo_until {
            return Ok(Self::default());
        }
        let mut redo = Redo {
            number: part.redo_number,
            until: part.redo_until,
            intakes: VecDeque::new(),
        };
        if from >= redo.until {
            return Ok(redo);
        }
        let kept = journal.redo(redo.number)?.into_iter();
        let intakes = kept.filter_map(|kept| match kept.record {
            Record::Intake {
                boundary,
                lanes,
                injected,
            } if (from..redo.until).contains(&boundary) => Some(Intake {
                boundary,
                lanes,
                injected,
            }),
            _ => None,
        });
        redo.intakes = intakes.collect();
        Ok(redo)
    }

    /// All is done again: the copy of the journal is of no more use.
    fn forget<J: Journal>(&mut self, journal: &mut J) -> Result<(), MemberError> {
        if self.number != 0 {
            journal.forget_redo(self.number)?;
            self.number = 0;
        }
        Ok(())
    }
}

impl<M: Model, J: Journal, H: Host> Member<'_, M, J, H> {
    /// Whether live boundary `b` takes in what it took in before it was taken back.
    pub(super) fn is_redone(&mut self, b: u64) -> Result<bool, MemberError> {
        if b < self.redo.until {
            return Ok(true);
        }
        self.redo.forget(&mut self.journal)?;
        Ok(false)
    }

    /// What was taken in from the lanes at boundary `b` before; the new positions.
    pub(super) fn redone_lanes(&mut self, b: u64) -> [u64; LANES_MAX] {
        let mut positions = self.node.books().lane_positions;
        self.buffers.injected.clear();
        if let Some(intake) = self.redo.intakes.pop_front_if(|intake| intake.boundary == b) {
            positions
                .iter_mut()
                .zip(intake.lanes)
                .for_each(|(position, read)| *position = read);
            self.buffers.injected = intake.injected;
        }
        positions
    }
}
