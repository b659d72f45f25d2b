//! From the state to packed words.

use super::super::chunks::Packed;
use super::super::state::State;
use super::{MAGIC, link_word};
use shm_layout::record::TimedEvent;

impl<C: bytemuck::Pod> State<C> {
    pub(in super::super) fn save(&self, out: &mut Vec<u64>) {
        let header = [
            MAGIC,
            u64::from(self.cells.count()) | (size_of::<C>() as u64) << 32,
            u64::from(self.cells.active),
            u64::from(self.edges.count()),
            self.wheel.pending(),
            self.events,
            self.last_time,
            self.history_digest,
        ];
        out.extend_from_slice(&header);
        self.save_processes(out);
        self.save_edges(out);
        self.save_pending(out);
        self.save_held(out);
    }

    /// A bit for each cell that has a process, and the states of these. In one pass over the cells, which are as large as a
    /// second-level cache.
    fn save_processes(&self, out: &mut Vec<u64>) {
        let bytes = self.cells.active as usize * size_of::<C>();
        let (bits, states) = room(out, self.cells.list.len().div_ceil(64), bytes.div_ceil(8));
        let mut places = bytemuck::cast_slice_mut::<_, u8>(states).chunks_exact_mut(size_of::<C>().max(1));
        let mut processes = self.cells.processes();
        for (cells, bits) in self.cells.list.chunks(64).zip(bits) {
            *bits = bitmap(cells.iter().map(|cell| cell.target.is_present()));
            for (_, state) in processes.by_ref().take(bits.count_ones() as usize) {
                if let Some(place) = places.next() {
                    place.copy_from_slice(bytemuck::bytes_of(state));
                }
            }
        }
    }

    /// A bit for each cell that has edges, how many each of these has, two to a word, and the edges.
    fn save_edges(&self, out: &mut Vec<u64>) {
        let start = out.len();
        for cells in self.cells.list.chunks(64) {
            out.push(bitmap(cells.iter().map(|cell| cell.target.degree() != 0)));
        }
        let with_edges: u32 = out[start..].iter().map(|bits| bits.count_ones()).sum();
        let (degrees, links) = room(out, with_edges.div_ceil(2) as usize, self.edges.count() as usize);
        let (mut at, mut rest) = (0, links);
        for cell in &self.cells.list {
            let own = self.edges.of(cell);
            if own.is_empty() {
                continue;
            }
            degrees[at / 2] |= (own.len() as u64) << (32 * (at % 2));
            at += 1;
            let (words, behind) = rest.split_at_mut(own.len());
            words
                .iter_mut()
                .zip(own)
                .for_each(|(word, link)| *word = link_word(*link));
            rest = behind;
        }
    }

    fn save_pending(&self, out: &mut Vec<u64>) {
        let groups_at = out.len();
        out.push(0);
        let mut group_at = None;
        self.wheel.visit_near(|time, events| {
            let count_at = match group_at {
                Some((same, count_at)) if same == time => count_at,
                _ => {
                    out[groups_at] += 1;
                    out.extend_from_slice(&[time, 0]);
                    out.len() - 1
                }
            };
            group_at = Some((time, count_at));
            out[count_at] += events.len() as u64;
            // An event's two words are its memory: destination, source, payload.
            out.extend_from_slice(bytemuck::cast_slice(events));
        });
        self.wheel
            .visit_far(|events| out.extend(events.iter().flat_map(timed_words)));
    }

    /// Sorted, so that the words do not tell in which order the events came.
    fn save_held(&self, out: &mut Vec<u64>) {
        let mut held = self.held.clone();
        held.sort_unstable();
        out.push(held.len() as u64);
        out.extend(held.iter().flat_map(timed_words));
    }
}

fn timed_words(event: &TimedEvent) -> [u64; 3] {
    let place = Packed::new(event.event()).place;
    [event.time, place, event.payload as u64]
}

/// Two stretches of zeros behind what is there.
fn room(out: &mut Vec<u64>, first: usize, second: usize) -> (&mut [u64], &mut [u64]) {
    let start = out.len();
    out.resize(start + first + second, 0);
    out[start..].split_at_mut(first)
}

fn bitmap(bits: impl Iterator<Item = bool>) -> u64 {
    bits.enumerate()
        .fold(0, |word, (at, bit)| word | u64::from(bit) << at)
}
