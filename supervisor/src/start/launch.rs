//! From a plan to a segment whose run lock is held, and the slots that its watchdog begins with.

use std::path::Path;

use shm_layout::config::RunConfig;
use shm_layout::layout::{Layout, LayoutError};
use shm_layout::segment::{Draft, LockByte, SegmentError, SegmentFile};
use shm_layout::torus::Torus;

use super::compare::{Tolerance, differences, grown};
use super::place::{Place, create_journals, standing};
use super::rules::{Life, Standing};
use super::{describe, draft, rebuild};
use crate::cli::StartArgs;
use crate::error::CommandError;
use crate::life;
use crate::watchdog::adopt;
use crate::watchdog::slot::Slot;

/// How a run came to the watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is new.
    New,
    /// All its processes were dead.
    Resumed,
    /// Its workers may be running.
    Adopted,
}

/// A run that is ready to be watched.
pub struct Launch {
    /// The segment, with the run lock.
    pub file: SegmentFile,
    /// How it came.
    pub origin: Origin,
}

/// What became of an attempt to launch: a run that is ready to be watched; none when somebody else changed what stands
/// there between the look at it and the lock, so that it has to be judged anew.
pub type Attempt = Option<Launch>;

/// A run as it was judged, before its lock was taken.
pub struct Judged {
    /// Its segment.
    pub file: SegmentFile,
    /// Who of it was alive.
    pub life: Life,
    /// How far it had got.
    pub standing: Standing,
}

impl Judged {
    /// Takes the run lock, and says whether everything is still as it was judged. A run that was found dead is fenced as
    /// well: with its region locks taken, a worker that was started just before its supervisor died can no more begin.
    fn lock(&self) -> Result<bool, CommandError> {
        match self.file.try_lock(LockByte::Run) {
            Ok(true) => {}
            Ok(false) => return Err(already_supervised(&self.file)),
            Err(SegmentError::Replaced { .. }) => return Ok(false),
            Err(error) => return Err(CommandError::Segment(error)),
        }
        let same = standing(&self.file)? == self.standing
            && match self.life {
                Life::Dead => self.fence()?,
                life => life::of_workers(&self.file)? == life,
            };
        if !same {
            self.file.unlock(LockByte::Run).map_err(CommandError::Segment)?;
        }
        Ok(same)
    }

