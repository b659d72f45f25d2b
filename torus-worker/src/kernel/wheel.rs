//! The pending-event set: a timing wheel of 256 slots of one tick each, over seven levels for the far future.
//!
//! An event less than 256 ticks after `base` is *near*: it lies in slot `time % 256` and needs no time of its own. Any
//! other is *far*: its level is the highest byte in which its time differs from `base`, its slot that byte's value,
//! so a slot of level l covers 256^l ticks (hierarchical timing wheels: Varghese and Lauck 1987). `far_start` is the
//! first tick at which something far begins, an occupied slot or arrivals. Before `base` reaches it, the slot's events are
//! spread over the levels below. `base` advances to the tick being executed and never passes the end of the run.
//!
//! What peers send comes in nearly in the order in which it is due, and is far as a rule. It stays as it came
//! ([`Arrivals`]), and is put into the near slots page by page when it is due: queued in the far slots and spread from them
//! it was moved once more, and took 17.0 instead of 16.1 ns an event where 10 % are from peers.

use super::arrivals::Arrivals;
use super::chunks::{Chunks, FAR_ROOM, NEAR_ROOM, Packed};
use super::slots::{LEVELS, Level, SLOTS};
use shm_layout::record::{Event, TimedEvent};

const NEVER: u64 = u64::MAX;

/// Arrivals that are due within so many ticks are put into the slots together: 16 to 64 are alike, 4 take 2 % longer.
const BATCH: u64 = 16;

/// All pending events of a torus, up to a fixed number.
pub(super) struct Wheel {
    base: u64,
    far_start: u64,
    pending: u64,
    overflown: bool,
    near: Level,
    far: Box<[Level; LEVELS - 1]>,
    chunks: Chunks,
    /// What the peers sent last, as far as it is not in the slots yet; the older one first.
    arrivals: [Arrivals; 2],
}

impl Wheel {
    /// An empty wheel for at least `capacity` events: the owner checks [`Wheel::pending`]; beyond the capacity an event
    /// may be lost, and then [`Wheel::is_overflown`] says so. Up to `arrivals` come from a peer at once.
    pub(super) fn new(capacity: u32, arrivals: u32) -> Wheel {
        // Each list of chunks (one per slot, and one more while a far slot is being spread) ends in at most one chunk
        // that is not full; all the others hold at least FAR_ROOM events.
        let chunks = capacity.div_ceil(FAR_ROOM) as usize + LEVELS * SLOTS + 2;
        Wheel {
            base: 0,
            far_start: NEVER,
            pending: 0,
            overflown: false,
            near: Level::EMPTY,
            far: Box::new([Level::EMPTY; LEVELS - 1]),
            chunks: Chunks::new(chunks),
            arrivals: [(); 2].map(|()| Arrivals::with_capacity(arrivals as usize)),
        }
    }

    /// Back to an empty wheel that starts at tick `base`.
    pub(super) fn clear(&mut self, base: u64) {
        self.base = base;
        self.far_start = NEVER;
        self.pending = 0;
        self.overflown = false;
        self.near = Level::EMPTY;
        for level in self.far.iter_mut() {
            *level = Level::EMPTY;
        }
        self.chunks.clear();
        self.arrivals.iter_mut().for_each(Arrivals::clear);
    }

    /// Pending events.
    #[inline]
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// Whether an event was lost because no chunk was free.
    #[inline]
    pub(super) fn is_overflown(&self) -> bool {
        self.overflown
    }

    /// Adds an event at a tick not before `base`.
    #[inline(always)]
    pub(super) fn push(&mut self, time: u64, event: Event) {
        debug_assert!(time >= self.base, "time {time} lies before base {}", self.base);
        self.pending += 1;
        if time - self.base < SLOTS as u64 {
            self.push_near(time as usize % SLOTS, Packed::new(event));
        } else {
            self.push_far(time, event);
        }
    }

    /// Adds an event at any tick. One before `base`, which only a script can ask for, rebuilds the wheel.
    pub(super) fn schedule(&mut self, time: u64, event: Event) {
        if time < self.base {
            self.rebase(time);
        }
        self.push(time, event);
    }

    /// Adds what a peer sent, each event as [`Wheel::schedule`] does, and leaves in its place what is not needed any more.
    pub(super) fn schedule_arrivals(&mut self, arrivals: &mut Arrivals) {
        if arrivals.due() < self.base {
            return arrivals
                .events()
                .iter()
                .for_each(|event| self.schedule(event.time, event.event()));
        }
        self.put_arrived(0, NEVER);
        self.pending += arrivals.events().len() as u64;
        self.far_start = self.far_start.min(arrivals.due());
        std::mem::swap(&mut self.arrivals[0], arrivals);
        self.arrivals.swap(0, 1);
    }

