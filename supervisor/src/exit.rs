//! Exit codes: a contract, the same for every command.

use std::process::ExitCode;

/// How a command ended, as the caller's shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done. For `status`: the run is running, finished or stopped.
    Done = 0,
    /// The command or the run failed; the message says why.
    Failed = 1,
    /// The command line or a file it names is wrong; nothing was changed.
    Usage = 2,
    /// The run exists and is not running, but the command needs it to be.
    NotRunning = 3,
    /// There is no run of that name.
    NoSuchRun = 4,
    /// A torus is absent from the run, or was left behind at its end.
    Degraded = 5,
    /// `verify`: the re-execution differs from what the run committed.
    VerifyDiffers = 6,
    /// The time given with `--timeout` passed.
    TimedOut = 7,
    /// The run is already running.
    AlreadyRunning = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The table at the end of every `--help`.
pub const TABLE: &str = "\
Exit codes:
  0  done (status: running, finished or stopped)
  1  failed; the message says why
  2  usage: a wrong option, value, script line or model parameter; nothing was changed
  3  the run is not running
  4  there is no such run
  5  degraded: a torus is absent, or was left behind at the end
  6  verify: the re-execution differs
  7  timed out
  8  already running";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_code_once() {
        let listed: Vec<u8> = TABLE
            .lines()
            .skip(1)
            .map(|line| line.trim()[..1].parse().unwrap())
            .collect();
        let codes = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::NotRunning,
            Exit::NoSuchRun,
            Exit::Degraded,
            Exit::VerifyDiffers,
            Exit::TimedOut,
            Exit::AlreadyRunning,
        ];
        assert_eq!(listed, codes.map(|code| code as u8));
    }
}
