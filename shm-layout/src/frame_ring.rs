//! The ring of frames: one writer, any number of readers that keep their own positions.
//!
//! Frame n stands in slot n mod `slots`. The head is the number of the next frame; frame n is committed when the head
//! is above n. The release store of the head is the commit point of all that the interval published: frame, strands,
//! lane positions, digests. The logs in which a torus keeps its peers' frames have the same form.
//!
//! What a reader does with half-written data: a slot at or above the head does not exist for it. Below the head it
//! copies the slot and verifies the copy, and if that fails looks at the head again: while the writer may have come round it
//! is [`ReadError::Lapped`], otherwise [`ReadError::Damaged`].

use super::frame::{FRAME_FLAGS_WORD, FRAME_HEAD_WORDS, Frame, FrameDamage, frame_words};
use super::sync::{Ordering, fence};
use super::torus::Torus;
use super::words::{Own, View};
use std::ops::Range;

const HEAD: usize = 0;
/// Words before the first slot; the head has its own pair of cache lines.
pub const RING_HEADER_WORDS: usize = 16;

/// Words of one slot for a face of `face_cells` cells: a frame, which is whole cache lines.
pub const fn slot_words(face_cells: usize) -> usize {
    frame_words(face_cells)
}

/// Words of a ring with `slots` slots.
pub const fn ring_words(slots: usize, face_cells: usize) -> usize {
    RING_HEADER_WORDS + slots * slot_words(face_cells)
}

/// Why a frame could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The frame is not committed yet.
    #[error("frame {interval} is not committed yet; the ring's head is {head}")]
    NotYet {
        /// The frame asked for.
        interval: u64,
        /// Frames below this are committed.
        head: u64,
    },
    /// The writer has overwritten the slot, or may be at it.
    #[error("frame {interval} has been overwritten; the ring's head is {head}")]
    Lapped {
        /// The frame asked for.
        interval: u64,
        /// Frames below this are committed.
        head: u64,
    },
    /// The frame is committed and its slot was not reused, but it is not whole.
    #[error("frame {interval} is damaged: {damage}")]
    Damaged {
        /// The frame asked for.
        interval: u64,
        /// What is wrong.
        damage: FrameDamage,
    },
}

fn slot_start(interval: u64, slots: usize, slot_words: usize) -> usize {
    // The remainder is below `slots`, so it fits.
    RING_HEADER_WORDS + (interval % slots as u64) as usize * slot_words
}

/// The writing end of a ring.
#[derive(Debug)]
pub struct FrameWriter<'s> {
    words: Own<'s>,
    slots: usize,
    slot_words: usize,
}

impl<'s> FrameWriter<'s> {
    /// The ring of `slots` slots in `words`, which are [`ring_words`] long or longer.
    pub fn new(words: Own<'s>, slots: usize, face_cells: usize) -> Self {
        debug_assert!(words.len() >= ring_words(slots, face_cells));
        Self {
            words,
            slots,
            slot_words: slot_words(face_cells),
        }
    }

    /// Frames below this are committed.
    pub fn head(&self) -> u64 {
        self.words.load(HEAD)
    }

    /// Slots of the ring.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Writes all that `frame` carries into the slot of its interval. Readers do not see it before
    /// [`FrameWriter::commit`]. The caller has made sure that the slot may be reused.
    pub fn write(&self, frame: &Frame) {
        self.write_range(frame, 0..frame.carried_words());
    }

    /// Writes only the words `range` of the frame: [`FrameWriter::write`] in parts, for tests that die between them.
    pub fn write_range(&self, frame: &Frame, range: Range<usize>) {
        let slot = self.begin(frame.interval());
        self.words.write(slot + range.start, &frame.words()[range]);
    }

    /// Writes the frame's content, and hashes it on the way: the hash then stands in the frame, whose head is to be written
    /// last, by [`FrameWriter::write_head`].
    pub fn write_content(&self, frame: &mut Frame) {
        let slot = self.begin(frame.interval());
        let content = &frame.words()[FRAME_HEAD_WORDS..frame.carried_words()];
        let hash = self.words.write_lines(slot + FRAME_HEAD_WORDS, content);
        frame.set_content_hash(hash);
    }

    /// Writes the frame's head.
    pub fn write_head(&self, frame: &Frame) {
        self.write_range(frame, 0..FRAME_HEAD_WORDS);
    }

