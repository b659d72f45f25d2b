//! The protocol core of one torus: intake in, frames out. It does no I/O and reads no clock.
//!
//! A [`Node`] is the kernel and the books that the braid keeps about it: how much was sent to and taken in from each
//! peer, how far each injection lane was read, and the digest chain. The same code runs in the workers over the
//! segment, in one process for `verify`, and under the crash simulator.

pub mod calendar;
pub mod checkpoint;
pub mod command;
pub mod constraints;
pub mod coupling;
pub mod hold;
mod intake;
pub mod membership;
pub mod migrate;
pub mod pace;
pub mod settling;

use shm_layout::config::RunConfig;
use shm_layout::frame::{Constraint, Frame};
use shm_layout::hash;
use shm_layout::record::{LaneEntry, Source, SourceKind, TimedEvent};
use shm_layout::torus::Torus;

pub use self::calendar::Calendar;
pub(crate) use self::intake::those_due;
pub use self::intake::{Injection, Intake};
use crate::journal::Change;
use crate::kernel::{Kernel, KernelError, Progress};
use crate::model::{Coupling, Model};
use command::{COMMAND_LANE, Command};
use constraints::Constraints;
use coupling::Gain;
use hold::Verdicts;
use membership::Membership;
use migrate::Migrations;
use pace::Pace;

/// How many injection lanes a torus can have.
pub const LANES_MAX: usize = shm_layout::frame::FRAME_LANES;

/// Why a torus cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The kernel stopped, as a rule because a capacity is used up.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// What a peer says it sent is not what was taken in.
    #[error(
        "conservation violation between torus {from} and torus {to} at interval {interval}: {from} sent {sent} events so \
         far, {to} took in {received}"
    )]
    Conservation {
        /// The sending torus.
        from: char,
        /// The receiving torus.
        to: char,
        /// The interval that the sender's frame closes.
        interval: u64,
        /// Events sent so far, by the sender's frame.
        sent: u64,
        /// Events taken in so far, by the receiver.
        received: u64,
    },
    /// What was taken in is not what a peer says it sent, though it is as much.
    #[error(
        "conservation violation between torus {from} and torus {to} at interval {interval}: the events that {from} sent \
         hash to {sent:016x}, those that {to} took in to {received:016x}"
    )]
    Altered {
        /// The sending torus.
        from: char,
        /// The receiving torus.
        to: char,
        /// The interval that the sender's frame closes.
        interval: u64,
        /// Hash of the events of that interval, by the sender's frame.
        sent: u64,
        /// Hash of what was taken in.
        received: u64,
    },
    /// A frame does not continue the chain of its predecessors.
    #[error(
        "frame {interval} of torus {from} does not continue its digest chain: {found:016x} instead of {expected:016x}"
    )]
    Chain {
        /// The torus whose frame it is.
        from: char,
        /// The interval that the frame closes.
        interval: u64,
        /// The chain value that its content gives.
        expected: u64,
        /// The chain value that it carries.
        found: u64,
    },
    /// A frame or an event that has no place in this intake.
    #[error("torus {torus} at boundary {boundary}: {what}")]
    Foreign {
        /// The receiving torus.
        torus: char,
        /// The boundary of the intake.
        boundary: u64,
        /// What was wrong with it.
        what: String,
    },
}

/// The kernel of one torus and its books.
pub struct Node<M: Model> {
    kernel: Kernel<M>,
    torus: Torus,
    tori: u8,
    calendar: Calendar,
    gain: Gain,
    tolerance: u32,
    books: Books,
    constraints: Constraints,
    pace: Pace,
    migrations: Migrations,
    balance_percent: Option<u32>,
    /// Not part of the state: it follows from the state and the intake of the boundary that was last entered.
    verdicts: Verdicts,
    /// The same holds of the violations found there.
    violations: u64,
    membership: Membership,
}

/// What the braid keeps about a torus beside its kernel. All of it is part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Books {
    /// The boundary at which the torus stands, or that its running interval began with.
    pub boundary: u64,
    /// Events sent to each peer so far; the end of the strand to it.
    pub sent: [u64; 3],
    /// Events taken in from each peer so far; the position in its strand.
    pub received: [u64; 3],
    /// Events for each peer that came back so far, because it was absent.
    pub refused: [u64; 3],
    /// The read position of each lane.
    pub lane_positions: [u64; LANES_MAX],
    /// The digest chain over the own frames.
    pub chain: u64,
    /// The digest chain of each peer as of its last frame taken in.
    pub peer_chains: [u64; 3],
}

