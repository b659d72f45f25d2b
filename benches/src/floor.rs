//! The *floor*: the bare hold operation on a timing wheel, what the machine can do. It takes the due events, counts at
//! the cell, draws one of the cell's edges and a small delay, writes the delay to the edge, and puts the event back.
//! There is no model, no bag, no digest, no peer, no capacity and no far future, and no check that an index is in range.
//!
//! Events are of the kernel's size and wait in chunks, in a pool that is reused last in, first out. They are executed
//! where they lie. As in the kernel, a cell with its count and its few edges is half a cache line, so that an event touches
//! one line besides its own; with the edges in an array of their own the floor takes a quarter longer, and 1.8 times as
//! long on 128³ cells. The cells of the next chunk are fetched ahead.

/// Slots of the wheel; delays are shorter.
const SLOTS: usize = 256;
/// Events per chunk.
const ROOM: usize = 32;
/// Out-edges of each cell.
const DEGREE: u32 = 2;

/// Destination and, from bit 32 on, source; payload.
type Event = [u64; 2];

#[derive(Clone, Copy, Default)]
struct Link {
    to: u32,
    delay: u32,
}

#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct Cell {
    count: u64,
    degree: u32,
    links: [Link; DEGREE as usize],
}

/// Events that hop for ever.
pub struct Floor {
    max_delay: u64,
    now: usize,
    random: u64,
    cells: Vec<Cell>,
    /// For each slot the position behind its last event (chunk · 32 + index), 0 while it is empty.
    cursor: [u32; SLOTS],
    events: Vec<Event>,
    /// For each chunk the one before it in its slot, which is full; for a free one the next free one; 0 is none.
    before: Vec<u32>,
    free: u32,
}

impl Floor {
    /// So many events, spread over so many cells (a power of two), with delays from 1 to `max_delay`, at most 255.
    ///
    /// # Panics
    /// Other numbers.
    pub fn new(cells: u32, pending: u32, max_delay: u32) -> Floor {
        assert!(cells.is_power_of_two() && (1..SLOTS as u32).contains(&max_delay));
        let cell = Cell {
            degree: DEGREE,
            ..Cell::default()
        };
        let chunks = pending as usize / ROOM + SLOTS + 2;
        let mut floor = Floor {
            max_delay: u64::from(max_delay),
            now: 0,
            random: 42,
            cells: vec![cell; cells as usize],
            cursor: [0; SLOTS],
            events: vec![[0; 2]; chunks * ROOM],
            before: (1..=chunks as u32).map(|next| next % chunks as u32).collect(),
            free: 1,
        };
        for cell in 0..cells as usize {
            for link in 0..DEGREE as usize {
                floor.cells[cell].links[link].to = floor.draw() as u32 & (cells - 1);
            }
        }
        for number in 0..pending {
            let delay = 1 + floor.draw() as usize % max_delay as usize;
            floor.push(delay, [u64::from(number & (cells - 1)), 0]);
        }
        floor
    }

    /// Wyrand, the generator of the kernel's random numbers, as one stream.
    #[inline(always)]
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x2d35_8dcc_aa6c_78a5);
        let product = u128::from(self.random) * u128::from(self.random ^ 0x8bb8_4b93_962e_acc9);
        (product >> 64) as u64 ^ product as u64
    }

    #[inline(always)]
    fn push(&mut self, slot: usize, event: Event) {
        let mut position = self.cursor[slot % SLOTS] as usize;
        if position.is_multiple_of(ROOM) {
            position = self.extend(position);
        }
        // SAFETY: a position is one behind an event of a chunk that is not full, or the first of a chunk: it is below the
        // number of chunks times their room, which is the length.
        unsafe { *self.events.get_unchecked_mut(position) = event };
        self.cursor[slot % SLOTS] = position as u32 + 1;
    }

    /// A new chunk behind a full one, or the first one of its slot.
    #[cold]
    #[inline(never)]
    fn extend(&mut self, position: usize) -> usize {
        let chunk = self.free as usize;
        self.free = self.before[chunk];
        self.before[chunk] = (position / ROOM).saturating_sub(1) as u32;
        chunk * ROOM
    }

    /// Executes the events of the next tick; returns how many.
    fn tick(&mut self) -> u64 {
        self.now += 1;
        let position = std::mem::take(&mut self.cursor[self.now % SLOTS]) as usize;
        if position == 0 {
            return 0;
        }
        let mut chunk = (position - 1) / ROOM;
        let mut count = position - chunk * ROOM;
        let mut executed = 0;
        while chunk != 0 {
            self.fetch(self.before[chunk] as usize);
            for position in chunk * ROOM..chunk * ROOM + count {
                self.hold(position);
            }
            executed += count as u64;
            count = ROOM;
            let before = std::mem::replace(&mut self.before[chunk], self.free);
            self.free = chunk as u32;
            chunk = before as usize;
        }
        executed
    }

    /// Asks for the cells and edges of a full chunk's events.
    #[inline(always)]
    fn fetch(&self, chunk: usize) {
        for event in &self.events[chunk * ROOM..][..ROOM] {
            fetch(&self.cells, event[0] as u32 as usize);
        }
    }

    #[inline(always)]
    fn hold(&mut self, position: usize) {
        let draw = self.draw();
        let delay = 1 + (((draw & 0xffff_ffff) * self.max_delay) >> 32);
        // SAFETY: positions are those of stored events (see `push`), and their destinations are numbers of cells:
        // `new` makes no others, neither in events nor in edges.
        let (event, cell) = unsafe {
            let event = *self.events.get_unchecked(position);
            (event, self.cells.get_unchecked_mut(event[0] as u32 as usize))
        };
        cell.count += 1;
        let edge = ((draw >> 32) * u64::from(cell.degree)) >> 32;
        // SAFETY: a random number below the degree stays among the cell's edges.
        let link = unsafe { cell.links.get_unchecked_mut(edge as usize) };
        link.delay = delay as u32;
        let place = u64::from(link.to) | event[0] << 32;
        self.push(self.now + delay as usize, [place, event[1] + 1]);
    }

    /// Executes ticks until at least this many events are executed; returns how many.
    pub fn run(&mut self, budget: u64) -> u64 {
        let mut executed = 0;
        while executed < budget {
            executed += self.tick();
        }
        executed
    }
}

/// Asks the processor for an element.
#[inline(always)]
fn fetch<T>(slice: &[T], index: usize) {
    let address = slice.as_ptr().wrapping_add(index).cast::<i8>();
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_is_lost_and_every_one_is_counted_at_its_cell() {
        let (pending, max_delay) = (1000, 7);
        let mut floor = Floor::new(64, pending, max_delay);
        let executed = floor.run(100_000);
        let counted: u64 = floor.cells.iter().map(|cell| cell.count).sum();
        assert_eq!(counted, executed);
        // Within as many ticks as the largest delay each of the events is executed at least once.
        let due: u64 = (0..max_delay).map(|_| floor.tick()).sum();
        assert!(due >= u64::from(pending), "{due}");
        assert!(
            floor
                .cells
                .iter()
                .flat_map(|cell| cell.links)
                .all(|link| (1..=max_delay).contains(&link.delay))
        );
    }
}
