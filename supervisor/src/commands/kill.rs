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
    let (signal, torus) = (show::signal(args.signal), args.torus);
    let pid = match ask_supervisor(&file, args)? {
        Asked::Signalled(pid) => pid,
        Asked::Held => {
            output::message(&format!("torus {torus} has no living worker; it is held away"));
            return Ok(Exit::Done);
        }
        Asked::NoSupervisor if args.hold => {
            return Err(CommandError::NotRunning(format!(
                "the run {} has no supervisor, so nobody replaces a worker and nothing can be held; kill it without \
                 --hold",
                file.config().name
            )));
        }
        Asked::NoSupervisor => signal_here(&file, args)?,
    };
    let held = if args.hold {
        "; it is held away until `release`"
    } else {
        ""
    };
    output::message(&format!(
        "sent {signal} to process {pid}, the worker of torus {torus}{held}"
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

/// What became of asking the supervisor.
enum Asked {
    /// It signalled this process.
    Signalled(u32),
    /// There was nobody to signal; the torus is held away.
    Held,
    /// There is none.
    NoSupervisor,
}

fn ask_supervisor(file: &SegmentFile, args: &KillArgs) -> Result<Asked, CommandError> {
    let request = Request::Kill {
        torus: args.torus.index() as u8,
        signal: args.signal,
        hold: args.hold,
    };
    match ask(file.path(), &request) {
        Ok(Response::Killed { pid, .. }) => Ok(Asked::Signalled(pid)),
        Ok(Response::NoWorker) if args.hold => Ok(Asked::Held),
        Ok(Response::NoWorker) => Err(nobody(file, args.torus)),
        Ok(Response::Refused(why)) => Err(CommandError::Failed(why)),
        Ok(other) => Err(CommandError::Failed(format!(
            "the supervisor answered {other:?}, which is no answer to this"
        ))),
        Err(AskError::Nobody) => Ok(Asked::NoSupervisor),
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
