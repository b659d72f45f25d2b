//! What the tori say to one another about migrations, as records in their strands.
//!
//! A record is an event whose source is of kind control and names the *old place* of the process. Its time is none: bits
//! 56 and up say what the record is, the others number the records of one message. A strand's order is not preserved by
//! a replay, so what arrives is sorted by these.

use super::outcome::{Refusal, place_of, place_word};
use crate::kernel::{Edge, Place};
use bytemuck::Pod;
use shm_layout::record::{Source, SourceKind, TimedEvent};
use shm_layout::torus::Torus;

/// What a record belongs to; records are handled in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Tag {
    Arrive = 1,
    Moved = 2,
    Grant = 3,
    Refuse = 4,
    Request = 5,
}

const TAG_SHIFT: u32 = 56;

/// A process with what belongs to it, on its way to its new place; its pending events travel as plain events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Where it left.
    pub(super) from: Place,
    /// The cell that it is to live in.
    pub(super) cell: u32,
    /// The bytes of its state, padded to words.
    pub(super) state: Vec<u64>,
    /// Its out-edges, in order.
    pub(super) edges: Vec<Edge>,
}

/// All that has come in at one boundary, each kind in the order of old places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Messages {
    /// Processes that arrive.
    pub(super) arrivals: Vec<Arrival>,
    /// Processes that have moved, from and to where, and arrive elsewhere now.
    pub(super) moved: Vec<(Place, Place)>,
    /// Answers to own requests: the process's cell, and its cell on the target or why there is none.
    pub(super) answers: Vec<(u32, Result<u32, Refusal>)>,
    /// Processes that ask for a place here.
    pub(super) requests: Vec<Place>,
}

/// Whether an event in a strand is a record of this kind.
pub fn is_record(event: &TimedEvent) -> bool {
    event.src.kind() == Some(SourceKind::Control)
}

fn record(tag: Tag, number: u64, from: Place, dst: u32, payload: u64) -> TimedEvent {
    TimedEvent {
        time: (tag as u64) << TAG_SHIFT | number,
        dst,
        src: Source::new(SourceKind::Control, from.torus, from.cell),
        payload: payload as i64,
    }
}

/// The process at `from` asks for a place.
pub(super) fn request(from: Place) -> TimedEvent {
    record(Tag::Request, 0, from, 0, 0)
}

/// The process at `from` gets cell `cell` of the torus that says so.
pub(super) fn grant(from: Place, cell: u32) -> TimedEvent {
    record(Tag::Grant, 0, from, cell, 0)
}

/// The process at `from` gets no place.
pub(super) fn refuse(from: Place, refusal: Refusal) -> TimedEvent {
    record(Tag::Refuse, 0, from, 0, refusal as u64)
}

/// The process that lived at `from` lives at `to` now.
pub(super) fn moved(from: Place, to: Place) -> TimedEvent {
    record(Tag::Moved, 0, from, 0, place_word(to))
}

impl Arrival {
    /// How many records it takes.
    pub(super) fn records_needed(state_words: usize, edges: usize) -> usize {
        1 + state_words + edges
    }

    /// The records: a head with the lengths, then state and edges.
    pub(super) fn records(&self) -> impl Iterator<Item = TimedEvent> {
        let lengths = self.state.len() as u64 | (self.edges.len() as u64) << 32;
        let edges = self
            .edges
            .iter()
            .map(|edge| place_word(edge.to) | u64::from(edge.delay) << 32);
        let words = [lengths]
            .into_iter()
            .chain(self.state.iter().copied())
            .chain(edges);
        (0..)
            .zip(words)
            .map(|(number, word)| record(Tag::Arrive, number, self.from, self.cell, word))
    }
}

/// The state of a process as words, the last one padded with zeros.
pub(super) fn state_words<C: Pod>(process: &C) -> Vec<u64> {
    let mut words = vec![0; size_of::<C>().div_ceil(8)];
    bytemuck::cast_slice_mut(&mut words)[..size_of::<C>()].copy_from_slice(bytemuck::bytes_of(process));
    words
}

