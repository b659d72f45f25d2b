//! The names of the three tori and their rotation.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How many tori a braided run has.
pub const TORI: usize = 3;

/// One of the three tori of a braid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Torus {
    /// The first torus, and the only one of a run with one torus.
    A = 0,
    /// The second torus.
    B = 1,
    /// The third torus.
    C = 2,
}

impl Torus {
    /// All three, in rotation order.
    pub const ALL: [Torus; TORI] = [Torus::A, Torus::B, Torus::C];

    /// Position in rotation order, 0 to 2.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The torus at a position in rotation order.
    pub const fn from_index(index: usize) -> Option<Torus> {
        match index {
            0 => Some(Torus::A),
            1 => Some(Torus::B),
            2 => Some(Torus::C),
            _ => None,
        }
    }

    /// `'A'`, `'B'` or `'C'`.
    pub const fn letter(self) -> char {
        match self {
            Torus::A => 'A',
            Torus::B => 'B',
            Torus::C => 'C',
        }
    }

    /// The torus that a letter names; upper case only.
    pub fn from_letter(letter: &str) -> Option<Torus> {
        match letter {
            "A" => Some(Torus::A),
            "B" => Some(Torus::B),
            "C" => Some(Torus::C),
            _ => None,
        }
    }

    /// The next one in the rotation A → B → C → A.
    pub const fn next(self) -> Torus {
        match self {
            Torus::A => Torus::B,
            Torus::B => Torus::C,
            Torus::C => Torus::A,
        }
    }

    /// The one before in the rotation.
    pub const fn previous(self) -> Torus {
        self.next().next()
    }

    /// The tori of a run with `tori` of them (1 or 3), in letter order. More than three counts as three.
    pub fn of_run(tori: u8) -> &'static [Torus] {
        const ALL: &[Torus] = &Torus::ALL;
        &ALL[..usize::from(tori).min(TORI)]
    }

    /// The other tori of a run with `tori` of them, in rotation order from this one: for A it is B, then C. This is
    /// the order in which peers mirror.
    pub fn peers(self, tori: u8) -> impl Iterator<Item = Torus> + Clone {
        self.peers_of_run(tori).iter().copied()
    }

    /// [`Torus::peers`] as a list.
    pub fn peers_of_run(self, tori: u8) -> &'static [Torus] {
        const PEERS: [[Torus; TORI - 1]; TORI] =
            [[Torus::B, Torus::C], [Torus::C, Torus::A], [Torus::A, Torus::B]];
        let peers = &PEERS[self.index()];
        if usize::from(tori) < TORI { &[] } else { peers }
    }
}

impl fmt::Display for Torus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_comes_back_after_three() {
        for torus in Torus::ALL {
            assert_eq!(torus.next().next().next(), torus);
            assert_eq!(torus.previous().next(), torus);
            assert_eq!(Torus::from_index(torus.index()), Some(torus));
            assert_eq!(Torus::from_letter(&torus.letter().to_string()), Some(torus));
        }
        assert_eq!(Torus::from_index(3), None);
        assert_eq!(Torus::from_letter("D"), None);
    }

    #[test]
    fn peers_stand_in_rotation_order() {
        assert_eq!(Torus::B.peers(3).collect::<Vec<_>>(), [Torus::C, Torus::A]);
        assert_eq!(Torus::A.peers(1).count(), 0);
        assert_eq!(Torus::of_run(1), [Torus::A]);
        assert_eq!(Torus::of_run(3), Torus::ALL);
    }
}
