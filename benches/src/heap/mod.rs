//! The *heap kernel*: the semantics of the torus kernel on one binary heap of (time, destination, source, payload), as
//! the original kernel had it. It takes the least event, executes it, and queues what that emits.
//!
//! In this order the events of one bag stand next to one another, so canonical bags come for free; the time goes into
//! the heap. It keeps the same history digest, which shows that it did the same work.

mod digest;
mod rules;

pub use rules::{CascadeRule, PholdRule, Rule};

use digest::TickDigest;
use shm_layout::record::{Source, TimedEvent};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use torus_worker::kernel::{Edge, Kernel, World};
use torus_worker::model::Model;
use torus_worker::random::{Stream, TickKey};

/// A cell: its process, if it has one, and its out-edges in order of creation.
#[derive(Clone, Default)]
struct Cell<C> {
    process: Option<C>,
    links: Vec<Link>,
}

/// An edge to a cell of the same torus.
#[derive(Clone, Copy)]
struct Link {
    to: u32,
    delay: u32,
}

/// One torus, alone, on a binary heap.
pub struct HeapKernel<R: Rule> {
    rule: R,
    world: World,
    cells: Vec<Cell<R::Cell>>,
    queue: BinaryHeap<Reverse<TimedEvent>>,
    /// Tick and cell of the bag being executed, and its random numbers.
    bag: Option<(u64, u32)>,
    stream: Stream,
    key: TickKey,
    digest: TickDigest,
    events: u64,
    last_time: u64,
    peak: usize,
    history_digest: u64,
}

impl<R: Rule> HeapKernel<R> {
    /// An empty torus.
    pub fn new(rule: R, world: World) -> HeapKernel<R> {
        let key = TickKey::new(world.seed, world.torus, 0);
        let empty = Cell {
            process: None,
            links: Vec::new(),
        };
        HeapKernel {
            rule,
            world,
            cells: vec![empty; world.lattice.cells() as usize],
            queue: BinaryHeap::new(),
            bag: None,
            stream: key.stream(0),
            key,
            digest: TickDigest::new(0),
            events: 0,
            last_time: 0,
            peak: 0,
            history_digest: 0,
        }
    }

    /// A torus in the state of a real one that has not executed anything yet.
    pub fn of<M: Model<Cell = R::Cell>>(rule: R, kernel: &Kernel<M>) -> HeapKernel<R> {
        let mut heap = HeapKernel::new(rule, *kernel.world());
        for cell in 0..kernel.world().lattice.cells() {
            if let Some(process) = kernel.process(cell) {
                heap.spawn(cell, *process);
            }
            for index in 0..kernel.out_degree(cell) {
                heap.connect(cell, kernel.edge(cell, index).expect("an index below the degree"));
            }
        }
        for event in kernel.pending_events() {
            heap.schedule(event);
        }
        heap
    }

    /// Puts a process into a cell.
    pub fn spawn(&mut self, cell: u32, process: R::Cell) {
        self.cells[cell as usize].process = Some(process);
    }

    /// Creates an edge within the torus, or replaces the delay of the edge that leads there already.
    pub fn connect(&mut self, from: u32, edge: Edge) {
        assert_eq!(edge.to.torus, self.world.torus, "the heap kernel has no peers");
        let links = &mut self.cells[from as usize].links;
        let (to, delay) = (edge.to.cell, edge.delay);
        match links.iter_mut().find(|link| link.to == to) {
            Some(link) => link.delay = delay,
            None => links.push(Link { to, delay }),
        }
    }

    /// Queues an event.
    pub fn schedule(&mut self, event: TimedEvent) {
        self.queue.push(Reverse(event));
    }

    /// Executes all events before tick `end`, or as many as `budget` first.
    pub fn run(&mut self, end: u64, budget: u64) {
        self.run_observed(end, budget, |_| ());
    }

    /// The same, and shows each event before it is executed.
    #[inline]
    pub fn run_observed(&mut self, end: u64, budget: u64, mut visit: impl FnMut(&TimedEvent)) {
        self.peak = 0;
        let enough = self.events.saturating_add(budget);
        while let Some(Reverse(event)) = self.queue.peek().copied() {
            if event.time >= end || self.events >= enough {
                return;
            }
            self.queue.pop();
            visit(&event);
            self.execute(&event);
        }
    }

    fn execute(&mut self, event: &TimedEvent) {
        if self.bag != Some((event.time, event.dst)) {
            self.begin_bag(event);
        }
        self.events += 1;
        self.history_digest = self.history_digest.wrapping_add(self.digest.event(event));
        let Cell { process, links } = &mut self.cells[event.dst as usize];
        let mut out = HeapOutbox {
            time: event.time,
            source: Source::model(self.world.torus, event.dst),
            stream: &mut self.stream,
            links,
            queue: &mut self.queue,
        };
        self.rule.execute(process.as_mut(), event, &mut out);
        self.peak = self.peak.max(self.queue.len());
    }

    fn begin_bag(&mut self, event: &TimedEvent) {
        if self.bag.is_none_or(|(time, _)| time != event.time) {
            self.key = TickKey::new(self.world.seed, self.world.torus, event.time);
            self.digest = TickDigest::new(event.time);
            self.last_time = event.time;
        }
        self.bag = Some((event.time, event.dst));
        self.stream = self.key.stream(event.dst);
    }

    /// Events executed so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Time of the last executed event.
    pub fn last_time(&self) -> u64 {
        self.last_time
    }

    /// The most events that were queued after the execution of any event of the last run.
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// Hash of every event executed so far, the same as the real kernel's.
    pub fn history_digest(&self) -> u64 {
        self.history_digest
    }

    /// The process in a cell.
    pub fn process(&self, cell: u32) -> Option<&R::Cell> {
        self.cells[cell as usize].process.as_ref()
    }

    /// The out-edges of a cell in order of creation: cell and delay.
    pub fn edges(&self, from: u32) -> impl Iterator<Item = (u32, u32)> {
        self.cells[from as usize]
            .links
            .iter()
            .map(|link| (link.to, link.delay))
    }

    /// The queued events in order.
    pub fn pending_events(&self) -> Vec<TimedEvent> {
        let mut events: Vec<_> = self.queue.iter().map(|Reverse(event)| *event).collect();
        events.sort_unstable();
        events
    }
}

/// What a rule sends events with.
pub struct HeapOutbox<'a> {
    time: u64,
    source: Source,
    stream: &'a mut Stream,
    links: &'a mut [Link],
    queue: &'a mut BinaryHeap<Reverse<TimedEvent>>,
}

impl HeapOutbox<'_> {
    #[inline]
    fn send(&mut self, index: usize, delay: u32, payload: i64) {
        let link = &mut self.links[index];
        link.delay = delay;
        self.queue.push(Reverse(TimedEvent {
            time: self.time + u64::from(delay),
            dst: link.to,
            src: self.source,
            payload,
        }));
    }
}
