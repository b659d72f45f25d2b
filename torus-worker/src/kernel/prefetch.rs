//! The one processor hint of the hot loop.
#![allow(unsafe_code)]

/// Asks the processor to bring `slice[index]` into its cache. Only a hint: any index is allowed.
#[inline(always)]
pub(super) fn prefetch<T>(slice: &[T], index: usize) {
    prefetch_byte(slice, index.wrapping_mul(size_of::<T>()));
}

/// Asks the processor to bring the byte at an offset from the slice's start into its cache. Only a hint, too.
#[inline(always)]
pub(super) fn prefetch_byte<T>(slice: &[T], offset: usize) {
    let address = slice.as_ptr().cast::<i8>().wrapping_add(offset);
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
