//! Words that several processes see: [`View`] reads, [`Own`] also writes.
//!
//! Everything in a segment is a sequence of 64-bit words, and every word has one writer. Readers copy data word by
//! word with relaxed atomic loads and validate the copy afterwards, so a torn copy is detected and never undefined.
//! Publication is a single [`Own::store_release`], read with [`View::load_acquire`].
//!
//! A `View` may lie in memory that is mapped read-only, where the language guarantees relaxed loads only. So an
//! acquiring load is written as a relaxed load and an acquire fence, which is the same instruction on x86-64.

use super::sync::{
    AtomicU64, Ordering, fence, load_all, load_events, load_lines, own_load, settle, store_all,
    store_all_past_caches, store_events, store_lines,
};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

/// A read-only window on shared words; another process may be writing them at any time.
#[derive(Clone, Copy)]
pub struct View<'a> {
    words: &'a [AtomicU64],
}

impl<'a> View<'a> {
    /// A view of `words`. Only loads are ever done through it.
    pub fn new(words: &'a [AtomicU64]) -> Self {
        Self { words }
    }

    /// Length in words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether the view has no words.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word at `index`, without ordering.
    ///
    /// # Panics
    /// If `index` is not below [`View::len`]: offsets come from the verified layout, so that is a bug.
    #[inline]
    pub fn load(&self, index: usize) -> u64 {
        // Ordering: none needed; whoever needs order uses `load_acquire` or a fence.
        self.words[index].load(Ordering::Relaxed)
    }

    /// The word at `index`; all that its writer did before the `store_release` of this value is visible afterwards.
    ///
    /// # Panics
    /// As [`View::load`].
    #[inline]
    pub fn load_acquire(&self, index: usize) -> u64 {
        let value = self.words[index].load(Ordering::Relaxed);
        // Ordering: Acquire fence after the relaxed load; synchronizes with the Release store in
        // `Own::store_release` whose value was read.
        fence(Ordering::Acquire);
        value
    }

    /// Copies the words from `start` on into `out`, each with a relaxed load. The copy is torn if the writer was at
    /// it; the caller validates it.
    ///
    /// # Panics
    /// If the range is not inside the view.
    #[inline]
    pub fn read(&self, start: usize, out: &mut [u64]) {
        load_all(&self.words[start..start + out.len()], out);
    }

    /// [`View::read`] of whole events, three words each, and their hash as [`super::hash::events`] gives it.
    ///
    /// # Panics
    /// If the range is not inside the view.
    #[inline]
    pub fn read_events(&self, start: usize, out: &mut [u64]) -> u64 {
        load_events(&self.words[start..start + out.len()], out)
    }

    /// [`View::read`] of whole pairs of cache lines, sixteen words each, and their hash as [`super::hash::lines`] gives it.
    ///
    /// # Panics
    /// If the range is not inside the view, or no whole pairs.
    #[inline]
    pub fn read_lines(&self, start: usize, out: &mut [u64]) -> u64 {
        load_lines(&self.words[start..start + out.len()], out)
    }

    /// The part `range` of this view.
    ///
    /// # Panics
    /// If the range is not inside the view.
    pub fn sub(&self, range: Range<usize>) -> View<'a> {
        View {
            words: &self.words[range],
        }
    }

    /// The word itself, for its address (futex, start gate). Nothing may be stored through it.
    pub(crate) fn word(&self, index: usize) -> &'a AtomicU64 {
        &self.words[index]
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({} words)", self.words.len())
    }
}

/// The writing end of shared words. There is one `Own` per word in the whole system: it is neither `Copy` nor
/// `Clone`, and not `Sync`, so two threads cannot write through one.
pub struct Own<'a> {
    words: &'a [AtomicU64],
    one_thread: PhantomData<Cell<()>>,
}

impl<'a> Own<'a> {
    /// The writing end of `words`, which must be writable memory of which the caller is the only writer.
    pub fn new(words: &'a [AtomicU64]) -> Self {
        Self {
            words,
            one_thread: PhantomData,
        }
    }

    /// Length in words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word at `index`. Its one writer reads its own last value, so no ordering is needed.
    #[inline]
    pub fn load(&self, index: usize) -> u64 {
        own_load(&self.words[index])
    }

    /// Stores without ordering.
    ///
    /// # Panics
    /// If `index` is not below [`Own::len`].
    #[inline]
    pub fn store(&self, index: usize, value: u64) {
        // Ordering: none; published by a later `store_release` or fence of the caller.
        self.words[index].store(value, Ordering::Relaxed);
    }

    /// Stores and publishes everything that was stored before.
    ///
    /// # Panics
    /// As [`Own::store`].
    #[inline]
    pub fn store_release(&self, index: usize, value: u64) {
        // Ordering: Release; synchronizes with the acquire fence in `View::load_acquire` of a reader that sees this
        // value.
        self.words[index].store(value, Ordering::Release);
    }

    /// Copies `data` to the words from `start` on, each with a relaxed store.
    ///
    /// # Panics
    /// If the range is not inside.
    #[inline]
    pub fn write(&self, start: usize, data: &[u64]) {
        store_all(&self.words[start..start + data.len()], data);
    }

    /// [`Own::write`] of whole events, three words each; returns their hash as [`super::hash::events`] gives it.
    ///
    /// # Panics
    /// If the range is not inside.
    #[inline]
    pub fn write_events(&self, start: usize, data: &[u64]) -> u64 {
        store_events(&self.words[start..start + data.len()], data)
    }

    /// [`Own::write`] of whole pairs of cache lines, sixteen words each; returns their hash as [`super::hash::lines`] gives it.
    ///
    /// # Panics
    /// If the range is not inside, or no whole pairs.
    #[inline]
    pub fn write_lines(&self, start: usize, data: &[u64]) -> u64 {
        store_lines(&self.words[start..start + data.len()], data)
    }

    /// [`Own::write`] for words that will not be looked at again soon: they do not take the place of others in the caches.
    /// Stands in no order to other stores but by [`Own::settle`].
    ///
    /// # Panics
    /// If the range is not inside.
    #[inline]
    pub fn write_past_caches(&self, start: usize, data: &[u64]) {
        store_all_past_caches(&self.words[start..start + data.len()], data);
    }

    /// Puts stores past the caches in order: what was stored before becomes visible before what is stored afterwards, so
    /// that they are like relaxed stores that were done here.
    #[inline]
    pub fn settle(&self) {
        settle();
    }

    /// The same words, for reading.
    pub fn view(&self) -> View<'a> {
        View { words: self.words }
    }
}

impl std::fmt::Debug for Own<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Own({} words)", self.words.len())
    }
}
