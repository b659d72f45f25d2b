//! What a command can end with instead of its result: a sentence for the person, and an exit code for the shell.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::exit::Exit;
use crate::socket::client::AskError;

/// A command that did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line, a script or a parameter is wrong.
    #[error("{0}")]
    Usage(String),
    /// The command or the run failed.
    #[error("{0}")]
    Failed(String),
    /// There is no such run.
    #[error("there is no run {run}: {path} does not exist; `braid-supervisor ls` shows the runs there are")]
    NoSuchRun {
        /// The run, as it was asked for.
        run: String,
        /// Where its segment would be.
        path: PathBuf,
    },
    /// The run is there and does not run.
    #[error("{0}")]
    NotRunning(String),
    /// The run runs.
    #[error("{0}")]
    AlreadyRunning(String),
    /// The time is up.
    #[error("{what} within {}", crate::text::show::span(limit.as_nanos() as u64))]
    TimedOut {
        /// What had not happened, as the beginning of a sentence.
        what: String,
        /// The time there was.
        limit: Duration,
    },
    /// The segment cannot be used.
    #[error(transparent)]
    Segment(shm_layout::segment::SegmentError),
    /// The supervisor could not be asked.
    #[error(transparent)]
    Ask(AskError),
    /// The operating system refused.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

impl CommandError {
    /// The operating system refused to do `what`.
    pub fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        CommandError::System {
            what: what.into(),
            source: source.into(),
        }
    }

    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        match self {
            CommandError::Usage(_) => Exit::Usage,
            CommandError::NoSuchRun { .. } => Exit::NoSuchRun,
            CommandError::NotRunning(_) => Exit::NotRunning,
            CommandError::AlreadyRunning(_) => Exit::AlreadyRunning,
            CommandError::TimedOut { .. } => Exit::TimedOut,
            CommandError::Ask(AskError::Nobody) => Exit::NotRunning,
            CommandError::Failed(_)
            | CommandError::Segment(_)
            | CommandError::Ask(_)
            | CommandError::System { .. } => Exit::Failed,
        }
    }
}

impl From<AskError> for CommandError {
    fn from(error: AskError) -> Self {
        CommandError::Ask(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_exit_code() {
        let path = PathBuf::from("/dev/shm/braid-x");
        assert_eq!(
            CommandError::NoSuchRun {
                run: "x".into(),
                path
            }
            .exit(),
            Exit::NoSuchRun
        );
        assert_eq!(CommandError::Usage("no".into()).exit(), Exit::Usage);
        assert_eq!(CommandError::Ask(AskError::Nobody).exit(), Exit::NotRunning);
        assert_eq!(CommandError::Ask(AskError::Stranger).exit(), Exit::Failed);
        let late = CommandError::TimedOut {
            what: "not ready".into(),
            limit: Duration::from_secs(2),
        };
        assert_eq!(late.exit(), Exit::TimedOut);
        assert!(late.to_string().starts_with("not ready within 2.00 s"));
    }
}
