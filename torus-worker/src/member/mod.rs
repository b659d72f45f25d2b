//! One torus's part in the braid: a [`Node`] over the segment, as steps that never block.
//!
//! A member follows one order: rehydrate → replay → own (at any time from rehydrate to the end of the replay) → (keep → stop? → room? → frames? → take in → execute → publish) …
//! → finish. [`Member::advance`] makes the next step, or says what it waits for. It reads no clock and makes no system
//! call except through its [`Journal`]; the worker process adds waiting, heartbeats and time budgets. The simulator runs
//! the same code over a segment on the heap and ends a member at any [`Point`].
//!
//! A member writes into its own region only, and only once it owns it: a successor reads and replays while its
//! predecessor's process is still being torn down ([`own`]). docs/RECOVERY.md argues why its successor can go on from any point.

mod absence;
pub mod audit;
mod damage;
pub mod declare;
mod finish;
mod hold;
mod keep;
mod moves;
mod own;
mod publish;
mod redo;
mod rehydrate;
pub mod rollback;
mod room;
mod take_in;

use std::collections::VecDeque;

use shm_layout::checkpoint_slots::SlotHeader;
use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::region::WorkerSegment;
use shm_layout::stop::Verdict;
use shm_layout::torus::Torus;

use crate::journal::{Appended, Journal, JournalError};
use crate::kernel::{Arrivals, Kernel, LoadError, Progress};
use crate::model::Model;
use crate::node::migrate::Migrations;
use crate::node::{Injection, LANES_MAX, Node, NodeError};
use crate::setup::SetupError;
use absence::Alone;
use own::Found;

use redo::Redo;

pub use take_in::is_acceptable;

/// The named instants at which a crash leaves the segment in a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say what has just been done")]
pub enum Point {
    IntakeKept,
    CheckpointsTakenBack,
    MirrorsTakenBack,
    LogsTakenBack,
    FramesTakenBack,
    RolledBack,
    Rehydrated,
    JournalTruncated,
    SlotRewritten,
    StrandRewritten,
    Replayed,
    WentLive,
    BoundaryAnnounced,
    MirrorInvalidated,
    MirrorHalfCopied,
    MirrorCopied,
    MirrorPublished,
    CheckpointBegun,
    CheckpointInvalidated,
    CheckpointHalfWritten,
    CheckpointWritten,
    CheckpointPublished,
    AbsenceNoted,
    HoldHalfFilled,
    HoldFilled,
    HoldExtended,
    Wished,
    RejoinNoted,
    CheckpointAnnounced,
    FrameHalfLogged,
    FrameLogged,
    JournalHalfAppended,
    JournalAppended,
    TakenIn,
    Executed,
    StrandHalfWritten,
    StrandWritten,
    FrameHalfWritten,
    FrameWritten,
    FrameCommitted,
    StopRecorded,
    FinishAnnounced,
}

/// A member was ended at a point. Only the simulator does that from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("killed at {0:?}")]
pub struct Killed(pub Point);

/// What surrounds a member.
pub trait Host {
    /// Called at each [`Point`].
    ///
    /// # Errors
    /// [`Killed`] ends the member there and then.
    fn reach(&mut self, point: Point) -> Result<(), Killed>;
}

/// Why a member cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// Ended by its host.
    #[error(transparent)]
    Killed(#[from] Killed),
    /// The torus itself stopped.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The configuration does not describe a torus.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A checkpoint whose hash is right does not load.
    #[error("the checkpoint of boundary {boundary} cannot be loaded: {source}")]
    Checkpoint {
        /// The boundary of the checkpoint.
        boundary: u64,
        /// Why.
        source: LoadError,
    },
    /// A replayed interval does not give the frame that was committed.
    #[error(
        "divergence: replaying interval {interval} of torus {torus} gives digest chain {replayed:016x}, but {committed:016x} \
         was committed; the state is not trusted any further"
    )]
    Divergence {
        /// The torus.
        torus: char,
        /// The interval.
        interval: u64,
        /// The chain value of the committed frame.
        committed: u64,
        /// The chain value of the replay.
        replayed: u64,
    },
    /// No copy of something that the replay needs is intact.
    #[error("torus {torus} cannot be rebuilt: no intact copy of {what} of interval {interval} is left")]
    Lost {
        /// The torus.
        torus: char,
        /// What is missing.
        what: &'static str,
        /// The interval it belongs to.
        interval: u64,
    },
}

