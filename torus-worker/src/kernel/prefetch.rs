//! The one processor hint of the hot loop, and what it is used for.
#![allow(unsafe_code)]

use super::cells::Cell;
use super::edges::Link;
use shm_layout::record::Event;

/// What is fetched before the deliveries need it. On an idle machine it takes a twentieth of the time of an event if
/// all fits a core's own cache, and halves it if not (128³ cells); where others take the cache again and again, a third
/// is gained at any size.
pub(super) struct Ahead<'a, C> {
    pub(super) cells: &'a [Cell<C>],
    pub(super) pool: &'a [Link],
}

impl<C> Clone for Ahead<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Ahead<'_, C> {}

impl<C> Ahead<'_, C> {
    /// Fetches the cells that these events are for.
    #[inline]
    pub(super) fn fetch_cells(self, due: &[Event]) {
        if !self.cells.is_empty() {
            due.iter()
                .for_each(|event| prefetch(self.cells, event.dst as usize));
        }
    }

    /// Fetches the first edges of a cell that is there already.
    #[inline(always)]
    pub(super) fn fetch_edges(self, cell: usize) {
        if let Some(cell) = self.cells.get(cell) {
            prefetch(self.pool, cell.target.first as usize);
        }
    }
}

/// Asks the processor to bring `slice[index]` into its cache. Only a hint: any index is allowed.
#[inline(always)]
pub(super) fn prefetch<T>(slice: &[T], index: usize) {
    let address = slice.as_ptr().wrapping_add(index).cast::<i8>();
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
