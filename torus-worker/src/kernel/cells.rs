//! The cells: which have a process, its state, and where each cell's edges are.

use bytemuck::{Pod, Zeroable};

const PRESENT: u32 = 1 << 31;

/// What the kernel keeps of each cell besides the process's state; four to a cache line.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Head {
    /// Mark of the tick that last found an event for this cell (see `collide`).
    pub(super) seen: u32,
    /// Positions reserved for edges.
    pub(super) room: u32,
    pub(super) target: Target,
}

/// What the delivery of a bag needs to know of its cell.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Target {
    /// Position of the first edge.
    pub(super) first: u32,
    /// The number of edges; the top bit says that the cell has a process.
    degree_and_present: u32,
}

impl Target {
    #[inline(always)]
    pub(super) fn degree(self) -> u32 {
        self.degree_and_present & !PRESENT
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

impl Head {
    /// Moves the cell's edges, or changes their number.
    pub(super) fn set_edges(&mut self, first: u32, degree: u32, room: u32) {
        self.target.first = first;
        self.target.degree_and_present = self.target.degree_and_present & PRESENT | degree;
        self.room = room;
    }
}

/// All cells of a torus, with the state type of its model.
pub(super) struct Cells<C> {
    pub(super) heads: Vec<Head>,
    pub(super) states: Vec<C>,
    pub(super) active: u32,
}

impl<C: Pod> Cells<C> {
    pub(super) fn new(count: u32) -> Cells<C> {
        let count = count as usize;
        Cells {
            heads: bytemuck::zeroed_vec(count),
            states: bytemuck::zeroed_vec(count),
            active: 0,
        }
    }

    /// No process and no edge in any cell.
    pub(super) fn clear(&mut self) {
        self.heads.fill(Head::zeroed());
        self.active = 0;
    }

    pub(super) fn count(&self) -> u32 {
        self.heads.len() as u32
    }

    /// Puts a process into a cell, in place of the one it has.
    pub(super) fn spawn(&mut self, cell: u32, state: C) {
        let head = &mut self.heads[cell as usize];
        self.active += u32::from(!head.target.is_present());
        head.target.set_present(true);
        self.states[cell as usize] = state;
    }

    /// The process in a cell.
    pub(super) fn process(&self, cell: u32) -> Option<&C> {
        let present = self.heads.get(cell as usize)?.target.is_present();
        present.then(|| &self.states[cell as usize])
    }

    /// Every process with its cell, in the order of cells.
    pub(super) fn processes(&self) -> impl Iterator<Item = (u32, &C)> {
        (0..self.count()).filter_map(|cell| self.process(cell).map(|state| (cell, state)))
    }
}
