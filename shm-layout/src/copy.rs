//! Copying runs of shared words: what a relaxed load and a relaxed store per word do, and faster.
//!
//! A loop over atomics moves one word per instruction, because the compiler may not merge them. That fills the processor's
//! queue of stores with one entry per word, where the slots of a ring have left the inner caches since they were last
//! written: whole lines, four stores of two words each, take less than half of the time. `rep movsq` moves lines, too, and
//! within the caches long runs faster still, but its start waits for stores that are under way. So what a frame consists of
//! goes line by line, and what is longer by the string instruction.
//!
//! An assembly block is code that the compiler cannot look into and to which its assumption that nobody writes plain memory
//! at the same time does not reach. So a copy may be torn, as the loop's may, and never undefined; a word that were torn in
//! itself would be found by the same check as a copy that is torn between words.
//!
//! Stores past the caches are for a checkpoint on its way into its slot: 1.35 MB that nobody here looks at again. With
//! plain stores they would take the place of the kernel's own 1.8 MB in a second-level cache of 2 MB. Each stores an
//! aligned word whole, so it is like a relaxed store, except that a fence of the language does not order it: [`settle`]
//! does, and the one who streams calls it after emptying the slot and before publishing it.

use crate::sync::{AtomicU64, Ordering};

/// Words of a cache line.
const LINE: usize = 8;
/// Runs of at least so many words are moved by the string instruction.
const LONG: usize = 384;

/// Copies `from`, which others may be writing, to `to`; both have the same length.
#[inline]
pub(crate) fn load_all(from: &[AtomicU64], to: &mut [u64]) {
    debug_assert_eq!(from.len(), to.len());
    let moved = move_whole(from.as_ptr().cast(), to.as_mut_ptr(), from.len().min(to.len()));
    for (to, from) in to[moved..].iter_mut().zip(&from[moved..]) {
        // Ordering: none; the caller's validation (head, boundary or hash) decides whether the copy counts.
        *to = from.load(Ordering::Relaxed);
    }
}

/// Copies `from` to `to`, which others may be reading; both have the same length.
#[inline]
pub(crate) fn store_all(to: &[AtomicU64], from: &[u64]) {
    debug_assert_eq!(from.len(), to.len());
    let target = to.as_ptr().cast_mut().cast();
    let moved = move_whole(from.as_ptr(), target, from.len().min(to.len()));
    for (to, from) in to[moved..].iter().zip(&from[moved..]) {
        // Ordering: none; published by a later `store_release` of the caller.
        to.store(*from, Ordering::Relaxed);
    }
}

/// Moves words in ascending order, as many as this machine moves faster than the loops above; returns how many. Those two
/// pass the two ends of slices of at least that length, of which one is atomic and the other exclusively borrowed or
/// unchanging.
#[inline]
fn move_whole(from: *const u64, to: *mut u64, words: usize) -> usize {
    if words >= LONG {
        string_move(from, to, words)
    } else {
        line_move(from, to, words / LINE * LINE)
    }
}

/// Moves aligned words by the string instruction; returns how many.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn string_move(from: *const u64, to: *mut u64, words: usize) -> usize {
    // SAFETY: both runs are valid for `words` words (see `move_whole`) and do not overlap, since only one of them is atomic
    // memory; the direction flag is clear, as the calling convention demands.
    unsafe {
        std::arch::asm!(
            "rep movsq",
            inout("rcx") words => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
    words
}

/// Moves words line by line, `words` being a multiple of [`LINE`]; returns how many.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn line_move(from: *const u64, to: *mut u64, words: usize) -> usize {
    if words == 0 {
        return 0;
    }
    // SAFETY: both runs are valid for `words` words (see `move_whole`) and do not overlap, since only one of them is atomic
    // memory; `words` is a multiple of the eight that each round moves, and not 0.
    unsafe {
        std::arch::asm!(
            "2:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "sub {words}, 8",
            "jnz 2b",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            words = inout(reg) words => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
    words
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn string_move(_: *const u64, _: *mut u64, _: usize) -> usize {
    0
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn line_move(_: *const u64, _: *mut u64, _: usize) -> usize {
    0
}

/// Copies `from` to `to`, which others may be reading, and leaves no copy of it in the caches: for words that this processor
/// will not look at again soon, and that would push out of the caches what it needs. Both have the same length. The stores
/// may become visible before earlier stores and after later ones, up to the next [`settle`].
#[inline]
pub(crate) fn store_all_past_caches(to: &[AtomicU64], from: &[u64]) {
    debug_assert_eq!(from.len(), to.len());
    for (to, from) in to.iter().zip(from) {
        store_past_caches(to, *from);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn store_past_caches(to: &AtomicU64, word: u64) {
    // SAFETY: the address is that of an aligned word that may be written, since an atomic may; `movnti` stores it whole.
    unsafe { std::arch::x86_64::_mm_stream_si64(to.as_ptr().cast(), word.cast_signed()) };
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn store_past_caches(to: &AtomicU64, word: u64) {
    to.store(word, Ordering::Relaxed);
}

/// All stores before it are visible before any after it, those of [`store_all_past_caches`] included.
#[inline]
pub(crate) fn settle() {
    // SAFETY: a fence reads and writes nothing.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Lets the processor fetch words that will be read soon.
#[inline]
pub(crate) fn fetch_all(words: &[AtomicU64]) {
    for word in words.iter().step_by(LINE) {
        fetch(std::ptr::from_ref(word).cast());
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn fetch(line: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads and writes nothing, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn fetch(_: *const i8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole_and_nothing_beside_it() {
        for length in [0, 1, 7, 8, 9, 24, LONG - 1, LONG, LONG + 1, 5 * LONG + 3] {
            let data: Vec<u64> = (1..=length as u64).collect();
            let shared: Vec<AtomicU64> = (0..length + 2).map(|_| AtomicU64::new(0)).collect();
            store_all(&shared[1..=length], &data);
            let ends = [&shared[0], &shared[length + 1]].map(|word| word.load(Ordering::Relaxed));
            assert_eq!(ends, [0, 0], "{length} words");
            let mut copy = vec![0; length + 2];
            load_all(&shared[1..=length], &mut copy[1..=length]);
            assert_eq!((&copy[1..=length], copy[0], copy[length + 1]), (&data[..], 0, 0));
        }
    }
}
