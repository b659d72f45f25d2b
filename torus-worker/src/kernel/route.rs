//! Route: what a process sends along its cell's edges, to cells of this torus or of a peer.

use super::cells::NEAR;
use super::chunks::Packed;
use super::edges::{Link, TORUS};
use super::error::Resource;
use super::prefetch::prefetch;
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

/// The most sends that wait for their edges.
const POSTPONED: usize = 64;

/// Sends along edges that stand in the pool, until the edges have come into the cache.
///
/// Where few events go along such edges, they are not fetched ahead with the cells; and where an event goes is known only
/// from its edge. So what is to be sent is noted, while the edge is fetched, and sent later in the same tick. In which order
/// a tick's events are sent changes nothing. Where many do, all edges are fetched ahead, and nothing waits.
pub(super) struct Postponed {
    list: [Send; POSTPONED],
    count: usize,
    /// Sends along edges in the pool at this tick that are not in the list any more, or never were.
    sent: usize,
    /// Whether so many events go along edges in the pool that they are fetched ahead.
    pub(super) fetches_ahead: bool,
}

#[derive(Clone, Copy, Default)]
struct Send {
    /// The edge's position in the pool.
    at: u32,
    delay: u32,
    src: Source,
    payload: i64,
}

impl Postponed {
    pub(super) fn new() -> Postponed {
        Postponed {
            list: [Send::default(); POSTPONED],
            count: 0,
            sent: 0,
            fetches_ahead: false,
        }
    }

    /// Ends a tick at which all has been sent: the next one probably is as this one, which had so many bags.
    pub(super) fn end_tick(&mut self, bags: usize) {
        self.fetches_ahead = self.sent > bags / 2;
        self.sent = 0;
    }

    /// Notes a send; returns whether there is no room for another.
    #[inline(always)]
    fn add(&mut self, send: Send) -> bool {
        self.list[self.count] = send;
        self.count += 1;
        self.count == POSTPONED
    }

    /// Whether the last send that waits is of this source. A tick delivers to each cell once, so those of the cell that it
    /// delivers to come last.
    #[inline(always)]
    fn ends_with(&self, src: Source) -> bool {
        self.list[..self.count].last().is_some_and(|send| send.src == src)
    }

    /// Sends all, and leaves each edge with its delay.
    #[inline(never)]
    pub(super) fn send(
        &mut self,
        tick: u64,
        home: u32,
        pool: &mut [Link],
        wheel: &mut Wheel,
        remote: &mut Remote,
    ) {
        for send in &self.list[..self.count] {
            let &Send {
                at,
                delay,
                src,
                payload,
            } = send;
            let link = &mut pool[at as usize];
            link.delay = delay;
            let dst = link.to ^ home;
            if dst < TORUS {
                wheel.emit(delay, Packed::new(Event { dst, src, payload }));
            } else {
                let time = tick + u64::from(delay);
                remote.emit(*link, wheel, time, src, payload);
            }
        }
        self.sent += self.count;
        self.count = 0;
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
    /// Whether the edges in the pool have been fetched ahead, so that no send has to wait for them.
    pub(super) has_pool_ahead: bool,
    pub(super) postponed: &'a mut Postponed,
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
    pub fn edge(&mut self, index: usize) -> Edge {
        let link = match self.is_pooled(index) {
            false => self.near[index],
            true => self.pooled(index - NEAR),
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
            true if self.has_pool_ahead => {
                self.postponed.sent += 1;
                &mut self.pool[self.first as usize + index - NEAR]
            }
            true => return self.postpone(index - NEAR, delay, payload),
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

    /// An edge in the pool. A send along it that still waits has not left its delay there yet.
    #[inline(always)]
    fn pooled(&mut self, index: usize) -> Link {
        if self.postponed.ends_with(self.source) {
            self.send_postponed();
        }
        self.pool[self.first as usize + index]
    }

    #[inline(always)]
    fn postpone(&mut self, index: usize, delay: u32, payload: i64) {
        let at = self.first + index as u32;
        prefetch(self.pool, at as usize);
        let send = Send {
            at,
            delay,
            src: self.source,
            payload,
        };
        if self.postponed.add(send) {
            self.send_postponed();
        }
    }

    #[inline(always)]
    fn send_postponed(&mut self) {
        self.postponed
            .send(self.tick, self.home, self.pool, self.wheel, self.remote);
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
