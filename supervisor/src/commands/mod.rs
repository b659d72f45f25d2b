//! The commands, one file each. Each takes its options and returns an exit code or an error that has one.

pub mod bench;
mod clean;
mod commit;
mod constrain;
mod corrupt;
mod inject;
mod kill;
mod ls;
mod migrate;
mod release;
mod run_script;
mod send;
mod start;
mod status;
mod stop;
mod verify;
mod wait;

use crate::cli::Command;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;

/// Runs one command; its error, if any, is printed here.
pub fn run(command: Command) -> Exit {
    let result = match command {
        Command::Start(args) => start::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Inject(args) => inject::run(&args),
        Command::Constrain(args) => constrain::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Kill(args) => kill::run(&args),
        Command::Release(args) => release::run(&args),
        Command::Wait(args) => wait::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Ls(args) => ls::run(&args),
        Command::Clean(args) => clean::run(&args),
        Command::Corrupt(args) => corrupt::run(&args),
        Command::RunScript(args) => run_script::run(&args),
        Command::Bench(args) => bench::run(&args),
    };
    result.unwrap_or_else(|error| refused(&error))
}

fn refused(error: &CommandError) -> Exit {
    output::message(&format!("braid-supervisor: {error}"));
    error.exit()
}
