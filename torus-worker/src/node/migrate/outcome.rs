//! What became of a migration.

use crate::kernel::Place;
use shm_layout::torus::Torus;

/// How many outcomes of commands a torus remembers.
pub const OUTCOMES: usize = shm_layout::status::MIGRATION_OUTCOMES;

/// Why a process does not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u64)]
pub enum Refusal {
    /// There is nothing to move.
    #[error("there is no process in that cell")]
    NoProcess = 1,
    /// The cell forwards.
    #[error("the process of that cell has moved to another torus; name the place where it is now")]
    MovedAway = 2,
    /// It is on its way already.
    #[error("the process is moving already")]
    Moving = 3,
    /// The faces of a model with coupling belong together.
    #[error("the cell lies on the face x = 0, which the model couples with the other tori's; it stays")]
    Face = 4,
    /// No more old places can forward.
    #[error("4096 old places of the torus forward already, which is as many as can")]
    ForwardsFull = 5,
    /// Too many at once.
    #[error("64 processes of the torus are moving already; try again when they have arrived")]
    LeavingFull = 6,
    /// The torus is its own target, or there is none of that name.
    #[error("it can only move to another torus of the run")]
    NoSuchTorus = 7,
    /// The target takes in nothing.
    #[error("the target is absent")]
    Absent = 8,
    /// The target has no free cell.
    #[error("the target has no free cell: one without process, edges and pending events")]
    NoPlace = 9,
    /// The target has too many reservations.
    #[error("128 places of the target are reserved already; try again when their processes have arrived")]
    ReservedFull = 10,
    /// The target was absent when it should have answered.
    #[error("the target did not answer: it was absent")]
    NoAnswer = 11,
    /// The model retired it meanwhile.
    #[error("the process was retired before it could leave")]
    Gone = 12,
    /// It does not fit into what may travel at one boundary.
    #[error(
        "its state, edges and pending events take more than the 512 records that may leave at one boundary"
    )]
    TooLarge = 13,
}

impl Refusal {
    const ALL: [Refusal; 13] = [
        Refusal::NoProcess,
        Refusal::MovedAway,
        Refusal::Moving,
        Refusal::Face,
        Refusal::ForwardsFull,
        Refusal::LeavingFull,
        Refusal::NoSuchTorus,
        Refusal::Absent,
        Refusal::NoPlace,
        Refusal::ReservedFull,
        Refusal::NoAnswer,
        Refusal::Gone,
        Refusal::TooLarge,
    ];

    /// The refusal that a word names; `None` for 0 and for anything unknown.
    pub fn from_word(word: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| *refusal as u64 == word)
    }
}

/// How a migration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Result {
    /// The process left for this place, and arrives there at this boundary.
    Moves {
        /// Its new place.
        to: Place,
        /// The boundary of its arrival.
        arrives: u64,
    },
    /// It stays where it is.
    Refused(Refusal),
}

/// The end of a migration that a command asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the command called itself.
    pub ticket: u64,
    /// The cell of the process.
    pub cell: u32,
    /// How it ended.
    pub result: Result,
}

const MOVES: u64 = 1 << 32;

impl Outcome {
    /// As words: ticket; cell and from bit 32 on 1 if it moves; torus and cell, or the refusal; boundary of arrival.
    pub fn words(self) -> [u64; 4] {
        let cell = u64::from(self.cell);
        match self.result {
            Result::Moves { to, arrives } => [self.ticket, cell | MOVES, place_word(to), arrives],
            Result::Refused(refusal) => [self.ticket, cell, refusal as u64, 0],
        }
    }

    /// The outcome in words; `None` if they are none.
    pub fn from_words(words: [u64; 4]) -> Option<Self> {
        let [ticket, cell, what, arrives] = words;
        let result = match cell >> 32 {
            0 => Result::Refused(Refusal::from_word(what)?),
            _ => Result::Moves {
                to: place_of(what)?,
                arrives,
            },
        };
        let cell = cell as u32;
        Some(Outcome { ticket, cell, result })
    }
}

/// A place as a word: the cell, and from bit 24 on the torus.
pub(super) fn place_word(place: Place) -> u64 {
    (place.torus.index() as u64) << 24 | u64::from(place.cell)
}

/// The place in the low 28 bits of a word; `None` if they name none.
pub(super) fn place_of(word: u64) -> Option<Place> {
    Some(Place {
        torus: Torus::from_index((word >> 24 & 0xf) as usize)?,
        cell: (word & 0x00ff_ffff) as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_survive_their_words() {
        let place = Place {
            torus: Torus::C,
            cell: 0x00ff_fffe,
        };
        let moves = Result::Moves {
            to: place,
            arrives: 1 << 50,
        };
        let refused = Refusal::ALL.map(Result::Refused);
        for result in refused.into_iter().chain([moves]) {
            let outcome = Outcome {
                ticket: u64::MAX,
                cell: 77,
                result,
            };
            assert_eq!(Outcome::from_words(outcome.words()), Some(outcome));
        }
        assert_eq!(Outcome::from_words([0; 4]), None);
        assert_eq!(place_of(3 << 24), None);
    }

    #[test]
    fn the_sentences_name_the_limits_that_hold() {
        use super::super::{FORWARDS_MAX, LEAVING_MAX, RESERVED_MAX, TRAVEL_MAX};
        for (refusal, limit) in [
            (Refusal::ForwardsFull, FORWARDS_MAX),
            (Refusal::LeavingFull, LEAVING_MAX),
            (Refusal::ReservedFull, RESERVED_MAX),
            (Refusal::TooLarge, TRAVEL_MAX),
        ] {
            assert!(refusal.to_string().contains(&limit.to_string()), "{refusal}");
        }
    }
}
