//! Succession: from the start of a worker to the moment at which its region is its own.
//!
//! A worker is started as soon as its predecessor is known to be dying. It takes the region over when the kernel says that
//! the predecessor has no memory any more, so that it can write nothing, or has released its lock, which it does when the
//! memory has been torn down, some milliseconds later. Until then it reads, loads and replays in its own memory, and
//! writes nothing.

use std::time::Duration;

use shm_layout::names;
use shm_layout::region::WorkerSegment;
use shm_layout::segment::WorkerMap;
use shm_layout::status::{Identity, Phase};
use shm_layout::sys::robust::Held;
use shm_layout::sys::{clock, process};

use crate::journal::FileJournal;
use crate::member::{Member, Step, Vessel, rollback};
use crate::model::Model;

use super::budget::Timekeeper;
use super::executing::Executing;
use super::run::{Context, Failure, STRETCH};

/// How long a successor waits for its predecessor's lock, which the kernel releases when it has torn the process down.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How long it sleeps between two looks at the lock when it has nothing else to do.
const LOCK_PAUSE: Duration = Duration::from_micros(100);

/// A member of a worker process.
pub(super) type Worker<'s, M> = Member<'s, M, FileJournal, Timekeeper>;

/// A worker on its way to its region.
pub(super) struct Succession<'c, M: Model> {
    context: &'c Context,
    /// Memory for the first attempt.
    vessel: Option<Vessel<M>>,
    map: &'c WorkerMap,
    locked_ns: u64,
    deadline: Duration,
    /// Tells the watchdog of this worker's death; none where the kernel cannot.
    held: Option<Held<'c>>,
}

impl<'c, M: Model> Succession<'c, M> {
    pub(super) fn new(context: &'c Context, map: &'c WorkerMap, vessel: Option<Vessel<M>>) -> Self {
        Self {
            context,
            vessel,
            map,
            locked_ns: 0,
            deadline: clock::monotonic() + LOCK_PATIENCE,
            held: None,
        }
    }

    /// A member that owns the region; it may have intervals left to replay. A failure counts only if it comes from what was
    /// read with the lock held: before that, the predecessor may have been writing.
    pub(super) fn complete(&mut self) -> Result<Worker<'c, M>, Failure> {
        self.try_lock()?;
        loop {
            let held = self.is_locked();
            if held {
                self.go_back()?;
            } else if !rollback::is_settled(&self.map.views()) {
                self.lock()?;
                continue;
            }
            match self.attempt() {
                Ok(Some(member)) => return Ok(member),
                Ok(None) => {}
                Err(_) if !held => self.lock()?,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Carries out a rollback, if one is ordered, and waits until all tori have.
    fn go_back(&self) -> Result<(), Failure> {
        let segment = self.map.views();
        let (mut journal, mut host) = (self.journal()?, Timekeeper::default());
        while !rollback::prepare(&segment, &mut journal, &mut host)? {
            segment.own.status.beat(clock::monotonic_ns());
            std::thread::sleep(LOCK_PAUSE);
        }
        Ok(())
    }

    fn journal(&self) -> Result<FileJournal, Failure> {
        let (config, torus) = (self.context.file.config(), self.context.torus);
        Ok(FileJournal::open(
            &names::journal_path(config, torus),
            config,
            torus,
        )?)
    }

    /// Whether the region may be written.
    pub(super) fn is_locked(&self) -> bool {
        self.locked_ns != 0
    }

    /// Rehydrates, and replays until the region is free; none if what was read no longer stands.
    fn attempt(&mut self) -> Result<Option<Worker<'c, M>>, Failure> {
        let mut member = self.rehydrate()?;
        let loaded_ns = clock::monotonic_ns();
        let first = member.node().boundary();
        let mut executing = Executing::default();
        while !self.try_lock()? {
            // Any wait ends with the lock: what is damaged is repaired then, and what is missing is complained about.
            let step = executing.time(&mut member, |member| member.advance(STRETCH))?;
            if let Step::Waiting(_) = step {
                std::thread::sleep(LOCK_PAUSE);
                self.check_patience()?;
            }
        }
        if !member.own()? {
            return Ok(None);
        }
        let status = &member.segment().own.status;
        status.set_loaded_ns(loaded_ns);
        status.set_executing_ns(executing.ns);
        status.set_replayed_intervals(member.live_from() - first);
        status.set_phase(if member.is_replaying() {
            Phase::Replaying
        } else {
            Phase::Waiting
        });
        Ok(Some(member))
    }

    fn rehydrate(&mut self) -> Result<Worker<'c, M>, Failure> {
        let (config, torus) = (self.context.file.config(), self.context.torus);
        let journal = self.journal()?;
        let incarnation = self.context.incarnation;
        let segment = self.map.views();
        Ok(Member::rehydrate_in(
            self.vessel.take(),
            segment,
            config,
            torus,
            journal,
            Timekeeper::default(),
            incarnation,
        )?)
    }

    /// Takes the region over if its last owner is dead, and then says in the status cell who is here.
    fn try_lock(&mut self) -> Result<bool, Failure> {
        let torus = self.context.torus;
        if self.is_locked() {
            return Ok(true);
        }
        let segment = self.map.views();
        let is_dead = || named_is_without_memory(&segment);
        if !self.context.file.try_take_over(torus, is_dead)? {
            return Ok(false);
        }
        let expected = segment.control.expected_incarnation(torus);
        if expected > self.context.incarnation {
            return Err(Failure::Superseded { torus, expected });
        }
        self.locked_ns = clock::monotonic_ns();
        self.announce(&segment);
        self.held = segment.own.status.hold_region(self.context.incarnation).ok();
        Ok(true)
    }

    /// Waits for the lock.
    fn lock(&mut self) -> Result<(), Failure> {
        while !self.try_lock()? {
            std::thread::sleep(LOCK_PAUSE);
            self.check_patience()?;
        }
        Ok(())
    }

    fn check_patience(&self) -> Result<(), Failure> {
        if clock::monotonic() <= self.deadline {
            return Ok(());
        }
        Err(Failure::Locked {
            torus: self.context.torus,
            seconds: LOCK_PATIENCE.as_secs(),
        })
    }

    fn announce(&self, segment: &WorkerSegment<'_>) {
        let status = &segment.own.status;
        // The phase first: the watchdog must never find this incarnation with its predecessor's last phase.
        status.set_phase(Phase::Rehydrating);
        status.set_caught_up_ns(0);
        status.set_divergence(0);
        status.set_identity(&identity(self.context.incarnation));
        status.set_started_ns(self.context.started_ns);
        status.set_locked_ns(self.locked_ns);
        status.set_checkpoints_taken(0);
        status.set_checkpoint_ns_total(0);
        status.set_mirror_ns_total(0);
        status.beat(self.locked_ns);
    }
}

/// Whether the process that the status cell names can write nothing any more.
fn named_is_without_memory(segment: &WorkerSegment<'_>) -> bool {
    let Some(named) = segment.own.status.reader().identity() else {
        return false;
    };
    u32::try_from(named.pid).is_ok_and(|pid| process::is_without_memory(pid, named.start_time))
}

fn identity(incarnation: u64) -> Identity {
    let pid = std::process::id();
    Identity {
        pid: pid.into(),
        start_time: process::start_time(pid).unwrap_or(0),
        boot_id: process::boot_id(),
        incarnation,
    }
}
