//! A strand: the ring of cross-torus events from one torus to one peer.
//!
//! The position of an event is the number of events ever sent to that peer before it; it stands at index position mod
//! capacity. A strand publishes nothing itself: the frame that names the strand's end and the hash of the range does,
//! with the head of the frame ring. A reader reads only ranges that a committed frame names, and checks the hash;
//! what a writer left beyond them when it died is never looked at, and is overwritten by its successor.

use super::record::TimedEvent;
use super::words::{Own, View};

/// Words of a strand for `capacity` events.
pub const fn strand_words(capacity: usize) -> usize {
    capacity * TimedEvent::WORDS
}

/// Splits `count` events from `position` on into runs that do not wrap: (first word, first event, events).
fn runs(position: u64, count: usize, capacity: usize) -> [(usize, usize, usize); 2] {
    // The remainder is below `capacity`, so it fits.
    let index = (position % capacity as u64) as usize;
    let first = count.min(capacity - index);
    [(index * TimedEvent::WORDS, 0, first), (0, first, count - first)]
}

/// The writing end of a strand.
#[derive(Debug)]
pub struct StrandWriter<'s> {
    words: Own<'s>,
    capacity: usize,
}

impl<'s> StrandWriter<'s> {
    /// A strand of `capacity` events in `words`, which are [`strand_words`] long or longer.
    pub fn new(words: Own<'s>, capacity: usize) -> Self {
        debug_assert!(words.len() >= strand_words(capacity));
        Self { words, capacity }
    }

    /// Events that the strand holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Writes `events` from `position` on and returns their hash, as [`super::hash::events`] gives it. Nothing is published: the
    /// next commit of a frame does that. The caller has made sure that the range may be reused.
    ///
    /// # Panics
    /// If there are more events than the strand holds.
    pub fn write(&self, position: u64, events: &[TimedEvent]) -> u64 {
        assert!(
            events.len() <= self.capacity,
            "{} events into a strand of {}",
            events.len(),
            self.capacity
        );
        runs(position, events.len(), self.capacity)
            .into_iter()
            .fold(0, |sum: u64, (word, start, count)| {
                let run = &events[start..start + count];
                sum.wrapping_add(self.words.write_events(word, bytemuck::cast_slice(run)))
            })
    }

    /// The reading end of the same strand.
    pub fn reader(&self) -> StrandReader<'s> {
        StrandReader {
            words: self.words.view(),
            capacity: self.capacity,
        }
    }
}

/// A reading end of a strand.
#[derive(Clone, Copy, Debug)]
pub struct StrandReader<'s> {
    words: View<'s>,
    capacity: usize,
}

impl<'s> StrandReader<'s> {
    /// A strand of `capacity` events in `words`, which are [`strand_words`] long or longer.
    pub fn new(words: View<'s>, capacity: usize) -> Self {
        debug_assert!(words.len() >= strand_words(capacity));
        Self { words, capacity }
    }

    /// Events that the strand holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Copies the events from `position` on into `events` and returns their hash, as [`super::hash::events`] gives it. They count
    /// only if it is the one in the committed frame that names the range.
    ///
    /// # Panics
    /// If more events are asked for than the strand holds; the caller checks a peer's numbers first.
    pub fn read(&self, position: u64, events: &mut [TimedEvent]) -> u64 {
        assert!(
            events.len() <= self.capacity,
            "{} events from a strand of {}",
            events.len(),
            self.capacity
        );
        runs(position, events.len(), self.capacity)
            .into_iter()
            .fold(0, |sum: u64, (word, start, count)| {
                let run = &mut events[start..start + count];
                sum.wrapping_add(self.words.read_events(word, bytemuck::cast_slice_mut(run)))
            })
    }
}
