//! From packed words to the state.

use super::super::edges::Link;
use super::super::error::{Resource, TIME_MAX};
use super::super::state::State;
use super::reader::Reader;
use super::save::state_words;
use super::{BLOCK, DEGREE_IN_WORD, LoadError, MAGIC};
use shm_layout::record::{Source, TimedEvent};
use shm_layout::torus::Torus;

impl<C: bytemuck::Pod> State<C> {
    pub(in super::super) fn load(&mut self, words: &[u64]) -> Result<(), LoadError> {
        let mut reader = Reader::new(words);
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
        self.load_cells(&mut reader, active, edges)?;
        self.load_pending(&mut reader, pending)?;
        self.load_held(&mut reader)?;
        reader.finish()
    }

    fn check_shape(&self, word: u64) -> Result<(), LoadError> {
        let (found_cells, found_bytes) = (word as u32, (word >> 32) as u32);
        let (cells, bytes) = (self.cells.count(), size_of::<C>() as u32);
        if (found_cells, found_bytes) == (cells, bytes) {
            return Ok(());
        }
        Err(LoadError::Shape {
            found_cells,
            found_bytes,
            cells,
            bytes,
        })
    }

    fn check_capacity(&self, what: Resource, needed: u64, capacity: u32) -> Result<(), LoadError> {
        if needed <= u64::from(capacity) {
            return Ok(());
        }
        Err(LoadError::Capacity {
            what,
            torus: self.world.torus,
            needed,
            capacity,
        })
    }

    fn load_cells(&mut self, reader: &mut Reader<'_>, active: u64, edges: u64) -> Result<(), LoadError> {
        for first in (0..self.cells.list.len()).step_by(BLOCK) {
            let [present, degrees @ ..] = reader.array::<{ 1 + BLOCK / 8 }>()?;
            let degrees: [u8; BLOCK] = bytemuck::cast(degrees);
            for (at, degree) in degrees.into_iter().enumerate() {
                if degree > 0 {
                    self.load_edges(reader, first + at, degree.into())?;
                }
                if present >> at & 1 != 0 {
                    let state: &[u8] = bytemuck::cast_slice(reader.take(state_words::<C>())?);
                    let state = bytemuck::pod_read_unaligned(&state[..size_of::<C>()]);
                    self.cells.spawn((first + at) as u32, state);
                }
            }
        }
        if u64::from(self.cells.active) != active {
            return Err(reader.wrong("another number of processes than it says"));
        }
        if u64::from(self.edges.count()) != edges {
            return Err(reader.wrong("the out-degrees do not add up to the number of edges"));
        }
        Ok(())
    }

    fn load_edges(&mut self, reader: &mut Reader<'_>, cell: usize, degree: u32) -> Result<(), LoadError> {
        let degree = match degree {
            DEGREE_IN_WORD => reader.word()?,
            degree => degree.into(),
        };
        let links = reader.take(usize::try_from(degree).unwrap_or(usize::MAX))?;
        if links.iter().any(|word| !self.is_valid_link(*word)) {
            return Err(reader.wrong("an edge to a cell or torus that does not exist, or without delay"));
        }
        let links = links.iter().map(|word| Link {
            to: *word as u32,
            delay: (*word >> 32) as u32,
        });
        if !self.edges.append(&mut self.cells.list[cell], links) {
            return Err(reader.wrong("the out-degrees do not add up to the number of edges"));
        }
        Ok(())
    }

    fn is_valid_link(&self, word: u64) -> bool {
        let (to, delay) = (word as u32, word >> 32);
        let torus = Torus::from_index((to >> 24) as usize);
        delay > 0
            && (to & 0x00ff_ffff) < self.cells.count()
            && torus.is_some_and(|torus| self.world.has(torus))
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
        if self.wheel.pending() == pending {
            return Err(reader.wrong("a pending event too many"));
        }
        let event = self.event_of(reader, [time, place, payload])?;
        if time < self.last_time {
            return Err(reader.wrong("a pending event before the last executed one"));
        }
        self.wheel.push(time, event.event());
        Ok(())
    }

    /// An event that waits may wait past its time.
    fn load_held(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        let count = reader.word()?;
        let needed = self.wheel.pending().saturating_add(count);
        self.check_capacity(Resource::Pending, needed, self.capacity.pending)?;
        for words in reader.take(3 * count as usize)?.chunks_exact(3) {
            let event = self.event_of(reader, [words[0], words[1], words[2]])?;
            self.held.push(event);
        }
        Ok(())
    }

    fn event_of(&self, reader: &Reader<'_>, words: [u64; 3]) -> Result<TimedEvent, LoadError> {
        let [time, place, payload] = words;
        let (dst, src) = (place as u32, Source((place >> 32) as u32));
        if time > TIME_MAX || dst >= self.cells.count() {
            return Err(
                reader.wrong("a pending event at an impossible time or for a cell that does not exist")
            );
        }
        Ok(TimedEvent {
            time,
            dst,
            src,
            payload: payload as i64,
        })
    }
}