    /// Puts arrivals into the slots: those that are due before `time`, and what stands with them.
    fn put_arrived(&mut self, which: usize, time: u64) {
        let mut arrivals = std::mem::take(&mut self.arrivals[which]);
        let events = arrivals.take_before(time);
        self.pending -= events.len() as u64;
        for event in events {
            self.push(event.time, event.event());
        }
        self.arrivals[which] = arrivals;
    }

    /// Adds an event that was emitted at the tick being executed, which is `base`.
    #[inline(always)]
    pub(super) fn emit(&mut self, delay: u32, event: Packed) {
        let time = self.base + u64::from(delay);
        self.pending += 1;
        if delay < SLOTS as u32 {
            self.push_near(time as usize % SLOTS, event);
        } else {
            self.push_far(time, event.event());
        }
    }

    #[inline(always)]
    fn push_near(&mut self, slot: usize, event: Packed) {
        let mut position = self.near.cursor[slot];
        if position & (NEAR_ROOM - 1) == 0 {
            match self.extend_near(slot) {
                Some(start) => position = start,
                None => return,
            }
        }
        self.chunks.put(position, event);
        self.near.cursor[slot] = position + 1;
    }

    /// Appends a chunk to a near slot that is empty or whose last chunk is full.
    #[cold]
    #[inline(never)]
    fn extend_near(&mut self, slot: usize) -> Option<u32> {
        let Some(chunk) = self.chunks.take() else {
            self.overflown = true;
            return None;
        };
        if self.near.is_occupied(slot) {
            self.chunks
                .set_next(self.near.cursor[slot] / NEAR_ROOM - 1, chunk);
        } else {
            self.near.occupy(slot, chunk);
        }
        Some(chunk * NEAR_ROOM)
    }

    #[cold]
    #[inline(never)]
    fn push_far(&mut self, time: u64, event: Event) {
        self.queue_far(time, event);
    }

    #[inline(always)]
    fn queue_far(&mut self, time: u64, event: Event) {
        let Event { dst, src, payload } = event;
        let byte = (63 - (time ^ self.base).leading_zeros()) / 8;
        let slot = (time >> (8 * byte)) as usize % SLOTS;
        let level = &mut self.far[byte as usize - 1];
        let mut cursor = level.cursor[slot];
        if !level.is_occupied(slot) || cursor % NEAR_ROOM == FAR_ROOM {
            let Some(chunk) = self.chunks.take() else {
                self.overflown = true;
                return;
            };
            self.chunks.prefetch_free();
            if level.is_occupied(slot) {
                self.chunks.set_next(cursor / NEAR_ROOM, chunk);
            } else {
                level.occupy(slot, chunk);
            }
            cursor = chunk * NEAR_ROOM;
        }
        self.chunks.put_far(
            cursor / NEAR_ROOM,
            cursor % NEAR_ROOM,
            TimedEvent {
                time,
                dst,
                src,
                payload,
            },
        );
        level.cursor[slot] = cursor + 1;
        self.far_start = self.far_start.min(time >> (8 * byte) << (8 * byte));
    }

    /// The earliest tick before `end` that has events; `base` moves there.
    #[inline]
    pub(super) fn next_tick(&mut self, end: u64) -> Option<u64> {
        loop {
            let near = self.next_near();
            if near < self.far_start {
                if near >= end {
                    return None;
                }
                self.base = near;
                return Some(near);
            }
            if self.far_start >= end {
                return None;
            }
            self.spread();
        }
    }

    #[inline]
    fn next_near(&self) -> u64 {
        let distance = self.near.distance_from(self.base as usize % SLOTS);
        distance.map_or(NEVER, |distance| self.base + distance)
    }

    /// Moves `base` to where the earliest far slot or the earliest arrivals begin, and these to the levels below.
    #[cold]
    #[inline(never)]
    fn spread(&mut self) {
        let start = self.far_start;
        self.base = start;
        self.far_start = NEVER;
        if self.start_of_far() == start {
            self.spread_slot();
        }
        for which in 0..2 {
            self.put_arrived(which, start.saturating_add(BATCH));
        }
        let arrived = self.arrivals.iter().map(Arrivals::due).min().unwrap_or(NEVER);
        self.far_start = self.far_start.min(self.start_of_far()).min(arrived);
    }

    /// The first tick of the earliest occupied far slot.
    fn start_of_far(&self) -> u64 {
        match self.earliest_far() {
            Some((level, slot)) => {
                let shift = 8 * (level as u32 + 1);
                let above = self
                    .base
                    .checked_shr(shift + 8)
                    .map_or(0, |high| high << (shift + 8));
                above | (slot as u64) << shift
            }
            None => NEVER,
        }
    }

