//! What a torus knows of the run it is part of.

use super::lattice::Lattice;
use shm_layout::torus::Torus;

/// The facts of a run that a torus and its model may depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// This torus.
    pub torus: Torus,
    /// How many tori the run has: 1 or 3.
    pub tori: u8,
    /// The lattice, the same for all tori.
    pub lattice: Lattice,
    /// Length of an interval, in ticks.
    pub interval: u64,
    /// Lag L, in intervals.
    pub lag: u32,
    /// Seed of all random draws.
    pub seed: u64,
}

impl World {
    /// The other tori of the run, in rotation order starting with the next one.
    pub fn peers(&self) -> impl Iterator<Item = Torus> + use<> {
        self.torus.peers(self.tori)
    }

    /// Whether the run has this torus.
    pub fn has(&self, torus: Torus) -> bool {
        torus.index() < usize::from(self.tori)
    }
}

/// A cell of some torus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The torus.
    pub torus: Torus,
    /// The cell's number.
    pub cell: u32,
}

/// A directed link to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// Where it leads.
    pub to: Place,
    /// Its present delay, in ticks; at least 1.
    pub delay: u32,
}
