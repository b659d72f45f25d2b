//! Checkpoint slots: places for a torus's packed state, one of which always holds a whole one.
//!
//! A slot is a [`SlotHeader`] and the data. Its boundary word, stored last, publishes it; 0 means
//! empty (boundary 0 is the configuration itself and is never stored). Overwriting a slot starts with storing 0. The
//! mirrors that a torus keeps of its peers' checkpoints have the same form.
//!
//! What a reader does with half-written data: a slot whose boundary is 0 is empty. Otherwise the header is copied and
//! counts only if its checksum is right and the boundary is still there afterwards; the data counts only if it hashes
//! to what the header says. So a slot that its writer was overwriting, or died in, is never taken for a checkpoint.

use super::hash;
use super::slot_header::SLOT_HEADER_WORDS;
use super::sync::{Ordering, fence};
use super::words::{Own, View};
use std::ops::Range;

pub use super::slot_header::SlotHeader;

/// Slots for a torus's own checkpoints: the newest that its peers mirror, the newest of all, and the place for the next.
pub const OWN_SLOTS: usize = 3;
/// Slots for a peer's mirrors: the newest verified copy and the place for the next.
pub const MIRROR_SLOTS: usize = 2;

const BOUNDARY: usize = 0;
/// Words that are copied or hashed at a time: they stay in the first-level cache.
const PIECE_WORDS: usize = 512;
/// Words of a cache line. The data of a slot begins with one: slots are page-aligned, and their headers whole lines.
const LINE_WORDS: usize = 8;

/// The data of a slot is not, or no longer, the checkpoint that its header announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the checkpoint of boundary {boundary} in slot {slot} is torn: it was being overwritten or is damaged"
)]
pub struct Torn {
    /// The boundary that the header named.
    pub boundary: u64,
    /// The slot, from 0 on.
    pub slot: usize,
}

/// The writing end of slots.
#[derive(Debug)]
pub struct SlotsWriter<'s> {
    words: Own<'s>,
    slot_words: usize,
}

impl<'s> SlotsWriter<'s> {
    /// As many slots of `slot_words` words each, header included, as `words` have room for.
    pub fn new(words: Own<'s>, slot_words: usize) -> Self {
        debug_assert!(slot_words >= SLOT_HEADER_WORDS);
        Self { words, slot_words }
    }

    /// Words of data that fit into a slot.
    pub fn data_capacity(&self) -> usize {
        self.slot_words - SLOT_HEADER_WORDS
    }

    /// Empties slot `slot`; the first step of overwriting it.
    pub fn invalidate(&self, slot: usize) {
        self.words.store(slot * self.slot_words + BOUNDARY, 0);
        // Ordering: Release fence between emptying and overwriting; synchronizes with the Acquire fence in
        // `SlotsReader::still`: who copied a word written after this also sees the boundary gone.
        fence(Ordering::Release);
    }

    /// Empties every slot that holds a checkpoint later than `boundary`, or none that is whole.
    pub fn drop_after(&self, boundary: u64) {
        for slot in 0..self.reader().slots() {
            let kept = self
                .reader()
                .header(slot)
                .is_some_and(|header| header.boundary <= boundary);
            if !kept {
                self.invalidate(slot);
            }
        }
    }

    /// Writes `data` into an invalidated slot, from data word `offset` on.
    ///
    /// # Panics
    /// If the data does not fit: the writer compares with [`SlotsWriter::data_capacity`] first.
    pub fn write(&self, slot: usize, offset: usize, data: &[u64]) {
        assert!(
            offset + data.len() <= self.data_capacity(),
            "{} words beyond the slot",
            offset + data.len()
        );
        self.words
            .write(slot * self.slot_words + SLOT_HEADER_WORDS + offset, data);
    }

    /// Empties slot `slot`, and writes a checkpoint into it as it is being made.
    pub fn begin(&self, slot: usize) -> SlotStream<'_, 's> {
        self.invalidate(slot);
        // The stores of the stream would keep no order with the emptying.
        self.words.settle();
        SlotStream {
            slots: self,
            slot,
            piece: [0; PIECE_WORDS],
            filled: 0,
            written: 0,
            hasher: hash::WordHasher::new(),
        }
    }

