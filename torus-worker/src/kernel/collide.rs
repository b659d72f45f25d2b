//! Collide: the events due at one tick, grouped by destination cell into input bags.
//!
//! Events for one cell mostly arrive next to one another, because the cell that emitted them did so in one call. So the
//! due events are first cut into *runs* of equal destination. Each cell's `seen` mark tells whether an earlier run of
//! this tick went there; such runs are chained to the first one. A bag is then a run, in place, or a chain, gathered.

use super::cells::{Head, Target};
use super::prefetch::prefetch;
use bytemuck::{Pod, Zeroable};
use shm_layout::record::Event;

const NONE: u32 = u32::MAX;
/// Set in `Run::start` of a run that belongs to the chain of an earlier one.
const FOLLOWER: u32 = 1 << 31;
/// Set in `Run::start` of a run that has such followers.
const LEADER: u32 = 1 << 30;
const START: u32 = LEADER - 1;
/// How many runs can be read behind the last one: a mark of the end, and some without meaning for looking ahead.
pub(super) const BEHIND: usize = 16;
/// How many events ahead cells are prefetched.
const AHEAD: usize = 12;

/// Consecutive due events for one cell.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Run {
    /// The cell.
    pub(super) cell: u32,
    /// Index of its first due event, and flags; its end is the next run's start.
    start: u32,
    /// Copied while the cell's head is in the cache.
    pub(super) target: Target,
}

impl Run {
    /// Index of its first due event.
    #[inline(always)]
    pub(super) fn start(self) -> usize {
        (self.start & START) as usize
    }

    /// Whether it begins exactly here and is not chained.
    #[inline(always)]
    pub(super) fn begins_at(self, start: u32) -> bool {
        self.start == start
    }

    /// Whether other runs of this tick go to the same cell.
    #[inline(always)]
    pub(super) fn is_chained(self) -> bool {
        self.start & !START != 0
    }

    fn is_follower(self) -> bool {
        self.start & FOLLOWER != 0
    }
}

/// The grouping of one tick's events.
pub(super) struct Collider {
    runs: Vec<Run>,
    /// For each chained run the next one of its chain.
    next: Vec<u32>,
    count: usize,
    bag: Vec<Event>,
    mark: u32,
}

impl Collider {
    /// For up to `capacity` events per tick.
    pub(super) fn new(capacity: u32) -> Collider {
        let capacity = capacity as usize;
        Collider {
            runs: bytemuck::zeroed_vec(capacity + BEHIND),
            next: bytemuck::zeroed_vec(capacity),
            count: 0,
            bag: Vec::with_capacity(capacity),
            mark: 1,
        }
    }

    /// Cuts `due` into runs and chains the runs of one cell.
    pub(super) fn group(&mut self, due: &[Event], heads: &mut [Head]) {
        if due.len() >= (u32::MAX - self.mark) as usize {
            heads.iter_mut().for_each(|head| head.seen = 0);
            self.mark = 1;
        }
        let mark = self.mark;
        let runs = &mut self.runs[..due.len() + 1];
        let mut count = 0;
        let mut cell = NONE;
        for (at, event) in due.iter().enumerate() {
            if let Some(ahead) = due.get(at + AHEAD) {
                prefetch(heads, ahead.dst as usize);
            }
            if event.dst == cell {
                continue;
            }
            cell = event.dst;
            let head = &mut heads[cell as usize];
            let mut run = Run {
                cell,
                start: at as u32,
                target: head.target,
            };
            let earlier = head.seen.wrapping_sub(mark);
            if earlier < count as u32 {
                run.start |= FOLLOWER;
                chain(runs, &mut self.next, earlier as usize, count);
            } else {
                head.seen = mark + count as u32;
            }
            runs[count] = run;
            count += 1;
        }
        runs[count] = Run {
            cell: 0,
            start: due.len() as u32,
            target: Target::zeroed(),
        };
        self.mark += count as u32;
        self.count = count;
    }

    /// The runs that `group` found, with [`BEHIND`] more.
    #[inline]
    pub(super) fn parts(&mut self) -> (&[Run], Gather<'_>) {
        (
            &self.runs[..self.count + BEHIND],
            Gather {
                next: &self.next,
                bag: &mut self.bag,
            },
        )
    }
}

/// Puts a run into the chain of an earlier one, right behind it.
#[cold]
fn chain(runs: &mut [Run], next: &mut [u32], leader: usize, follower: usize) {
    let leads = runs[leader].is_chained();
    next[follower] = if leads { next[leader] } else { NONE };
    next[leader] = follower as u32;
    runs[leader].start |= LEADER;
}

/// Collects the bags of chained runs.
pub(super) struct Gather<'a> {
    next: &'a [u32],
    bag: &'a mut Vec<Event>,
}

impl Gather<'_> {
    /// The bag that begins with a chained run, in canonical order; empty if it belongs to an earlier run's.
    #[inline(never)]
    pub(super) fn bag(&mut self, runs: &[Run], leader: usize, due: &[Event]) -> &[Event] {
        self.bag.clear();
        if runs[leader].is_follower() {
            return self.bag;
        }
        let mut at = leader;
        while let Some(run) = runs.get(at) {
            self.bag
                .extend_from_slice(&due[run.start()..runs[at + 1].start()]);
            at = self.next[at] as usize;
        }
        sort_canonically(self.bag);
        self.bag
    }
}

/// Sorts the events of one bag by source, then payload. They often are already.
#[inline]
pub(super) fn sort_canonically(bag: &mut [Event]) {
    let key = |event: &Event| (event.src.0, event.payload);
    if !bag.is_sorted_by_key(key) {
        bag.sort_unstable_by_key(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shm_layout::record::Source;

    fn bags(collider: &mut Collider, due: &mut [Event], heads: &mut [Head]) -> Vec<Vec<(u32, u32, i64)>> {
        collider.group(due, heads);
        let (runs, mut gather) = collider.parts();
        let plain = |event: &Event| (event.dst, event.src.0, event.payload);
        let mut bags = Vec::new();
        for (at, run) in runs[..runs.len() - BEHIND].iter().enumerate() {
            let bag = &mut due[run.start()..runs[at + 1].start()];
            sort_canonically(bag);
            let bag = if run.is_chained() {
                gather.bag(runs, at, due)
            } else {
                bag
            };
            if !bag.is_empty() {
                bags.push(bag.iter().map(plain).collect());
            }
        }
        bags
    }

    #[test]
    fn runs_of_one_cell_become_one_sorted_bag() {
        let event = |dst, src, payload| Event {
            dst,
            src: Source(src),
            payload,
        };
        let mut heads = vec![Head::zeroed(); 8];
        let mut collider = Collider::new(16);
        let mut due = [
            event(3, 9, 1),
            event(3, 2, 5),
            event(1, 0, 0),
            event(3, 2, -5),
            event(1, 0, -1),
            event(3, 0, 0),
        ];
        for _ in 0..3 {
            let found = bags(&mut collider, &mut due.clone(), &mut heads);
            let expected = [
                vec![(3, 0, 0), (3, 2, -5), (3, 2, 5), (3, 9, 1)],
                vec![(1, 0, -1), (1, 0, 0)],
            ];
            assert_eq!(found, expected);
        }
        // Also when the marks start over.
        collider.mark = u32::MAX - 4;
        assert_eq!(bags(&mut collider, &mut due, &mut heads).len(), 2);
    }
}
