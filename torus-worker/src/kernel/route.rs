//! Route: what a process sends along its cell's edges, to cells of this torus or of a peer.

use super::cells::NEAR;
use super::chunks::Packed;
use super::edges::{Link, TORUS};
use super::error::Resource;
use super::wheel::Wheel;
use super::world::{Edge, Place};
use crate::random::Stream;
use shm_layout::record::{Event, Source, SourceKind, TimedEvent};
use shm_layout::torus::Torus;

/// Events for the peers, emitted in the present interval.
pub(super) struct Remote {
    buffers: [Vec<TimedEvent>; 3],
    capacity: usize,
    floor: u64,
    overflown: bool,
    /// Which peers take in nothing of this interval.
    refusing: [bool; 3],
    refused: [u64; 3],
}

impl Remote {
    /// Buffers of `capacity` events for each torus named.
    pub(super) fn new(capacity: u32, peers: impl Iterator<Item = Torus>) -> Remote {
        let mut buffers = [const { Vec::new() }; 3];
        let capacity = capacity as usize;
        for peer in peers {
            buffers[peer.index()] = Vec::with_capacity(capacity);
        }
        Remote {
            buffers,
            capacity,
            floor: 0,
            overflown: false,
            refusing: [false; 3],
            refused: [0; 3],
        }
    }

    /// Empties the buffers; no event arrives before `floor` from now on, and none at a peer that refuses.
    pub(super) fn begin(&mut self, floor: u64, refusing: [bool; 3]) {
        self.buffers.iter_mut().for_each(Vec::clear);
        self.floor = floor;
        self.overflown = false;
        self.refusing = refusing;
        self.refused = [0; 3];
    }

    /// Events for a peer that came back in this interval.
    pub(super) fn refused(&self, to: Torus) -> u64 {
        self.refused[to.index()]
    }

    pub(super) fn buffer(&self, to: Torus) -> &[TimedEvent] {
        &self.buffers[to.index()]
    }

    pub(super) fn is_overflown(&self) -> bool {
        self.overflown
    }

    /// Appends an event that was sent along an edge. If the peer refuses it, it is given back to the cell that sent it, at
    /// the time at which it would have arrived.
    #[inline(never)]
    fn emit(&mut self, link: Link, wheel: &mut Wheel, time: u64, src: Source, payload: i64) {
        let Place { torus, cell: dst } = link.edge().to;
        if self.refusing[torus.index()] {
            self.refused[torus.index()] += 1;
            let returned = Event {
                dst: src.cell(),
                src: Source::new(SourceKind::Returned, torus, dst),
                payload,
            };
            return wheel.push(time.max(self.floor), returned);
        }
        self.push(
            torus.index(),
            TimedEvent {
                time,
                dst,
                src,
                payload,
            },
        );
    }

    /// Appends an event; it arrives at its time, or at the floor if that is later.
    pub(super) fn push(&mut self, to: usize, event: TimedEvent) {
        let time = event.time.max(self.floor);
        self.push_as_is(to, TimedEvent { time, ..event });
    }

    /// Appends a record whose time is not one.
    #[inline]
    pub(super) fn push_as_is(&mut self, to: usize, record: TimedEvent) {
        let buffer = &mut self.buffers[to];
        if buffer.len() == self.capacity {
            self.overflown = true;
            return;
        }
        buffer.push(record);
    }
}

/// What overflowed in this tick, if anything did.
#[inline]
pub(super) fn overflow(wheel: &Wheel, remote: &Remote, pending: u32) -> Option<Resource> {
    if wheel.is_overflown() || wheel.pending() > u64::from(pending) {
        return Some(Resource::Pending);
    }
    remote.is_overflown().then_some(Resource::RemotePerInterval)
}

/// What a handler sends events with: the out-edges of its cell, in order of creation, and its random numbers.
pub struct Outbox<'a> {
    pub(super) tick: u64,
    pub(super) source: Source,
    /// This torus as it stands in an edge's word.
    pub(super) home: u32,
    pub(super) stream: Stream,
    /// The first edges, and how many there are in all.
    pub(super) near: &'a mut [Link; NEAR],
    pub(super) degree: usize,
    /// The others, which stand in the pool from `first` on. Most events go along one of the first: that there are more is
    /// looked at when one of these is asked for.
    pub(super) pool: &'a mut [Link],
    pub(super) first: u32,
    pub(super) wheel: &'a mut Wheel,
    pub(super) remote: &'a mut Remote,
}

impl Outbox<'_> {
    /// The number of out-edges.
    #[inline(always)]
    pub fn out_degree(&self) -> usize {
        self.degree
    }

    /// An out-edge.
    ///
    /// # Panics
    /// `index` is not below [`Outbox::out_degree`].
    #[inline(always)]
    pub fn edge(&self, index: usize) -> Edge {
        let link = match self.is_pooled(index) {
            false => self.near[index],
            true => self.pool[self.first as usize + index - NEAR],
        };
        link.edge()
    }

    /// Sends an event along an out-edge and leaves the edge with this delay. It arrives `delay` ticks later (a delay of
    /// 0 counts as 1); on another torus not before the boundary L intervals after the next one. While that torus is absent
    /// the event comes back to this cell at the time at which it would have arrived, from a source of kind `Returned`.
    ///
    /// # Panics
    /// `index` is not below [`Outbox::out_degree`].
    #[inline(always)]
    pub fn send(&mut self, index: usize, delay: u32, payload: i64) {
        let delay = delay.max(1);
        let link = match self.is_pooled(index) {
            false => &mut self.near[index],
            true => &mut self.pool[self.first as usize + index - NEAR],
        };
        link.delay = delay;
        // Without the torus if it is this one.
        let dst = link.to ^ self.home;
        if dst < TORUS {
            self.wheel.emit(
                delay,
                Packed::new(Event {
                    dst,
                    src: self.source,
                    payload,
                }),
            );
        } else {
            let time = self.tick + u64::from(delay);
            self.remote.emit(*link, self.wheel, time, self.source, payload);
        }
    }

    /// Whether an out-edge stands in the pool.
    #[inline(always)]
    fn is_pooled(&self, index: usize) -> bool {
        if index >= self.degree {
            no_such_edge(index, self.degree);
        }
        index >= NEAR
    }

    /// The next 64 random bits of this cell at this tick.
    #[inline(always)]
    pub fn draw(&mut self) -> u64 {
        self.stream.draw()
    }

    /// A random number below `bound`.
    #[inline(always)]
    pub fn draw_below(&mut self, bound: u64) -> u64 {
        self.stream.below(bound)
    }
}

/// In a function that takes both numbers by value, an outbox can stay in registers.
#[cold]
#[inline(never)]
fn no_such_edge(index: usize, degree: usize) -> ! {
    panic!("edge {index} of {degree}")
}
