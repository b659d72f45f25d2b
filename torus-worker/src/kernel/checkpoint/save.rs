//! From the state to packed words.

use super::super::cells::{Cell, NEAR};
use super::super::chunks::Packed;
use super::super::state::State;
use super::{BLOCK, DEGREE_IN_WORD, MAGIC, ROOM, Sink, link_word};
use shm_layout::record::TimedEvent;

impl<C: bytemuck::Pod> State<C> {
    pub(in super::super) fn save(&self, out: &mut impl Sink) {
        out.put(&[
            MAGIC,
            u64::from(self.cells.count()) | (size_of::<C>() as u64) << 32,
            u64::from(self.cells.active),
            u64::from(self.edges.count()),
            self.wheel.pending(),
            self.events,
            self.last_time,
            self.history_digest,
        ]);
        self.cells
            .list
            .chunks(BLOCK)
            .for_each(|cells| self.save_cells(cells, out));
        self.save_pending(out);
        self.save_held(out);
    }

    /// Which cells of a block have a process, how many edges each has, and then both, cell by cell. The cells are as large
    /// as a second-level cache: a block is looked at twice while it is in the first one.
    fn save_cells(&self, cells: &[Cell<C>], out: &mut impl Sink) {
        let mut head = [0; 1 + BLOCK / 8];
        let (mut edges, mut degree_max) = (0, 0);
        for (at, target) in cells.iter().map(|cell| cell.target).enumerate() {
            let degree = target.degree();
            head[0] |= u64::from(target.is_present()) << at;
            head[1 + at / 8] |= u64::from(degree.min(DEGREE_IN_WORD)) << (8 * (at % 8));
            edges += degree as usize;
            degree_max = degree_max.max(degree);
        }
        out.put(&head);
        let words = edges + head[0].count_ones() as usize * state_words::<C>();
        if degree_max <= NEAR as u32 && words <= ROOM {
            fill_with_cells(cells, out.room(words));
        } else {
            cells.iter().for_each(|cell| self.save_cell(cell, out));
        }
    }

    /// A cell of a block that is too large, or has more edges than cells usually have.
    fn save_cell(&self, cell: &Cell<C>, out: &mut impl Sink) {
        let degree = cell.target.degree();
        if degree >= DEGREE_IN_WORD {
            out.put(&[degree.into()]);
        }
        self.edges.of(cell).for_each(|link| out.put(&[link_word(*link)]));
        if cell.target.is_present() {
            let (state, tail) = bytemuck::bytes_of(&cell.state).as_chunks();
            state
                .iter()
                .for_each(|word| out.put(&[u64::from_le_bytes(*word)]));
            if !tail.is_empty() {
                let mut word = [0; 8];
                word[..tail.len()].copy_from_slice(tail);
                out.put(&[u64::from_le_bytes(word)]);
            }
        }
    }

    fn save_pending(&self, out: &mut impl Sink) {
        out.put(&[self.wheel.near_ticks().count() as u64]);
        for (time, slot) in self.wheel.near_ticks() {
            out.put(&[time, self.wheel.near_count(slot)]);
            // An event's two words are its memory: destination, source, payload.
            self.wheel
                .visit_slot(slot, |events| out.put(bytemuck::cast_slice(events)));
        }
        self.wheel
            .visit_far(|events| events.iter().for_each(|event| out.put(&timed_words(event))));
    }

    /// Sorted, so that the words do not tell in which order the events came.
    fn save_held(&self, out: &mut impl Sink) {
        let mut held = self.held.clone();
        held.sort_unstable();
        out.put(&[held.len() as u64]);
        held.iter().for_each(|event| out.put(&timed_words(event)));
    }
}

fn timed_words(event: &TimedEvent) -> [u64; 3] {
    let place = Packed::new(event.event()).place;
    [event.time, place, event.payload as u64]
}

/// Words that the state of a process takes.
pub(super) const fn state_words<C>() -> usize {
    size_of::<C>().div_ceil(8)
}

/// The edges and states of cells whose edges stand in them.
fn fill_with_cells<C: bytemuck::Pod>(cells: &[Cell<C>], mut room: &mut [u64]) {
    for cell in cells {
        let degree = cell.target.degree() as usize;
        let (links, behind) = room.split_at_mut(degree);
        links
            .iter_mut()
            .zip(cell.near)
            .for_each(|(word, link)| *word = link_word(link));
        room = behind;
        if cell.target.is_present() {
            let (state, behind) = room.split_at_mut(state_words::<C>());
            if let Some(last) = state.last_mut() {
                *last = 0;
            }
            bytemuck::cast_slice_mut::<_, u8>(state)[..size_of::<C>()]
                .copy_from_slice(bytemuck::bytes_of(&cell.state));
            room = behind;
        }
    }
}
