//! Collide: the events due at one tick, grouped by destination cell into input bags.
//!
//! Most cells that are hit at all are hit by one event. The first event for each cell stands in `firsts`, in the order in
//! which they came. What comes after it stands in `others`, where each event leads to the one before it for the same
//! cell. A bag is a first event and a chain of others, which mostly is empty.

use super::chunks::Packed;
use super::digest::TickDigest;
use super::hits::Hits;
use bytemuck::Zeroable;
use shm_layout::record::Event;

const NONE: u32 = u32::MAX;

/// So many bags ahead of the one that is delivered their cells are fetched.
pub(super) const AHEAD: usize = 16;

/// The grouping of one tick's events.
pub(super) struct Collider {
    pub(super) hits: Hits,
    /// The first event for each cell, `bags` of them, with room for as many as can be pending and then for `AHEAD` more
    /// that mean nothing.
    pub(super) firsts: Vec<Packed>,
    pub(super) bags: usize,
    pub(super) others: Others,
}

/// The events that are not the first ones for their cells.
pub(super) struct Others {
    /// `count` of them, with room for as many as can be pending.
    list: Vec<Other>,
    count: usize,
    /// For each cell that has any, `mark` plus the position of its last one; less for other cells.
    last_of: Vec<u32>,
    mark: u32,
    /// Room for a bag; it stands at the end.
    gathered: Vec<Packed>,
}

#[derive(Clone, Copy, Zeroable)]
struct Other {
    event: Packed,
    /// Position of the one before it for the same cell.
    before: u32,
}

impl Collider {
    /// For a torus of so many cells and up to `capacity` events per tick.
    pub(super) fn new(cells: u32, capacity: u32) -> Collider {
        let capacity = capacity as usize;
        Collider {
            hits: Hits::new(cells),
            firsts: bytemuck::zeroed_vec(capacity + AHEAD),
            bags: 0,
            others: Others {
                list: bytemuck::zeroed_vec(capacity),
                count: 0,
                last_of: bytemuck::zeroed_vec(cells as usize),
                mark: 1,
                gathered: bytemuck::zeroed_vec(capacity),
            },
        }
    }

    /// Forgets the last tick.
    pub(super) fn begin(&mut self) {
        let firsts = &self.firsts[..self.bags];
        self.hits.forget(firsts.iter().map(|event| event.cell()));
        self.bags = 0;
        if self.others.count > 0 {
            self.hits.forget_again();
            self.others.forget();
        }
    }

    /// Takes in some of the tick's events, and returns the sum of their hashes. That they are read only once is worth
    /// the two purposes.
    pub(super) fn take_in(&mut self, due: &[Event], digest: TickDigest) -> u64 {
        let mut sum = 0u64;
        let mut rest = bytemuck::cast_slice::<Event, Packed>(due);
        loop {
            let taken = self.take_firsts(rest, digest, &mut sum);
            rest = &rest[taken..];
            if rest.is_empty() {
                return sum;
            }
            let (run, behind) = rest.split_at(self.others.add_run(rest));
            self.hits.add_again(run[0].cell());
            sum = sum.wrapping_add(digest.sum(run));
            rest = behind;
        }
    }

    /// Takes in events up to the first one whose cell has been hit at this tick; returns how many.
    #[inline(always)]
    fn take_firsts(&mut self, due: &[Packed], digest: TickDigest, sum: &mut u64) -> usize {
        let mut taken = 0;
        for (event, place) in due.iter().zip(&mut self.firsts[self.bags..]) {
            if !self.hits.add(event.cell()) {
                break;
            }
            *sum = sum.wrapping_add(digest.packed(*event));
            *place = *event;
            taken += 1;
        }
        self.bags += taken;
        taken
    }
}

impl Others {
    fn forget(&mut self) {
        self.mark += self.count as u32;
        self.count = 0;
        if self.list.len() >= (u32::MAX - self.mark) as usize {
            self.last_of.fill(0);
            self.mark = 1;
        }
    }

    /// Takes in the events at the beginning that are for the same cell; returns how many. In dense models they are many,
    /// because the cell that emitted them did so in one call.
    #[inline(never)]
    fn add_run(&mut self, due: &[Packed]) -> usize {
        let cell = due[0].cell();
        let mut before = self.last_of[cell].checked_sub(self.mark).unwrap_or(NONE);
        let places = self.list[self.count..].iter_mut();
        let run = due.iter().take_while(|event| event.cell() == cell);
        let mut at = self.count as u32;
        for (event, place) in run.zip(places) {
            *place = Other {
                event: *event,
                before,
            };
            before = at;
            at += 1;
        }
        let length = at as usize - self.count;
        self.last_of[cell] = self.mark + before;
        self.count = at as usize;
        length
    }

