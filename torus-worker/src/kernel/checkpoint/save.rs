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

    fn save_processes(&self, out: &mut Vec<u64>) {
        for cells in self.cells.list.chunks(64) {
            out.push(bitmap(cells.iter().map(|cell| cell.target.is_present())));
        }
        let start = out.len();
        out.resize(
            start + (self.cells.active as usize * size_of::<C>()).div_ceil(8),
            0,
        );
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut out[start..]);
        if size_of::<C>() > 0 {
            for (place, (_, state)) in bytes.chunks_exact_mut(size_of::<C>()).zip(self.cells.processes()) {
                place.copy_from_slice(bytemuck::bytes_of(state));
            }
        }
    }

    fn save_edges(&self, out: &mut Vec<u64>) {
        for cells in self.cells.list.chunks(64) {
            out.push(bitmap(cells.iter().map(|cell| cell.target.degree() != 0)));
        }
        let start = out.len();
        let with_edges = self.cells.list.iter().filter(|cell| cell.target.degree() != 0);
        for (at, cell) in with_edges.clone().enumerate() {
            if at % 2 == 0 {
                out.push(u64::from(cell.target.degree()));
            } else {
                out[start + at / 2] |= u64::from(cell.target.degree()) << 32;
            }
        }
        for cell in with_edges {
            out.extend(self.edges.of(cell).iter().map(|link| link_word(*link)));
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
            out.extend(
                events
                    .iter()
                    .flat_map(|event| [Packed::new(*event).place, event.payload as u64]),
            );
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

fn bitmap(bits: impl Iterator<Item = bool>) -> u64 {
    bits.enumerate()
        .fold(0, |word, (at, bit)| word | u64::from(bit) << at)
}