impl<M: Model> Node<M> {
    /// A node at boundary 0, before its set-up.
    pub fn new(kernel: Kernel<M>, torus: Torus, config: &RunConfig, gain: Gain) -> Self {
        Self {
            kernel,
            torus,
            tori: config.tori,
            calendar: Calendar::of(config),
            gain,
            tolerance: config.tolerance,
            books: Books::default(),
            constraints: Constraints::default(),
            pace: Pace::default(),
            migrations: Migrations::default(),
            balance_percent: config.balance_percent,
            verdicts: Default::default(),
            violations: 0,
            membership: Membership::new(config.lag.into()),
        }
    }

    /// The kernel alone, for its memory.
    pub fn into_kernel(self) -> Kernel<M> {
        self.kernel
    }

    /// The boundary at which the torus stands, or that its running interval began with.
    pub fn boundary(&self) -> u64 {
        self.books.boundary
    }

    /// The books.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The kernel, to read.
    pub fn kernel(&self) -> &Kernel<M> {
        &self.kernel
    }

    /// The kernel, for set-up before boundary 0.
    pub fn kernel_mut(&mut self) -> &mut Kernel<M> {
        &mut self.kernel
    }

    /// Sets the constraints that the model has of its own, before boundary 0.
    pub fn constrain_by_model(&mut self) {
        let world = *self.kernel.world();
        for (kind, value, tolerance) in self.kernel.model().constraints(&world) {
            let kind = kind as u64;
            let constraint = Constraint {
                kind,
                value,
                tolerance,
            };
            self.constraints.set(self.torus, None, constraint);
        }
    }

    /// The calendar of the run.
    pub fn calendar(&self) -> Calendar {
        self.calendar
    }

    /// Who is absent, as far as this torus knows.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Notes that a torus is absent from a boundary, and where it had returned before; says whether that is new.
    pub fn note_absence(&mut self, torus: Torus, from: u64, rejoined: u64) -> bool {
        self.membership.note_absence(torus, from, rejoined)
    }

    /// Notes that a torus takes part again from an interval; says whether that is new.
    pub fn note_rejoin(&mut self, torus: Torus, interval: u64) -> bool {
        self.membership.note_rejoin(torus, interval)
    }

