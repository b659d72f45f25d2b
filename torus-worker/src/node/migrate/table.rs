//! What a torus keeps about migrations, all of it part of a checkpoint and of the state digest.

use std::collections::VecDeque;

use super::super::checkpoint::Words;
use super::outcome::{OUTCOMES, Outcome, Refusal, Result as End, place_of, place_word};
use super::{FORWARDS_MAX, LEAVING_MAX, RESERVED_MAX};
use crate::kernel::{LoadError, Place, Sink};
use shm_layout::torus::{TORI, Torus};

/// A process that has asked for a place elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    /// Where it lives.
    pub(super) cell: u32,
    /// Where it is to go.
    pub(super) to: Torus,
    /// The boundary of its request.
    pub(super) requested: u64,
    /// What the command called itself; 0: none asked for it, the load is balanced.
    pub(super) ticket: u64,
}

/// A place that waits for its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reserved {
    pub(super) cell: u32,
    /// Where the process comes from.
    pub(super) from: Place,
    /// The boundary at which it comes, or not at all.
    pub(super) arrives: u64,
}

/// What has happened between this torus and one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Processes that left for the peer.
    pub moved_out: u64,
    /// Processes that arrived from the peer.
    pub moved_in: u64,
    /// Processes that were to go to the peer and stay.
    pub refused: u64,
    /// Why the last of them stays; 0: none did.
    pub last_refusal: u64,
    /// Events that were forwarded to the peer after their process.
    pub forwarded: u64,
}

/// Everything that a torus knows about migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrations {
    /// By cell.
    pub(super) leaving: Vec<Leaving>,
    /// By cell.
    pub(super) reserved: Vec<Reserved>,
    /// Old places and where they forward to, by cell.
    pub(super) forwards: Vec<(u32, Place)>,
    pub(super) tally: [Tally; TORI],
    /// The newest outcomes of commands, oldest first.
    pub(super) outcomes: VecDeque<Outcome>,
    /// Outcomes ever.
    pub(super) ended: u64,
    /// The load is not balanced before this boundary.
    pub(super) quiet_until: u64,
}

impl Migrations {
    /// What has happened between this torus and a peer.
    pub fn tally(&self, peer: Torus) -> Tally {
        self.tally[peer.index()]
    }

    /// Processes of this torus that are on their way out.
    pub fn leaving(&self) -> usize {
        self.leaving.len()
    }

    /// Places of this torus that wait for their process.
    pub fn reserved(&self) -> usize {
        self.reserved.len()
    }

    /// Old places of this torus that forward, and where to.
    pub fn forwards(&self) -> &[(u32, Place)] {
        &self.forwards
    }

    /// The newest outcomes of commands, each with its number.
    pub fn outcomes(&self) -> impl Iterator<Item = (u64, Outcome)> {
        let first = self.ended - self.outcomes.len() as u64;
        (first..).zip(self.outcomes.iter().copied())
    }

    /// Whether no event needs to be looked at: nothing is reserved and nothing forwards.
    pub(in super::super) fn is_idle(&self) -> bool {
        self.reserved.is_empty() && self.forwards.is_empty()
    }

    pub(super) fn is_leaving(&self, cell: u32) -> bool {
        self.leaving
            .binary_search_by_key(&cell, |leaving| leaving.cell)
            .is_ok()
    }

    pub(super) fn is_reserved(&self, cell: u32) -> bool {
        self.reserved
            .binary_search_by_key(&cell, |reserved| reserved.cell)
            .is_ok()
    }

    /// Whether a cell belongs to a process that is on its way here, or that has moved away.
    pub(in super::super) fn is_taken(&self, cell: u32) -> bool {
        self.is_reserved(cell) || self.forward(cell).is_some()
    }

    /// Where an old place forwards to.
    pub(super) fn forward(&self, cell: u32) -> Option<Place> {
        let at = self.forwards.binary_search_by_key(&cell, |(old, _)| *old).ok()?;
        Some(self.forwards[at].1)
    }

    pub(super) fn add_leaving(&mut self, leaving: Leaving) {
        self.leaving.push(leaving);
        self.leaving.sort_unstable_by_key(|leaving| leaving.cell);
    }

    pub(super) fn add_reserved(&mut self, reserved: Reserved) {
        self.reserved.push(reserved);
        self.reserved.sort_unstable_by_key(|reserved| reserved.cell);
    }