/// What a member waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A peer's frame that is not committed yet.
    Frame(Torus),
    /// A peer's frame or strand range that is damaged, until the peer's successor has rewritten it.
    Repair(Torus),
    /// Room in the own ring or strand, until this peer has a newer checkpoint that is mirrored.
    Room(Torus),
    /// The supervisor's decision about a stop.
    Stop,
    /// The peers' verified copies of the newest checkpoint, before the final one may replace the other slot.
    Mirrors,
    /// The peers' end of the run.
    Peers,
    /// The region: nothing more can be done without writing, and the member does not own it yet.
    Region,
    /// The audit of the final states.
    Audit,
}

/// The outcome of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more to do.
    Worked,
    /// Nothing can be done until this comes.
    Waiting(Wait),
    /// The run has ended for all tori.
    Finished,
}

/// The newest checkpoint in some slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Newest {
    boundary: u64,
    slot: usize,
}

impl Newest {
    /// The other mirror slot: the one that may be overwritten next.
    fn other(self) -> usize {
        1 - self.slot
    }
}

/// One torus over the segment.
pub struct Member<'s, M: Model, J: Journal, H: Host> {
    segment: WorkerSegment<'s>,
    config: &'s RunConfig,
    torus: Torus,
    /// In rotation order, beginning after the own.
    peers: &'static [Torus],
    /// Whether the region may be written; see [`own`].
    owned: bool,
    /// What the region held when this member read its state from it.
    found: Found,
    /// Length of the journal in bytes up to what was committed.
    journal_end: u64,
    /// Whether it has gone live: everything committed has been replayed, and from here on it publishes.
    live: bool,
    node: Node<M>,
    journal: J,
    host: H,
    incarnation: u64,
    /// The first boundary whose frame was not committed by a predecessor.
    live_from: u64,
    /// An interval is open.
    inside: bool,
    announced: Option<u64>,
    newest: Newest,
    mirrors: [Newest; 3],
    safe: u64,
    /// Strand position that each peer has left behind for good, and the safe checkpoint that says so.
    freed: [(u64, u64); 3],
    /// Events sent to each peer up to the last committed frame, known from the start of a replay.
    committed_strand_end: [u64; 3],
    /// The newest whole checkpoint, where a damaged frame makes the replay begin before it.
    proof: Option<SlotHeader>,
    /// The own slot that was found whole while rehydrating.
    whole_slot: Option<usize>,
    /// What a rollback took back and is to be executed again.
    redo: Redo,
    /// The journal's records from the loaded checkpoint on, until they have been replayed.
    recorded: VecDeque<Appended>,
    /// The lane positions that the record of the boundary being replayed names.
    recorded_positions: Option<[u64; LANES_MAX]>,
    /// Entries of the membership log that are known.
    log_read: u64,
    /// While this torus is absent: where it went on alone, and how far it was behind then.
    alone: Option<Alone>,
    /// The newest own checkpoint that the peers were told to mirror.
    announced_checkpoint: u64,
    /// What the status cell shows of migrations.
    shown_migrations: Option<Migrations>,
    /// Whether the status cell may show how this torus stands to some constraint.
    shows_verdicts: bool,
    /// A checkpoint is asked for that is to be mirrored.
    checkpoint_due: bool,
    /// One is asked for that need not be.
    local_due: bool,
    stop_recorded: bool,
    /// Length of the journal as of the state, in bytes; during replay it trails the file.
    journal_length: u64,
    published: u64,
    rang: bool,
    buffers: Buffers,
}

/// What a member is made of apart from its state: allocated memory, touched already if it has held a state before.
pub struct Vessel<M: Model> {
    kernel: Kernel<M>,
    buffers: Buffers,
}

/// Everything a step needs room for, allocated once.
struct Buffers {
    frame: Frame,
    committed: Frame,
    peer_frames: [Frame; 3],
    events: [Arrivals; 3],
    hashes: [u64; 3],
    injected: Vec<Injection>,
    journal: Vec<u8>,
    checkpoint: Vec<u64>,
}