/// The process whose state these words are; `None` if they are too few or too many.
pub(super) fn process_of<C: Pod>(words: &[u64]) -> Option<C> {
    if words.len() != size_of::<C>().div_ceil(8) {
        return None;
    }
    let bytes: &[u8] = bytemuck::cast_slice(words);
    Some(bytemuck::pod_read_unaligned(&bytes[..size_of::<C>()]))
}

/// The processes that travel among the events of strand ranges.
pub fn processes<'a, C: Pod>(events: impl Iterator<Item = &'a TimedEvent>) -> Vec<C> {
    let is_arrival = |event: &&TimedEvent| is_record(event) && event.time >> TAG_SHIFT == Tag::Arrive as u64;
    let records = events.filter(is_arrival).copied().collect();
    let messages = Messages::read(Torus::A, records).unwrap_or_default();
    let states = messages.arrivals.iter();
    states.filter_map(|arrival| process_of(&arrival.state)).collect()
}

impl Messages {
    /// Reads the records that came in for torus `own`; the error says what is wrong with them.
    pub(super) fn read(own: Torus, mut records: Vec<TimedEvent>) -> Result<Messages, String> {
        records.sort_unstable_by_key(|record| (record.time >> TAG_SHIFT, record.src, record.time));
        let mut messages = Messages::default();
        let mut rest = records.as_slice();
        while let Some((head, behind)) = rest.split_first() {
            rest = behind;
            let from = old_place(head)?;
            let word = head.payload.cast_unsigned();
            let is = |tag: Tag| head.time == (tag as u64) << TAG_SHIFT;
            if is(Tag::Arrive) {
                let arrival = Arrival::read(head, from, &mut rest)?;
                messages.arrivals.push(arrival);
            } else if is(Tag::Moved) {
                let to = place_of(word).ok_or_else(|| wrong(head))?;
                messages.moved.push((from, to));
            } else if is(Tag::Grant) && from.torus == own {
                messages.answers.push((from.cell, Ok(head.dst)));
            } else if is(Tag::Refuse) && from.torus == own {
                let refusal = Refusal::from_word(word).ok_or_else(|| wrong(head))?;
                messages.answers.push((from.cell, Err(refusal)));
            } else if is(Tag::Request) {
                messages.requests.push(from);
            } else {
                return Err(wrong(head));
            }
        }
        Ok(messages)
    }
}

impl Arrival {
    /// Reads an arrival from its head and the records behind it.
    fn read(head: &TimedEvent, from: Place, rest: &mut &[TimedEvent]) -> Result<Arrival, String> {
        let lengths = head.payload.cast_unsigned();
        let (words, edges) = (lengths as u32 as usize, (lengths >> 32) as usize);
        let (own, behind) = rest.split_at_checked(words + edges).ok_or_else(|| wrong(head))?;
        *rest = behind;
        let is_next = |(number, record): (u64, &TimedEvent)| {
            (record.src, record.time) == (head.src, head.time + number)
        };
        if !(1..).zip(own).all(is_next) {
            return Err(wrong(head));
        }
        let word = |record: &TimedEvent| record.payload.cast_unsigned();
        let edge = |record: &TimedEvent| {
            let to = place_of(word(record) & u64::from(u32::MAX)).ok_or_else(|| wrong(record))?;
            let delay = (word(record) >> 32) as u32;
            Ok(Edge { to, delay })
        };
        Ok(Arrival {
            from,
            cell: head.dst,
            state: own[..words].iter().map(word).collect(),
            edges: own[words..].iter().map(edge).collect::<Result<_, String>>()?,
        })
    }
}

fn old_place(record: &TimedEvent) -> Result<Place, String> {
    let torus = record.src.torus().ok_or_else(|| wrong(record))?;
    let cell = record.src.cell();
    Ok(Place { torus, cell })
}

