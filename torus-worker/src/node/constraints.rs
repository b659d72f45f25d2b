//! Propagate constraints: entries that one torus sets and all tori hold.
//!
//! A projection has room for [`CONSTRAINTS`] entries. Each torus may set those whose number gives its own when divided by
//! three, so no two tori ever write one entry; its projections carry them, and a peer that takes a projection in copies
//! the entries that the projecting torus owns. So an entry binds its own torus from the boundary after the command, and
//! the others when they take in the next projection: at most one cycle and the lag later. Removing it works the same way.

use shm_layout::frame::{CONSTRAINTS, Constraint, Frame};
use shm_layout::torus::{TORI, Torus};

use super::checkpoint::Words;
use super::hold::LastInterval;
use crate::kernel::{LoadError, Sink};

pub use crate::constraint::ConstraintKind;

/// The torus that may set an entry.
pub fn owner(entry: usize) -> Torus {
    Torus::ALL[entry % TORI]
}

/// The entries that a torus may set.
pub fn owned_by(torus: Torus) -> impl Iterator<Item = usize> {
    (torus.index()..CONSTRAINTS).step_by(TORI)
}

/// The constraints that a torus knows: those it has set itself, and those it has taken in from its peers' projections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Constraints {
    entries: [Constraint; CONSTRAINTS],
    /// Events executed, and the tick, when the last interval began: what the event rate is measured from.
    began: [u64; 2],
}

impl Constraints {
    /// Words of a checkpoint's section.
    pub(super) const WORDS: usize = 2 + 3 * CONSTRAINTS;

    /// Notes that an interval begins; returns what the one before it has executed.
    pub(super) fn begin_interval(&mut self, events: u64, tick: u64) -> LastInterval {
        let [before, began] = std::mem::replace(&mut self.began, [events, tick]);
        LastInterval {
            events: events - before,
            ticks: tick - began,
        }
    }

    /// The entries with their numbers, without the empty ones.
    pub(super) fn bound(&self) -> impl Iterator<Item = (usize, Constraint)> {
        let entries = self.entries.iter().copied().enumerate();
        entries.filter(|(_, entry)| entry.kind != 0)
    }

    /// Sets an entry of `torus`: the one asked for; else the one that holds this kind already; else the first empty one.
    /// Without an empty one, or for an entry of another torus, nothing changes: who gave the command sees that in the
    /// frame of the boundary that took it in.
    pub(super) fn set(&mut self, torus: Torus, asked: Option<usize>, constraint: Constraint) {
        let find = |kind| owned_by(torus).find(|entry| self.entries[*entry].kind == kind);
        let entry = match asked {
            Some(entry) => Some(entry).filter(|entry| owned_by(torus).any(|own| own == *entry)),
            None => find(constraint.kind).or_else(|| find(0)),
        };
        if let Some(entry) = entry {
            self.entries[entry] = constraint;
        }
    }

    /// Empties the entries of `torus` that are meant: the one asked for, or all of a kind.
    pub(super) fn release(&mut self, torus: Torus, asked: Option<usize>, kind: u64) {
        for entry in owned_by(torus) {
            let is_meant = match asked {
                Some(asked) => asked == entry,
                None => self.entries[entry].kind == kind,
            };
            if is_meant {
                self.entries[entry] = Constraint::default();
            }
        }
    }

    /// Takes over the entries that `peer` owns from its projection.
    pub(super) fn take_over(&mut self, peer: Torus, projection: &Frame) {
        for entry in owned_by(peer) {
            self.entries[entry] = projection.constraint(entry);
        }
    }

    /// Puts all entries into a frame.
    pub(super) fn publish(&self, frame: &mut Frame) {
        for (entry, constraint) in self.bound() {
            frame.set_constraint(entry, constraint);
        }
    }

    /// Adds what the state digest covers: nothing where nothing is constrained.
    pub(super) fn digest_into(&self, words: &mut Vec<u64>) {
        if self.bound().next().is_some() {
            words.extend_from_slice(&self.began);
        }
        for (entry, constraint) in self.bound() {
            words.extend_from_slice(&[entry as u64, constraint.kind]);
            words.extend_from_slice(&[constraint.value as u64, constraint.tolerance]);
        }
    }

