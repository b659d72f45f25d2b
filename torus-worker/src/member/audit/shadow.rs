//! A shadow: the audit of one torus.

use shm_layout::audit::Difference;
use shm_layout::checkpoint_slots::SlotsReader;
use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::frame_ring::FrameReader;
use shm_layout::region::{ReaderSegment, RegionReader};
use shm_layout::torus::Torus;

use crate::journal::{HEADER_BYTES, Record, Records};
use crate::kernel::{Arrivals, Progress};
use crate::model::Model;
use crate::node::{Injection, Intake, LANES_MAX, Node, those_due};
use crate::setup;

use super::AuditError;
use crate::member::take_in::StrandRange;

/// What one look at a torus came to.
pub(super) enum Look {
    /// There is nothing to do, or something that is needed cannot be had just now.
    Nothing,
    /// A stretch of an interval was executed.
    Worked,
    /// An interval or a checkpoint agrees.
    Passed,
    /// It does not.
    Differs {
        interval: u64,
        difference: Difference,
        committed: u64,
        executed: u64,
    },
}

/// A node that executes again what a torus has committed.
pub(super) struct Shadow<'s, M: Model, R> {
    torus: Torus,
    config: &'s RunConfig,
    node: Node<M>,
    /// Checkpoints are loaded into it, to compare states.
    twin: Node<M>,
    journal: R,
    /// Length of the journal as of the shadow's state, in bytes.
    journal_length: u64,
    /// The newest checkpoint whose state is the shadow's.
    passed: u64,
    /// The boundary at which the torus has ended with the shadow's state, and the digest of that; 0: it has not.
    ended: (u64, u64),
    /// An interval is open.
    inside: bool,
    buffers: Buffers,
}

struct Buffers {
    committed: Frame,
    executed: Frame,
    peers: [Frame; 3],
    events: [Arrivals; 3],
    checkpoint: Vec<u64>,
}

impl<'s, M: Model, R: Records> Shadow<'s, M, R> {
    /// A shadow at the cleared checkpoint of its torus; 0 is the configuration.
    pub(super) fn begin(
        segment: &ReaderSegment<'_>,
        config: &'s RunConfig,
        torus: Torus,
        journal: R,
        cleared: u64,
    ) -> Result<Self, AuditError> {
        let face = config.face_cells();
        let mut buffers = Buffers {
            committed: Frame::new(face),
            executed: Frame::new(face),
            peers: std::array::from_fn(|_| Frame::new(face)),
            events: Default::default(),
            checkpoint: Vec::new(),
        };
        let mut node = setup::empty_node::<M>(config, torus)?;
        let mut journal_length = HEADER_BYTES;
        if cleared == 0 {
            setup::fill(config, &mut node)?;
        } else {
            if copy_checkpoint(segment, torus, cleared, &mut buffers.checkpoint) != Copied::Whole {
                return Err(AuditError::Lost {
                    torus: torus.letter(),
                    boundary: cleared,
                });
            }
            journal_length = node
                .load(&buffers.checkpoint)
                .map_err(|source| AuditError::Checkpoint {
                    torus: torus.letter(),
                    source,
                })?;
        }
        Ok(Self {
            torus,
            config,
            node,
            twin: setup::empty_node::<M>(config, torus)?,
            journal,
            journal_length,
            passed: cleared,
            ended: (0, 0),
            inside: false,
            buffers,
        })
    }

    /// The torus.
    pub(super) fn torus(&self) -> Torus {
        self.torus
    }

    /// All frames below it agree.
    pub(super) fn boundary(&self) -> u64 {
        self.node.boundary()
    }

    /// What its turn depends on: an open interval is finished first, then the one furthest behind goes on.
    pub(super) fn place(&self) -> (bool, u64, Torus) {
        (!self.inside, self.boundary(), self.torus)
    }

    /// The newest checkpoint whose state agrees.
    pub(super) fn passed_checkpoint(&self) -> u64 {
        self.passed
    }

    /// The boundary at which the torus has ended with a state that agrees, and the digest of that; 0: it has not.
    pub(super) fn ended_at(&self) -> (u64, u64) {
        self.ended
    }

