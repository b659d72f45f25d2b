//! A run in one process and without a segment: the same nodes, fed from the journals instead of from lanes.
//!
//! `verify` compares a run with it, and it is the oracle of every test: no kill, no ring, no checkpoint.

use std::collections::VecDeque;

use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::hash;
use shm_layout::record::TimedEvent;
use shm_layout::torus::Torus;

use crate::journal::{Change, Record};
use crate::kernel::{Arrivals, Progress};
use crate::model::Model;
use crate::node::migrate;
use crate::node::{Injection, Intake, Node, NodeError};
use crate::setup::{self, SetupError};

/// Why a run cannot be executed again.
#[derive(Debug, thiserror::Error)]
pub enum InProcessError {
    /// The configuration does not describe a run.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A torus stopped.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Where a run parts from its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parting {
    /// The torus.
    pub torus: Torus,
    /// The last interval whose recorded digest chain agrees, if any does.
    pub agreed: Option<u64>,
    /// The first interval whose recorded digest chain differs.
    pub differs: u64,
    /// The recorded chain value.
    pub recorded: u64,
    /// The chain value of this execution.
    pub executed: u64,
}

/// What a frame carried, kept until it is due.
struct Published {
    interval: u64,
    frame: Frame,
    events: [Vec<TimedEvent>; 3],
}

/// One torus of the run.
struct Strand<M: Model> {
    torus: Torus,
    node: Node<M>,
    published: VecDeque<Published>,
    recorded: Recorded,
    agreed: Option<u64>,
    /// The boundary at which it stays: an absent torus can be left behind when a run ends.
    end: u64,
}

/// The records of a journal by kind, in the order of their boundaries.
#[derive(Default)]
struct Recorded {
    intakes: VecDeque<RecordedIntake>,
    changes: VecDeque<(u64, Change)>,
    marks: VecDeque<(u64, u64)>,
}

struct RecordedIntake {
    boundary: u64,
    lanes: Vec<u64>,
    injected: Vec<Injection>,
}

impl Recorded {
    fn of(journal: Vec<Record>) -> Self {
        let mut recorded = Self::default();
        for record in journal {
            if let (Some(boundary), Some(change)) = (record.boundary(), record.change()) {
                recorded.changes.push_back((boundary, change));
            }
            match record {
                Record::Intake {
                    boundary,
                    lanes,
                    injected,
                } => {
                    recorded.intakes.push_back(RecordedIntake {
                        boundary,
                        lanes,
                        injected,
                    });
                }
                Record::Mark { interval, chain } => recorded.marks.push_back((interval, chain)),
                // Where a run was stopped changes nothing in it; the caller says how far to go.
                Record::Stop { .. } | Record::Absence { .. } | Record::Rejoin { .. } => {}
            }
        }
        recorded
    }
}

/// Three nodes, or one, executed in turn.
pub struct InProcess<M: Model> {
    tori: Vec<Strand<M>>,
    lag: u64,
    parting: Option<Parting>,
}

/// The digests of one torus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Events executed.
    pub events: u64,
    /// Of every event executed.
    pub history: u64,
    /// Of every frame.
    pub chain: u64,
    /// Of the full state.
    pub state: u64,
}

impl<M: Model> InProcess<M> {
    /// The run at boundary 0, with the records of each torus's journal, by torus.
    ///
    /// # Errors
    /// [`InProcessError::Setup`].
    pub fn new(config: &RunConfig, journals: [Vec<Record>; 3]) -> Result<Self, InProcessError> {
        let tori = Torus::ALL
            .into_iter()
            .take(config.tori.into())
            .zip(journals)
            .map(|(torus, journal)| {
                let node = setup::node(config, torus)?;
                Ok(Strand {
                    torus,
                    node,
                    published: VecDeque::new(),
                    recorded: Recorded::of(journal),
                    agreed: None,
                    end: u64::MAX,
                })
            });
        let tori = tori.collect::<Result<_, SetupError>>()?;
        Ok(Self {
            tori,
            lag: config.lag.into(),
            parting: None,
        })
    }

    /// The boundary at which all tori stand, but those that stay behind.
    pub fn boundary(&self) -> u64 {
        let boundaries = self.tori.iter().map(|strand| strand.node.boundary());
        boundaries.max().unwrap_or(0)
    }

    /// Lets a torus stay at a boundary, as it did in a run that ended without it.
    pub fn leave_behind(&mut self, torus: Torus, boundary: u64) {
        let strand = self.tori.iter_mut().find(|strand| strand.torus == torus);
        if let Some(strand) = strand {
            strand.end = boundary;
        }
    }

