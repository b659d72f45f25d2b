//! Commands that change the simulated state: entries of lane 0, which the supervisor writes.
//!
//! A command is taken in, journaled and executed again like any injected event, so a run with commands is as exact as one
//! without. What a command asks for and its torus cannot do changes nothing; whoever gave it looks at the frame of the
//! boundary that took it in.

use shm_layout::frame::{CONSTRAINTS, Constraint};
use shm_layout::record::{LaneEntry, Source, SourceKind};
use shm_layout::torus::Torus;

use super::constraints::ConstraintKind;
use super::{Node, NodeError};
use crate::model::Model;

/// The lane of commands: the supervisor's. A command in any other lane is passed over.
pub const COMMAND_LANE: u32 = 0;

/// The constraint entry in bits 8 and up of a command's destination word, plus one; 0 names none.
const ENTRY_SHIFT: u32 = 8;

/// A command, as its lane entry says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Set a constraint.
    Constrain {
        /// The entry to set; `None`: the one that holds this kind, or an empty one.
        entry: Option<usize>,
        /// What to hold.
        kind: ConstraintKind,
        /// The value.
        value: i64,
        /// The deviation allowed.
        tolerance: u64,
    },
    /// Remove one entry.
    ReleaseEntry(usize),
    /// Remove all entries of a kind that the torus has set.
    ReleaseKind(ConstraintKind),
    /// Move a process of this torus to another one.
    Migrate {
        /// Its cell.
        cell: u32,
        /// Where it is to go.
        to: Torus,
        /// What the command calls itself, so that its outcome can be found; not 0.
        ticket: u64,
    },
}

impl Command {
    /// The command in an entry; `None` if it is none.
    pub fn of(entry: &LaneEntry) -> Option<Self> {
        if entry.kind == LaneEntry::MIGRATE {
            return Self::migrate(entry);
        }
        let kind = ConstraintKind::from_word(u64::from(entry.dst & 0xff));
        let named = match entry.dst >> ENTRY_SHIFT {
            0 => None,
            number => Some(number as usize - 1),
        };
        if named.is_some_and(|number| number >= CONSTRAINTS) {
            return None;
        }
        match (entry.kind, kind, named) {
            (LaneEntry::CONSTRAIN, Some(kind), entry_named) => Some(Command::Constrain {
                entry: entry_named,
                kind,
                value: entry.payload,
                tolerance: entry.at,
            }),
            (LaneEntry::RELEASE, None, Some(number)) => Some(Command::ReleaseEntry(number)),
            (LaneEntry::RELEASE, Some(kind), None) => Some(Command::ReleaseKind(kind)),
            _ => None,
        }
    }

    fn migrate(entry: &LaneEntry) -> Option<Self> {
        let to = Torus::from_index(usize::try_from(entry.payload).ok()?)?;
        let is_whole = entry.dst < Source::CELLS && entry.at != 0;
        is_whole.then_some(Command::Migrate {
            cell: entry.dst,
            to,
            ticket: entry.at,
        })
    }

    /// The entry for lane 0 of `torus` that says this.
    pub fn entry(self, torus: Torus) -> LaneEntry {
        let named = |number: usize| (number as u32 + 1) << ENTRY_SHIFT;
        let plain = LaneEntry {
            src: Source::new(SourceKind::Control, torus, 0),
            ..LaneEntry::default()
        };
        match self {
            Command::Constrain {
                entry,
                kind,
                value,
                tolerance,
            } => LaneEntry {
                at: tolerance,
                dst: entry.map_or(0, named) | kind as u32,
                payload: value,
                kind: LaneEntry::CONSTRAIN,
                ..plain
            },
            Command::ReleaseEntry(number) => LaneEntry {
                dst: named(number),
                kind: LaneEntry::RELEASE,
                ..plain
            },
            Command::ReleaseKind(kind) => LaneEntry {
                dst: kind as u32,
                kind: LaneEntry::RELEASE,
                ..plain
            },
            Command::Migrate { cell, to, ticket } => LaneEntry {
                at: ticket,
                dst: cell,
                payload: to.index() as i64,
                kind: LaneEntry::MIGRATE,
                ..plain
            },
        }
    }
}

impl<M: Model> Node<M> {
    /// Carries out a command that was taken in at this boundary.
    pub(super) fn command(&mut self, command: Command) -> Result<(), NodeError> {
        match command {
            Command::Constrain {
                entry,
                kind,
                value,
                tolerance,
            } => {
                let kind = kind as u64;
                self.constraints.set(
                    self.torus,
                    entry,
                    Constraint {
                        kind,
                        value,
                        tolerance,
                    },
                );
            }
            Command::ReleaseEntry(entry) => self.constraints.release(self.torus, Some(entry), 0),
            Command::ReleaseKind(kind) => self.constraints.release(self.torus, None, kind as u64),
            Command::Migrate { cell, to, ticket } => self.request_migration(cell, to, ticket)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_their_entries() {
        for kind in ConstraintKind::ALL {
            for entry in [None, Some(0), Some(15)] {
                let (value, tolerance) = (i64::MIN, u64::MAX);
                let command = Command::Constrain {
                    entry,
                    kind,
                    value,
                    tolerance,
                };
                assert_eq!(Command::of(&command.entry(Torus::B)), Some(command));
            }
            let command = Command::ReleaseKind(kind);
            assert_eq!(Command::of(&command.entry(Torus::B)), Some(command));
        }
        let command = Command::ReleaseEntry(15);
        assert_eq!(Command::of(&command.entry(Torus::C)), Some(command));
        let command = Command::Migrate {
            cell: Source::CELLS - 1,
            to: Torus::B,
            ticket: u64::MAX,
        };
        assert_eq!(Command::of(&command.entry(Torus::A)), Some(command));
    }

    #[test]
    fn what_is_no_command_is_none() {
        let good = Command::ReleaseEntry(3).entry(Torus::A);
        let (cell, to, ticket) = (5, Torus::B, 1);
        let migrate = Command::Migrate { cell, to, ticket }.entry(Torus::A);
        let cases = [
            LaneEntry { at: 0, ..migrate },
            LaneEntry {
                payload: 3,
                ..migrate
            },
            LaneEntry {
                dst: Source::CELLS,
                ..migrate
            },
            LaneEntry { kind: 0, ..good },
            LaneEntry { kind: 99, ..good },
            LaneEntry {
                kind: LaneEntry::CONSTRAIN,
                ..good
            },
            LaneEntry { dst: 0, ..good },
            LaneEntry { dst: 0x0101, ..good },
            LaneEntry {
                dst: 17 << ENTRY_SHIFT,
                ..good
            },
            LaneEntry {
                dst: u32::MAX,
                ..good
            },
        ];
        for entry in cases {
            assert_eq!(Command::of(&entry), None, "{entry:?}");
        }
    }
}
