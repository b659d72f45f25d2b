//! Copying runs of shared words: what a relaxed load and a relaxed store per word do, and faster.
//!
//! A loop over atomics moves one word per instruction, because the compiler may not merge them. That fills the processor's
//! queue of stores with one entry per word, where the slots of a ring have left the inner caches since they were last
//! written: whole lines, in stores of two or four words, take less than half of the time. The string instruction `rep movsq`
//! moves lines, too, but its start waits for stores that are under way, and there are processors (Zen 3) on which it is half
//! as fast where the two runs do not begin at the same place within a line.
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
use crate::{lines, multiset};

/// Words of a cache line.
const LINE: usize = 8;

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

/// Moves whole lines of words in ascending order, where there is something faster than the loops above; returns how many
/// words. Those two pass the two ends of slices of at least that length, of which one is atomic and the other exclusively
/// borrowed or unchanging.
#[inline]
fn move_whole(from: *const u64, to: *mut u64, words: usize) -> usize {
    let words = words / LINE * LINE;
    if words == 0 {
        return 0;
    }
    move_lines(from, to, words)
}

/// Moves `words`, a multiple of [`LINE`] and not 0; returns how many.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn move_lines(from: *const u64, to: *mut u64, words: usize) -> usize {
    if std::arch::is_x86_feature_detected!("avx") {
        move_by_32(from, to, words);
    } else {
        move_by_16(from, to, words);
    }
    words
}

/// [`move_lines`] in moves of 32 bytes, for processors that have AVX.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn move_by_32(from: *const u64, to: *mut u64, words: usize) {
    // SAFETY: both runs are valid for `words` words (see `move_whole`) and do not overlap, since only one of them is atomic
    // memory; `words` is a multiple of the eight that each round moves, and not 0; the caller has asked for AVX.
    unsafe {
        std::arch::asm!(
            "2:",
            "vmovdqu ymm0, [{from}]",
            "vmovdqu ymm1, [{from} + 32]",
            "vmovdqu [{to}], ymm0",
            "vmovdqu [{to} + 32], ymm1",
            "add {from}, 64",
            "add {to}, 64",
            "sub {words}, 8",
            "jnz 2b",
            // What follows may use the older instructions, which wait for the upper halves otherwise.
            "vzeroupper",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            words = inout(reg) words => _,
            out("xmm0") _,
            out("xmm1") _,
            options(nostack),
        );
    }
}

/// [`move_lines`] in moves of 16 bytes.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn move_by_16(from: *const u64, to: *mut u64, words: usize) {
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
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn move_lines(_: *const u64, _: *mut u64, _: usize) -> usize {
    0
}

/// [`load_all`] of whole events, and their hash as a multiset.
#[inline]
pub(crate) fn load_events(from: &[AtomicU64], to: &mut [u64]) -> u64 {
    debug_assert_eq!(from.len(), to.len());
    let words = from.len().min(to.len());
    match move_events(from.as_ptr().cast(), to.as_mut_ptr(), words) {
        Some(hash) => hash,
        None => {
            load_all(from, to);
            multiset::hash(to)
        }
    }
}

/// [`store_all`] of whole events; returns their hash as a multiset.
#[inline]
pub(crate) fn store_events(to: &[AtomicU64], from: &[u64]) -> u64 {
    debug_assert_eq!(from.len(), to.len());
    let target = to.as_ptr().cast_mut().cast();
    match move_events(from.as_ptr(), target, from.len().min(to.len())) {
        Some(hash) => hash,
        None => {
            store_all(to, from);
            multiset::hash(from)
        }
    }
}

