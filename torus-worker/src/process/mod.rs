//! The worker process: what surrounds a member with clocks, waiting and exit codes.
//!
//! `PROGRAM --braid-worker describe|run|stand-by|scrub|verify …` is the whole protocol between the supervisor and a worker
//! binary; [`main`] turns a list of models into such a binary in one line:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use torus_worker::models::Phold;
//! use torus_worker::process::ModelEntry;
//!
//! fn main() -> ExitCode {
//!     torus_worker::process::main(&[ModelEntry::of::<Phold>()])
//! }
//! ```

mod arguments;
mod budget;
mod courtesy;
pub mod describe;
mod executing;
mod registry;
mod run;
mod scrub;
mod stalls;
mod standby;
mod succession;
mod verify;
mod wait;

pub use arguments::WORKER_FLAG;
pub use registry::{ModelEntry, built_in};
pub use run::exit_code;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs a worker binary with these models: `PROGRAM --braid-worker …`.
pub fn main(models: &[ModelEntry]) -> ExitCode {
    worker_main(models, std::env::args_os().skip(1).collect())
}

/// Runs a worker with the arguments that follow the program's name, [`WORKER_FLAG`] first.
pub fn worker_main(models: &[ModelEntry], arguments: Vec<OsString>) -> ExitCode {
    use arguments::Command;
    match arguments::parse(&arguments) {
        Ok(Command::Describe) => describe::main(models),
        Ok(Command::Run(request)) => run::main(models, &request),
        Ok(Command::StandBy(segment)) => standby::main(models, &segment),
        Ok(Command::Scrub(request)) => scrub::main(models, &request),
        Ok(Command::Verify(request)) => verify::main(models, &request),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(exit_code::USAGE)
        }
    }
}
