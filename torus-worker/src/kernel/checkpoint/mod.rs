//! Saving and loading a torus as packed words.
//!
//! Words, in this order (little-endian inside a word where it holds bytes or halves):
//!
//! | words | content |
//! |---|---|
//! | 1 | magic and version |
//! | 1 | cells, and from bit 32 on the bytes of a process's state |
//! | 1 each | processes, edges, pending events without those that wait, events executed, last time, history digest |
//! | | the cells, in blocks of 64: |
//! | 1 | which of them have a process, a bit each |
//! | 8 | their out-degrees, a byte each; 255: that many or more, and a word before the cell's edges says how many |
//! | | of each cell its edges, a word each: destination (torus in bits 24 to 31, cell below), delay from bit 32 on; then the state of its process, filled up with zeros to whole words |
//! | 1 | number of groups of equal time |
//! | 2 + 2n per group | time, n, then the events: destination and from bit 32 on source; payload |
//! | 3 per event | the other pending events: time, then as above |
//! | 1 | number of events that wait for their process |
//! | 3 per event | these, in order: time, then as above |
//!
//! Nothing in it depends on capacities or on where things lie in the arrays.

mod load;
mod reader;
mod save;

use super::Kernel;
use super::edges::Link;
use super::error::Resource;
use super::world::World;
use crate::model::Model;
use save::state_words;
use shm_layout::checkpoint_slots::SlotStream;
use shm_layout::config::Capacity;
use shm_layout::torus::Torus;

/// "BRAIDK" and the version of this format.
const MAGIC: u64 = u64::from_le_bytes(*b"BRAIDK\x03\0");
const FIXED_WORDS: usize = 8;
const GROUPS_MAX: usize = 256;
/// Cells of a block.
const BLOCK: usize = 64;
/// Out-degrees from this on have a word of their own.
const DEGREE_IN_WORD: u32 = 255;
/// The most words that [`Sink::room`] is asked for.
const ROOM: usize = 256;

/// What a state is packed into, word after word.
pub trait Sink {
    /// Appends words.
    fn put(&mut self, words: &[u64]);

    /// Appends so many words, at most 256, which the caller sets.
    fn room(&mut self, words: usize) -> &mut [u64];
}

impl Sink for Vec<u64> {
    #[inline]
    fn put(&mut self, words: &[u64]) {
        self.extend_from_slice(words);
    }

    #[inline]
    fn room(&mut self, words: usize) -> &mut [u64] {
        let start = self.len();
        self.resize(start + words, 0);
        &mut self[start..]
    }
}

impl Sink for SlotStream<'_, '_> {
    #[inline]
    fn put(&mut self, words: &[u64]) {
        SlotStream::put(self, words);
    }

    #[inline]
    fn room(&mut self, words: usize) -> &mut [u64] {
        SlotStream::room(self, words)
    }
}

/// Why saved words were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It ends too early, or goes on after its end.
    #[error("the saved state has {found} words, which is not the length its content needs")]
    Length {
        /// Its length, in words.
        found: usize,
    },
    /// It is no saved state, or one of another version.
    #[error(
        "word 0 of the saved state is {found:#x} instead of {MAGIC:#x}: no saved state, or another version"
    )]
    Magic {
        /// The word found.
        found: u64,
    },
    /// It was saved from another lattice or another model.
    #[error(
        "the saved state is of {found_cells} cells with {found_bytes} bytes of state each; this torus has \
         {cells} with {bytes}"
    )]
    Shape {
        /// Cells of the saved torus.
        found_cells: u32,
        /// Bytes of a process's state in it.
        found_bytes: u32,
        /// Cells of this torus.
        cells: u32,
        /// Bytes of a process's state here.
        bytes: u32,
    },
    /// It needs a larger capacity.
    #[error(
        "torus {torus}: the saved state has {needed} {what}, the capacity is {capacity}; resume with a larger {}",
        what.option()
    )]
    Capacity {
        /// What does not fit.
        what: Resource,
        /// The torus.
        torus: Torus,
        /// How many there are.
        needed: u64,
        /// The capacity.
        capacity: u32,
    },
    /// It contradicts itself.
    #[error("word {word} of the saved state is wrong: {what}")]
    Content {
        /// Index of the word behind the one at fault.
        word: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl<M: Model> Kernel<M> {
    /// Appends the full state, packed, to `out`. Buffers of events for peers are not part of it: they belong to the
    /// interval that has been published.
    pub fn save(&self, out: &mut impl Sink) {
        self.state.save(out);
    }

    /// Replaces the state by a saved one. After an error the torus is empty.
    ///
    /// # Errors
    /// Words that are no saved state of this lattice and model, or that do not fit into the capacities.
    pub fn load(&mut self, words: &[u64]) -> Result<(), LoadError> {
        self.state.clear();
        let result = self.state.load(words);
        if result.is_err() {
            self.state.clear();
        }
        result
    }

    /// The most words that [`Kernel::save`] appends for a torus of these capacities.
    pub fn checkpoint_words_max(world: &World, capacity: &Capacity) -> usize {
        let cells = world.lattice.cells() as usize;
        let edges = capacity.edges as usize;
        let pending = capacity.pending as usize;
        FIXED_WORDS
            + (1 + BLOCK / 8) * cells.div_ceil(BLOCK)
            + cells * state_words::<M::Cell>()
            + edges / DEGREE_IN_WORD as usize
            + edges
            + 1
            + 2 * GROUPS_MAX
            + 3 * pending
            + 1
    }
}

/// An edge as one word.
pub(super) fn link_word(link: Link) -> u64 {
    u64::from(link.to) | u64::from(link.delay) << 32
}