    /// Copies data words `range` of slot `from_slot` of another owner into the same place of invalidated slot `slot`. The copy
    /// counts only if it hashes to what the original's header says ([`SlotsReader::hash`]).
    ///
    /// # Panics
    /// If the range is beyond either slot.
    pub fn copy(&self, slot: usize, from: SlotsReader<'_>, from_slot: usize, range: Range<usize>) {
        let mut piece = [0; PIECE_WORDS];
        for start in range.clone().step_by(PIECE_WORDS) {
            let piece = &mut piece[..PIECE_WORDS.min(range.end - start)];
            from.read(from_slot, start, piece);
            self.write(slot, start, piece);
        }
    }

    /// Writes the header and publishes the slot with its boundary word, last.
    pub fn publish(&self, slot: usize, header: &SlotHeader) {
        let start = slot * self.slot_words;
        self.words.write(start + 1, &header.to_words()[1..]);
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `SlotsReader::header`.
        self.words.store_release(start + BOUNDARY, header.boundary);
    }

    /// The reading end of the same slots.
    pub fn reader(&self) -> SlotsReader<'s> {
        SlotsReader {
            words: self.words.view(),
            slot_words: self.slot_words,
        }
    }
}

/// A checkpoint on its way into a slot: the words are hashed and written piece by piece while they are in the first-level
/// cache, and they bypass the caches, which belong to whoever is being packed. What has been written when its maker dies is
/// in an empty slot.
pub struct SlotStream<'w, 's> {
    slots: &'w SlotsWriter<'s>,
    slot: usize,
    piece: [u64; PIECE_WORDS],
    /// Words in the piece, and words in the slot.
    filled: usize,
    written: usize,
    hasher: hash::WordHasher,
}

impl SlotStream<'_, '_> {
    /// Appends words.
    ///
    /// # Panics
    /// If the data does not fit: the writer compares with [`SlotsWriter::data_capacity`] first.
    #[inline]
    pub fn put(&mut self, mut words: &[u64]) {
        while !words.is_empty() {
            let (now, later) = words.split_at(words.len().min(PIECE_WORDS - self.filled));
            self.piece[self.filled..][..now.len()].copy_from_slice(now);
            self.filled += now.len();
            if self.filled == PIECE_WORDS {
                self.flush();
            }
            words = later;
        }
    }

    /// Appends so many words, at most 504, which the caller sets.
    #[inline]
    pub fn room(&mut self, words: usize) -> &mut [u64] {
        if self.filled + words > PIECE_WORDS {
            self.flush();
        }
        let start = self.filled;
        self.filled += words;
        &mut self.piece[start..][..words]
    }

    /// Writes what has been put so far, but for words that do not fill a cache line yet: half a line that bypasses the
    /// caches is as dear as a whole one.
    pub fn flush(&mut self) {
        let whole = self.filled / LINE_WORDS * LINE_WORDS;
        self.write(whole);
        self.piece.copy_within(whole..self.filled, 0);
        self.filled -= whole;
    }

    fn write(&mut self, count: usize) {
        assert!(
            self.written + count <= self.slots.data_capacity(),
            "{} words beyond the slot",
            self.written + count
        );
        let words = &self.piece[..count];
        self.hasher.update(words);
        let start = self.slot * self.slots.slot_words + SLOT_HEADER_WORDS + self.written;
        self.slots.words.write_past_caches(start, words);
        self.written += count;
    }

    /// Writes the rest. Returns the number of words and their hash, as [`SlotHeader`] names them.
    pub fn finish(mut self) -> (usize, u64) {
        self.write(self.filled);
        // Before the slot is published.
        self.slots.words.settle();
        (self.written, self.hasher.finish())
    }
}

impl std::fmt::Debug for SlotStream<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SlotStream({} words into slot {})", self.written, self.slot)
    }
}

/// A reading end of slots.
#[derive(Clone, Copy, Debug)]
pub struct SlotsReader<'s> {
    words: View<'s>,
    slot_words: usize,
}

