//! The cell at which a bag is handled, as its model sees it.

/// A cell with the process that may live in it.
pub struct Site<'a, C> {
    pub(super) tick: u64,
    pub(super) cell: u32,
    pub(super) present: bool,
    pub(super) state: &'a mut C,
}

impl<C: bytemuck::Pod> Site<'_, C> {
    /// The present tick.
    #[inline(always)]
    pub fn tick(&self) -> u64 {
        self.tick
    }

    /// The cell's number.
    #[inline(always)]
    pub fn cell(&self) -> u32 {
        self.cell
    }

    /// The process in the cell.
    #[inline(always)]
    pub fn process(&mut self) -> Option<&mut C> {
        if self.present { Some(self.state) } else { None }
    }

    /// Puts a process into the cell, in place of the one it has.
    #[inline]
    pub fn spawn(&mut self, state: C) {
        self.present = true;
        *self.state = state;
    }

    /// Removes the process. The cell's edges stay.
    #[inline]
    pub fn retire(&mut self) {
        self.present = false;
    }
}
