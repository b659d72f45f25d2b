//! The watchdog and the command line of Braid.
//!
//! `braid-supervisor` is one binary with three faces: the commands ([`commands`]), the watchdog that `start` becomes
//! ([`watchdog`]), and the worker that the watchdog starts, which is this very program again with `--braid-worker` as its
//! first argument. (`bench` has two more: the other process of a measurement between two, and the one that clears up after a
//! measurement that was killed.)

#![deny(unsafe_code)]

mod child;
pub mod cli;
pub mod commands;
pub mod error;
pub mod exit;
pub mod help;
pub mod life;
pub mod output;
pub mod report;
pub mod socket;
pub mod start;
pub mod target;
pub mod text;
pub mod watchdog;

use std::process::ExitCode;

use braid_bench_baselines::cross::peer;
use clap::Parser;

use commands::bench::guard;
use exit::Exit;

/// Runs the program: as a worker when the first argument says so, else the command line.
pub fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(word) if word == torus_worker::process::WORKER_FLAG => return worker(),
        Some(word) if word == peer::PEER_FLAG => return peer::main(std::env::args_os().skip(2)),
        Some(word) if word == guard::GUARD_FLAG => return guard::main(std::env::args_os().skip(2)),
        _ => {}
    }
    match cli::Cli::try_parse() {
        Ok(cli) => commands::run(cli.command).into(),
        Err(error) => usage(&error),
    }
}

/// The worker with the built-in models.
fn worker() -> ExitCode {
    torus_worker::process::main(&torus_worker::process::built_in())
}

/// Help and version are data; anything else is a usage error. A closed pipe is no matter.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Done.into()
    }
}
