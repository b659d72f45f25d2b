//! The digest of the full state: sums over processes, edges, pending events and counters, in which no array position and
//! no capacity shows.

use super::checkpoint::link_word;
use super::digest::{Part, TickDigest, item};
use super::state::State;

impl<C: bytemuck::Pod> State<C> {
    pub(super) fn state_digest(&self) -> u64 {
        let counters =
            item(Part::Counter, 0, 0, self.events).wrapping_add(item(Part::Counter, 1, 0, self.last_time));
        counters
            .wrapping_add(self.processes_digest())
            .wrapping_add(self.edges_digest())
            .wrapping_add(self.pending_digest())
    }

    fn processes_digest(&self) -> u64 {
        let mut sum = 0u64;
        for (cell, state) in self.cells.processes() {
            let cell = u64::from(cell);
            sum = sum.wrapping_add(item(Part::Process, cell, 0, size_of::<C>() as u64));
            for (at, bytes) in (1..).zip(bytemuck::bytes_of(state).chunks(8)) {
                sum = sum.wrapping_add(item(Part::Process, cell, at, word_of(bytes)));
            }
        }
        sum
    }

    fn edges_digest(&self) -> u64 {
        let mut sum = 0u64;
        for (number, cell) in (0..).zip(&self.cells.list) {
            for (at, link) in (0..).zip(self.edges.of(cell)) {
                sum = sum.wrapping_add(item(Part::Edge, number, at, link_word(*link)));
            }
        }
        sum
    }

    fn pending_digest(&self) -> u64 {
        let mut sum = 0u64;
        self.wheel
            .visit(|time, event| sum = sum.wrapping_add(TickDigest::new(time).event(event)));
        for event in &self.held {
            // No event is due at such a time: one that is held differs from one that is not.
            sum = sum.wrapping_add(TickDigest::new(!event.time).event(&event.event()));
        }
        sum
    }
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