    /// Takes all region locks; or none, when one is held.
    fn fence(&self) -> Result<bool, CommandError> {
        for torus in Torus::of_run(self.file.config().tori) {
            let lock = LockByte::Region(*torus);
            if !self.file.try_lock(lock).map_err(CommandError::Segment)? {
                self.lift_fence()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives the region locks back.
    fn lift_fence(&self) -> Result<(), CommandError> {
        for torus in Torus::of_run(self.file.config().tori) {
            let lock = LockByte::Region(*torus);
            if self.file.holds(lock) {
                self.file.unlock(lock).map_err(CommandError::Segment)?;
            }
        }
        Ok(())
    }
}

fn already_supervised(file: &SegmentFile) -> CommandError {
    CommandError::AlreadyRunning(format!("the run {} already has a supervisor", file.config().name))
}

/// The complete, valid configuration of a new run.
///
/// # Errors
/// A usage error for everything that the options, the script or the model's parameters are wrong about.
pub fn configuration(args: &StartArgs, place: &Place) -> Result<RunConfig, CommandError> {
    let draft = draft::draft(args, &place.journal_dir(), draft::random_run_id()?)?;
    check_options(&draft)?;
    let config = describe::complete(draft, args.tolerance.is_some())?;
    Layout::compute(&config).map_err(usage)?;
    Ok(config)
}

/// Everything that can be said before the model is asked, so that the message names the option.
fn check_options(draft: &RunConfig) -> Result<(), CommandError> {
    let mut probe = draft.clone();
    let defaults = shm_layout::config::Capacity::default();
    let or = |given: u32, default: u32| if given == 0 { default } else { given };
    probe.capacity.pending = or(probe.capacity.pending, defaults.pending);
    probe.capacity.edges = or(probe.capacity.edges, defaults.edges);
    probe.capacity.remote_per_interval = or(probe.capacity.remote_per_interval, defaults.remote_per_interval);
    probe.checkpoint_bytes = 8;
    probe
        .validate()
        .map_err(|error| CommandError::Usage(error.to_string()))
}

fn usage(error: LayoutError) -> CommandError {
    CommandError::Usage(error.to_string())
}

/// Creates the segment of a new run; over a run that is over, if there is one.
///
/// # Errors
/// When another start was faster, or there is no room.
pub fn create(config: &RunConfig, place: &Place, old: Option<Judged>) -> Result<Attempt, CommandError> {
    let path = place.segment();
    // Held, with its fence, until the new journals are there.
    if let Some(old) = &old
        && !old.lock()?
    {
        return Ok(None);
    }
    // The memory first: when there is not enough, nothing has been made.
    let draft = Draft::create(path, config).map_err(CommandError::Segment)?;
    place.prepare()?;
    let file = match &old {
        Some(old) => draft.publish_over(&old.file),
        None => draft.publish(),
    };
    let file = file.map_err(|error| match error {
        SegmentError::AlreadyExists { .. } => another_was_faster(path),
        error => CommandError::Segment(error),
    })?;
    create_journals(config)?;
    Ok(Some(Launch {
        file,
        origin: Origin::New,
    }))
}

fn another_was_faster(path: &Path) -> CommandError {
    CommandError::AlreadyRunning(format!("another start has just created {}", path.display()))
}

/// Takes a run over whose supervisor is dead.
///
/// # Errors
/// When options were given that differ from the stored configuration, or the worker binary is another one by now.
pub fn adopt(args: &StartArgs, judged: Judged) -> Result<Attempt, CommandError> {
    refuse_differences(args, judged.file.config(), Tolerance::Exact)?;
    check_worker(judged.file.config())?;
    if !judged.lock()? {
        return Ok(None);
    }
    Ok(Some(Launch {
        file: judged.file,
        origin: Origin::Adopted,
    }))
}

/// Makes a run whose processes are all dead ready to go on.
///
/// # Errors
/// As [`adopt()`], and when there is no room.
pub fn resume(args: &StartArgs, judged: Judged) -> Result<Attempt, CommandError> {
    let stored = judged.file.config();
    refuse_differences(args, stored, Tolerance::MayGrow)?;
    check_worker(stored)?;
    if !judged.lock()? {
        return Ok(None);
    }
    let asked = grown(args, &given(args, stored)?, stored);
    if asked == *stored {
        judged.lift_fence()?;
        return begin_again(judged.file);
    }
    let complete = describe::complete(asked, true)?;
    // The old segment keeps its fence until it is closed: nobody can begin in it any more.
    begin_again(rebuild::grow(&judged.file, &complete)?)
}

/// Sets a segment whose run lock is held back to the words of a run that is to start.
fn begin_again(file: SegmentFile) -> Result<Attempt, CommandError> {
    file.reallocate().map_err(CommandError::Segment)?;
    let map = file.map_supervisor().map_err(CommandError::Segment)?;
    let control = map.views().control;
    if control.reader().started_ns() == 0 {
        // It never began, so its journals may be missing, or still be those of the run that it replaced.
        create_journals(file.config())?;
    }
    control.set_failure(None, "");
    control.set_finished_ns(0);
    control.initialise();
    drop(map);
    Ok(Some(Launch {
        file,
        origin: Origin::Resumed,
    }))
}

/// The slots for a run: every worker is to be started, or those that live are taken over.
pub fn slots(launch: &Launch, segment: &shm_layout::segment::SupervisorSegment<'_>) -> Vec<Slot> {
    let config = launch.file.config();
    if launch.origin == Origin::Adopted {
        return adopt::slots(&launch.file, segment, config);
    }
    for torus in Torus::ALL {
        // Whoever was held away comes back with the others.
        segment.control.set_held(torus, 0);
    }
    let tori = Torus::ALL.into_iter().take(config.tori.into());
    tori.zip(&segment.regions)
        .map(|(torus, region)| {
            let (status, expected) = (
                region.status,
                segment.control.reader().expected_incarnation(torus),
            );
            Slot::new(torus, status.incarnation(), expected, status.boundary())
        })
        .collect()
}

/// What the options would make of a new run; only those that were given are looked at.
fn given(args: &StartArgs, stored: &RunConfig) -> Result<RunConfig, CommandError> {
    draft::draft(args, Path::new(&stored.journal_dir), stored.run_id)
}

fn refuse_differences(
    args: &StartArgs,
    stored: &RunConfig,
    tolerance: Tolerance,
) -> Result<(), CommandError> {
    let found = differences(args, &given(args, stored)?, stored, tolerance);
    if found.is_empty() {
        return Ok(());
    }
    let (name, list) = (&stored.name, found.join("; "));
    let what = if tolerance == Tolerance::Exact {
        "is running with"
    } else {
        "goes on with"
    };
    Err(CommandError::Usage(format!(
        "the run {name} {what} other options: {list}; leave them out"
    )))
}

/// The worker binary must be the very build that the run was started with: another one may compute something else.
///
/// # Errors
/// When it is gone or another one, with the version that is needed.
pub fn check_worker(config: &RunConfig) -> Result<(), CommandError> {
    let worker = &config.worker;
    let (path, version, hash) = (&worker.path, &worker.version, worker.build_hash);
    let needed = format!(
        "the run {} needs version {version}, build {hash:016x}",
        config.name
    );
    let bytes = std::fs::read(path).map_err(|error| {
        CommandError::Failed(format!("cannot read the worker binary {path}: {error}; {needed}"))
    })?;
    let found = shm_layout::hash::bytes(&bytes);
    if found == hash {
        return Ok(());
    }
    Err(CommandError::Failed(format!(
        "the worker binary {path} is another one than the run was started with (build {found:016x}); {needed}; put it \
         back in its place"
    )))
}
