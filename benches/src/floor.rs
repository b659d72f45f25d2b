//! The *floor*: the bare hold operation on a timing wheel, what the machine can do. It takes the due events, counts at
//! the cell, draws one of its edges and a small delay, writes the delay to the edge, and puts the event back. There is no
//! model, no bag, no digest, no peer, no capacity and no far future.
//!
//! Events are of the kernel's size and wait in chunks, in a pool that is reused last in, first out. They are executed
//! where they lie.

/// Slots of the wheel; delays are shorter.
const SLOTS: usize = 256;
/// Events per chunk.
const ROOM: usize = 32;

/// Destination and, from bit 32 on, source; payload.
type Event = [u64; 2];

#[derive(Clone, Copy, Default)]
struct Link {
    to: u32,
    delay: u32,
}

/// Events that hop for ever over cells with two out-edges each.
pub struct Floor {
    max_delay: u64,
    now: usize,
    random: u64,
    counts: Vec<u64>,
    links: Vec<[Link; 2]>,
    /// For each slot the position behind its last event (chunk · 32 + index), 0 while it is empty.
    cursor: [u32; SLOTS],
    chunks: Vec<[Event; ROOM]>,
    /// For each chunk the one before it in its slot, which is full; for a free one the next free one; 0 is none.
    before: Vec<u32>,
    free: u32,
}

impl Floor {
    /// So many events, spread over so many cells (a power of two), with delays from 1 to `max_delay`, at most 255.
    pub fn new(cells: u32, pending: u32, max_delay: u32) -> Floor {
        assert!(cells.is_power_of_two() && (1..SLOTS as u32).contains(&max_delay));
        let chunks = pending as usize / ROOM + SLOTS + 2;
        let mut floor = Floor {
            max_delay: u64::from(max_delay),
            now: 0,
            random: 42,
            counts: vec![0; cells as usize],
            links: vec![[Link::default(); 2]; cells as usize],
            cursor: [0; SLOTS],
            chunks: vec![[[0; 2]; ROOM]; chunks],
            before: (0..chunks as u32)
                .map(|chunk| (chunk + 1) % chunks as u32)
                .collect(),
            free: 1,
        };
        for cell in 0..cells as usize {
            for index in 0..2 {
                floor.links[cell][index].to = floor.draw() as u32 & (cells - 1);
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
        self.chunks[position / ROOM][position % ROOM] = event;
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
            for index in 0..count {
                self.hold(chunk, index);
            }
            executed += count as u64;
            count = ROOM;
            let before = std::mem::replace(&mut self.before[chunk], self.free);
            self.free = chunk as u32;
            chunk = before as usize;
        }
        executed
    }

    #[inline(always)]
    fn hold(&mut self, chunk: usize, index: usize) {
        let [place, payload] = self.chunks[chunk][index];
        let cell = place as u32 as usize;
        self.counts[cell] += 1;
        let draw = self.draw();
        let delay = 1 + (((draw & 0xffff_ffff) * self.max_delay) >> 32);
        let link = &mut self.links[cell][(draw >> 63) as usize];
        link.delay = delay as u32;
        let to = u64::from(link.to);
        self.push(self.now + delay as usize, [to | (cell as u64) << 32, payload + 1]);
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
