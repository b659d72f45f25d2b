//! `scrub`: the audit of a run as a process of its own, on processor time that nobody else wants.
//!
//! It maps everything read-only but the audit page. Nobody waits for it on the data path: workers only keep what it has not
//! audited yet, and wait when their rings are full of that. When it dies the supervisor starts another one, which begins
//! at the cleared checkpoints again.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use shm_layout::control::RunState;
use shm_layout::names;
use shm_layout::region::AuditSegment;
use shm_layout::segment::{LockByte, SegmentError, SegmentFile};
use shm_layout::status::Identity;
use shm_layout::sys::{clock, idle, process, signals};
use shm_layout::torus::Torus;

use crate::journal::{FileRecords, JournalError};
use crate::member::audit::{Audit, AuditError, Auditor, may_begin};
use crate::model::Model;

use super::arguments::Scrub;
use super::registry::{ModelEntry, find};
use super::run::exit_code;

/// Events executed between two heartbeats.
const STRETCH: u64 = 65_536;
/// How long the lock of a dead predecessor may take to be released.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// The first and the longest pause while there is nothing to audit.
const PAUSES: [Duration; 2] = [Duration::from_micros(200), Duration::from_millis(4)];
/// How often it is looked at whether anybody of the run still lives.
const LIFE_PERIOD: Duration = Duration::from_millis(100);
/// So often in a row must nobody be found.
const LIFE_LOOKS: u32 = 10;

/// What a scrubber was started with, after the segment has been verified.
pub(super) struct Context {
    file: SegmentFile,
}

/// Why a scrubber ends before the run does.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Not a segment that can be audited.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The segment names a model that this binary does not have, or the run is not to be audited.
    #[error("{0}")]
    Unsuitable(String),
    /// Another scrubber lives.
    #[error("the audit page is locked by another process")]
    Locked,
    /// A journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The audit cannot go on.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

pub(super) fn main(models: &[ModelEntry], request: &Scrub) -> ExitCode {
    signals::ignore(&[signals::INTERRUPT, signals::HANG_UP]);
    signals::restore_default(&signals::MEMORY_FAULTS);
    // At a normal priority it does the same, only less politely.
    let _ = idle::use_spare_time_only();
    let outcome = SegmentFile::open(&request.segment)
        .map_err(Failure::from)
        .and_then(|file| {
            let entry = find(models, &file.config().model).map_err(Failure::Unsuitable)?;
            (entry.scrub)(&Context { file })
        });
    match outcome {
        Ok(()) => ExitCode::from(exit_code::FINISHED),
        Err(failure) => {
            // The log may be on a full disk.
            let _ = writeln!(std::io::stderr(), "scrubber: {failure}");
            ExitCode::from(match failure {
                Failure::Locked => exit_code::LOCKED,
                _ => exit_code::FAILED,
            })
        }
    }
}

/// Audits a run until it is over.
pub(super) fn scrub<M: Model>(context: &Context) -> Result<(), Failure> {
    let file = &context.file;
    let config = file.config();
    if !config.scrub {
        return Err(Failure::Unsuitable(format!(
            "run {} was started without --scrub",
            config.name
        )));
    }
    lock(file)?;
    let map = file.map_scrubber()?;
    identify(&map.views());
    let mut watch = Watch::new(file, map.views());
    while !may_begin(&watch.segment) {
        if watch.is_over() {
            return Ok(());
        }
    }
    let mut journals = Vec::new();
    for torus in Torus::of_run(config.tori) {
        let path = names::journal_path(config, *torus);
        journals.push(FileRecords::open(&path, config, *torus)?);
    }
    let mut auditor = Auditor::<M, _>::begin(map.views(), config, journals)?;
    loop {
        match auditor.advance(STRETCH)? {
            Audit::Worked => watch.work(),
            Audit::Idle if watch.is_over() => return Ok(()),
            Audit::Idle => {}
            // Its end tells the supervisor, which starts another one when everything has gone back.
            Audit::Found(_) => return Ok(()),
        }
    }
}

fn lock(file: &SegmentFile) -> Result<(), Failure> {
    let deadline = clock::monotonic() + LOCK_PATIENCE;
    while !file.try_lock(LockByte::Audit)? {
        if clock::monotonic() > deadline {
            return Err(Failure::Locked);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn identify(segment: &AuditSegment<'_>) {
    let pid = std::process::id();
    let before = segment.reader.audit.identity().map_or(0, |one| one.incarnation);
    segment.audit.set_identity(&Identity {
        pid: pid.into(),
        start_time: process::start_time(pid).unwrap_or(0),
        boot_id: process::boot_id(),
        incarnation: before + 1,
    });
}

/// Beats, passes the time, and sees when the run is over.
struct Watch<'s> {
    file: &'s SegmentFile,
    segment: AuditSegment<'s>,
    pause: Duration,
    looked: Instant,
    alone: u32,
}

impl<'s> Watch<'s> {
    fn new(file: &'s SegmentFile, segment: AuditSegment<'s>) -> Self {
        Self {
            file,
            segment,
            pause: PAUSES[0],
            looked: Instant::now(),
            alone: 0,
        }
    }

    fn beat(&self) {
        let audit = &self.segment.audit;
        audit.set_heartbeat(audit.reader().heartbeat() + 1);
    }

    /// Something was done.
    fn work(&mut self) {
        self.beat();
        self.pause = PAUSES[0];
    }

    /// There is nothing to do: waits a little, unless the run is over.
    fn is_over(&mut self) -> bool {
        self.beat();
        let state = self.segment.reader.control.run_state();
        if matches!(
            state,
            Some(RunState::Finished | RunState::Stopped | RunState::Failed)
        ) {
            return true;
        }
        if self.looked.elapsed() >= LIFE_PERIOD {
            self.looked = Instant::now();
            self.alone = if self.is_alone() { self.alone + 1 } else { 0 };
        }
        std::thread::sleep(self.pause);
        self.pause = (2 * self.pause).min(PAUSES[1]);
        self.alone >= LIFE_LOOKS
    }

    /// Whether neither a supervisor nor a worker of the run lives. What cannot be looked at may live.
    fn is_alone(&self) -> bool {
        let regions = Torus::of_run(self.file.config().tori).iter();
        let locks = regions.map(|torus| LockByte::Region(*torus));
        std::iter::once(LockByte::Run)
            .chain(locks)
            .all(|lock| self.file.is_locked_by_another(lock).is_ok_and(|locked| !locked))
    }
}
