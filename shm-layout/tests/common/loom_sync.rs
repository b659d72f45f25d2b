//! What the shipped `sync` supplies, with loom's types: each access to a word is a step that loom reorders.

#![allow(dead_code, reason = "each test includes its own part of the shipped files")]

pub use loom::sync::atomic::{AtomicU64, Ordering, fence};

pub fn own_load(word: &AtomicU64) -> u64 {
    // SAFETY: only the word's one writer calls this; loom panics if another thread stores meanwhile.
    unsafe { word.unsync_load() }
}

pub fn load_all(from: &[AtomicU64], to: &mut [u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.load(Ordering::Relaxed);
    }
}

pub fn store_all(to: &[AtomicU64], from: &[u64]) {
    for (to, from) in to.iter().zip(from) {
        to.store(*from, Ordering::Relaxed);
    }
}

pub fn load_events(from: &[AtomicU64], to: &mut [u64]) -> u64 {
    load_all(from, to);
    shm_layout::hash::events(bytemuck::cast_slice(to))
}

pub fn store_events(to: &[AtomicU64], from: &[u64]) -> u64 {
    store_all(to, from);
    shm_layout::hash::events(bytemuck::cast_slice(from))
}

pub fn load_lines(from: &[AtomicU64], to: &mut [u64]) -> u64 {
    load_all(from, to);
    shm_layout::hash::words(to)
}

pub fn store_lines(to: &[AtomicU64], from: &[u64]) -> u64 {
    store_all(to, from);
    shm_layout::hash::words(from)
}

pub fn store_all_past_caches(to: &[AtomicU64], from: &[u64]) {
    store_all(to, from);
}

/// Stores past the caches keep no order with stores before them, whatever fences stand between, up to this one.
pub fn settle() {
    fence(Ordering::Release);
}
