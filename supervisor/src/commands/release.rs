//! `release`: lets the worker of a torus that is held away be replaced again.

use crate::cli::ReleaseArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::socket::client::{AskError, ask};
use crate::socket::message::{Request, Response};
use crate::target::Target;

use super::kill::check_torus;

/// Runs the command.
pub fn run(args: &ReleaseArgs) -> Result<Exit, CommandError> {
    let file = Target::of(&args.target)?.open()?;
    check_torus(&file, args.torus)?;
    let torus = args.torus;
    let request = Request::Release {
        torus: torus.index() as u8,
    };
    match ask(file.path(), &request) {
        Ok(Response::Released { was_held: true }) => {
            output::message(&format!("torus {torus} comes back"));
            Ok(Exit::Done)
        }
        Ok(Response::Released { was_held: false }) => {
            output::message(&format!("torus {torus} was not held away"));
            Ok(Exit::Done)
        }
        Ok(Response::Refused(why)) => Err(CommandError::Failed(why)),
        Ok(other) => Err(CommandError::Failed(format!(
            "the supervisor answered {other:?}, which is no answer to this"
        ))),
        Err(AskError::Nobody) => Err(CommandError::NotRunning(format!(
            "the run {} has no supervisor; `start` takes it over, `start --resume` brings all tori back",
            file.config().name
        ))),
        Err(error) => Err(error.into()),
    }
}
