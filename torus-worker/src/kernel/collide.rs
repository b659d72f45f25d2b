//! Collide: the events due at one tick, grouped by destination cell into input bags.
//!
//! Most cells that are hit at all are hit by one event. Such events stand one after the other in `singles`, and each is
//! a bag. The others stand in `shared`. In dense models the events for one cell mostly come one after the other, because
//! the cell that emitted them did so in one call, and then they also stand next to one another in `shared`: a *piece*.
//! A bag of one piece is delivered where it stands; the pieces of others are chained, and gathered for delivery.
//!
//! One bit per cell tells whether this tick had an event for it already. The bits of 32³ cells stay in the innermost
//! cache; a mark in the cell itself moved every cell there and back once more.

use super::chunks::Packed;
use super::digest::TickDigest;
use super::prefetch::Ahead;
use bytemuck::{Pod, Zeroable};
use shm_layout::record::Event;

const NONE: u32 = u32::MAX;
/// Cells of a group.
const GROUP: usize = 32;

/// The grouping of one tick's events.
pub(super) struct Collider {
    groups: Vec<Group>,
    /// Events that are the only ones for their cells, `alone` of them, with room for as many as can be pending.
    singles: Vec<Packed>,
    alone: usize,
    /// For each of them, the one before it for a cell of the same group. The first one's has no meaning.
    before: Vec<u32>,
    /// Events of bags of several.
    shared: Vec<Event>,
    pieces: Vec<Piece>,
    bags: Vec<Chain>,
    gathered: Vec<Event>,
    /// For each cell that has a bag of several events at this tick, `mark` plus the bag's number; less for others.
    bag_of: Vec<u32>,
    mark: u32,
}

/// What this tick had for 32 neighbouring cells.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Group {
    /// The cells that were hit.
    hit: u32,
    /// Where the latest of their events is in `singles`; without meaning if there is none.
    latest: u32,
}

/// Events of one bag that stand next to one another in `shared`.
#[derive(Clone, Copy)]
struct Piece {
    start: u32,
    end: u32,
    /// The next piece of the bag.
    next: u32,
}

/// A bag of several events: its first piece and its last.
#[derive(Clone, Copy)]
struct Chain {
    first: u32,
    last: u32,
}

impl Collider {
    /// For a torus of so many cells and up to `capacity` events per tick.
    pub(super) fn new(cells: u32, capacity: u32) -> Collider {
        let capacity = capacity as usize;
        Collider {
            groups: bytemuck::zeroed_vec((cells as usize).div_ceil(GROUP)),
            singles: bytemuck::zeroed_vec(capacity),
            alone: 0,
            before: bytemuck::zeroed_vec(capacity),
            shared: Vec::with_capacity(capacity),
            pieces: Vec::with_capacity(capacity),
            bags: Vec::with_capacity(capacity / 2),
            gathered: Vec::with_capacity(capacity),
            bag_of: bytemuck::zeroed_vec(cells as usize),
            mark: 1,
        }
    }

    /// Forgets the last tick.
    pub(super) fn begin(&mut self) {
        self.forget_hits();
        self.mark += self.bags.len() as u32;
        if self.singles.len() >= (u32::MAX - self.mark) as usize {
            self.bag_of.fill(0);
            self.mark = 1;
        }
        self.alone = 0;
        self.shared.clear();
        self.pieces.clear();
        self.bags.clear();
    }

    /// One by one where there were few, so that a tick with few events costs little on a large lattice.
    fn forget_hits(&mut self) {
        if self.events() > self.groups.len() as u64 / 8 {
            self.groups.iter_mut().for_each(|group| group.hit = 0);
            return;
        }
        for event in &self.singles[..self.alone] {
            self.groups[event.cell() / GROUP].hit = 0;
        }
        for event in &self.shared {
            self.groups[event.dst as usize / GROUP].hit = 0;
        }
    }

    /// Takes in some of the tick's events, and returns the sum of their hashes. That they are read only once is worth
    /// the two purposes.
    pub(super) fn take_in<C>(&mut self, due: &[Event], digest: TickDigest, ahead: Ahead<'_, C>) -> u64 {
        let mut sum = 0u64;
        let mut rest = bytemuck::cast_slice::<Event, Packed>(due);
        loop {
            let taken = self.take_singles(rest, digest, ahead, &mut sum);
            rest = &rest[taken..];
            if rest.is_empty() {
                return sum;
            }
            let (run, behind) = rest.split_at(run_length(rest));
            self.share(run);
            sum = sum.wrapping_add(digest.sum(run));
            rest = behind;
        }
    }

    /// Takes in events up to the first one whose cell has been hit at this tick; returns how many.
    #[inline(always)]
    fn take_singles<C>(
        &mut self,
        due: &[Packed],
        digest: TickDigest,
        ahead: Ahead<'_, C>,
        sum: &mut u64,
    ) -> usize {
        let mut taken = 0;
        let singles = &mut self.singles[self.alone..];
        let before = &mut self.before[self.alone..];
        for ((event, place), before) in due.iter().zip(singles).zip(before) {
            let cell = event.cell();
            let group = &mut self.groups[cell / GROUP];
            let hit = group.hit | 1 << (cell % GROUP);
            if group.hit == hit {
                break;
            }
            group.hit = hit;
            *before = group.latest;
            group.latest = (self.alone + taken) as u32;
            ahead.fetch_edges(cell);
            *sum = sum.wrapping_add(digest.packed(*event));
            *place = *event;
            taken += 1;
        }
        self.alone += taken;
        taken
    }

