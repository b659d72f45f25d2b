//! Collide: the events due at one tick, grouped by destination cell into input bags.
//!
//! Most cells that are hit at all are hit by one event, and that event in its place is the bag. The `seen` mark of a
//! cell tells whether an earlier event of this tick went there. Such events are chained in order of arrival: the first
//! one, the leader, and its followers get a flag above the cell's number, and the bag is gathered when the leader is
//! reached.

use super::cells::Head;
use super::prefetch::prefetch;
use shm_layout::record::Event;

const NONE: u32 = u32::MAX;
/// Flag of an event that others for the same cell follow.
const LEADER: u32 = 1 << 30;
/// Flag of an event that belongs to the bag of an earlier one.
const FOLLOWER: u32 = 1 << 31;
/// The part of a due event's destination that is the cell.
const CELL: u32 = LEADER - 1;
/// How many events ahead cells are prefetched.
const AHEAD: usize = 12;

/// The grouping of one tick's events.
pub(super) struct Collider {
    /// For each chained event the next one of its chain.
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
    pub(super) fn group(&mut self, due: &mut [Event], heads: &mut [Head]) {
        if due.len() >= (u32::MAX - self.mark) as usize {
            heads.iter_mut().for_each(|head| head.seen = 0);
            self.mark = 1;
        }
        let mark = self.mark;
        for at in 0..due.len() {
            if let Some(ahead) = due.get(at + AHEAD) {
                prefetch(heads, ahead.dst as usize);
            }
            let seen = &mut heads[due[at].dst as usize].seen;
            let earlier = seen.wrapping_sub(mark);
            *seen = mark + at as u32;
            if earlier < at as u32 {
                self.chain(due, earlier as usize, at);
            }
        }
        self.mark += due.len() as u32;
    }

    /// Puts an event behind the last one for its cell.
    #[inline]
    fn chain(&mut self, due: &mut [Event], last: usize, at: usize) {
        self.next[last] = at as u32;
        self.next[at] = NONE;
        due[at].dst |= FOLLOWER;
        if is_single(&due[last]) {
            due[last].dst |= LEADER;
        }
    }

    /// The bag of a due event that is not single, in canonical order; empty if it belongs to an earlier one's.
    #[inline(never)]
    pub(super) fn bag(&mut self, due: &[Event], leader: usize) -> &[Event] {
        self.bag.clear();
        if due[leader].dst & FOLLOWER != 0 {
            return &self.bag;
        }
        let mut at = leader as u32;
        while let Some(event) = due.get(at as usize) {
            self.bag.push(Event {
                dst: cell(event),
                ..*event
            });
            at = self.next[at as usize];
        }
        sort_canonically(&mut self.bag);
        &self.bag
    }
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

    fn bags(collider: &mut Collider, due: &mut [Event], heads: &mut [Head]) -> Vec<Vec<(u32, u32, i64)>> {
        collider.group(due, heads);
        let plain = |event: &Event| (event.dst, event.src.0, event.payload);
        let mut bags = Vec::new();
        for (at, event) in due.iter().enumerate() {
            let bag = if is_single(event) {
                &due[at..=at]
            } else {
                collider.bag(due, at)
            };
            if !bag.is_empty() {
                bags.push(bag.iter().map(plain).collect());
            }
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
        let mut heads = vec![Head::zeroed(); 8];
        let mut collider = Collider::new(16);
        let due = [
            event(3, 9, 1),
            event(5, 1, 1),
            event(3, 2, 5),
            event(1, 0, 0),
            event(3, 2, -5),
            event(1, 0, -1),
            event(3, 0, 0),
        ];
        let expected = [
            vec![(3, 0, 0), (3, 2, -5), (3, 2, 5), (3, 9, 1)],
            vec![(5, 1, 1)],
            vec![(1, 0, -1), (1, 0, 0)],
        ];
        for mark in [1, 8, u32::MAX - 8, u32::MAX - 7, u32::MAX - 6] {
            // Also when the marks start over.
            collider.mark = mark;
            for _ in 0..2 {
                assert_eq!(bags(&mut collider, &mut due.clone(), &mut heads), expected);
            }
        }
    }
}