/// Moves words that are whole events, as [`move_whole`] does, and returns their hash as [`multiset::hash`] does; moves
/// nothing where the processor has no instruction for a round of it. In one pass, the hash of an event is done while the
/// lines of others are on their way between two cores' caches: 0.9 ns an event, where block by block it takes 1.4 ns.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn move_events(from: *const u64, to: *mut u64, words: usize) -> Option<u64> {
    if !std::arch::is_x86_feature_detected!("aes") {
        return None;
    }
    debug_assert_eq!(words % multiset::WORDS, 0);
    let events = words / multiset::WORDS;
    if events == 0 {
        return Some(0);
    }
    let mut sum = [0_u64; 2];
    // SAFETY: both runs are valid for `words` words (see `move_whole`) and do not overlap, since only one of them is atomic
    // memory; each round moves three of them, and there is at least one round; the two words of `sum` and the six of the
    // keys are where they are said to be; the processor has the instructions, as has been asked.
    unsafe {
        std::arch::asm!(
            "movups {start}, [{keys}]",
            "movups {second}, [{keys} + 16]",
            "movups {third}, [{keys} + 32]",
            "pxor {total}, {total}",
            "2:",
            "movups {state}, [{from}]",
            "movq {payload}, [{from} + 16]",
            "movups [{to}], {state}",
            "movq [{to} + 16], {payload}",
            "punpcklqdq {payload}, {payload}",
            "pxor {state}, {start}",
            "aesenc {state}, {payload}",
            "aesenc {state}, {second}",
            "aesenc {state}, {third}",
            "paddq {total}, {state}",
            "add {from}, 24",
            "add {to}, 24",
            "dec {events}",
            "jnz 2b",
            "movups [{sum}], {total}",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            events = inout(reg) events => _,
            keys = in(reg) multiset::KEYS.as_ptr(),
            sum = in(reg) sum.as_mut_ptr(),
            state = out(xmm_reg) _,
            payload = out(xmm_reg) _,
            start = out(xmm_reg) _,
            second = out(xmm_reg) _,
            third = out(xmm_reg) _,
            total = out(xmm_reg) _,
            options(nostack),
        );
    }
    Some(sum[0].wrapping_add(sum[1]))
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn move_events(_: *const u64, _: *mut u64, _: usize) -> Option<u64> {
    None
}

/// [`load_all`] of whole pairs of lines, and their hash. What is no whole pair would be neither copied nor hashed, so it is a
/// panic.
#[inline]
pub(crate) fn load_lines(from: &[AtomicU64], to: &mut [u64]) -> u64 {
    assert!(from.len() == to.len() && to.len().is_multiple_of(lines::PAIR));
    match move_pairs(from.as_ptr().cast(), to.as_mut_ptr(), from.len()) {
        Some(lanes) => lines::finish(lanes),
        None => {
            load_all(from, to);
            lines::hash(to)
        }
    }
}

/// [`store_all`] of whole pairs of lines, on the same terms; returns their hash.
#[inline]
pub(crate) fn store_lines(to: &[AtomicU64], from: &[u64]) -> u64 {
    assert!(from.len() == to.len() && to.len().is_multiple_of(lines::PAIR));
    let target = to.as_ptr().cast_mut().cast();
    match move_pairs(from.as_ptr(), target, from.len()) {
        Some(lanes) => lines::finish(lanes),
        None => {
            store_all(to, from);
            lines::hash(from)
        }
    }
}

/// Moves words that are whole pairs of lines, as [`move_whole`] does, and returns the lanes of their hash; moves nothing
/// where the processor has no instruction for a round of it.
///
/// Lines are asked for, to be written, eight ahead: a line of a ring's slot is in another core's cache, and the queue of
/// stores sees no further than 32 of them. Two threads that write and read frames of 5 KB took 240 to 270 ns each without
/// that, 170 to 200 with 8 or 12 lines, and 1200 against 950 where the cores were far apart; in two passes on the writing
/// side, the hash first, 385 to 430 and 1200.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn move_pairs(from: *const u64, to: *mut u64, words: usize) -> Option<lines::Lanes> {
    use std::arch::is_x86_feature_detected;
    if !is_x86_feature_detected!("aes") {
        return None;
    }
    Some(match words / lines::PAIR {
        0 => lines::START,
        pairs if is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx2") => {
            move_pairs_by_32(from, to, pairs)
        }
        pairs => move_pairs_by_16(from, to, pairs),
    })
}

