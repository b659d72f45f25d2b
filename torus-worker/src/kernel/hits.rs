//! Which cells are hit at a tick, and which of them may be hit more than once.

/// Words of the second set. Several cells share a bit there: that some are taken for hit more than once that are not costs
/// time and changes nothing, and so the bits stay in the innermost cache.
const AGAIN: usize = 256;

/// The cells that one tick hits. One bit per cell: a mark in the cell itself would move every cell to the innermost cache
/// and back once more.
pub(super) struct Hits {
    hit: Vec<u64>,
    again: [u64; AGAIN],
}

#[inline(always)]
fn bit(cell: usize) -> u64 {
    1 << (cell % 64)
}

impl Hits {
    pub(super) fn new(cells: u32) -> Hits {
        Hits {
            hit: bytemuck::zeroed_vec(cells.div_ceil(64) as usize),
            again: [0; AGAIN],
        }
    }

    /// Notes an event for this cell; returns whether it is the first one.
    #[inline(always)]
    pub(super) fn add(&mut self, cell: usize) -> bool {
        let word = &mut self.hit[cell / 64];
        let before = *word;
        *word = before | bit(cell);
        before & bit(cell) == 0
    }

    /// Notes that there is more than one event for this cell.
    #[inline(always)]
    pub(super) fn add_again(&mut self, cell: usize) {
        self.again[cell / 64 % AGAIN] |= bit(cell);
    }

    /// Whether the cell may have been hit more than once; certainly so if it was.
    #[inline(always)]
    pub(super) fn is_again(&self, cell: usize) -> bool {
        self.again[cell / 64 % AGAIN] & bit(cell) != 0
    }

    /// Forgets all hits, which were in these cells. One by one where there were few, so that a tick with few events costs
    /// little on a large lattice.
    pub(super) fn forget(&mut self, cells: impl ExactSizeIterator<Item = usize>) {
        if cells.len() > self.hit.len() / 8 {
            self.hit.fill(0);
        } else {
            cells.for_each(|cell| self.hit[cell / 64] = 0);
        }
    }

    /// Forgets which cells were hit more than once.
    pub(super) fn forget_again(&mut self) {
        self.again = [0; AGAIN];
    }
}
