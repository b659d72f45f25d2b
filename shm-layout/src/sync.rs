//! The one switch between the standard library's atomics and a model checker's.
//!
//! The algorithm files ([`crate::words`], [`crate::frame_ring`], [`crate::strand`], [`crate::checkpoint_slots`],
//! [`crate::lane`], [`crate::stop`], [`crate::doorbell`]) name atomics only through `super::sync`. A loom test
//! includes these very files with `#[path]` beside a module `sync` of its own that supplies loom's types.

pub(crate) use crate::copy::{
    load_all, load_events, load_lines, settle, store_all, store_all_past_caches, store_events, store_lines,
};
pub use std::sync::atomic::{AtomicU64, Ordering, fence};

/// The value of a word, read by its one writer. For the model checker this is not a step: it remembers only the last
/// access to a word, and the writer's own look would hide a reader's.
#[inline]
pub(crate) fn own_load(word: &AtomicU64) -> u64 {
    // Ordering: none needed; a writer reads its own last store.
    word.load(Ordering::Relaxed)
}
