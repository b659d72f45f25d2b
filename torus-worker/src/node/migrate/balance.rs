//! Balancing the load: the busiest torus moves processes to the idlest.
//!
//! Once per cycle each torus compares its pending events with those in the frames it takes in. If it is the busiest, and
//! exceeds the idlest by more than the configured part of its own, it asks to move the processes with the most pending
//! events, together no more than a third of the difference: even if two tori take themselves for the busiest, as frames
//! are L boundaries old, the order does not turn round. It then rests until its peers' frames show the effect, and so does
//! a torus that has taken in a process.

use super::super::{Intake, Node, NodeError};
use super::TRAVEL_MAX;
use super::message::Arrival;
use crate::model::Model;
use shm_layout::torus::Torus;

/// Processes that one torus moves in one cycle.
const MOVES_MAX: usize = 4;
/// How long a torus that was refused does not try again, in boundaries.
const PAUSE: u64 = 48;

impl<M: Model> Node<M> {
    /// Balances the load, if that is configured and due.
    pub(super) fn balance(&mut self, intake: &Intake<'_>) -> Result<(), NodeError> {
        let b = self.books.boundary;
        let is_due = b % 3 == self.torus.index() as u64 && b >= self.migrations.quiet_until;
        let Some(percent) = self.balance_percent.filter(|_| is_due) else {
            return Ok(());
        };
        let Some((idlest, difference)) = self.excess(intake, percent) else {
            return Ok(());
        };
        let moves = self.load_to_move(idlest, difference / 3);
        if !moves.is_empty() {
            self.migrations.quiet_until = b + 4 * self.calendar.lag() + 1;
        }
        for cell in moves {
            self.request_migration(cell, idlest, 0)?;
        }
        Ok(())
    }

    /// If this torus is the busiest of all, and by more than `percent`: the idlest, and the difference to it.
    fn excess(&self, intake: &Intake<'_>, percent: u32) -> Option<(Torus, u64)> {
        let own = self.kernel.pending();
        let mut idlest: Option<(u64, Torus)> = None;
        for peer in self.torus.peers(self.tori) {
            let pending = intake.frames[peer.index()]?.pending();
            if (pending, peer) > (own, self.torus) {
                return None;
            }
            idlest = idlest.into_iter().chain([(pending, peer)]).min();
        }
        let (least, idlest) = idlest?;
        let difference = own - least;
        let limit = u128::from(percent) * u128::from(own);
        (u128::from(difference) * 100 > limit).then_some((idlest, difference))
    }

    /// The processes to move: those with the most pending events first, by cell where equal, up to `limit` events.
    fn load_to_move(&self, to: Torus, mut limit: u64) -> Vec<u32> {
        let pending = self.kernel.pending_by_cell();
        let mut candidates: Vec<(u32, u32)> = (0..)
            .zip(pending)
            .filter(|(cell, pending)| *pending > 0 && self.obstacle(*cell, to).is_none())
            .collect();
        candidates.sort_unstable_by_key(|(cell, pending)| (std::cmp::Reverse(*pending), *cell));
        let state = size_of::<M::Cell>().div_ceil(8);
        let mut moves = Vec::new();
        for (cell, pending) in candidates {
            let records = Arrival::records_needed(state, self.kernel.out_degree(cell)) + pending as usize;
            if u64::from(pending) <= limit && MOVES_MAX * records <= TRAVEL_MAX && moves.len() < MOVES_MAX {
                limit -= u64::from(pending);
                moves.push(cell);
            }
        }
        moves
    }

    /// A torus that has taken in a process gives none away until all frames show it.
    pub(super) fn rest(&mut self, boundary: u64) {
        let until = boundary + 6 * self.calendar.lag();
        self.migrations.quiet_until = self.migrations.quiet_until.max(until);
    }

    /// A torus that was refused waits before it tries again.
    pub(super) fn pause(&mut self, boundary: u64) {
        self.migrations.quiet_until = self.migrations.quiet_until.max(boundary + PAUSE);
    }
}