/// [`move_pairs`] in moves of 32 bytes and two lanes at a time, for processors that have AVX2 and VAES.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn move_pairs_by_32(from: *const u64, to: *mut u64, pairs: usize) -> lines::Lanes {
    let mut lanes = lines::START;
    // SAFETY: both runs are valid for `pairs` pairs of lines (see `move_whole`) and do not overlap, since only one of them is
    // atomic memory; each round moves one, and there is at least one; the lanes and the key are where they are said to be;
    // the caller has asked for the instructions; asking for a line never faults.
    unsafe {
        std::arch::asm!(
            "vmovdqu ymm4, [{lanes}]",
            "vmovdqu ymm5, [{lanes} + 32]",
            "vmovdqu ymm6, [{lanes} + 64]",
            "vmovdqu ymm7, [{lanes} + 96]",
            "vbroadcasti128 ymm8, [{key}]",
            "2:",
            "vmovdqu ymm0, [{from}]",
            "vmovdqu ymm1, [{from} + 32]",
            "vmovdqu ymm2, [{from} + 64]",
            "vmovdqu ymm3, [{from} + 96]",
            "prefetchw [{to} + 512]",
            "prefetchw [{to} + 576]",
            "vmovdqu [{to}], ymm0",
            "vmovdqu [{to} + 32], ymm1",
            "vmovdqu [{to} + 64], ymm2",
            "vmovdqu [{to} + 96], ymm3",
            "vaesenc ymm4, ymm4, ymm0",
            "vaesenc ymm5, ymm5, ymm1",
            "vaesenc ymm6, ymm6, ymm2",
            "vaesenc ymm7, ymm7, ymm3",
            "sub {from}, -128",
            "sub {to}, -128",
            "vaesenc ymm4, ymm4, ymm8",
            "vaesenc ymm5, ymm5, ymm8",
            "vaesenc ymm6, ymm6, ymm8",
            "vaesenc ymm7, ymm7, ymm8",
            "dec {pairs}",
            "jnz 2b",
            "vmovdqu [{lanes}], ymm4",
            "vmovdqu [{lanes} + 32], ymm5",
            "vmovdqu [{lanes} + 64], ymm6",
            "vmovdqu [{lanes} + 96], ymm7",
            "vzeroupper",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            pairs = inout(reg) pairs => _,
            lanes = in(reg) lanes.as_mut_ptr(),
            key = in(reg) lines::KEY.as_ptr(),
            out("xmm0") _,
            out("xmm1") _,
            out("xmm2") _,
            out("xmm3") _,
            out("xmm4") _,
            out("xmm5") _,
            out("xmm6") _,
            out("xmm7") _,
            out("xmm8") _,
            options(nostack),
        );
    }
    lanes
}