    /// Spreads the earliest far slot's events over the levels below it.
    fn spread_slot(&mut self) {
        let Some((level, slot)) = self.earliest_far() else {
            return;
        };
        let (mut chunk, cursor) = self.far[level].vacate(slot);
        let last = (cursor - 1) / NEAR_ROOM;
        loop {
            let count = if chunk == last {
                cursor - last * NEAR_ROOM
            } else {
                FAR_ROOM
            };
            // They were queued long ago and have left the caches since.
            let next = self.chunks.next(chunk);
            if chunk != last {
                self.chunks.prefetch(next);
            }
            let mut events = [TimedEvent::default(); FAR_ROOM as usize];
            let events = &mut events[..count as usize];
            events.copy_from_slice(self.chunks.far(chunk, count));
            self.chunks.give_back(chunk, chunk);
            self.pending -= u64::from(count);
            for &TimedEvent {
                time,
                dst,
                src,
                payload,
            } in events.iter()
            {
                self.push(time, Event { dst, src, payload });
            }
            if chunk == last {
                return;
            }
            chunk = next;
        }
    }

    /// Level (from 0 for times that differ from `base` in byte 1) and slot of the earliest far events.
    fn earliest_far(&self) -> Option<(usize, usize)> {
        self.far
            .iter()
            .enumerate()
            .find_map(|(level, slots)| slots.lowest().map(|slot| (level, slot)))
    }

    /// Removes the events of tick `base` and shows them to `visit`, slice by slice.
    #[inline]
    pub(super) fn drain(&mut self, mut visit: impl FnMut(&[Event])) {
        let slot = self.base as usize % SLOTS;
        let (first, cursor) = self.near.vacate(slot);
        let last = (cursor - 1) / NEAR_ROOM;
        let mut chunk = first;
        while chunk != last {
            let next = self.chunks.next(chunk);
            self.chunks.prefetch(next);
            visit(self.chunks.near(chunk, NEAR_ROOM));
            self.pending -= u64::from(NEAR_ROOM);
            chunk = next;
        }
        let count = cursor - last * NEAR_ROOM;
        visit(self.chunks.near(last, count));
        self.pending -= u64::from(count);
        self.chunks.give_back(first, last);
    }

    /// The ticks that have near events, in order, and the slot of each.
    pub(super) fn near_ticks(&self) -> impl Iterator<Item = (u64, usize)> {
        let ticks = (self.base..=self.base.saturating_add(SLOTS as u64 - 1)).take(SLOTS);
        ticks
            .map(|time| (time, time as usize % SLOTS))
            .filter(|(_, slot)| self.near.is_occupied(*slot))
    }

    /// How many events a near slot has that has some.
    pub(super) fn near_count(&self, slot: usize) -> u64 {
        let mut count = 0;
        self.near_chunks(slot, |_, events| count += u64::from(events));
        count
    }

    /// Visits the events of a near slot that has some, slice by slice.
    pub(super) fn visit_slot(&self, slot: usize, mut visit: impl FnMut(&[Event])) {
        self.near_chunks(slot, |chunk, events| visit(self.chunks.near(chunk, events)));
    }

    /// Each chunk of a near slot that has some, with the number of events in it.
    #[inline]
    fn near_chunks(&self, slot: usize, mut visit: impl FnMut(u32, u32)) {
        let (mut chunk, cursor) = (self.near.first[slot], self.near.cursor[slot]);
        let last = (cursor - 1) / NEAR_ROOM;
        while chunk != last {
            let next = self.chunks.next(chunk);
            self.chunks.prefetch(next);
            visit(chunk, NEAR_ROOM);
            chunk = next;
        }
        visit(last, cursor - last * NEAR_ROOM);
    }

    /// Visits the far events slice by slice, in no particular order.
    pub(super) fn visit_far(&self, mut visit: impl FnMut(&[TimedEvent])) {
        self.arrivals.iter().for_each(|arrivals| visit(arrivals.events()));
        for level in self.far.iter() {
            for slot in (0..SLOTS).filter(|slot| level.is_occupied(*slot)) {
                let (mut chunk, cursor) = (level.first[slot], level.cursor[slot]);
                let last = (cursor - 1) / NEAR_ROOM;
                while chunk != last {
                    visit(self.chunks.far(chunk, FAR_ROOM));
                    chunk = self.chunks.next(chunk);
                }
                visit(self.chunks.far(last, cursor - last * NEAR_ROOM));
            }
        }
    }