impl<'s, M: Model, J: Journal, H: Host> Member<'s, M, J, H> {
    /// Makes the next step; executes at most about `budget` events in it.
    ///
    /// # Errors
    /// [`MemberError`]; the member is then of no further use, what it has published stays exact.
    pub fn advance(&mut self, budget: u64) -> Result<Step, MemberError> {
        if self.inside {
            self.execute(budget)
        } else if self.is_replaying() {
            self.enter_replayed()
        } else if !self.live {
            self.go_live()
        } else {
            self.pass_boundary()
        }
    }

    /// Executes a stretch of the open interval, and closes it at its end.
    fn execute(&mut self, budget: u64) -> Result<Step, MemberError> {
        if self.owned {
            self.mirror_peers()?;
        }
        if self.node.run(budget)? == Progress::More {
            return Ok(Step::Worked);
        }
        if !self.owned && self.is_repair_due() {
            return Ok(Step::Waiting(Wait::Region));
        }
        self.host.reach(Point::Executed)?;
        self.inside = false;
        if self.is_replaying() {
            self.close_replayed()?;
        } else {
            self.publish()?;
        }
        Ok(Step::Worked)
    }

    /// A live boundary: the only place where a member waits.
    fn pass_boundary(&mut self) -> Result<Step, MemberError> {
        let b = self.node.boundary();
        if self.config.faults {
            self.damage_if_asked();
        }
        let verdict = self.stop_verdict(b)?;
        if self.learn_absences(b)? || self.keep()? {
            return Ok(Step::Worked);
        }
        match verdict {
            Verdict::Finish { .. } => return self.finish(b),
            Verdict::Hold => return Ok(Step::Waiting(Wait::Stop)),
            Verdict::Go => {}
        }
        if let Some(wait) = self.room_needed(b) {
            return Ok(Step::Waiting(wait));
        }
        if let Some(wait) = self.return_from_absence(b)? {
            return Ok(Step::Waiting(wait));
        }
        self.enter_live(b)
    }

    /// Lets the peers know that something they may wait for has changed.
    fn ring_doorbell(&mut self) {
        self.segment.own.status.ring_doorbell();
        self.rang = true;
    }

    /// Whether the doorbell rang since the last call; the process then wakes whoever sleeps on it.
    pub fn take_rang(&mut self) -> bool {
        std::mem::take(&mut self.rang)
    }

    /// Asks for a checkpoint that the peers mirror, at the next boundary at which a slot is free.
    pub fn request_checkpoint(&mut self) {
        self.checkpoint_due = true;
    }

    /// Asks for a checkpoint that stays local. A torus without peers has no other kind, nor has one that is audited: the
    /// auditor passes each boundary once, and what it has cleared must still stand when the auditor begins again.
    pub fn request_local_checkpoint(&mut self) {
        if self.peers.is_empty() || self.config.scrub {
            self.checkpoint_due = true;
        } else {
            self.local_due = true;
        }
    }

    /// Whether a requested checkpoint is still to be taken.
    pub fn checkpoint_requested(&self) -> bool {
        self.checkpoint_due || self.local_due
    }

    /// The boundary of the newest own checkpoint; 0 is the configuration.
    pub fn newest_checkpoint(&self) -> u64 {
        self.newest.boundary
    }

    /// Whether frames of a predecessor are still being replayed.
    pub fn is_replaying(&self) -> bool {
        self.node.boundary() < self.live_from
    }

    /// The first boundary whose frame this member publishes itself.
    pub fn live_from(&self) -> u64 {
        self.live_from
    }

    /// Frames that this member has published itself.
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Whether an interval is open: its intake has been taken in, and it has not been closed.
    pub fn is_inside(&self) -> bool {
        self.inside
    }

    /// The peers, in rotation order.
    pub fn peers(&self) -> &'static [Torus] {
        self.peers
    }

    /// The incarnation that published the newest frame of this peer that was taken in; 0: none yet.
    pub fn incarnation_taken_in(&self, peer: Torus) -> u64 {
        self.buffers.peer_frames[peer.index()].incarnation()
    }

    /// The node, to read.
    pub fn node(&self) -> &Node<M> {
        &self.node
    }

    /// The segment's views.
    pub fn segment(&self) -> &WorkerSegment<'s> {
        &self.segment
    }

    /// What surrounds this member.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// The torus of this member.
    pub fn torus(&self) -> Torus {
        self.torus
    }
}