    /// Takes in events for a cell that has been hit at this tick.
    #[inline(never)]
    fn share(&mut self, run: &[Packed]) {
        let cell = run[0].cell();
        if self.bag_of[cell] < self.mark {
            self.bag_of[cell] = self.mark + self.bags.len() as u32;
            self.open_bag(cell);
        }
        let bag = &mut self.bags[(self.bag_of[cell] - self.mark) as usize];
        let start = self.shared.len() as u32;
        match run {
            [event] => self.shared.push(event.event()),
            _ => self.shared.extend_from_slice(bytemuck::cast_slice(run)),
        }
        let (end, piece) = (self.shared.len() as u32, self.pieces.len() as u32);
        let last = &mut self.pieces[bag.last as usize];
        if last.end == start {
            last.end = end;
            return;
        }
        last.next = piece;
        bag.last = piece;
        self.pieces.push(Piece {
            start,
            end,
            next: NONE,
        });
    }

    /// Moves the event for a cell from `singles` into a bag, and the last one there to its place.
    fn open_bag(&mut self, cell: usize) {
        let position = self.find(cell);
        let first = self.singles[position];
        self.relink(cell, position, self.before[position]);
        self.alone -= 1;
        if position != self.alone {
            let last = self.singles[self.alone];
            self.singles[position] = last;
            self.before[position] = self.before[self.alone];
            self.relink(last.cell(), self.alone, position as u32);
        }
        let (start, piece) = (self.shared.len() as u32, self.pieces.len() as u32);
        self.shared.push(first.event());
        self.pieces.push(Piece {
            start,
            end: start + 1,
            next: NONE,
        });
        self.bags.push(Chain {
            first: piece,
            last: piece,
        });
    }

    /// Where the event for a cell is in `singles`; it is there.
    fn find(&self, cell: usize) -> usize {
        let mut position = self.groups[cell / GROUP].latest as usize;
        while self.singles[position].cell() != cell {
            position = self.before[position] as usize;
        }
        position
    }

    /// Lets what leads to a position of `singles`, in the chain of a cell's group, lead to another one.
    fn relink(&mut self, cell: usize, from: usize, to: u32) {
        let latest = &mut self.groups[cell / GROUP].latest;
        let mut at = *latest as usize;
        if at == from {
            *latest = to;
            return;
        }
        while self.before[at] as usize != from {
            at = self.before[at] as usize;
        }
        self.before[at] = to;
    }

    /// The number of events taken in.
    pub(super) fn events(&self) -> u64 {
        (self.alone + self.shared.len()) as u64
    }

    /// The events that are the only ones for their cells.
    pub(super) fn singles(&self) -> &[Event] {
        bytemuck::cast_slice(&self.singles[..self.alone])
    }

    /// The number of bags of several events.
    pub(super) fn bags(&self) -> usize {
        self.bags.len()
    }

    /// A bag of several events, in canonical order.
    #[inline]
    pub(super) fn bag(&mut self, number: usize) -> &[Event] {
        let Chain { first, last } = self.bags[number];
        if first == last {
            let Piece { start, end, .. } = self.pieces[first as usize];
            let bag = &mut self.shared[start as usize..end as usize];
            sort_canonically(bag);
            return bag;
        }
        self.gather(first)
    }

    #[inline(never)]
    fn gather(&mut self, first: u32) -> &[Event] {
        self.gathered.clear();
        let mut piece = first;
        while piece != NONE {
            let Piece { start, end, next } = self.pieces[piece as usize];
            self.gathered
                .extend_from_slice(&self.shared[start as usize..end as usize]);
            piece = next;
        }
        sort_canonically(&mut self.gathered);
        &self.gathered
    }
}

/// How many events at the beginning are for the same cell.
#[inline]
fn run_length(events: &[Packed]) -> usize {
    let cell = events[0].cell();
    events.iter().take_while(|event| event.cell() == cell).count()
}

/// Sorts the events of one bag by source, then payload. Most are two, and they often are sorted already.
#[inline]
fn sort_canonically(bag: &mut [Event]) {
    let key = |event: &Event| (event.src.0, event.payload);
    if let [first, second] = bag {
        if key(second) < key(first) {
            std::mem::swap(first, second);
        }
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
        let ahead = Ahead::<u64> {
            cells: &[],
            pool: &[],
        };
        let (some, others) = due.split_at(due.len() / 3);
        for part in [some, others] {
            collider.take_in(part, TickDigest::new(1), ahead);
        }
        let plain = |event: &Event| (event.dst, event.src.0, event.payload);
        let mut bags: Vec<_> = collider
            .singles()
            .iter()
            .map(|event| vec![plain(event)])
            .collect();
        for number in 0..collider.bags() {
            bags.push(collider.bag(number).iter().map(plain).collect());
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
            collider.mark = mark;
            collider.bag_of.fill(0);
            for _ in 0..3 {
                assert_eq!(bags(&mut collider, &due), expected);
                assert_eq!(collider.events(), due.len() as u64);
            }
        }
    }
}