    /// Visits all pending events.
    pub(super) fn visit(&self, mut visit: impl FnMut(u64, &Event)) {
        for (time, slot) in self.near_ticks() {
            self.visit_slot(slot, |events| events.iter().for_each(|event| visit(time, event)));
        }
        self.visit_far(|events| {
            for &TimedEvent {
                time,
                dst,
                src,
                payload,
            } in events
            {
                visit(time, &Event { dst, src, payload });
            }
        });
    }

    /// Takes out all events for a cell, in no particular order. It rebuilds the wheel, and allocates.
    #[cold]
    pub(super) fn extract(&mut self, cell: u32) -> Vec<TimedEvent> {
        let (extracted, others): (Vec<_>, Vec<_>) =
            self.timed().into_iter().partition(|event| event.dst == cell);
        if !extracted.is_empty() {
            self.refill(self.base, others);
        }
        extracted
    }

    /// Removes the first `count` events in canonical order: by time, destination, source, payload. It allocates, and only
    /// the corrective response of a model at a boundary needs it.
    #[cold]
    pub(super) fn withdraw(&mut self, count: u64) {
        let mut events = self.timed();
        if count >= self.pending {
            events.clear();
        } else if count > 0 {
            events.select_nth_unstable(count as usize - 1);
            events.drain(..count as usize);
        }
        self.refill(self.base, events);
    }

    /// All events with their times.
    fn timed(&self) -> Vec<TimedEvent> {
        let mut events = Vec::with_capacity(self.pending as usize);
        self.visit(|time, &Event { dst, src, payload }| {
            events.push(TimedEvent {
                time,
                dst,
                src,
                payload,
            });
        });
        events
    }

    /// Holds these events, around this base, and no others.
    fn refill(&mut self, base: u64, events: Vec<TimedEvent>) {
        let overflown = self.overflown;
        self.clear(base);
        self.overflown = overflown;
        for event in events {
            self.push(event.time, event.event());
        }
    }

    /// Moves the events in slots together where there have been many more of them. It is to be called between intervals,
    /// because it allocates.
    ///
    /// A torus of phold with remote events begins with seven times the events that its slots hold later. Chunks are reused
    /// last in, first out, so those in use would stay where the many were, almost a page for each, and a tick's drain would
    /// wait for the next one's page.
    pub(super) fn gather(&mut self) {
        if self
            .chunks
            .are_scattered(self.pending - self.arrived(), LEVELS * SLOTS)
        {
            self.move_together();
        }
    }

    /// Events that are in no slot.
    fn arrived(&self) -> u64 {
        let each = self
            .arrivals
            .iter()
            .map(|arrivals| arrivals.events().len() as u64);
        each.sum()
    }

    /// Chunks that have been in use since all were free.
    #[cfg(test)]
    pub(super) fn chunks_touched(&self) -> u32 {
        self.chunks.touched()
    }

    #[cold]
    pub(super) fn move_together(&mut self) {
        let arrived = self.arrived();
        let arrivals = std::mem::take(&mut self.arrivals);
        let events = self.timed();
        self.refill(self.base, events);
        self.pending += arrived;
        for arrivals in &arrivals {
            self.far_start = self.far_start.min(arrivals.due());
        }
        self.arrivals = arrivals;
    }

    /// Flips a bit of the payload of one pending event, which `seed` chooses: a near one if there is any. Returns whether
    /// there was an event.
    pub(super) fn flip_payload_bit(&mut self, seed: u64, bit: u64) -> bool {
        let occupied = |level: &Level| (0..SLOTS).filter(|slot| level.is_occupied(*slot)).count();
        let levels = std::iter::once(&self.near).chain(self.far.iter());
        let Some((number, level)) = levels.enumerate().find(|(_, level)| occupied(level) > 0) else {
            return self
                .arrivals
                .iter_mut()
                .any(|arrivals| arrivals.flip_payload_bit(seed, bit));
        };
        let nth = seed as usize % occupied(level);
        let Some(slot) = (0..SLOTS).filter(|slot| level.is_occupied(*slot)).nth(nth) else {
            return false;
        };
        // The last chunk of the slot is never empty.
        let last = level.cursor[slot] - 1;
        let index = (seed >> 32) as u32 % (last % NEAR_ROOM + 1);
        self.chunks
            .flip_payload_bit(last / NEAR_ROOM, index, number > 0, bit);
        true
    }

    /// Rebuilds the wheel around an earlier base. It allocates, and only a script that injects at the last executed
    /// time needs it: live intake is never earlier than the end of the run before it.
    #[cold]
    fn rebase(&mut self, base: u64) {
        let events = self.timed();
        self.refill(base, events);
    }
}
