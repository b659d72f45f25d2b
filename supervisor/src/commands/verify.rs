//! `verify`: re-executes a run that is over, with its own worker binary, and compares every digest.

use std::os::unix::process::CommandExt;
use std::process::Command;

use torus_worker::process::WORKER_FLAG;

use crate::cli::VerifyArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::life;
use crate::report::collect;
use crate::report::run::RunState;
use crate::start::launch::check_worker;
use crate::start::rules::Life;
use crate::target::Target;

/// Runs the command: this process becomes the worker binary, whose exit code is the command's.
pub fn run(args: &VerifyArgs) -> Result<Exit, CommandError> {
    let target = Target::of(&args.target)?;
    let file = target.open()?;
    let config = file.config();
    let life = life::of(&file)?;
    let map = file.map_reader().map_err(CommandError::Segment)?;
    let (state, reason) = collect::state(config, &map.views().control, life);
    match state {
        _ if life != Life::Dead => {
            let name = &config.name;
            return Err(CommandError::AlreadyRunning(format!(
                "the run {name} is still running; stop it, or wait until it is finished, then verify it"
            )));
        }
        RunState::Finished | RunState::Stopped => {}
        _ => {
            let reason = reason.unwrap_or_default();
            return Err(CommandError::Failed(format!(
                "only a finished or stopped run can be verified, and this one is {}: {reason}",
                state.word()
            )));
        }
    }
    check_worker(config)?;
    let mut command = Command::new(&config.worker.path);
    command
        .args([WORKER_FLAG, "verify", "--segment"])
        .arg(target.segment());
    if args.json {
        command.arg("--json");
    }
    // Only returns when it fails.
    Err(CommandError::system(
        format!("run the worker binary {}", config.worker.path),
        command.exec(),
    ))
}
