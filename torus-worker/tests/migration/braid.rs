//! Three nodes in one thread, fed with what they publish and with commands. Beside each runs a twin that is loaded from a
//! checkpoint at every boundary and takes its strands in another order: what differs between the two would be lost, or
//! observed, in a recovery.

use std::collections::BTreeMap;

use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::record::{LaneEntry, Source, SourceKind, TimedEvent};
use shm_layout::torus::Torus;
use torus_worker::kernel::{Arrivals, Edge, Place, Progress};
use torus_worker::model::Model;
use torus_worker::node::migrate::{Outcome, is_record, processes};
use torus_worker::node::{Injection, Intake, LANES_MAX, Node};
use torus_worker::setup;

/// A frame and what it carries for each peer.
pub struct Published {
    frame: Frame,
    pub events: [Vec<TimedEvent>; 3],
}

pub struct Braid<M: Model> {
    pub config: RunConfig,
    pub nodes: Vec<Node<M>>,
    /// By torus and interval.
    pub published: [Vec<Published>; 3],
    commands: [Vec<LaneEntry>; 3],
    ticket: u64,
}

impl<M: Model> Braid<M> {
    pub fn new(config: RunConfig) -> Self {
        let node = |torus| setup::node(&config, torus).expect("a valid configuration");
        Self {
            nodes: Torus::ALL.into_iter().map(node).collect(),
            config,
            published: Default::default(),
            commands: Default::default(),
            ticket: 0,
        }
    }

    pub fn boundary(&self) -> u64 {
        self.nodes[0].boundary()
    }

    pub fn node(&self, torus: Torus) -> &Node<M> {
        &self.nodes[torus.index()]
    }

    /// At the next boundary the process of a cell is asked to move; returns the ticket.
    pub fn migrate(&mut self, from: Torus, cell: u32, to: Torus) -> u64 {
        self.ticket += 1;
        self.commands[from.index()].push(LaneEntry {
            at: self.ticket,
            dst: cell,
            src: Source::new(SourceKind::Control, from, 0),
            payload: to.index() as i64,
            kind: LaneEntry::MIGRATE,
        });
        self.ticket
    }

    /// At the next boundary an event comes in from outside.
    pub fn inject(&mut self, torus: Torus, cell: u32, at: u64, payload: i64) {
        self.commands[torus.index()].push(LaneEntry {
            at,
            dst: cell,
            src: Source::new(SourceKind::Injected, torus, cell),
            payload,
            kind: LaneEntry::EVENT,
        });
    }

    pub fn outcome(&self, torus: Torus, ticket: u64) -> Option<Outcome> {
        let mut outcomes = self.node(torus).migrations().outcomes();
        outcomes
            .find(|(_, outcome)| outcome.ticket == ticket)
            .map(|(_, outcome)| outcome)
    }

    /// Executes one interval of every torus.
    pub fn step(&mut self) {
        let b = self.boundary();
        let mut next = Vec::new();
        for own in Torus::ALL {
            let mut words = Vec::new();
            self.node(own).save(7, &mut words);
            let mut twin = setup::empty_node::<M>(&self.config, own).expect("a valid configuration");
            assert_eq!(twin.load(&words).expect("what was saved"), 7);
            assert_eq!(
                twin.state_digest(),
                self.node(own).state_digest(),
                "torus {own}, boundary {b}"
            );
            let injected: Vec<_> = std::mem::take(&mut self.commands[own.index()])
                .into_iter()
                .map(|entry| Injection { lane: 0, entry })
                .collect();
            let lag = u64::from(self.config.lag);
            let due = Torus::ALL.map(|peer| {
                let n = b.checked_sub(lag).filter(|_| peer != own)?;
                self.published[peer.index()].get(n as usize)
            });
            let there = execute(&mut twin, own, &due, &injected, true);
            let here = execute(&mut self.nodes[own.index()], own, &due, &injected, false);
            assert_eq!(
                here.frame.chain(),
                there.frame.chain(),
                "torus {own}, interval {b}"
            );
            let digest = twin.state_digest();
            assert_eq!(
                digest,
                self.node(own).state_digest(),
                "torus {own} after interval {b}"
            );
            next.push(here);
        }
        for (frames, frame) in self.published.iter_mut().zip(next) {
            frames.push(frame);
        }
    }

