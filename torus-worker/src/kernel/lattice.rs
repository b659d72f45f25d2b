//! The lattice of a torus: sides, cell numbers, wrap-around.

/// Smallest side of a lattice, in cells.
pub const SIDE_MIN: u32 = 4;
/// Largest side of a lattice, in cells.
pub const SIDE_MAX: u32 = 128;

/// A side that no lattice can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("side {axis} of the lattice is {side}: expected a power of two from 4 to 128")]
pub struct LatticeError {
    /// The axis: `x`, `y` or `z`.
    pub axis: char,
    /// The side given, in cells.
    pub side: u32,
}

/// A three-dimensional lattice whose coordinates wrap on every axis. Cell (x, y, z) has the number x·Y·Z + y·Z + z,
/// so the face x = 0 is the first Y·Z cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lattice {
    sides: [u32; 3],
}

impl Lattice {
    /// A lattice of the given sides.
    ///
    /// # Errors
    /// A side that is not a power of two from 4 to 128.
    pub fn new(sides: [u32; 3]) -> Result<Lattice, LatticeError> {
        for (axis, side) in ['x', 'y', 'z'].into_iter().zip(sides) {
            if !side.is_power_of_two() || !(SIDE_MIN..=SIDE_MAX).contains(&side) {
                return Err(LatticeError { axis, side });
            }
        }
        Ok(Lattice { sides })
    }

    /// The sides along x, y and z, in cells.
    pub const fn sides(&self) -> [u32; 3] {
        self.sides
    }

    /// The number of cells.
    pub const fn cells(&self) -> u32 {
        self.sides[0] * self.sides[1] * self.sides[2]
    }

    /// The number of cells in the face x = 0.
    pub const fn face_cells(&self) -> u32 {
        self.sides[1] * self.sides[2]
    }

    /// The number of the cell at any coordinates; they wrap, negative ones too.
    #[inline]
    pub const fn cell(&self, x: i64, y: i64, z: i64) -> u32 {
        let [sx, sy, sz] = self.sides;
        (wrap(x, sx) * sy + wrap(y, sy)) * sz + wrap(z, sz)
    }

    /// The coordinates of a cell, each from 0 to its side − 1.
    #[inline]
    pub const fn coordinates(&self, cell: u32) -> [u32; 3] {
        let [_, sy, sz] = self.sides;
        [cell / (sy * sz), cell / sz % sy, cell % sz]
    }

    /// The six nearest neighbours of a cell: −x, +x, −y, +y, −z, +z.
    pub fn neighbours(&self, cell: u32) -> [u32; 6] {
        let [x, y, z] = self.coordinates(cell).map(i64::from);
        [
            self.cell(x - 1, y, z),
            self.cell(x + 1, y, z),
            self.cell(x, y - 1, z),
            self.cell(x, y + 1, z),
            self.cell(x, y, z - 1),
            self.cell(x, y, z + 1),
        ]
    }
}

/// A coordinate modulo a side: the sides are powers of two, so these are the low bits, of negative numbers too.
const fn wrap(coordinate: i64, side: u32) -> u32 {
    (coordinate as u32) & (side - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_numbers_follow_the_golden_scenarios() {
        let lattice = Lattice::new([32; 3]).unwrap();
        assert_eq!(lattice.cell(1, 2, 3), 1024 + 64 + 3);
        assert_eq!(lattice.cell(-33, 32, -1), lattice.cell(31, 0, 31));
        assert_eq!((lattice.cells(), lattice.face_cells()), (32768, 1024));
    }

    #[test]
    fn coordinates_are_the_inverse_of_cell_on_unequal_sides() {
        let lattice = Lattice::new([4, 8, 16]).unwrap();
        for cell in 0..lattice.cells() {
            let [x, y, z] = lattice.coordinates(cell).map(i64::from);
            assert_eq!(lattice.cell(x, y, z), cell);
        }
    }

    #[test]
    fn neighbours_of_a_corner_wrap() {
        let lattice = Lattice::new([4; 3]).unwrap();
        assert_eq!(lattice.neighbours(0), [48, 16, 12, 4, 3, 1]);
    }

    #[test]
    fn sides_that_are_no_power_of_two_or_out_of_range_are_refused() {
        for side in [0, 1, 2, 3, 33, 256] {
            assert_eq!(Lattice::new([8, side, 8]), Err(LatticeError { axis: 'y', side }));
        }
    }
}