    /// The bag of a first event, in canonical order. It is put together from its end on, so that the events stand in the
    /// order in which they came, which often is the canonical one.
    pub(super) fn gather(&mut self, first: Packed) -> &[Event] {
        let mut start = self.gathered.len();
        let mut at = self.last_of[first.cell()].checked_sub(self.mark).unwrap_or(NONE);
        while at != NONE {
            let Other { event, before } = self.list[at as usize];
            start -= 1;
            self.gathered[start] = event;
            at = before;
        }
        start -= 1;
        self.gathered[start] = first;
        let bag = bytemuck::cast_slice_mut(&mut self.gathered[start..]);
        sort_canonically(bag);
        bag
    }
}

/// Sorts the events of one bag by source, then payload. Most are two, and which of them comes first cannot be foreseen, so
/// that must not be a branch.
#[inline]
fn sort_canonically(bag: &mut [Event]) {
    let key = |event: &Event| u128::from(event.src.0) << 64 | u128::from(event.payload as u64 ^ 1 << 63);
    if let [one, other] = bag {
        let swap = usize::from(key(other) < key(one));
        let sorted = [bag[swap], bag[1 - swap]];
        bag.copy_from_slice(&sorted);
        return;
    }
    if !bag.is_sorted_by_key(key) {
        bag.sort_unstable_by_key(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shm_layout::record::Source;

    fn bags(collider: &mut Collider, due: &[Event]) -> Vec<Vec<(u32, u32, i64)>> {
        collider.begin();
        let (some, others) = due.split_at(due.len() / 3);
        for part in [some, others] {
            collider.take_in(part, TickDigest::new(1));
        }
        let plain = |event: &Event| (event.dst, event.src.0, event.payload);
        let mut bags = Vec::new();
        for first in &collider.firsts[..collider.bags] {
            if collider.hits.is_again(first.cell()) {
                bags.push(collider.others.gather(*first).iter().map(plain).collect());
            } else {
                bags.push(vec![plain(&first.event())]);
            }
        }
        bags.sort();
        bags
    }

    #[test]
    fn events_of_one_cell_become_one_sorted_bag() {
        let event = |dst, src, payload| Event {
            dst,
            src: Source(src),
            payload,
        };
        let mut collider = Collider::new(8, 16);
        let due = [
            event(3, 9, 1),
            event(5, 1, 1),
            event(3, 2, 5),
            event(1, 0, 0),
            event(3, 2, -5),
            event(1, 0, -1),
            event(3, 0, 0),
            event(3, 0, 1),
            event(6, 1, 0),
            event(6, 0, 7),
            event(6, 0, 6),
            event(3, 0, -1),
            event(7, 2, 2),
        ];
        let expected = [
            vec![(1, 0, -1), (1, 0, 0)],
            vec![(3, 0, -1), (3, 0, 0), (3, 0, 1), (3, 2, -5), (3, 2, 5), (3, 9, 1)],
            vec![(5, 1, 1)],
            vec![(6, 0, 6), (6, 0, 7), (6, 1, 0)],
            vec![(7, 2, 2)],
        ];
        for mark in [1, u32::MAX - 25, u32::MAX - 20, u32::MAX - 18, u32::MAX - 17] {
            // Also when the marks start over.
            collider.others.mark = mark;
            collider.others.last_of.fill(0);
            for _ in 0..3 {
                assert_eq!(bags(&mut collider, &due), expected);
            }
        }
    }

    /// Every other tick has few events for the lattice, so that hits are forgotten both one by one and all at once.
    #[test]
    fn cells_that_were_hit_at_one_tick_are_forgotten_at_the_next() {
        let cells = 64 * 32;
        let event = |dst| Event {
            dst,
            src: Source(0),
            payload: 0,
        };
        let mut collider = Collider::new(cells, cells);
        for (step, offset) in [(1, 0), (64, 3), (1, 0), (700, 5), (64, 3)] {
            let due: Vec<_> = (offset..cells).step_by(step).map(event).collect();
            let found = bags(&mut collider, &due);
            assert_eq!(found.len(), due.len(), "every {step}th cell");
        }
    }
}
