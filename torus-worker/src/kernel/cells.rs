//! The cells: which have a process, its state, and where each cell's edges are.

use super::edges::Link;
use bytemuck::{Pod, Zeroable};
use std::ops::Range;

const PRESENT: u32 = 1 << 31;

/// The most edges that stand in the cell itself.
pub(super) const NEAR: usize = 2;

/// A cell. What the kernel and the model keep of it stands together, and its first edges too, so that most events touch one
/// cache line.
#[derive(Clone, Copy, Zeroable)]
#[repr(C, align(32))]
pub(super) struct Cell<C> {
    pub(super) target: Target,
    /// Its first edges; of no meaning beyond its degree.
    pub(super) near: [Link; NEAR],
    /// The state of its process; without meaning if it has none.
    pub(super) state: C,
}

/// What the delivery of a bag needs to know of its cell.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Target {
    /// Position in the pool of the first edge that has no room in the cell; of no meaning if there is none.
    pub(super) first: u32,
    /// The number of edges; the top bit says that the cell has a process.
    degree_and_present: u32,
}

impl Target {
    #[inline(always)]
    pub(super) fn degree(self) -> u32 {
        self.degree_and_present & !PRESENT
    }

    /// How many of the edges stand in the cell.
    #[inline(always)]
    pub(super) fn near(self) -> usize {
        NEAR.min(self.degree() as usize)
    }

    /// How many of the edges stand in the pool.
    #[inline(always)]
    pub(super) fn rest(self) -> u32 {
        self.degree().saturating_sub(NEAR as u32)
    }

    /// Where in the pool they stand.
    #[inline(always)]
    pub(super) fn pooled(self) -> Range<usize> {
        match self.rest() {
            0 => 0..0,
            rest => self.first as usize..(self.first + rest) as usize,
        }
    }

    #[inline(always)]
    pub(super) fn is_present(self) -> bool {
        self.degree_and_present & PRESENT != 0
    }

    #[inline(always)]
    pub(super) fn set_present(&mut self, present: bool) {
        self.degree_and_present = self.degree() | if present { PRESENT } else { 0 };
    }
}

impl<C> Cell<C> {
    /// Moves the edges that stand in the pool, or changes the number of all.
    pub(super) fn set_edges(&mut self, first: u32, degree: u32) {
        self.target.first = first;
        self.target.degree_and_present = self.target.degree_and_present & PRESENT | degree;
    }
}

/// All cells of a torus, with the state type of its model.
pub(super) struct Cells<C> {
    pub(super) list: Vec<Cell<C>>,
    /// How many have a process.
    pub(super) active: u32,
}

impl<C: Pod> Cells<C> {
    pub(super) fn new(count: u32) -> Cells<C> {
        Cells {
            list: bytemuck::zeroed_vec(count as usize),
            active: 0,
        }
    }

    /// No process and no edge in any cell.
    pub(super) fn clear(&mut self) {
        self.list.fill(Cell::zeroed());
        self.active = 0;
    }

    pub(super) fn count(&self) -> u32 {
        self.list.len() as u32
    }

    /// Puts a process into a cell, in place of the one it has.
    pub(super) fn spawn(&mut self, cell: u32, state: C) {
        let cell = &mut self.list[cell as usize];
        self.active += u32::from(!cell.target.is_present());
        cell.target.set_present(true);
        cell.state = state;
    }

    /// Removes the process of a cell, if it has one.
    pub(super) fn retire(&mut self, cell: u32) {
        let target = &mut self.list[cell as usize].target;
        self.active -= u32::from(target.is_present());
        target.set_present(false);
    }

    /// The process in a cell.
    pub(super) fn process(&self, cell: u32) -> Option<&C> {
        let cell = self.list.get(cell as usize)?;
        cell.target.is_present().then_some(&cell.state)
    }

    /// Every process with its cell, in the order of cells.
    pub(super) fn processes(&self) -> impl Iterator<Item = (u32, &C)> {
        let present = (0..).zip(&self.list).filter(|(_, cell)| cell.target.is_present());
        present.map(|(number, cell)| (number, &cell.state))
    }
}
