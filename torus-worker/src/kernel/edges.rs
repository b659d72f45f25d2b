//! The edges, in order of creation: the first ones of a cell in the cell itself, its others next to one another in one pool.

use super::cells::{Cell, NEAR};
use super::world::{Edge, Place};
use bytemuck::{Pod, Zeroable};
use shm_layout::torus::Torus;

/// One torus further on in the word that says where an edge leads; cells are below it.
pub(super) const TORUS: u32 = 1 << 24;

/// An edge as stored: torus and cell in one word, and its delay.
#[derive(Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Link {
    /// Bits 0 to 23 the cell, from bit 24 on the torus.
    pub(super) to: u32,
    pub(super) delay: u32,
}

impl Link {
    pub(super) fn new(edge: Edge) -> Link {
        Link {
            to: pack(edge.to),
            delay: edge.delay,
        }
    }

    #[inline(always)]
    pub(super) fn edge(self) -> Edge {
        Edge {
            to: unpack(self.to),
            delay: self.delay,
        }
    }
}

#[inline(always)]
fn pack(place: Place) -> u32 {
    (place.torus.index() as u32 * TORUS) | place.cell
}

#[inline(always)]
fn unpack(to: u32) -> Place {
    let torus = match to / TORUS {
        0 => Torus::A,
        1 => Torus::B,
        _ => Torus::C,
    };
    Place {
        torus,
        cell: to % TORUS,
    }
}

/// What connecting two cells did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connected {
    Created,
    Replaced,
    Full,
}

/// All edges of a torus. The pool has those of each cell from its edge `NEAR` on. They move to the end of the pool when they
/// outgrow their room, and leave a hole; when the end of the pool is reached, all are packed again. The pool is twice the
/// capacity, so packing always helps. A position that holds no edge has delay 0; a cell may grow into such positions behind
/// its last edge.
pub(super) struct Edges {
    pub(super) pool: Vec<Link>,
    used: u32,
    count: u32,
    capacity: u32,
}

impl Edges {
    pub(super) fn new(capacity: u32) -> Edges {
        // Positions are 31-bit numbers.
        let capacity = capacity.min(1 << 29);
        Edges {
            pool: bytemuck::zeroed_vec(capacity as usize * 2),
            used: 0,
            count: 0,
            capacity,
        }
    }