    /// From now on an old place forwards.
    pub(super) fn set_forward(&mut self, cell: u32, to: Place) {
        self.forwards.retain(|(old, _)| *old != cell);
        self.forwards.push((cell, to));
        self.forwards.sort_unstable_by_key(|(old, _)| *old);
    }

    /// The process of a cell is back: it no longer forwards.
    pub(super) fn end_forward(&mut self, cell: u32) {
        self.forwards.retain(|(old, _)| *old != cell);
    }

    /// What leads to one place leads to another from now on.
    pub(super) fn redirect(&mut self, moves: &[(Place, Place)]) {
        for (_, place) in &mut self.forwards {
            if let Some((_, to)) = moves.iter().find(|(from, _)| from == place) {
                *place = *to;
            }
        }
    }

    /// Notes how a migration to `peer` ended.
    pub(super) fn end(&mut self, peer: Torus, ticket: u64, cell: u32, result: End) {
        let tally = &mut self.tally[peer.index()];
        match result {
            End::Moves { .. } => tally.moved_out += 1,
            End::Refused(refusal) => {
                tally.refused += 1;
                tally.last_refusal = refusal as u64;
            }
        }
        if ticket != 0 {
            if self.outcomes.len() == OUTCOMES {
                self.outcomes.pop_front();
            }
            self.outcomes.push_back(Outcome { ticket, cell, result });
            self.ended += 1;
        }
    }

    /// Words of a checkpoint's section when everything is full.
    pub(in super::super) const WORDS_MAX: usize =
        6 + 3 * LEAVING_MAX + 2 * RESERVED_MAX + FORWARDS_MAX + 5 * TORI + 4 * OUTCOMES;

    pub(in super::super) fn save(&self, out: &mut impl Sink) {
        out.put(&[self.leaving.len() as u64, self.reserved.len() as u64]);
        out.put(&[self.forwards.len() as u64, self.outcomes.len() as u64]);
        out.put(&[self.ended, self.quiet_until]);
        for leaving in &self.leaving {
            let (torus, cell) = (leaving.to, leaving.cell);
            out.put(&[
                place_word(Place { torus, cell }),
                leaving.requested,
                leaving.ticket,
            ]);
        }
        for reserved in &self.reserved {
            let from = place_word(reserved.from) << 32;
            out.put(&[from | u64::from(reserved.cell), reserved.arrives]);
        }
        for (cell, to) in &self.forwards {
            out.put(&[place_word(*to) << 32 | u64::from(*cell)]);
        }
        for tally in &self.tally {
            out.put(&[tally.moved_out, tally.moved_in, tally.refused]);
            out.put(&[tally.last_refusal, tally.forwarded]);
        }
        self.outcomes.iter().for_each(|outcome| out.put(&outcome.words()));
    }

    pub(in super::super) fn load(words: &mut Words<'_>) -> Result<Self, LoadError> {
        let [leaving, reserved, forwards, outcomes, ended, quiet_until] = words.array()?;
        let mut migrations = Self {
            ended,
            quiet_until,
            ..Self::default()
        };
        let wrong = || LoadError::Content {
            word: 0,
            what: "a migration between places that do not exist",
        };
        for _ in 0..leaving {
            let [place, requested, ticket] = words.array()?;
            let Place { torus: to, cell } = place_of(place).ok_or_else(wrong)?;
            migrations.leaving.push(Leaving {
                cell,
                to,
                requested,
                ticket,
            });
        }
        for _ in 0..reserved {
            let [places, arrives] = words.array()?;
            let from = place_of(places >> 32).ok_or_else(wrong)?;
            migrations.reserved.push(Reserved {
                cell: places as u32,
                from,
                arrives,
            });
        }
        for _ in 0..forwards {
            let [places] = words.array()?;
            let to = place_of(places >> 32).ok_or_else(wrong)?;
            migrations.forwards.push((places as u32, to));
        }
        for tally in &mut migrations.tally {
            let [moved_out, moved_in, refused, last_refusal, forwarded] = words.array()?;
            *tally = Tally {
                moved_out,
                moved_in,
                refused,
                last_refusal,
                forwarded,
            };
        }
        for _ in 0..outcomes {
            let outcome = Outcome::from_words(words.array()?).ok_or_else(wrong)?;
            migrations.outcomes.push_back(outcome);
        }
        Ok(migrations)
    }
}

impl Tally {
    /// Why the last process that was to go to the peer stays.
    pub fn last_refusal(&self) -> Option<Refusal> {
        Refusal::from_word(self.last_refusal)
    }
}
