//! Copying runs of shared words: what a relaxed load and a relaxed store per word do, and faster for long runs.
//!
//! A loop over atomics moves one word per instruction, because the compiler may not merge them. `rep movsq` moves whole
//! cache lines where it can: from about 256 words on it is three to four times as fast within the caches, below that
//! its start-up costs more than it saves. An assembly block is code that the compiler cannot look into and to which its
//! assumption that nobody writes plain memory at the same time does not reach; the processor's string move accesses
//! aligned words as the loop does. So a copy may be torn between words, as the loop's may, and never undefined.

use crate::sync::{AtomicU64, Ordering};

/// Runs of at least so many words are moved by the string instruction.
const LONG: usize = 256;

/// Copies `from`, which others may be writing, to `to`; both have the same length.
#[inline]
pub(crate) fn load_all(from: &[AtomicU64], to: &mut [u64]) {
    debug_assert_eq!(from.len(), to.len());
    if from.len() >= LONG && string_move(from.as_ptr().cast(), to.as_mut_ptr(), from.len().min(to.len())) {
        return;
    }
    for (to, from) in to.iter_mut().zip(from) {
        // Ordering: none; the caller's validation (head, boundary or hash) decides whether the copy counts.
        *to = from.load(Ordering::Relaxed);
    }
}

/// Copies `from` to `to`, which others may be reading; both have the same length.
#[inline]
pub(crate) fn store_all(to: &[AtomicU64], from: &[u64]) {
    debug_assert_eq!(from.len(), to.len());
    if from.len() >= LONG
        && string_move(
            from.as_ptr(),
            to.as_ptr().cast_mut().cast(),
            from.len().min(to.len()),
        )
    {
        return;
    }
    for (to, from) in to.iter().zip(from) {
        // Ordering: none; published by a later `store_release` of the caller.
        to.store(*from, Ordering::Relaxed);
    }
}

/// Moves `words` aligned words in ascending order; whether this machine can. Its two callers pass the two ends of slices
/// of at least that length, of which one is atomic and the other exclusively borrowed or unchanging.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn string_move(from: *const u64, to: *mut u64, words: usize) -> bool {
    // SAFETY: both runs are valid for `words` words (see above) and do not overlap, since only one of them is atomic
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
    true
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn string_move(_: *const u64, _: *mut u64, _: usize) -> bool {
    false
}

/// Words of a cache line.
const LINE: usize = 8;

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
        for length in [0, 1, 2, LONG - 1, LONG, LONG + 1, 5 * LONG + 3] {
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
