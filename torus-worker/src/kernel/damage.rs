//! Damage: one flipped bit in the memory of a torus, to test that it is found and corrected.
//!
//! It is no part of the simulation. No counter, digest or journal learns of it and no replay repeats it, just as with a bit
//! that flips by itself; only a run that was started for such a test can be asked for it. The bits are low ones, so that
//! the torus goes on with a wrong state instead of stopping.

use super::Kernel;
use crate::model::Model;

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// The state of a process.
    Cell,
    /// The delay of an edge.
    Edge,
    /// The payload of a pending event.
    Event,
}

impl Damage {
    /// All kinds.
    pub const ALL: [Damage; 3] = [Damage::Cell, Damage::Edge, Damage::Event];

    /// Its number in a request.
    pub const fn number(self) -> u64 {
        self as u64
    }

    /// The kind of this number.
    pub const fn from_number(number: u64) -> Option<Damage> {
        match number {
            0 => Some(Damage::Cell),
            1 => Some(Damage::Edge),
            2 => Some(Damage::Event),
            _ => None,
        }
    }
}

impl<M: Model> Kernel<M> {
    /// Flips one bit of the state; `seed` chooses where. Returns whether there was anything of this kind to damage.
    pub fn damage(&mut self, what: Damage, seed: u64) -> bool {
        let bit = (seed >> 56) % 4;
        match what {
            Damage::Cell => self.damage_cell(seed, bit),
            Damage::Edge => self.damage_edge(seed, bit),
            Damage::Event => self.state.wheel.flip_payload_bit(seed, bit),
        }
    }

    /// A bit in the lowest byte of one of the words of a process's state.
    fn damage_cell(&mut self, seed: u64, bit: u64) -> bool {
        let words = size_of::<M::Cell>().div_ceil(8);
        let cells = &mut self.state.cells;
        if words == 0 || cells.active == 0 {
            return false;
        }
        let chosen = (seed % u64::from(cells.active)) as usize;
        let mut present = cells.list.iter_mut().filter(|cell| cell.target.is_present());
        let Some(cell) = present.nth(chosen) else {
            return false;
        };
        let word = (seed >> 32) as usize % words;
        bytemuck::bytes_of_mut(&mut cell.state)[8 * word] ^= 1 << bit;
        true
    }

    /// A bit of a delay, which stays a delay: never 0.
    fn damage_edge(&mut self, seed: u64, bit: u64) -> bool {
        let edges = &mut self.state.edges;
        if edges.count() == 0 {
            return false;
        }
        let mut ordinal = (seed % u64::from(edges.count())) as u32;
        for cell in &mut self.state.cells.list {
            let degree = cell.target.degree();
            if let Some(link) = edges.of_mut(cell).nth(ordinal as usize) {
                let delay = &mut link.delay;
                *delay ^= if *delay == 1 << bit { 2 << bit } else { 1 << bit };
                return true;
            }
            ordinal -= degree;
        }
        false
    }
}