    /// Executes one interval of every torus.
    ///
    /// # Errors
    /// [`InProcessError::Node`].
    pub fn execute_interval(&mut self) -> Result<(), InProcessError> {
        let b = self.boundary();
        for at in 0..self.tori.len() {
            if b >= self.tori[at].end {
                continue;
            }
            self.enter(at, b)?;
            let strand = &mut self.tori[at];
            while strand.node.run(u64::MAX)? == Progress::More {}
            let events = Torus::ALL.map(|peer| {
                if peer == strand.torus {
                    Vec::new()
                } else {
                    strand.node.outgoing(peer).to_vec()
                }
            });
            let mut frame = Frame::new(strand.node.kernel().world().lattice.face_cells() as usize);
            strand.node.close(&mut frame);
            strand.published.push_back(Published {
                interval: b,
                frame,
                events,
            });
            self.compare_mark(at, b);
        }
        for strand in &mut self.tori {
            let is_past = |published: &Published| published.interval + self.lag <= b;
            while strand
                .published
                .pop_front_if(|published| is_past(published))
                .is_some()
            {}
        }
        Ok(())
    }

    fn enter(&mut self, at: usize, b: u64) -> Result<(), InProcessError> {
        let torus = self.tori[at].torus;
        let Strand { recorded, node, .. } = &mut self.tori[at];
        while let Some((_, change)) = recorded.changes.pop_front_if(|(boundary, _)| *boundary <= b) {
            node.apply(change);
        }
        let mut lane_positions = self.tori[at].node.books().lane_positions;
        let recorded = self.tori[at]
            .recorded
            .intakes
            .pop_front_if(|intake| intake.boundary == b);
        let injected = recorded.map_or(Vec::new(), |intake| {
            lane_positions
                .iter_mut()
                .zip(intake.lanes)
                .for_each(|(position, read)| *position = read);
            intake.injected
        });
        let mut node = self.tori.remove(at);
        let mut intake = Intake {
            injected: &injected,
            lane_positions,
            ..Intake::default()
        };
        let mut arrivals: [Arrivals; 3] = Default::default();
        for (peer, arrivals) in self.tori.iter().zip(&mut arrivals) {
            let Some(due) = node.node.frame_due(peer.torus, b) else {
                continue;
            };
            // Tori before this one have published b already, those after it have not; all hold b−L first.
            if let Some(published) = peer.published.iter().find(|published| published.interval == due) {
                intake.frames[peer.torus.index()] = Some(&published.frame);
                let events = &published.events[torus.index()];
                intake.hashes[peer.torus.index()] = hash::events(events);
                *arrivals = Arrivals::from(events.as_slice());
                intake.events[peer.torus.index()] = Some(arrivals);
            }
        }
        let entered = node.node.enter(&mut intake);
        self.tori.insert(at, node);
        Ok(entered?)
    }

    fn compare_mark(&mut self, at: usize, n: u64) {
        let strand = &mut self.tori[at];
        let Some((interval, recorded)) = strand.recorded.marks.pop_front_if(|(interval, _)| *interval == n)
        else {
            return;
        };
        let executed = strand.node.books().chain;
        if recorded == executed {
            strand.agreed = Some(interval);
        } else if self.parting.is_none() {
            let (torus, agreed) = (strand.torus, strand.agreed);
            self.parting = Some(Parting {
                torus,
                agreed,
                differs: interval,
                recorded,
                executed,
            });
        }
    }

    /// The first recorded mark that this execution does not reproduce.
    pub fn parting(&self) -> Option<Parting> {
        self.parting
    }

    /// The digests of one torus, at the boundary at which it stands.
    pub fn digests(&self, torus: Torus) -> Option<Digests> {
        let node = &self.tori.iter().find(|strand| strand.torus == torus)?.node;
        Some(Digests {
            events: node.kernel().events(),
            history: node.kernel().history_digest(),
            chain: node.books().chain,
            state: node.state_digest(),
        })
    }

    /// The nodes with their tori, in letter order.
    pub fn nodes(&self) -> impl Iterator<Item = (Torus, &Node<M>)> {
        self.tori.iter().map(|strand| (strand.torus, &strand.node))
    }

    /// The newest frame of a torus.
    pub fn newest_frame(&self, torus: Torus) -> Option<&Frame> {
        let strand = self.tori.iter().find(|strand| strand.torus == torus)?;
        strand.published.back().map(|published| &published.frame)
    }

    /// Events of `torus` for `peer` that it has published and that `peer` has not taken in.
    pub fn in_transit(&self, torus: Torus, peer: Torus) -> impl Iterator<Item = &TimedEvent> {
        self.underway(torus, peer)
            .filter(|event| !migrate::is_record(event))
    }

    /// Processes that are on their way from `torus` to `peer`.
    pub fn processes_in_transit(&self, torus: Torus, peer: Torus) -> Vec<M::Cell> {
        migrate::processes(self.underway(torus, peer))
    }

    fn underway(&self, torus: Torus, peer: Torus) -> impl Iterator<Item = &TimedEvent> {
        let published = self
            .tori
            .iter()
            .filter(move |strand| strand.torus == torus)
            .flat_map(|strand| &strand.published);
        published.flat_map(move |published| &published.events[peer.index()])
    }
}
