//! `kill`: sends a signal to the worker of a torus. The supervisor does it, so that the torus counts as recovering before
//! the command returns; without one it is done here, through a pidfd whose process has been checked.

use shm_layout::segment::{LockByte, SegmentFile};
use shm_layout::torus::Torus;

use crate::cli::KillArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::socket::client::{AskError, ask};
use crate::socket::message::{Request, Response};
use crate::target::Target;
use crate::text::show;
use crate::watchdog::adopt;

/// Runs the command.
pub fn run(args: &KillArgs) -> Result<Exit, CommandError> {
    let file = Target::of(&args.target)?.open()?;
    check_torus(&file, args.torus)?;
    let pid = match ask_supervisor(&file, args)? {
        Some(pid) => pid,
        None => signal_here(&file, args)?,
    };
    let (signal, torus) = (show::signal(args.signal), args.torus);
    output::message(&format!(
        "sent {signal} to process {pid}, the worker of torus {torus}"
    ));
    Ok(Exit::Done)
}

/// A run with one torus has only A.
///
/// # Errors
/// A usage error for another one.
pub fn check_torus(file: &SegmentFile, torus: Torus) -> Result<(), CommandError> {
    let config = file.config();
    if torus.index() < usize::from(config.tori) {
        return Ok(());
    }
    Err(CommandError::Usage(format!(
        "the run {} has no torus {torus}: it was started with --tori {}",
        config.name, config.tori
    )))
}

/// The process that the supervisor signalled; `None` without a supervisor.
fn ask_supervisor(file: &SegmentFile, args: &KillArgs) -> Result<Option<u32>, CommandError> {
    let request = Request::Kill {
        torus: args.torus.index() as u8,
        signal: args.signal,
    };
    match ask(file.path(), &request) {
        Ok(Response::Killed { pid, .. }) => Ok(Some(pid)),
        Ok(Response::NoWorker) => Err(nobody(file, args.torus)),
        Ok(Response::Refused(why)) => Err(CommandError::Failed(why)),
        Ok(other) => Err(CommandError::Failed(format!(
            "the supervisor answered {other:?}, which is no answer to this"
        ))),
        Err(AskError::Nobody) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn signal_here(file: &SegmentFile, args: &KillArgs) -> Result<u32, CommandError> {
    let map = file.map_reader().map_err(CommandError::Segment)?;
    let views = map.views();
    let living = views
        .regions
        .get(args.torus.index())
        .and_then(|region| adopt::living(&region.status));
    let locked = file
        .is_locked(LockByte::Region(args.torus))
        .map_err(CommandError::Segment)?;
    let Some((pidfd, identity)) = living.filter(|_| locked) else {
        return Err(nobody(file, args.torus));
    };
    let pid = identity.pid as u32;
    pidfd
        .send_signal(args.signal)
        .map_err(|error| CommandError::system(format!("signal process {pid}"), error))?;
    output::message("the run has no supervisor, so nobody replaces the worker; `start` takes the run over");
    Ok(pid)
}

fn nobody(file: &SegmentFile, torus: Torus) -> CommandError {
    let name = &file.config().name;
    CommandError::NotRunning(format!(
        "torus {torus} of the run {name} has no living worker to signal"
    ))
}