    /// Applies a change of membership that a journal records.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Absence {
                torus,
                from,
                rejoined,
            } => self.note_absence(torus, from, rejoined),
            Change::Rejoin(torus, interval) => self.note_rejoin(torus, interval),
        };
    }

    /// The frame of `peer` that this torus takes in at boundary `b`, if there is one.
    pub fn frame_due(&self, peer: Torus, b: u64) -> Option<u64> {
        let n = b.checked_sub(self.calendar.lag())?;
        let is_due = peer != self.torus && peer.index() < usize::from(self.tori);
        (is_due && self.membership.takes(self.torus, peer, n)).then_some(n)
    }

    /// Whether `peer` takes in what is emitted for it in interval `n`.
    pub fn reaches(&self, peer: Torus, n: u64) -> bool {
        self.membership.takes(peer, self.torus, n)
    }

    /// Stabilize: applies the intake of the boundary at which the torus stands, and opens its interval. The peers' events are
    /// taken over with their memory, so what is left of them in the intake means nothing.
    ///
    /// # Errors
    /// [`NodeError`]: a peer's books differ, an entry is foreign, or the pending events outgrow their capacity. The
    /// state is then no longer defined.
    pub fn enter(&mut self, intake: &mut Intake<'_>) -> Result<(), NodeError> {
        let b = self.books.boundary;
        for peer in self.torus.peers(self.tori) {
            if let Some(frame) = intake.frames[peer.index()] {
                self.verify(peer, frame, intake)?;
            }
        }
        self.adapt(&intake.frames)?;
        let mut corrected = false;
        let refusing = Torus::ALL.map(|peer| !self.reaches(peer, b));
        self.kernel
            .begin_interval(self.calendar.remote_floor(b), refusing);
        for peer in self.torus.peers(self.tori) {
            if let Some(frame) = intake.frames[peer.index()].filter(|frame| frame.has_projection()) {
                corrected |= self.couple(peer, frame)?;
                self.constraints.take_over(peer, frame);
            }
        }
        self.violations = u64::from(corrected) + self.hold_constraints()?;
        let migrates = self.migrate(intake)?;
        for peer in self.torus.peers(self.tori) {
            let Some(arrivals) = intake.events[peer.index()].as_deref_mut() else {
                continue;
            };
            if !migrates && self.migrations.is_idle() {
                self.kernel.schedule_arrivals(arrivals)?;
                continue;
            }
            for event in arrivals
                .events()
                .iter()
                .filter(|event| !migrate::is_record(event))
            {
                self.deliver(*event)?;
            }
        }
        for injection in intake.injected {
            self.take_entry(injection)?;
        }
        self.books.lane_positions = intake.lane_positions;
        Ok(())
    }

    /// Double-entry bookkeeping, and the digest chain, of one peer's frame.
    fn verify(&mut self, peer: Torus, frame: &Frame, intake: &Intake<'_>) -> Result<(), NodeError> {
        let (events, hash) = (intake.events(peer), intake.hashes[peer.index()]);
        let b = self.books.boundary;
        let due = b.checked_sub(self.calendar.lag());
        if Some(frame.interval()) != due || frame.torus() != Some(peer) {
            return Err(self.foreign(format!(
                "frame {} is not the one due of torus {}",
                frame.interval(),
                peer.letter()
            )));
        }
        if frame.has_projection() != projects(peer, frame.interval()) {
            return Err(self.foreign(format!(
                "frame {} of torus {peer} is out of turn",
                frame.interval()
            )));
        }
        let received = self.books.received[peer.index()] + events.len() as u64;
        let sent = frame.sent(self.torus);
        if sent != received || frame.strand_end(self.torus) != received {
            return Err(NodeError::Conservation {
                from: peer.letter(),
                to: self.torus.letter(),
                interval: frame.interval(),
                sent,
                received,
            });
        }
        if hash != frame.strand_hash(self.torus) {
            return Err(NodeError::Altered {
                from: peer.letter(),
                to: self.torus.letter(),
                interval: frame.interval(),
                sent: frame.strand_hash(self.torus),
                received: hash,
            });
        }
        let cells = self.kernel.world().lattice.cells();
        let arrivals = intake.events[peer.index()].as_deref();
        let from = self.calendar.tick(b);
        if arrivals.is_some_and(|arrivals| !arrivals.are_within(cells, from..=u64::MAX))
            && let Some(event) = events
                .iter()
                .filter(|event| !migrate::is_record(event))
                .find(|e| e.time < from || e.dst >= cells)
        {
            let what = format!(
                "torus {} sent an event for cell {} at tick {}",
                peer.letter(),
                event.dst,
                event.time
            );
            return Err(self.foreign(what));
        }
        self.books.received[peer.index()] = received;
        let follows = due.is_none_or(|n| n == 0 || self.membership.takes(self.torus, peer, n - 1));
        let expected = match follows {
            true => chain(self.books.peer_chains[peer.index()], frame),
            // The frames before it were nobody's to read: the chain is taken up again where it stands.
            false => frame.chain(),
        };
        if frame.chain() != expected {
            let (from, interval, found) = (peer.letter(), frame.interval(), frame.chain());
            return Err(NodeError::Chain {
                from,
                interval,
                expected,
                found,
            });
        }
        self.books.peer_chains[peer.index()] = expected;
        for torus in Torus::ALL {
            self.membership.note_rejoin(torus, frame.rejoin(torus));
        }
        Ok(())
    }

    /// Couple boundaries: a corrective event for each face cell that differs by more than the tolerance; of a conserved
    /// quantity, the counter-entry goes to the projecting torus. Returns whether there was one.
    fn couple(&mut self, peer: Torus, frame: &Frame) -> Result<bool, NodeError> {
        let b = self.books.boundary;
        // An exchange whose other half cannot reach the projecting torus does not take place.
        if M::COUPLING == Coupling::None || (M::COUPLING == Coupling::Conserved && !self.reaches(peer, b)) {
            return Ok(false);
        }
        let mut corrected = false;
        for (cell, projected) in (0..).zip(frame.face()) {
            let difference = i64::from(*projected) - i64::from(self.kernel.cell_value(cell));
            let step = coupling::correction(difference, self.gain, self.tolerance);
            if step == 0 {
                continue;
            }
            corrected = true;
            let own = TimedEvent {
                time: self.calendar.tick(b),
                dst: cell,
                src: Source::new(SourceKind::Corrective, peer, cell),
                payload: step,
            };
            self.kernel.schedule(own)?;
            if M::COUPLING == Coupling::Conserved {
                let counter = TimedEvent {
                    time: self.calendar.remote_floor(b),
                    dst: cell,
                    src: Source::new(SourceKind::Corrective, self.torus, cell),
                    payload: -step,
                };
                self.kernel.send_remote(peer, counter)?;
            }
        }
        Ok(corrected)
    }

    /// Takes in one entry of a lane: an event, or a command in the supervisor's lane.
    fn take_entry(&mut self, injection: &Injection) -> Result<(), NodeError> {
        let Injection { lane, entry } = *injection;
        match Command::of(&entry).filter(|_| lane == COMMAND_LANE) {
            Some(command) => self.command(command),
            None => self.inject(lane, entry),
        }
    }

    /// Queues an event from outside at the later of the time it asks for and this boundary.
    fn inject(&mut self, lane: u32, entry: LaneEntry) -> Result<(), NodeError> {
        if entry.kind != LaneEntry::EVENT || entry.dst >= self.kernel.world().lattice.cells() {
            return Err(self.foreign(format!(
                "entry of kind {} for cell {} in lane {lane}",
                entry.kind, entry.dst
            )));
        }
        let time = entry.at.max(self.calendar.tick(self.books.boundary));
        self.deliver(TimedEvent {
            time,
            dst: entry.dst,
            src: entry.src,
            payload: entry.payload,
        })
    }

    fn foreign(&self, what: String) -> NodeError {
        NodeError::Foreign {
            torus: self.torus.letter(),
            boundary: self.books.boundary,
            what,
        }
    }

    /// Executes the open interval; returns early after the tick that uses up `budget` events.
    ///
    /// # Errors
    /// [`NodeError::Kernel`] when a capacity is used up.
    pub fn run(&mut self, budget: u64) -> Result<Progress, NodeError> {
        Ok(self
            .kernel
            .run(self.calendar.tick(self.books.boundary + 1), budget)?)
    }

    /// The cross-torus events of the open interval, for one peer.
    pub fn outgoing(&self, peer: Torus) -> &[TimedEvent] {
        self.kernel.remote(peer)
    }

    /// Closes the executed interval n and writes its frame; the torus then stands at boundary n+1.
    ///
    /// The caller adds what the simulated state does not determine (incarnation, phase, health, the journal's length)
    /// and seals the frame, whose content has been hashed.
    pub fn close(&mut self, frame: &mut Frame) {
        let hashes = Torus::ALL.map(|peer| hash::events(self.outgoing(peer)));
        self.fill(frame, hashes);
        frame.hash_content();
        self.link(frame);
    }

    /// The first half of [`Node::close`], where the hashes of what goes to each torus are known: writes all content of the
    /// frame of interval n. What is to be done next is to hash it.
    pub fn fill(&mut self, frame: &mut Frame, hashes: [u64; 3]) {
        let n = self.books.boundary;
        frame.clear();
        frame.set_torus(self.torus);
        frame.set_interval(n);
        frame.set_boundary_tick(self.calendar.tick(n + 1));
        frame.set_next_interval(self.choose_length());
        frame.set_events(self.kernel.events());
        frame.set_pending(self.kernel.pending());
        frame.set_active(self.kernel.active().into());
        frame.set_edges(self.kernel.edges().into());
        frame.set_violations(self.violations);
        frame.set_history_digest(self.kernel.history_digest());
        for peer in self.torus.peers(self.tori) {
            let events = self.kernel.remote(peer);
            self.books.sent[peer.index()] += events.len() as u64;
            frame.set_sent(peer, self.books.sent[peer.index()]);
            frame.set_received(peer, self.books.received[peer.index()]);
            frame.set_strand_end(peer, self.books.sent[peer.index()]);
            frame.set_strand_hash(peer, hashes[peer.index()]);
            self.books.refused[peer.index()] += self.kernel.refused(peer);
            frame.set_refused(peer, self.books.refused[peer.index()]);
        }
        for torus in Torus::ALL {
            frame.set_rejoin(torus, self.membership.last_rejoin(torus));
        }
        frame.set_lane_positions(&self.books.lane_positions);
        self.constraints.publish(frame);
        if projects(self.torus, n) {
            self.kernel.face_into(frame.project());
        }
    }

    /// The second half of [`Node::close`]: links the frame, whose content has been hashed, to the one before it; the torus
    /// then stands at boundary n+1.
    pub fn link(&mut self, frame: &mut Frame) {
        self.books.chain = chain(self.books.chain, frame);
        frame.set_chain(self.books.chain);
        self.books.boundary += 1;
        self.calendar.advance(self.books.boundary);
    }

    /// The digest of the whole state: the kernel's, and the books'. Who is absent is not in it: a torus may learn that at
    /// the very boundary at which a run ends, and what follows from it shows in the books.
    pub fn state_digest(&self) -> u64 {
        let books = &self.books;
        let mut words = vec![self.kernel.state_digest(), books.boundary, books.chain];
        words.extend_from_slice(&books.sent);
        words.extend_from_slice(&books.received);
        words.extend_from_slice(&books.refused);
        words.extend_from_slice(&books.peer_chains);
        words.extend_from_slice(&books.lane_positions);
        self.constraints.digest_into(&mut words);
        if self.calendar.is_adaptive() {
            self.calendar.digest_into(&mut words);
            self.pace.save(&mut words);
        }
        self.migrations.save(&mut words);
        hash::words(&words)
    }
}

/// Whether it is the turn of `torus` to project in frame `n`: A, B, C, and A again.
pub fn projects(torus: Torus, n: u64) -> bool {
    n % 3 == torus.index() as u64
}

/// The digest chain: each frame's link covers its predecessor's and all content that the simulated state determines.
fn chain(previous: u64, frame: &Frame) -> u64 {
    hash::words(&[previous, frame.content_hash()])
}