    /// Where the slot of an interval begins, which is written to from here on.
    fn begin(&self, interval: u64) -> usize {
        // Ordering: Release fence between the store of the head that made the slot old and the overwriting;
        // synchronizes with the Acquire fence in `FrameReader::explain`: who copied one of the words written below also
        // sees that head, and so tells "lapped" from "damaged".
        fence(Ordering::Release);
        slot_start(interval, self.slots, self.slot_words)
    }

    /// Commits frame `interval`: the head becomes `interval` + 1. The one commit point.
    pub fn commit(&self, interval: u64) {
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `FrameReader::head`. Publishes the
        // frame, the strand ranges and all other words that this torus wrote before.
        self.words.store_release(HEAD, interval + 1);
    }

    /// Takes the frames from `head` on back: only in a rollback, while nobody reads this ring. What lies in their slots
    /// does not exist for readers, like any frame that is not committed. A ring that holds fewer frames stays as it is.
    pub fn take_back(&self, head: u64) {
        if self.words.load(HEAD) > head {
            // Ordering: Release (in `store_release`); synchronizes with the Acquire in `FrameReader::head`.
            self.words.store_release(HEAD, head);
        }
    }

    /// The reading end of the same ring.
    pub fn reader(&self) -> FrameReader<'s> {
        FrameReader {
            words: self.words.view(),
            slots: self.slots,
            slot_words: self.slot_words,
        }
    }
}

/// A reading end of a ring.
#[derive(Clone, Copy, Debug)]
pub struct FrameReader<'s> {
    words: View<'s>,
    slots: usize,
    slot_words: usize,
}

impl<'s> FrameReader<'s> {
    /// The ring of `slots` slots in `words`, which are [`ring_words`] long or longer.
    pub fn new(words: View<'s>, slots: usize, face_cells: usize) -> Self {
        debug_assert!(words.len() >= ring_words(slots, face_cells));
        Self {
            words,
            slots,
            slot_words: slot_words(face_cells),
        }
    }

    /// Frames below this are committed.
    pub fn head(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `FrameWriter::commit`.
        self.words.load_acquire(HEAD)
    }

    /// Slots of the ring.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The oldest frame that the ring can still hold.
    pub fn oldest(&self) -> u64 {
        self.head().saturating_sub(self.slots as u64)
    }

    /// Copies frame `interval` of `torus` into `frame` and verifies the copy.
    ///
    /// # Errors
    /// [`ReadError`]; `frame` then holds anything.
    pub fn read(&self, torus: Torus, interval: u64, frame: &mut Frame) -> Result<(), ReadError> {
        let head = self.head();
        if interval >= head {
            return Err(ReadError::NotYet { interval, head });
        }
        if head - interval > self.slots as u64 {
            return Err(ReadError::Lapped { interval, head });
        }
        let content = self.copy(interval, frame);
        frame
            .verify_hashed(content, torus, interval)
            .map_err(|damage| self.explain(interval, damage))
    }

    /// Why a copy of a committed frame is not whole.
    #[cold]
    fn explain(&self, interval: u64, damage: FrameDamage) -> ReadError {
        // Ordering: Acquire fence between the copy and the second look at the head; synchronizes with the Release
        // fence in `FrameWriter::begin` if the copy holds a word of the next round.
        fence(Ordering::Acquire);
        let head = self.words.load(HEAD);
        if head.saturating_sub(interval) >= self.slots as u64 {
            ReadError::Lapped { interval, head }
        } else {
            ReadError::Damaged { interval, damage }
        }
    }

    /// Returns the hash of the content as it was copied.
    fn copy(&self, interval: u64, frame: &mut Frame) -> u64 {
        let slot = slot_start(interval, self.slots, self.slot_words);
        let flags = self.words.load(slot + FRAME_FLAGS_WORD);
        // A frame made for a larger face would go on into the next slot; so its checksum tells instead.
        let end = frame.carried_by(flags).min(self.slot_words);
        let words = frame.words_mut();
        self.words.read(slot, &mut words[..FRAME_HEAD_WORDS]);
        let content = self
            .words
            .read_lines(slot + FRAME_HEAD_WORDS, &mut words[FRAME_HEAD_WORDS..end]);
        // The flags have changed meanwhile if the writer has come round. What is verified is what was copied, whatever it is.
        if frame.carried_words() == end {
            content
        } else {
            frame.computed_content()
        }
    }
}
