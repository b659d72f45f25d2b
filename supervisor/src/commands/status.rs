//! `status`: what a run does.

use crate::cli::StatusArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::report::{collect, human, run::RunState};
use crate::target::Target;

/// Runs the command.
pub fn run(args: &StatusArgs) -> Result<Exit, CommandError> {
    let file = Target::of(&args.target)?.open()?;
    let report = collect::collect(&file)?;
    if args.json {
        output::json(&report);
    } else {
        output::data(&human::status(&report));
    }
    Ok(exit(report.state))
}

fn exit(state: RunState) -> Exit {
    match state {
        RunState::Running | RunState::Finished | RunState::Stopped => Exit::Done,
        RunState::Failed => Exit::Failed,
        RunState::Degraded => Exit::Degraded,
    }
}