/// [`move_pairs`] in moves of 16 bytes.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn move_pairs_by_16(from: *const u64, to: *mut u64, pairs: usize) -> lines::Lanes {
    let mut lanes = lines::START;
    // SAFETY: both runs are valid for `pairs` pairs of lines (see `move_whole`) and do not overlap, since only one of them is
    // atomic memory; each round moves one, and there is at least one; the lanes and the key are where they are said to be;
    // the caller has asked for the instructions; asking for a line never faults.
    unsafe {
        std::arch::asm!(
            "movups xmm8, [{lanes}]",
            "movups xmm9, [{lanes} + 16]",
            "movups xmm10, [{lanes} + 32]",
            "movups xmm11, [{lanes} + 48]",
            "movups xmm12, [{lanes} + 64]",
            "movups xmm13, [{lanes} + 80]",
            "movups xmm14, [{lanes} + 96]",
            "movups xmm15, [{lanes} + 112]",
            "movups xmm7, [{key}]",
            "2:",
            "movups xmm0, [{from}]",
            "movups xmm1, [{from} + 16]",
            "movups xmm2, [{from} + 32]",
            "movups xmm3, [{from} + 48]",
            "prefetchw [{to} + 512]",
            "prefetchw [{to} + 576]",
            "movups [{to}], xmm0",
            "movups [{to} + 16], xmm1",
            "movups [{to} + 32], xmm2",
            "movups [{to} + 48], xmm3",
            "aesenc xmm8, xmm0",
            "aesenc xmm9, xmm1",
            "aesenc xmm10, xmm2",
            "aesenc xmm11, xmm3",
            "movups xmm0, [{from} + 64]",
            "movups xmm1, [{from} + 80]",
            "movups xmm2, [{from} + 96]",
            "movups xmm3, [{from} + 112]",
            "aesenc xmm8, xmm7",
            "aesenc xmm9, xmm7",
            "aesenc xmm10, xmm7",
            "aesenc xmm11, xmm7",
            "movups [{to} + 64], xmm0",
            "movups [{to} + 80], xmm1",
            "movups [{to} + 96], xmm2",
            "movups [{to} + 112], xmm3",
            "aesenc xmm12, xmm0",
            "aesenc xmm13, xmm1",
            "aesenc xmm14, xmm2",
            "aesenc xmm15, xmm3",
            "sub {from}, -128",
            "sub {to}, -128",
            "aesenc xmm12, xmm7",
            "aesenc xmm13, xmm7",
            "aesenc xmm14, xmm7",
            "aesenc xmm15, xmm7",
            "dec {pairs}",
            "jnz 2b",
            "movups [{lanes}], xmm8",
            "movups [{lanes} + 16], xmm9",
            "movups [{lanes} + 32], xmm10",
            "movups [{lanes} + 48], xmm11",
            "movups [{lanes} + 64], xmm12",
            "movups [{lanes} + 80], xmm13",
            "movups [{lanes} + 96], xmm14",
            "movups [{lanes} + 112], xmm15",
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            pairs = inout(reg) pairs => _,
            lanes = in(reg) lanes.as_mut_ptr(),
            key = in(reg) lines::KEY.as_ptr(),
            out("xmm0") _,
            out("xmm1") _,
            out("xmm2") _,
            out("xmm3") _,
            out("xmm7") _,
            out("xmm8") _,
            out("xmm9") _,
            out("xmm10") _,
            out("xmm11") _,
            out("xmm12") _,
            out("xmm13") _,
            out("xmm14") _,
            out("xmm15") _,
            options(nostack),
        );
    }
    lanes
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
fn move_pairs(_: *const u64, _: *mut u64, _: usize) -> Option<lines::Lanes> {
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole_and_nothing_beside_it() {
        for length in (0..70).chain([383, 384, 385, 1923]) {
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

    #[test]
    fn events_are_copied_whole_and_hashed_on_the_way() {
        for events in (0..40).chain([1000]) {
            let length = events * multiset::WORDS;
            let data: Vec<u64> = (1..=length as u64).map(|word| word * word).collect();
            let shared: Vec<AtomicU64> = (0..length + 2).map(|_| AtomicU64::new(0)).collect();
            let hash = multiset::hash(&data);
            assert_eq!(store_events(&shared[1..=length], &data), hash);
            let ends = [&shared[0], &shared[length + 1]].map(|word| word.load(Ordering::Relaxed));
            assert_eq!(ends, [0, 0], "{events} events");
            let mut copy = vec![0; length + 2];
            assert_eq!(load_events(&shared[1..=length], &mut copy[1..=length]), hash);
            assert_eq!((&copy[1..=length], copy[0], copy[length + 1]), (&data[..], 0, 0));
        }
    }

    #[test]
    fn lines_are_copied_whole_and_hashed_on_the_way() {
        for pairs in 0..40 {
            let length = pairs * lines::PAIR;
            let data: Vec<u64> = (1..=length as u64).map(|word| word * word).collect();
            let shared: Vec<AtomicU64> = (0..length + 2).map(|_| AtomicU64::new(0)).collect();
            let hash = lines::hash(&data);
            assert_eq!(store_lines(&shared[1..=length], &data), hash);
            let ends = [&shared[0], &shared[length + 1]].map(|word| word.load(Ordering::Relaxed));
            assert_eq!(ends, [0, 0], "{pairs} pairs");
            let mut copy = vec![0; length + 2];
            assert_eq!(load_lines(&shared[1..=length], &mut copy[1..=length]), hash);
            assert_eq!((&copy[1..=length], copy[0], copy[length + 1]), (&data[..], 0, 0));
        }
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[test]
    fn moves_of_16_bytes_do_what_those_of_32_do() {
        for words in (LINE..=10 * LINE).step_by(LINE) {
            let data: Vec<u64> = (1..=words as u64 + 1).collect();
            for moves in [move_by_16, move_lines_whole] {
                let mut copy = vec![0; words + 1];
                moves(data.as_ptr(), copy.as_mut_ptr(), words);
                assert_eq!((&copy[..words], copy[words]), (&data[..words], 0));
            }
        }
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[test]
    fn pairs_of_lines_in_moves_of_16_bytes_are_as_in_those_of_32() {
        if !std::arch::is_x86_feature_detected!("aes") {
            return;
        }
        for pairs in 1..10 {
            let words = pairs * lines::PAIR;
            let data: Vec<u64> = (1..=words as u64).map(|word| word * word).collect();
            let mut copy = vec![0; words + 1];
            let lanes = move_pairs_by_16(data.as_ptr(), copy.as_mut_ptr(), pairs);
            assert_eq!((&copy[..words], copy[words]), (&data[..], 0));
            assert_eq!(lines::finish(lanes), lines::hash(&data));
        }
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn move_lines_whole(from: *const u64, to: *mut u64, words: usize) {
        assert_eq!(move_lines(from, to, words), words);
    }
}