    /// The frames that the torus has committed.
    pub(super) fn head(&self, segment: &ReaderSegment<'_>) -> u64 {
        segment.regions[self.torus.index()].ring.head()
    }

    /// Does the next thing that can be done.
    pub(super) fn look(&mut self, segment: &ReaderSegment<'_>, budget: u64) -> Result<Look, AuditError> {
        if self.inside {
            return Ok(self.execute(budget));
        }
        // The head first: who sees frame n also sees the checkpoint at boundary n, which was taken before it.
        let head = self.head(segment);
        if let Some(look) = self.compare_checkpoint(segment) {
            return Ok(look);
        }
        if head > self.boundary() {
            self.enter(segment)
        } else {
            Ok(self.compare_end(segment))
        }
    }

    /// Compares the state with the digest that the torus has published at its end, if it has come to it here.
    fn compare_end(&mut self, segment: &ReaderSegment<'_>) -> Look {
        let status = &segment.regions[self.torus.index()].status;
        let b = self.boundary();
        if b == 0 || status.state_digest_boundary() != b {
            return Look::Nothing;
        }
        let committed = status.state_digest();
        // Looked at each time: a successor publishes its own.
        if self.ended == (b, committed) {
            return Look::Nothing;
        }
        let executed = self.node.state_digest();
        if committed == executed {
            self.ended = (b, executed);
            return Look::Passed;
        }
        Look::Differs {
            interval: b,
            difference: Difference::State,
            committed,
            executed,
        }
    }

    /// Compares the state with the checkpoint at this boundary, if the torus has taken one.
    fn compare_checkpoint(&mut self, segment: &ReaderSegment<'_>) -> Option<Look> {
        let b = self.boundary();
        if b <= self.passed {
            return None;
        }
        let differs = |committed, executed| Look::Differs {
            interval: b,
            difference: Difference::State,
            committed,
            executed,
        };
        match copy_checkpoint(segment, self.torus, b, &mut self.buffers.checkpoint) {
            Copied::None => return None,
            Copied::Damaged => return Some(differs(0, 0)),
            Copied::Whole => {}
        }
        if self.twin.load(&self.buffers.checkpoint).is_err() {
            return Some(differs(0, 0));
        }
        let (committed, executed) = (self.twin.state_digest(), self.node.state_digest());
        if committed != executed {
            return Some(differs(committed, executed));
        }
        self.passed = b;
        Some(Look::Passed)
    }

    /// Takes in what the torus took in at this boundary.
    fn enter(&mut self, segment: &ReaderSegment<'_>) -> Result<Look, AuditError> {
        let n = self.boundary();
        if !read_frame(segment, self.torus, n, &mut self.buffers.committed) {
            return Ok(Look::Nothing);
        }
        for peer in self.torus.peers(self.config.tori) {
            let due = self.node.frame_due(peer, n);
            if due.is_some_and(|due| !self.gather(segment, peer, due)) {
                return Ok(Look::Nothing);
            }
        }
        let (injected, lane_positions) = self.recorded_intake(n)?;
        let buffers = &mut self.buffers;
        let due = Torus::ALL.map(|torus| self.node.frame_due(torus, n).is_some());
        let mut intake = Intake {
            frames: Torus::ALL.map(|torus| due[torus.index()].then(|| &buffers.peers[torus.index()])),
            events: those_due(&mut buffers.events, due),
            hashes: Torus::ALL.map(|torus| buffers.peers[torus.index()].strand_hash(self.torus)),
            injected: &injected,
            lane_positions,
        };
        self.inside = self.node.enter(&mut intake).is_ok();
        Ok(if self.inside { Look::Worked } else { self.stopped() })
    }

