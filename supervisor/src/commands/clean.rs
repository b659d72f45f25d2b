//! `clean`: removes what runs that do not run have left: segment, journals, log, and what a start that died left behind.

use std::path::Path;

use shm_layout::names::{Leftover, Names};
use shm_layout::segment::{self, LockByte, SegmentError, SegmentFile};

use crate::cli::CleanArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::start::place::journals_beside;
use crate::target::{self, DEFAULT_NAME, Target, absolute};

/// Runs the command.
pub fn run(args: &CleanArgs) -> Result<Exit, CommandError> {
    if args.all {
        return all();
    }
    match (&args.run, &args.target.segment) {
        (None, Some(path)) => by_segment(&absolute(path)?),
        (run, _) => {
            let name = run
                .as_deref()
                .or(args.target.name.as_deref())
                .unwrap_or(DEFAULT_NAME);
            by_name(&target::names()?, name)
        }
    }?;
    Ok(Exit::Done)
}

fn all() -> Result<Exit, CommandError> {
    let names = target::names()?;
    let listing = names.list()?;
    let mut worst = Exit::Done;
    for run in &listing.runs {
        match by_name(&names, &run.name) {
            Ok(()) => {}
            Err(CommandError::AlreadyRunning(_)) => {
                output::message(&format!("{} is running and stays", run.name))
            }
            Err(error) => {
                output::message(&format!("{}: {error}", run.name));
                worst = Exit::Failed;
            }
        }
    }
    leftovers(&listing.leftovers, None);
    Ok(worst)
}

fn by_name(names: &Names, name: &str) -> Result<(), CommandError> {
    let segment = names.segment(name)?;
    let left: Vec<Leftover> = names
        .list()?
        .leftovers
        .into_iter()
        .filter(|left| left.name == name)
        .collect();
    let folder = names.folder(name);
    if !segment.exists() && !folder.exists() && left.is_empty() {
        return Err(Target::named(name)?.not_there());
    }
    if segment.exists() {
        remove_segment(&segment, name, segment == names.default_segment(name))?;
    }
    remove_journals_beside(&segment)?;
    names.remove_folder(name)?;
    leftovers(&left, Some(name));
    output::message(&format!("removed the run {name}"));
    Ok(())
}

fn by_segment(segment: &Path) -> Result<(), CommandError> {
    let name = match SegmentFile::open(segment) {
        Ok(file) => file.config().name.clone(),
        Err(SegmentError::NotFound { .. }) => {
            let run = format!("in {}", segment.display());
            return Err(CommandError::NoSuchRun {
                run,
                path: segment.to_owned(),
            });
        }
        Err(error @ (SegmentError::NotASegment { .. } | SegmentError::Permission { .. })) => {
            return Err(CommandError::Segment(error));
        }
        // Damaged: its name cannot be read, and nothing else of it is needed.
        Err(_) => segment.display().to_string(),
    };
    remove_segment(segment, &name, false)?;
    remove_journals_beside(segment)?;
    let names = target::names().ok();
    if let Some(names) = names.filter(|names| names.segment(&name).is_ok_and(|known| known == segment)) {
        names.remove_folder(&name)?;
    }
    output::message(&format!("removed the run {name}"));
    Ok(())
}

/// Removes a segment that nobody uses, also a damaged one. What is no segment at all is removed only from a place that
/// is ours by its name.
fn remove_segment(path: &Path, name: &str, our_place: bool) -> Result<(), CommandError> {
    let running = || CommandError::AlreadyRunning(format!("the run {name} is running; stop it first"));
    match SegmentFile::open(path) {
        Ok(file) => {
            if !file.try_lock(LockByte::Run).map_err(CommandError::Segment)? {
                return Err(running());
            }
            file.remove().map_err(|error| match error {
                SegmentError::InUse { .. } => running(),
                error => CommandError::Segment(error),
            })
        }
        Err(SegmentError::NotFound { .. }) => Ok(()),
        Err(error @ SegmentError::Permission { .. }) => Err(CommandError::Segment(error)),
        Err(error @ SegmentError::NotASegment { .. }) if !our_place => Err(CommandError::Segment(error)),
        Err(_) if segment::in_use(path).unwrap_or(true) => Err(running()),
        Err(_) => segment::remove(path).map_err(CommandError::Segment),
    }
}

/// Only a folder that carries the name which this program gives such folders is removed.
fn remove_journals_beside(segment: &Path) -> Result<(), CommandError> {
    let folder = journals_beside(segment);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CommandError::system(
            format!("remove the folder {}", folder.display()),
            error,
        )),
        _ => Ok(()),
    }
}

fn leftovers(leftovers: &[Leftover], name: Option<&str>) {
    for left in leftovers
        .iter()
        .filter(|left| name.is_none_or(|name| left.name == name))
    {
        match segment::remove(&left.path) {
            Ok(()) => output::message(&format!(
                "removed {}, left by a start that died",
                left.path.display()
            )),
            Err(error) => output::message(&format!("cannot remove {}: {error}", left.path.display())),
        }
    }
}