    pub fn steps(&mut self, count: u64) {
        (0..count).for_each(|_| self.step());
    }

    /// What has been published and not yet taken in.
    fn underway(&self) -> impl Iterator<Item = &TimedEvent> {
        let first = self.boundary().saturating_sub(self.config.lag.into()) as usize;
        self.published.iter().flat_map(move |frames| {
            frames[first.min(frames.len())..]
                .iter()
                .flat_map(|published| published.events.iter().flatten())
        })
    }

    /// Every event that is pending or on its way, for cells of any torus.
    pub fn events(&self) -> Vec<TimedEvent> {
        let pending = self.nodes.iter().flat_map(|node| node.kernel().pending_events());
        let underway = self.underway().filter(|event| !is_record(event)).copied();
        pending.chain(underway).collect()
    }

    /// Every process, wherever it is.
    pub fn processes(&self) -> Vec<M::Cell> {
        let cells = self.config.sides.iter().product::<u32>();
        let living = self
            .nodes
            .iter()
            .flat_map(|node| (0..cells).filter_map(|cell| node.kernel().process(cell).copied()));
        living.chain(processes(self.underway())).collect()
    }

    /// Whether no process is on its way, and every notice has been taken in.
    pub fn is_settled(&self) -> bool {
        let quiet = |node: &Node<M>| node.migrations().leaving() + node.migrations().reserved() == 0;
        self.nodes.iter().all(quiet) && !self.underway().any(is_record)
    }

    /// Where an event for a place ends up.
    pub fn resolve(&self, mut place: Place) -> Place {
        for _ in 0..100 {
            let forwards = self.node(place.torus).migrations().forwards();
            match forwards.iter().find(|(cell, _)| *cell == place.cell) {
                Some((_, to)) => place = *to,
                None => return place,
            }
        }
        panic!("forwarding goes round in a circle at {place:?}");
    }

    /// Every place that has a process, with the places that its edges lead to in the end.
    pub fn graph(&self) -> BTreeMap<Place, Vec<Place>> {
        let cells = self.config.sides.iter().product::<u32>();
        let mut graph = BTreeMap::new();
        for torus in Torus::ALL {
            let kernel = self.node(torus).kernel();
            for cell in (0..cells).filter(|cell| kernel.process(*cell).is_some()) {
                let edges = (0..kernel.out_degree(cell)).filter_map(|index| kernel.edge(cell, index));
                let ends = edges.map(|Edge { to, .. }| self.resolve(to)).collect();
                graph.insert(Place { torus, cell }, ends);
            }
        }
        graph
    }
}

fn execute<M: Model>(
    node: &mut Node<M>,
    own: Torus,
    due: &[Option<&Published>; 3],
    injected: &[Injection],
    reversed: bool,
) -> Published {
    let frames = due.map(|published| published.map(|p| &p.frame));
    let strands = due.map(|published| {
        let mut events = published.map_or(Vec::new(), |p| p.events[own.index()].clone());
        if reversed {
            events.reverse();
        }
        events
    });
    let mut arrivals = strands.each_ref().map(|events| Arrivals::from(events.as_slice()));
    node.enter(&mut Intake {
        frames,
        events: arrivals.each_mut().map(Some),
        hashes: strands.each_ref().map(|events| shm_layout::hash::events(events)),
        injected,
        lane_positions: [0; LANES_MAX],
    })
    .expect("a clean intake");
    while node
        .run(if reversed { 5 } else { u64::MAX })
        .expect("enough room")
        == Progress::More
    {}
    let events = Torus::ALL.map(|peer| {
        if peer == own {
            Vec::new()
        } else {
            node.outgoing(peer).to_vec()
        }
    });
    let mut frame = Frame::new(node.kernel().world().lattice.face_cells() as usize);
    node.close(&mut frame);
    Published { frame, events }
}