impl<'s> SlotsReader<'s> {
    /// As many slots of `slot_words` words each, header included, as `words` have room for.
    pub fn new(words: View<'s>, slot_words: usize) -> Self {
        debug_assert!(slot_words >= SLOT_HEADER_WORDS);
        Self { words, slot_words }
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.words.len() / self.slot_words
    }

    /// The verified headers of all slots that have one, with their slots.
    pub fn headers(self) -> impl Iterator<Item = (usize, SlotHeader)> {
        (0..self.slots()).filter_map(move |slot| Some((slot, self.header(slot)?)))
    }

    /// Words of data that fit into a slot.
    pub fn data_capacity(&self) -> usize {
        self.slot_words - SLOT_HEADER_WORDS
    }

    /// The verified header of slot `slot`; `None` if the slot is empty, being written, or damaged.
    pub fn header(&self, slot: usize) -> Option<SlotHeader> {
        let start = slot * self.slot_words;
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `SlotsWriter::publish`.
        let boundary = self.words.load_acquire(start + BOUNDARY);
        if boundary == 0 {
            return None;
        }
        let mut words = [0; SLOT_HEADER_WORDS];
        self.words.read(start, &mut words);
        words[BOUNDARY] = boundary;
        let header = SlotHeader::from_words(&words)?;
        let fits = header.bytes.is_multiple_of(8) && header.bytes / 8 <= self.data_capacity() as u64;
        (fits && self.still(slot, boundary)).then_some(header)
    }

    /// Whether slot `slot` still holds the checkpoint of `boundary`. If so, all that was copied from it before this
    /// call belongs to that checkpoint.
    pub fn still(&self, slot: usize, boundary: u64) -> bool {
        // Ordering: Acquire fence between the copy and the second look at the boundary; synchronizes with the
        // Release fence in `SlotsWriter::invalidate` if the copy holds a word written after it.
        fence(Ordering::Acquire);
        self.words.load(slot * self.slot_words + BOUNDARY) == boundary
    }

    /// Copies data words from `offset` on into `out`. The copy counts only if [`SlotsReader::still`] holds afterwards
    /// and the whole hashes to [`SlotHeader::hash`].
    ///
    /// # Panics
    /// If the range is beyond the slot.
    pub fn read(&self, slot: usize, offset: usize, out: &mut [u64]) {
        assert!(
            offset + out.len() <= self.data_capacity(),
            "{} words beyond the slot",
            offset + out.len()
        );
        self.words
            .read(slot * self.slot_words + SLOT_HEADER_WORDS + offset, out);
    }

    /// The hash of the first `words` data words of slot `slot`, as they are now; `words` as a verified header says.
    ///
    /// # Panics
    /// If they are beyond the slot.
    pub fn hash(&self, slot: usize, words: usize) -> u64 {
        let mut piece = [0; PIECE_WORDS];
        let mut hasher = hash::WordHasher::new();
        for start in (0..words).step_by(PIECE_WORDS) {
            let piece = &mut piece[..PIECE_WORDS.min(words - start)];
            self.read(slot, start, piece);
            hasher.update(piece);
        }
        hasher.finish()
    }

    /// Copies the whole data of the checkpoint that `header` announced in slot `slot`, and verifies the copy.
    ///
    /// # Errors
    /// [`Torn`]; `out` then holds anything.
    pub fn copy(&self, slot: usize, header: &SlotHeader, out: &mut Vec<u64>) -> Result<(), Torn> {
        let torn = Torn {
            boundary: header.boundary,
            slot,
        };
        if header.bytes / 8 > self.data_capacity() as u64 {
            return Err(torn);
        }
        out.resize(header.data_words(), 0);
        self.read(slot, 0, out);
        if self.still(slot, header.boundary) && hash::words(out) == header.hash {
            Ok(())
        } else {
            Err(torn)
        }
    }

    /// The slot with the newest verified header, and that header.
    pub fn newest(&self) -> Option<(usize, SlotHeader)> {
        self.headers().max_by_key(|(_, header)| header.boundary)
    }
}
