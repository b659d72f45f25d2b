//! Saving and loading a torus as packed words, and the digest of its state.
//!
//! Words, in this order (little-endian inside a word where it holds bytes or halves):
//!
//! | words | content |
//! |---|---|
//! | 1 | magic and version |
//! | 1 | cells, and from bit 32 on the bytes of a process's state |
//! | 1 each | processes, edges, pending events, events executed, last time, history digest |
//! | cells / 64 | bitmap: cells with a process |
//! | | the states of these processes, byte after byte |
//! | cells / 64 | bitmap: cells with out-edges |
//! | | their out-degrees, two to a word |
//! | 1 per edge | destination (torus in bits 24 to 31, cell below), delay from bit 32 on |
//! | 1 | number of groups of equal time |
//! | 2 + 2n per group | time, n, then the events: destination and from bit 32 on source; payload |
//! | 3 per event | the other pending events: time, then as above |
//!
//! Nothing in it depends on capacities or on where things lie in the arrays.

use super::Kernel;
use super::digest::{Part, TickDigest, item};
use super::edges::Link;
use super::error::{Resource, TIME_MAX};
use super::state::State;
use super::world::World;
use crate::model::Model;
use shm_layout::config::Capacity;
use shm_layout::record::{Event, Source, TimedEvent};
use shm_layout::torus::Torus;

/// "BRAIDK" and the version of this format.
const MAGIC: u64 = u64::from_le_bytes(*b"BRAIDK\x01\0");
const FIXED_WORDS: usize = 8;
const GROUPS_MAX: usize = 256;