    pub(super) fn clear(&mut self) {
        self.pool[..self.used as usize].fill(Link::zeroed());
        self.used = 0;
        self.count = 0;
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The edges of a cell, in order of creation.
    pub(super) fn of<'a, C>(&'a self, cell: &'a Cell<C>) -> impl Iterator<Item = &'a Link> {
        let near = &cell.near[..cell.target.near()];
        near.iter().chain(&self.pool[cell.target.pooled()])
    }

    /// The same, to change them.
    pub(super) fn of_mut<'a, C>(&'a mut self, cell: &'a mut Cell<C>) -> impl Iterator<Item = &'a mut Link> {
        let near = &mut cell.near[..cell.target.near()];
        near.iter_mut().chain(&mut self.pool[cell.target.pooled()])
    }

    /// Creates an edge, or replaces the delay of the edge that leads there already.
    pub(super) fn connect<C>(&mut self, cells: &mut [Cell<C>], from: u32, edge: Edge) -> Connected {
        let link = Link::new(edge);
        let own = &mut cells[from as usize];
        if let Some(existing) = self.of_mut(own).find(|existing| existing.to == link.to) {
            existing.delay = link.delay;
            return Connected::Replaced;
        }
        if self.count == self.capacity {
            return Connected::Full;
        }
        self.make_room(cells, from);
        let cell = &mut cells[from as usize];
        cell.set_edges(cell.target.first, cell.target.degree() + 1);
        if let Some(place) = self.of_mut(cell).last() {
            *place = link;
        }
        self.count += 1;
        Connected::Created
    }

    /// Sees to it that there is room for one more edge behind those of a cell.
    fn make_room<C>(&mut self, cells: &mut [Cell<C>], from: u32) {
        let target = cells[from as usize].target;
        let (degree, rest) = (target.degree(), target.rest());
        if degree < NEAR as u32 {
            return;
        }
        let end = target.first + rest;
        if rest > 0 && end < self.used && self.pool[end as usize].delay == 0 {
            return;
        }
        if rest > 0 && end == self.used && end + degree <= self.size() {
            self.used += degree;
            return;
        }
        if self.used + rest + degree > self.size() {
            self.pack(cells);
        }
        self.move_to_end(&mut cells[from as usize], degree);
    }

    /// Moves a cell's edges in the pool to its end, and leaves room for `more` there, or as many as fit.
    fn move_to_end<C>(&mut self, cell: &mut Cell<C>, more: u32) {
        let old = cell.target.pooled();
        self.pool.copy_within(old.clone(), self.used as usize);
        self.pool[old].fill(Link::zeroed());
        cell.set_edges(self.used, cell.target.degree());
        self.used = self.size().min(self.used + cell.target.rest() + more);
    }

    fn size(&self) -> u32 {
        self.capacity * 2
    }

    /// Packs the pool without holes, in the order of cells. It allocates; set-up and growth may.
    pub(super) fn pack<C>(&mut self, cells: &mut [Cell<C>]) {
        let mut packed: Vec<Link> = bytemuck::zeroed_vec(self.pool.len());
        let mut used = 0;
        for cell in cells.iter_mut() {
            let rest = cell.target.rest();
            packed[used as usize..][..rest as usize].copy_from_slice(&self.pool[cell.target.pooled()]);
            cell.set_edges(used, cell.target.degree());
            used += rest;
        }
        self.pool = packed;
        self.used = used;
    }

    /// Takes all edges from a cell.
    pub(super) fn detach<C>(&mut self, cell: &mut Cell<C>) -> Vec<Edge> {
        let edges = self.of(cell).map(|link| link.edge()).collect();
        self.count -= cell.target.degree();
        self.of_mut(cell).for_each(|link| *link = Link::zeroed());
        cell.set_edges(0, 0);
        edges
    }

    /// Gives edges to a cell that has none; `false` if they do not fit.
    pub(super) fn attach<C>(
        &mut self,
        cells: &mut [Cell<C>],
        cell: u32,
        links: impl ExactSizeIterator<Item = Link>,
    ) -> bool {
        if links.len() as u64 > u64::from(self.size() - self.used) {
            self.pack(cells);
        }
        self.append(&mut cells[cell as usize], links)
    }

    /// Appends the edges of a cell that has none yet; `false` if they do not fit.
    pub(super) fn append<C>(
        &mut self,
        cell: &mut Cell<C>,
        links: impl ExactSizeIterator<Item = Link>,
    ) -> bool {
        let degree = links.len() as u32;
        if degree > self.capacity - self.count {
            return false;
        }
        cell.set_edges(self.used, degree);
        for (place, link) in self.of_mut(cell).zip(links) {
            *place = link;
        }
        self.used += cell.target.rest();
        self.count += degree;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(cell: u32, delay: u32) -> Edge {
        Edge {
            to: Place {
                torus: Torus::B,
                cell,
            },
            delay,
        }
    }

    #[test]
    fn packing_a_pool_full_of_holes_keeps_every_edge_in_order() {
        let cells = 64;
        let mut list = vec![Cell::<u64>::zeroed(); cells as usize];
        let mut edges = Edges::new(cells * 20);
        // Round by round every cell outgrows its room, so the pool fills with holes and is packed several times.
        for round in 0..20 {
            for cell in 0..cells {
                assert_eq!(
                    edges.connect(&mut list, cell, edge(round, cell + 1)),
                    Connected::Created
                );
            }
        }
        assert_eq!(edges.connect(&mut list, 0, edge(20, 1)), Connected::Full);
        assert_eq!(edges.connect(&mut list, 0, edge(0, 99)), Connected::Replaced);
        for cell in 0..cells {
            let delay = |round| if (cell, round) == (0, 0) { 99 } else { cell + 1 };
            let expected: Vec<_> = (0..20).map(|round| edge(round, delay(round))).collect();
            let found: Vec<_> = edges.of(&list[cell as usize]).map(|link| link.edge()).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn edges_beyond_the_first_ones_stand_in_the_pool() {
        let mut list = vec![Cell::<u64>::zeroed(); 1];
        let mut edges = Edges::new(10);
        let links =
            |edges: &Edges, cell: &Cell<u64>| -> Vec<_> { edges.of(cell).map(|link| link.edge()).collect() };
        let mut expected = Vec::new();
        for at in 0..NEAR as u32 + 2 {
            assert_eq!(links(&edges, &list[0]), expected);
            edges.connect(&mut list, 0, edge(at, at + 1));
            expected.push(edge(at, at + 1));
        }
        assert_eq!(edges.detach(&mut list[0]), expected);
        assert_eq!(edges.count(), 0);
        for degree in [NEAR, NEAR + 1, 0] {
            let few = &expected[..degree];
            assert!(edges.attach(&mut list, 0, few.iter().map(|edge| Link::new(*edge))));
            edges.pack(&mut list);
            assert_eq!(edges.detach(&mut list[0]), few);
        }
    }

    #[test]
    fn one_cell_can_own_every_edge_that_fits() {
        for capacity in 1..40 {
            let mut list = vec![Cell::<u64>::zeroed(); 2];
            let mut edges = Edges::new(capacity);
            let other = capacity / 3;
            for at in 0..other {
                assert_eq!(edges.connect(&mut list, 1, edge(at, 1)), Connected::Created);
            }
            for at in other..capacity {
                assert_eq!(edges.connect(&mut list, 0, edge(at, 1)), Connected::Created);
            }
            assert_eq!(edges.count(), capacity);
            assert_eq!(edges.connect(&mut list, 0, edge(capacity, 1)), Connected::Full);
        }
    }
}