    pub(super) fn save(&self, out: &mut impl Sink) {
        out.put(&self.began);
        for constraint in &self.entries {
            out.put(&[constraint.kind, constraint.value as u64, constraint.tolerance]);
        }
    }

    pub(super) fn load(words: &mut Words<'_>) -> Result<Self, LoadError> {
        let mut constraints = Self {
            began: words.array()?,
            ..Self::default()
        };
        for constraint in &mut constraints.entries {
            let [kind, value, tolerance] = words.array()?;
            *constraint = Constraint {
                kind,
                value: value as i64,
                tolerance,
            };
        }
        Ok(constraints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(value: i64) -> Constraint {
        Constraint {
            kind: ConstraintKind::Pending as u64,
            value,
            tolerance: 5,
        }
    }

    #[test]
    fn every_entry_belongs_to_one_torus() {
        for entry in 0..CONSTRAINTS {
            let owners = Torus::ALL
                .into_iter()
                .filter(|torus| owned_by(*torus).any(|own| own == entry));
            assert_eq!(owners.collect::<Vec<_>>(), [owner(entry)]);
        }
    }

    #[test]
    fn a_kind_is_set_once_unless_an_entry_is_named() {
        let mut constraints = Constraints::default();
        constraints.set(Torus::B, None, pending(1));
        constraints.set(Torus::B, None, pending(2));
        assert_eq!(constraints.bound().collect::<Vec<_>>(), [(1, pending(2))]);
        constraints.set(Torus::B, Some(7), pending(3));
        assert_eq!(
            constraints.bound().collect::<Vec<_>>(),
            [(1, pending(2)), (7, pending(3))]
        );
        constraints.release(Torus::B, Some(1), 0);
        assert_eq!(constraints.bound().collect::<Vec<_>>(), [(7, pending(3))]);
        constraints.release(Torus::B, None, ConstraintKind::Pending as u64);
        assert_eq!(constraints.bound().count(), 0);
    }

    #[test]
    fn a_torus_sets_its_own_entries_only_and_no_more_than_it_has() {
        let mut constraints = Constraints::default();
        constraints.set(Torus::C, Some(0), pending(1));
        assert_eq!(constraints.bound().count(), 0, "entry 0 is A's");
        for entry in owned_by(Torus::C) {
            constraints.set(Torus::C, Some(entry), pending(entry as i64));
        }
        let full = constraints.clone();
        let rate = Constraint {
            kind: ConstraintKind::EventRate as u64,
            ..pending(1)
        };
        constraints.set(Torus::C, None, rate);
        assert_eq!(constraints, full);
    }

    #[test]
    fn a_projection_hands_over_what_its_torus_owns_and_nothing_else() {
        let (mut sender, mut receiver) = (Constraints::default(), Constraints::default());
        sender.set(Torus::A, None, pending(1));
        receiver.set(Torus::B, None, pending(2));
        let mut frame = Frame::new(16);
        sender.publish(&mut frame);
        receiver.take_over(Torus::A, &frame);
        assert_eq!(
            receiver.bound().collect::<Vec<_>>(),
            [(0, pending(1)), (1, pending(2))]
        );
        sender.release(Torus::A, None, ConstraintKind::Pending as u64);
        frame.clear();
        sender.publish(&mut frame);
        receiver.take_over(Torus::A, &frame);
        assert_eq!(receiver.bound().collect::<Vec<_>>(), [(1, pending(2))]);
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let mut constraints = Constraints::default();
        constraints.set(Torus::A, Some(15), pending(-7));
        constraints.begin_interval(5, 1000);
        let mut words = Vec::new();
        constraints.save(&mut words);
        assert_eq!(words.len(), Constraints::WORDS);
        assert_eq!(Constraints::load(&mut Words::new(&words)).ok(), Some(constraints));
    }
}
