//! Collide: the events due at one tick, grouped by destination cell into input bags.
//!
//! Most cells that are hit at all are hit by one event, and that event in its place is the bag. In dense models the events
//! for one cell mostly stand next to one another, because the cell that emitted them did so in one call: such a *run* is
//! the bag, in its place. What is left are runs for one cell that stand apart. The `seen` mark of a cell tells whether
//! an earlier run of this tick went there; such runs are chained in order of arrival, and the bag is gathered when the
//! first of them, the leader, is reached. All this is noted in flags above the cell's number.

use super::cells::Cell;
use super::prefetch::prefetch;
use shm_layout::record::Event;

const NONE: u32 = u32::MAX;
/// Flag of an event that stands behind another one for the same cell.
const CONTINUES: u32 = 1 << 28;
/// Flag of an event that stands before another one for the same cell.
const CONTINUED: u32 = 1 << 29;
/// Flag of the first event of a run that other runs for the same cell follow.
const LEADER: u32 = 1 << 30;
/// Flag of the first event of a run that belongs to the bag of an earlier one.
const FOLLOWER: u32 = 1 << 31;
/// The part of a due event's destination that is the cell.
const CELL: u32 = CONTINUES - 1;
/// How many events ahead cells are prefetched.
const AHEAD: usize = 12;

/// The grouping of one tick's events.
pub(super) struct Collider {
    /// For the first event of each chained run, that of the next run of its chain.
    next: Vec<u32>,
    bag: Vec<Event>,
    mark: u32,
}

/// The cell that a due event is for, flags or not.
#[inline(always)]
pub(super) fn cell(event: &Event) -> u32 {
    event.dst & CELL
}

/// Whether a due event is the only one for its cell.
#[inline(always)]
pub(super) fn is_single(event: &Event) -> bool {
    event.dst <= CELL
}

impl Collider {
    /// For up to `capacity` events per tick.
    pub(super) fn new(capacity: u32) -> Collider {
        let capacity = capacity as usize;
        Collider {
            next: bytemuck::zeroed_vec(capacity),
            bag: Vec::with_capacity(capacity),
            mark: 1,
        }
    }

    /// Flags and chains the events that are not the only ones for their cell.
    pub(super) fn group<C>(&mut self, due: &mut [Event], cells: &mut [Cell<C>]) {
        if due.len() >= (u32::MAX - self.mark) as usize {
            cells.iter_mut().for_each(|cell| cell.seen = 0);
            self.mark = 1;
        }
        let mark = self.mark;
        let mut before = NONE;
        for at in 0..due.len() {
            if let Some(ahead) = due.get(at + AHEAD) {
                prefetch(cells, ahead.dst as usize);
            }
            let cell = due[at].dst;
            if cell == before {
                due[at - 1].dst |= CONTINUED;
                due[at].dst |= CONTINUES;
                continue;
            }
            before = cell;
            let seen = &mut cells[cell as usize].seen;
            let earlier = seen.wrapping_sub(mark);
            *seen = mark + at as u32;
            if earlier < at as u32 {
                self.chain(due, earlier as usize, at);
            }
        }
        self.mark += due.len() as u32;
    }

    /// Puts a run behind the last one for its cell.
    #[inline]
    fn chain(&mut self, due: &mut [Event], last: usize, at: usize) {
        self.next[last] = at as u32;
        self.next[at] = NONE;
        due[at].dst |= FOLLOWER;
        if due[last].dst & FOLLOWER == 0 {
            due[last].dst |= LEADER;
        }
    }

    /// The bag of the run that begins here, in canonical order, and the run's length. The bag is empty if it belongs to
    /// an earlier run.
    #[inline]
    pub(super) fn bag<'a>(&'a mut self, due: &'a mut [Event], at: usize) -> (&'a [Event], usize) {
        let length = run_length(due, at);
        let flags = due[at].dst;
        if flags & FOLLOWER != 0 {
            return (&[], length);
        }
        if flags & LEADER != 0 {
            return (self.gather(due, at), length);
        }
        let run = &mut due[at..at + length];
        run.iter_mut().for_each(|event| event.dst &= CELL);
        sort_canonically(run);
        (run, length)
    }

    #[inline(never)]
    fn gather(&mut self, due: &[Event], leader: usize) -> &[Event] {
        self.bag.clear();
        let mut at = leader;
        while at < due.len() {
            let run = &due[at..at + run_length(due, at)];
            self.bag.extend(run.iter().map(|event| Event {
                dst: cell(event),
                ..*event
            }));
            at = self.next[at] as usize;
        }
        sort_canonically(&mut self.bag);
        &self.bag
    }
}

#[inline]
fn run_length(due: &[Event], at: usize) -> usize {
    let behind = due[at + 1..].iter();
    1 + behind.take_while(|event| event.dst & CONTINUES != 0).count()
}

/// Sorts the events of one bag by source, then payload. They often are already.
fn sort_canonically(bag: &mut [Event]) {
    let key = |event: &Event| (event.src.0, event.payload);
    if !bag.is_sorted_by_key(key) {
        bag.sort_unstable_by_key(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use shm_layout::record::Source;

    fn bags(
        collider: &mut Collider,
        due: &mut [Event],
        cells: &mut [Cell<u64>],
    ) -> Vec<Vec<(u32, u32, i64)>> {
        collider.group(due, cells);
        let plain = |event: &Event| (event.dst, event.src.0, event.payload);
        let mut bags = Vec::new();
        let mut at = 0;
        while at < due.len() {
            let (bag, length) = match is_single(&due[at]) {
                true => (&due[at..=at], 1),
                false => collider.bag(due, at),
            };
            if !bag.is_empty() {
                bags.push(bag.iter().map(plain).collect());
            }
            at += length;
        }
        bags
    }

    #[test]
    fn events_of_one_cell_become_one_sorted_bag() {
        let event = |dst, src, payload| Event {
            dst,
            src: Source(src),
            payload,
        };
        let mut cells = vec![Cell::zeroed(); 8];
        let mut collider = Collider::new(16);
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
        ];
        let expected = [
            vec![(3, 0, -1), (3, 0, 0), (3, 0, 1), (3, 2, -5), (3, 2, 5), (3, 9, 1)],
            vec![(5, 1, 1)],
            vec![(1, 0, -1), (1, 0, 0)],
            vec![(6, 0, 6), (6, 0, 7), (6, 1, 0)],
        ];
        for mark in [1, 8, u32::MAX - 13, u32::MAX - 12, u32::MAX - 11] {
            // Also when the marks start over.
            collider.mark = mark;
            for _ in 0..2 {
                assert_eq!(bags(&mut collider, &mut due.clone(), &mut cells), expected);
            }
        }
    }
}
