//! The bounded full state of a torus at a boundary, as words: what the checkpoint slots and mirrors hold.
//!
//! Packed and independent of capacities: a checkpoint taken at one capacity loads at a larger one.

use super::{Books, LANES_MAX, Node};
use crate::kernel::{Kernel, LoadError};
use crate::model::{Model, World};
use shm_layout::config::Capacity;

/// "BRAIDCKP", little-endian.
const MAGIC: u64 = u64::from_le_bytes(*b"BRAIDCKP");
/// Raised whenever the meaning of the words changes.
const VERSION: u64 = 1;
/// Magic, version, torus, journal length, then the books: boundary, chain, sent, received, peer chains, lane positions.
const HEAD_WORDS: usize = 6 + 9 + LANES_MAX;

/// The largest checkpoint of a torus in words.
pub fn words_max<M: Model>(world: &World, capacity: &Capacity) -> usize {
    HEAD_WORDS + Kernel::<M>::checkpoint_words_max(world, capacity)
}

impl<M: Model> Node<M> {
    /// Packs the state at the boundary at which the torus stands. `journal_length` is the journal's length in bytes.
    pub fn save(&self, journal_length: u64, out: &mut Vec<u64>) {
        let books = &self.books;
        out.clear();
        out.extend_from_slice(&[
            MAGIC,
            VERSION,
            self.torus.index() as u64,
            journal_length,
            books.boundary,
            books.chain,
        ]);
        out.extend_from_slice(&books.sent);
        out.extend_from_slice(&books.received);
        out.extend_from_slice(&books.peer_chains);
        out.extend_from_slice(&books.lane_positions);
        self.kernel.save(out);
    }

    /// Replaces the state by a packed one; returns the journal's length that it names.
    ///
    /// # Errors
    /// [`LoadError`] if the words are no checkpoint of this torus, or need more than the capacities allow.
    pub fn load(&mut self, words: &[u64]) -> Result<u64, LoadError> {
        let Some((head, kernel)) = words.split_at_checked(HEAD_WORDS) else {
            return Err(LoadError::Length { found: words.len() });
        };
        if head[0] != MAGIC || head[1] != VERSION || head[2] != self.torus.index() as u64 {
            return Err(LoadError::Magic { found: head[0] });
        }
        let three = |from: usize| [head[from], head[from + 1], head[from + 2]];
        let mut lane_positions = [0; LANES_MAX];
        lane_positions.copy_from_slice(&head[15..]);
        self.kernel.load(kernel)?;
        self.books = Books {
            boundary: head[4],
            chain: head[5],
            sent: three(6),
            received: three(9),
            peer_chains: three(12),
            lane_positions,
        };
        Ok(head[3])
    }
}