fn wrong(record: &TimedEvent) -> String {
    let TimedEvent {
        time,
        src,
        dst,
        payload,
        ..
    } = record;
    format!("a record that belongs to no migration: {src}, {time:#x}, {dst}, {payload:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(torus: Torus, cell: u32) -> Place {
        Place { torus, cell }
    }

    fn places() -> impl Strategy<Value = Place> {
        (0..3_usize, 0..Source::CELLS).prop_map(|(torus, cell)| place(Torus::ALL[torus], cell))
    }

    fn arrivals() -> impl Strategy<Value = Arrival> {
        let edges = prop::collection::vec((places(), 1..=u32::MAX), 0..5);
        let edges = edges.prop_map(|edges| edges.into_iter().map(|(to, delay)| Edge { to, delay }).collect());
        (
            places(),
            0..1000_u32,
            prop::collection::vec(any::<u64>(), 0..4),
            edges,
        )
            .prop_map(|(from, cell, state, edges)| Arrival {
                from,
                cell,
                state,
                edges,
            })
    }

    proptest! {
        #[test]
        fn whatever_order_the_records_come_in_the_messages_are_the_same(
            arrivals in prop::collection::vec(arrivals(), 0..4),
            others in prop::collection::vec(places(), 0..4),
            seed in any::<u64>(),
        ) {
            let mut expected = Messages { arrivals, ..Messages::default() };
            expected.arrivals.sort_by_key(|arrival| (arrival.from.torus, arrival.from.cell));
            expected.arrivals.dedup_by_key(|arrival| arrival.from);
            expected.requests = others;
            expected.requests.sort();
            expected.requests.dedup();
            expected.moved = expected.requests.iter().map(|from| (*from, place(Torus::C, 9))).collect();
            let own = expected.requests.iter().filter(|from| from.torus == Torus::B);
            expected.answers = own
                .map(|from| (from.cell, if from.cell % 2 == 0 { Ok(5) } else { Err(Refusal::NoPlace) }))
                .collect();
            expected.answers.sort_by_key(|(_, answer)| answer.is_err());
            let mut records: Vec<_> = expected.arrivals.iter().flat_map(Arrival::records).collect();
            records.extend(expected.requests.iter().copied().map(request));
            records.extend(expected.moved.iter().map(|(from, to)| moved(*from, *to)));
            records.extend(expected.answers.iter().map(|(cell, answer)| match answer {
                Ok(new) => grant(place(Torus::B, *cell), *new),
                Err(refusal) => refuse(place(Torus::B, *cell), *refusal),
            }));
            let mut random = crate::random::TickKey::new(seed, Torus::A, 0).stream(0);
            for at in (1..records.len()).rev() {
                records.swap(at, random.below(at as u64 + 1) as usize);
            }
            prop_assert_eq!(Messages::read(Torus::B, records), Ok(expected));
        }

        #[test]
        fn an_arrival_that_lacks_a_record_is_refused(arrival in arrivals(), lost in any::<prop::sample::Index>()) {
            let mut records: Vec<_> = arrival.records().collect();
            records.remove(lost.index(records.len()));
            let read = Messages::read(Torus::B, records.clone());
            prop_assert!(records.is_empty() || read.is_err());
        }
    }

    #[test]
    fn the_state_of_a_process_survives_its_words_whatever_its_size() {
        fn survives<C: Pod + PartialEq + std::fmt::Debug>(process: C, words: usize) {
            let state = state_words(&process);
            assert_eq!(state.len(), words);
            assert_eq!(process_of::<C>(&state), Some(process));
            assert_eq!(process_of::<C>(&[state, vec![0]].concat()), None);
        }
        survives([1_u8, 2, 3], 1);
        survives(u64::MAX, 1);
        survives([7_u32; 3], 2);
        survives((), 0);
    }
}
