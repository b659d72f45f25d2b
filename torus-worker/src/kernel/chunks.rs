//! The pool of fixed-size chunks that hold the pending events.

use super::prefetch::prefetch;
use bytemuck::{Pod, Zeroable};
use shm_layout::record::{Event, Source, TimedEvent};

/// Events without time that one chunk holds.
pub(super) const NEAR_ROOM: u32 = 32;
/// Events with time that one chunk holds.
pub(super) const FAR_ROOM: u32 = 21;
const NONE: u32 = u32::MAX;

/// An [`Event`] as two words, written and read as such on the way from the handler to the chunk: as a record of three
/// fields it went through narrow stores and wide loads, and the processor waits when the one follows the other closely
/// (a third of the time of phold).
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Packed {
    /// Destination, and from bit 32 on the source.
    pub(super) place: u64,
    pub(super) payload: u64,
}

impl Packed {
    #[inline(always)]
    pub(super) fn new(event: Event) -> Packed {
        let Event { dst, src, payload } = event;
        Packed {
            place: u64::from(dst) | u64::from(src.0) << 32,
            payload: payload as u64,
        }
    }

    /// The destination cell.
    #[inline(always)]
    pub(super) fn cell(self) -> usize {
        self.place as u32 as usize
    }

    pub(super) fn event(self) -> Event {
        Event {
            dst: self.place as u32,
            src: Source((self.place >> 32) as u32),
            payload: self.payload as i64,
        }
    }
}

/// Chunks of 512 bytes with their links: each holds 32 events of the near wheel, or 21 timed events of the far levels.
/// A free chunk is reused last in, first out, so that the pool in use stays in the cache.
pub(super) struct Chunks {
    /// All chunks, one after the other, as near events.
    events: Vec<Packed>,
    link: Vec<u32>,
    free: u32,
    fresh: u32,
}

impl Chunks {
    pub(super) fn new(count: usize) -> Chunks {
        Chunks {
            events: bytemuck::zeroed_vec(count * NEAR_ROOM as usize),
            link: bytemuck::zeroed_vec(count),
            free: NONE,
            fresh: 0,
        }
    }

    /// Gives every chunk back.
    pub(super) fn clear(&mut self) {
        self.free = NONE;
        self.fresh = 0;
    }

    /// Whether so many events take about a quarter or less of the memory that has been in use since all chunks were free. Of
    /// each of the `lists` one chunk may be less than full, and the others hold [`FAR_ROOM`] events at least; so it is not so
    /// right after they have been moved together.
    pub(super) fn are_scattered(&self, events: u64, lists: usize) -> bool {
        u64::from(self.fresh) > 4 * events / u64::from(NEAR_ROOM) + lists as u64
    }

    /// Chunks that have been in use since all were free.
    #[cfg(test)]
    pub(super) fn touched(&self) -> u32 {
        self.fresh
    }

    /// A chunk that nobody uses, or none if all are in use.
    pub(super) fn take(&mut self) -> Option<u32> {
        if self.free != NONE {
            let chunk = self.free;
            self.free = self.link[chunk as usize];
            return Some(chunk);
        }
        let chunk = self.fresh;
        if chunk as usize == self.link.len() {
            return None;
        }
        self.fresh += 1;
        Some(chunk)
    }

    /// Gives back the chain of chunks from `first` to `last`.
    pub(super) fn give_back(&mut self, first: u32, last: u32) {
        self.link[last as usize] = self.free;
        self.free = first;
    }

    /// Makes `next` the chunk after `chunk`.
    pub(super) fn set_next(&mut self, chunk: u32, next: u32) {
        self.link[chunk as usize] = next;
    }

    /// The chunk after `chunk` in its chain.
    pub(super) fn next(&self, chunk: u32) -> u32 {
        self.link[chunk as usize]
    }

    /// Prefetches a chunk: 512 bytes are too short for the processor to notice that it is read in order.
    #[inline]
    pub(super) fn prefetch(&self, chunk: u32) {
        let start = chunk as usize * NEAR_ROOM as usize;
        for line in 0..NEAR_ROOM as usize / 4 {
            prefetch(&self.events, start + line * 4);
        }
    }

    /// Prefetches the chunk that is taken next, if it has been in use before: it may have left the caches since.
    #[inline]
    pub(super) fn prefetch_free(&self) {
        if self.free != NONE {
            self.prefetch(self.free);
        }
    }

    /// Stores an event at a position, which is chunk · 32 + index.
    #[inline(always)]
    pub(super) fn put(&mut self, position: u32, event: Packed) {
        self.events[position as usize] = event;
    }

    /// The first `count` events of a chunk of the near wheel.
    #[inline]
    pub(super) fn near(&self, chunk: u32, count: u32) -> &[Event] {
        let start = chunk as usize * NEAR_ROOM as usize;
        bytemuck::cast_slice(&self.events[start..start + count as usize])
    }

    /// Stores a timed event in a chunk of a far level.
    pub(super) fn put_far(&mut self, chunk: u32, index: u32, event: TimedEvent) {
        let start = chunk as usize * NEAR_ROOM as usize;
        let words: &mut [u64] = bytemuck::cast_slice_mut(&mut self.events[start..start + NEAR_ROOM as usize]);
        let places: &mut [TimedEvent] = bytemuck::cast_slice_mut(&mut words[..FAR_WORDS]);
        places[index as usize] = event;
    }

    /// Flips a bit of the payload of an event, for a test.
    pub(super) fn flip_payload_bit(&mut self, chunk: u32, index: u32, is_far: bool, bit: u64) {
        let words: &mut [u64] = bytemuck::cast_slice_mut(&mut self.events);
        let (event_words, payload) = if is_far { (3, 2) } else { (2, 1) };
        let at = chunk as usize * NEAR_ROOM as usize * 2 + index as usize * event_words + payload;
        words[at] ^= 1 << bit;
    }

    /// The first `count` events of a chunk of a far level.
    pub(super) fn far(&self, chunk: u32, count: u32) -> &[TimedEvent] {
        let start = chunk as usize * NEAR_ROOM as usize;
        let words: &[u64] = bytemuck::cast_slice(&self.events[start..start + NEAR_ROOM as usize]);
        &bytemuck::cast_slice(&words[..FAR_WORDS])[..count as usize]
    }
}

/// Words of a chunk that timed events take up; the last one of 64 is unused.
const FAR_WORDS: usize = 3 * FAR_ROOM as usize;

const _: () = assert!(size_of::<Packed>() == size_of::<Event>());
const _: () =
    assert!(FAR_WORDS * 8 <= size_of::<Packed>() * NEAR_ROOM as usize && size_of::<TimedEvent>() == 24);