    /// Reads frame `due` of a peer and the events in it for this torus; `false` if they cannot be had just now.
    fn gather(&mut self, segment: &ReaderSegment<'_>, peer: Torus, due: u64) -> bool {
        let i = peer.index();
        let frame = &mut self.buffers.peers[i];
        let Some(strand) = segment.regions[i].strands[self.torus.index()] else {
            return false;
        };
        read_frame(segment, peer, due, frame)
            && StrandRange {
                frame,
                to: self.torus,
                from: self.node.books().received[i],
                most: self.config.capacity.remote_per_interval.into(),
            }
            .read(&strand, &mut self.buffers.events[i])
    }

    /// What the torus read from its lanes at boundary `n`, from its journal as far as its frame `n` names it.
    fn recorded_intake(&mut self, n: u64) -> Result<(Vec<Injection>, [u64; LANES_MAX]), AuditError> {
        let end = self.buffers.committed.journal_length();
        let records = self.journal.records_between(self.journal_length..end)?;
        self.journal_length = end;
        let mut positions = self.node.books().lane_positions;
        let mut taken_in = Vec::new();
        for appended in records {
            if let Record::Intake {
                boundary,
                lanes,
                injected,
            } = appended.record
                && boundary == n
            {
                positions
                    .iter_mut()
                    .zip(lanes)
                    .for_each(|(position, read)| *position = read);
                taken_in = injected;
            }
        }
        Ok((taken_in, positions))
    }

    /// Executes a stretch of the open interval, and compares its frame at its end.
    fn execute(&mut self, budget: u64) -> Look {
        match self.node.run(budget) {
            Err(_) => return self.stopped(),
            Ok(Progress::More) => return Look::Worked,
            Ok(Progress::Done) => {}
        }
        self.inside = false;
        self.node.close(&mut self.buffers.executed);
        let (committed, executed) = (self.buffers.committed.chain(), self.buffers.executed.chain());
        if committed == executed {
            return Look::Passed;
        }
        Look::Differs {
            interval: self.buffers.executed.interval(),
            difference: Difference::Frame,
            committed,
            executed,
        }
    }

    /// The torus committed this interval, and its re-execution cannot.
    fn stopped(&self) -> Look {
        Look::Differs {
            interval: self.buffers.committed.interval(),
            difference: Difference::Error,
            committed: self.buffers.committed.chain(),
            executed: 0,
        }
    }
}

/// What became of copying a checkpoint.
#[derive(PartialEq, Eq)]
enum Copied {
    /// It is whole.
    Whole,
    /// There is none of this boundary.
    None,
    /// There is one, and no copy of it is whole.
    Damaged,
}

/// Copies the checkpoint of `torus` at boundary `b` from its own slots or from a mirror.
fn copy_checkpoint(segment: &ReaderSegment<'_>, torus: Torus, b: u64, words: &mut Vec<u64>) -> Copied {
    let mirrors = segment
        .regions
        .iter()
        .filter_map(|peer| peer.mirrors[torus.index()]);
    let own = segment.regions[torus.index()].checkpoints;
    let mut copied = Copied::None;
    for slots in std::iter::once(own).chain(mirrors) {
        match copy_slot(slots, b, words) {
            Copied::Whole => return Copied::Whole,
            Copied::Damaged => copied = Copied::Damaged,
            Copied::None => {}
        }
    }
    copied
}

fn copy_slot(slots: SlotsReader<'_>, b: u64, words: &mut Vec<u64>) -> Copied {
    let find = || slots.headers().find(|(_, header)| header.boundary == b);
    let Some((slot, header)) = find() else {
        return Copied::None;
    };
    match slots.copy(slot, &header, words) {
        Ok(()) => Copied::Whole,
        // Emptied meanwhile is not damaged.
        Err(_) if find().is_none() => Copied::None,
        Err(_) => Copied::Damaged,
    }
}

/// Reads frame `n` of `torus` from its ring or from a peer's log.
fn read_frame(segment: &ReaderSegment<'_>, torus: Torus, n: u64, frame: &mut Frame) -> bool {
    let logs = segment
        .regions
        .iter()
        .filter_map(|region: &RegionReader<'_>| region.logs[torus.index()]);
    std::iter::once(segment.regions[torus.index()].ring)
        .chain(logs)
        .any(|ring: FrameReader<'_>| ring.read(torus, n, frame).is_ok())
}