/// Why saved words were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It ends too early, or goes on after its end.
    #[error("the saved state has {found} words, which is not the length its content needs")]
    Length {
        /// Its length, in words.
        found: usize,
    },
    /// It is no saved state, or one of another version.
    #[error("word 0 of the saved state is {found:#x} instead of {MAGIC:#x}: no saved state, or another version")]
    Magic {
        /// The word found.
        found: u64,
    },
    /// It was saved from another lattice or another model.
    #[error(
        "the saved state is of {found_cells} cells with {found_bytes} bytes of state each; this torus has \
         {cells} with {bytes}"
    )]
    Shape {
        /// Cells of the saved torus.
        found_cells: u32,
        /// Bytes of a process's state in it.
        found_bytes: u32,
        /// Cells of this torus.
        cells: u32,
        /// Bytes of a process's state here.
        bytes: u32,
    },
    /// It needs a larger capacity.
    #[error(
        "torus {torus}: the saved state has {needed} {what}, the capacity is {capacity}; resume with a larger {}",
        what.option()
    )]
    Capacity {
        /// What does not fit.
        what: Resource,
        /// The torus.
        torus: Torus,
        /// How many there are.
        needed: u64,
        /// The capacity.
        capacity: u32,
    },
    /// It contradicts itself.
    #[error("word {word} of the saved state is wrong: {what}")]
    Content {
        /// Index of the word behind the one at fault.
        word: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl<M: Model> Kernel<M> {
    /// Appends the full state, packed, to `out`. Buffers of events for peers are not part of it: they belong to the
    /// interval that has been published.
    pub fn save(&self, out: &mut Vec<u64>) {
        self.state.save(out);
    }

    /// Replaces the state by a saved one. After an error the torus is empty.
    ///
    /// # Errors
    /// Words that are no saved state of this lattice and model, or that do not fit into the capacities.
    pub fn load(&mut self, words: &[u64]) -> Result<(), LoadError> {
        self.state.clear();
        let result = self.state.load(words);
        if result.is_err() {
            self.state.clear();
        }
        result
    }

    /// The most words that [`Kernel::save`] appends for a torus of these capacities.
    pub fn checkpoint_words_max(world: &World, capacity: &Capacity) -> usize {
        let cells = world.lattice.cells() as usize;
        let states = (cells * size_of::<M::Cell>()).div_ceil(8);
        let edges = capacity.edges as usize;
        let pending = capacity.pending as usize;
        FIXED_WORDS + 2 * (cells / 64) + states + cells.min(edges).div_ceil(2) + edges + 1 + 2 * GROUPS_MAX + 3 * pending
    }
}

fn place_word(event: &Event) -> u64 {
    u64::from(event.dst) | u64::from(event.src.0) << 32
}

impl<C: bytemuck::Pod> State<C> {
    pub(super) fn state_digest(&self) -> u64 {
        let counters = item(Part::Counter, 0, 0, self.events).wrapping_add(item(Part::Counter, 1, 0, self.last_time));
        counters
            .wrapping_add(self.processes_digest())
            .wrapping_add(self.edges_digest())
            .wrapping_add(self.pending_digest())
    }

    fn processes_digest(&self) -> u64 {
        let mut sum = 0u64;
        for (cell, state) in self.cells.processes() {
            let cell = u64::from(cell);
            sum = sum.wrapping_add(item(Part::Process, cell, 0, size_of::<C>() as u64));
            for (at, bytes) in (1..).zip(bytemuck::bytes_of(state).chunks(8)) {
                sum = sum.wrapping_add(item(Part::Process, cell, at, word_of(bytes)));
            }
        }
        sum
    }

    fn edges_digest(&self) -> u64 {
        let mut sum = 0u64;
        for (cell, head) in (0..).zip(&self.cells.heads) {
            for (at, link) in (0..).zip(self.edges.of(*head)) {
                sum = sum.wrapping_add(item(Part::Edge, cell, at, link_word(*link)));
            }
        }
        sum
    }

    fn pending_digest(&self) -> u64 {
        let mut sum = 0u64;
        self.wheel.visit(|time, event| sum = sum.wrapping_add(TickDigest::new(time).event(event)));
        sum
    }

    fn save(&self, out: &mut Vec<u64>) {
        let header = [
            MAGIC,
            u64::from(self.cells.count()) | (size_of::<C>() as u64) << 32,
            u64::from(self.cells.active),
            u64::from(self.edges.count()),
            self.wheel.pending(),
            self.events,
            self.last_time,
            self.history_digest,
        ];
        out.extend_from_slice(&header);
        self.save_processes(out);
        self.save_edges(out);
        self.save_pending(out);
    }

    fn save_processes(&self, out: &mut Vec<u64>) {
        for heads in self.cells.heads.chunks(64) {
            out.push(bitmap(heads.iter().map(|head| head.target.is_present())));
        }
        let start = out.len();
        out.resize(start + (self.cells.active as usize * size_of::<C>()).div_ceil(8), 0);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut out[start..]);
        if size_of::<C>() > 0 {
            for (place, (_, state)) in bytes.chunks_exact_mut(size_of::<C>()).zip(self.cells.processes()) {
                place.copy_from_slice(bytemuck::bytes_of(state));
            }
        }
    }

    fn save_edges(&self, out: &mut Vec<u64>) {
        for heads in self.cells.heads.chunks(64) {
            out.push(bitmap(heads.iter().map(|head| head.target.degree() != 0)));
        }
        let start = out.len();
        let with_edges = self.cells.heads.iter().filter(|head| head.target.degree() != 0);
        for (at, head) in with_edges.clone().enumerate() {
            if at % 2 == 0 {
                out.push(u64::from(head.target.degree()));
            } else {
                out[start + at / 2] |= u64::from(head.target.degree()) << 32;
            }
        }
        for head in with_edges {
            out.extend(self.edges.of(*head).iter().map(|link| link_word(*link)));
        }
    }

    fn save_pending(&self, out: &mut Vec<u64>) {
        let groups_at = out.len();
        out.push(0);
        let mut group_at = None;
        self.wheel.visit_near(|time, events| {
            let count_at = match group_at {
                Some((same, count_at)) if same == time => count_at,
                _ => {
                    out[groups_at] += 1;
                    out.extend_from_slice(&[time, 0]);
                    out.len() - 1
                }
            };
            group_at = Some((time, count_at));
            out[count_at] += events.len() as u64;
            out.extend(events.iter().flat_map(|event| [place_word(event), event.payload as u64]));
        });
        self.wheel.visit_far(|events| {
            out.extend(events.iter().flat_map(|event| {
                let &TimedEvent { time, dst, src, payload } = event;
                [time, place_word(&Event { dst, src, payload }), payload as u64]
            }));
        });
    }

    fn load(&mut self, words: &[u64]) -> Result<(), LoadError> {
        let mut reader = Reader { words, at: 0 };
        let magic = reader.word()?;
        if magic != MAGIC {
            return Err(LoadError::Magic { found: magic });
        }
        self.check_shape(reader.word()?)?;
        let [active, edges, pending] = [reader.word()?, reader.word()?, reader.word()?];
        self.check_capacity(Resource::Edges, edges, self.capacity.edges)?;
        self.check_capacity(Resource::Pending, pending, self.capacity.pending)?;
        self.events = reader.word()?;
        self.last_time = reader.word()?;
        if self.last_time > TIME_MAX {
            return Err(reader.wrong("a time beyond the end of virtual time"));
        }
        self.history_digest = reader.word()?;
        self.load_processes(&mut reader, active)?;
        self.load_edges(&mut reader, edges)?;
        self.load_pending(&mut reader, pending)?;
        reader.finish()
    }

    fn check_shape(&self, word: u64) -> Result<(), LoadError> {
        let (found_cells, found_bytes) = (word as u32, (word >> 32) as u32);
        let (cells, bytes) = (self.cells.count(), size_of::<C>() as u32);
        if (found_cells, found_bytes) == (cells, bytes) {
            return Ok(());
        }
        Err(LoadError::Shape { found_cells, found_bytes, cells, bytes })
    }

    fn check_capacity(&self, what: Resource, needed: u64, capacity: u32) -> Result<(), LoadError> {
        if needed <= u64::from(capacity) {
            return Ok(());
        }
        Err(LoadError::Capacity { what, torus: self.world.torus, needed, capacity })
    }

    fn load_processes(&mut self, reader: &mut Reader<'_>, active: u64) -> Result<(), LoadError> {
        let bitmap = reader.take(self.cells.heads.len() / 64)?;
        let marked = bitmap.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        if marked != active {
            return Err(reader.wrong("the bitmap of processes has another number of bits than there are processes"));
        }
        let bytes = reader.take((active as usize * size_of::<C>()).div_ceil(8))?;
        let bytes: &[u8] = bytemuck::cast_slice(bytes);
        for (at, cell) in set_bits(bitmap).enumerate() {
            let state = &bytes[at * size_of::<C>()..][..size_of::<C>()];
            self.cells.spawn(cell, bytemuck::pod_read_unaligned(state));
        }
        Ok(())
    }

    fn load_edges(&mut self, reader: &mut Reader<'_>, edges: u64) -> Result<(), LoadError> {
        let bitmap = reader.take(self.cells.heads.len() / 64)?;
        let with_edges = bitmap.iter().map(|word| word.count_ones() as usize).sum::<usize>();
        let degrees = reader.take(with_edges.div_ceil(2))?;
        for (at, cell) in set_bits(bitmap).enumerate() {
            let degree = (degrees[at / 2] >> (32 * (at % 2))) as u32;
            let links = reader.take(degree as usize)?;
            if links.iter().any(|word| !self.is_valid_link(*word)) {
                return Err(reader.wrong("an edge to a cell or torus that does not exist, or without delay"));
            }
            let links = links.iter().map(|word| Link { to: *word as u32, delay: (*word >> 32) as u32 });
            if degree == 0 || !self.edges.append(&mut self.cells.heads[cell as usize], links) {
                return Err(reader.wrong("the out-degrees do not add up to the number of edges"));
            }
        }
        if u64::from(self.edges.count()) != edges {
            return Err(reader.wrong("the out-degrees do not add up to the number of edges"));
        }
        Ok(())
    }

    fn is_valid_link(&self, word: u64) -> bool {
        let (to, delay) = (word as u32, word >> 32);
        let torus = Torus::from_index((to >> 24) as usize);
        delay > 0 && (to & 0x00ff_ffff) < self.cells.count() && torus.is_some_and(|torus| self.world.has(torus))
    }

    fn load_pending(&mut self, reader: &mut Reader<'_>, pending: u64) -> Result<(), LoadError> {
        // No pending event lies before the last executed one, and none will be scheduled there.
        self.wheel.clear(self.last_time);
        for _ in 0..reader.word()? {
            let [time, count] = [reader.word()?, reader.word()?];
            if count > pending {
                return Err(reader.wrong("more events at one time than there are pending"));
            }
            for pair in reader.take(count as usize * 2)?.chunks_exact(2) {
                self.load_event(reader, time, pair[0], pair[1], pending)?;
            }
        }
        while self.wheel.pending() < pending {
            let [time, place, payload] = [reader.word()?, reader.word()?, reader.word()?];
            self.load_event(reader, time, place, payload, pending)?;
        }
        Ok(())
    }

    fn load_event(
        &mut self,
        reader: &Reader<'_>,
        time: u64,
        place: u64,
        payload: u64,
        pending: u64,
    ) -> Result<(), LoadError> {
        let (dst, src) = (place as u32, Source((place >> 32) as u32));
        if time < self.last_time || time > TIME_MAX || dst >= self.cells.count() || self.wheel.pending() == pending {
            return Err(reader.wrong("a pending event too many, at an impossible time or for a cell that does not exist"));
        }
        self.wheel.push(time, Event { dst, src, payload: payload as i64 });
        Ok(())
    }
}

fn link_word(link: Link) -> u64 {
    u64::from(link.to) | u64::from(link.delay) << 32
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

fn bitmap(bits: impl Iterator<Item = bool>) -> u64 {
    bits.enumerate().fold(0, |word, (at, bit)| word | u64::from(bit) << at)
}

fn set_bits(bitmap: &[u64]) -> impl Iterator<Item = u32> {
    (0..).zip(bitmap).flat_map(|(at, word)| (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| at * 64 + bit))
}

struct Reader<'a> {
    words: &'a [u64],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u64], LoadError> {
        let rest = &self.words[self.at..];
        let taken = rest.get(..count).ok_or(LoadError::Length { found: self.words.len() })?;
        self.at += count;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u64, LoadError> {
        Ok(self.take(1)?[0])
    }

    fn wrong(&self, what: &'static str) -> LoadError {
        LoadError::Content { word: self.at, what }
    }

    fn finish(self) -> Result<(), LoadError> {
        if self.at == self.words.len() { Ok(()) } else { Err(LoadError::Length { found: self.words.len() }) }
    }
}
