//! Scenario scripts: text files that set up cells, edges and events line by line.
//!
//! | line | meaning |
//! |---|---|
//! | `process x y z` | a process in a cell |
//! | `edge x y z  x y z  delay` | an edge from the first cell to the second; an edge that exists gets the new delay |
//! | `inject x y z  x y z  payload` | an event for the first cell, from the second, at the time of the last executed event |
//! | `run_until T` | execute all events with time ≤ T (`run-script` only) |
//! | `dump` | print edges and pending events (`run-script` only) |
//!
//! Blank lines and lines that begin with `#` are skipped. Coordinates are whole numbers and wrap; the first of three may
//! carry a torus, as in `B:3 4 5` (none means A; for the source of `inject`, the torus of the destination).

mod apply;
mod order;
mod parse;
mod run;

pub use order::OrderHash;
pub use run::{PENDING_DEFAULT, RunScriptError, run_script};

use crate::kernel::KernelError;
use shm_layout::torus::Torus;

/// Coordinates as written, with their torus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coordinates {
    /// The torus.
    pub torus: Torus,
    /// x, y and z; they wrap.
    pub xyz: [i64; 3],
}

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A process in a cell.
    Process(Coordinates),
    /// An edge.
    Edge {
        /// Where it starts.
        from: Coordinates,
        /// Where it leads, perhaps on another torus.
        to: Coordinates,
        /// Its delay in ticks, at least 1.
        delay: u32,
    },
    /// An event.
    Inject {
        /// Its destination.
        to: Coordinates,
        /// Its source, on the same torus.
        from: Coordinates,
        /// Its payload.
        payload: i32,
    },
    /// Execute all events up to this tick.
    RunUntil(u64),
    /// Print edges and pending events.
    Dump,
}

/// A command with the number of its line, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Line number.
    pub number: usize,
    /// What it asks for.
    pub command: Command,
}

/// A parsed script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    file: String,
    lines: Vec<Line>,
}

/// What is wrong with a script, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A malformed line.
    #[error("{file}:{line}: expected {expected}, found {found}")]
    Malformed {
        /// The file.
        file: String,
        /// The line's number, from 1 on.
        line: usize,
        /// What was expected.
        expected: String,
        /// What stands there instead.
        found: String,
    },
    /// A command that only `run-script` knows.
    #[error(
        "{file}:{line}: `{command}` cannot be used with `start`, which sets its end by --until; remove the line"
    )]
    OnlyRunScript {
        /// The file.
        file: String,
        /// The line's number.
        line: usize,
        /// The command.
        command: &'static str,
    },
    /// A torus that the run does not have.
    #[error("{file}:{line}: there is no torus {torus} in a run with --tori {tori}")]
    NoSuchTorus {
        /// The file.
        file: String,
        /// The line's number.
        line: usize,
        /// The torus.
        torus: Torus,
        /// How many tori the run has.
        tori: u8,
    },
    /// What the torus refused.
    #[error("{file}:{line}: {error}")]
    Refused {
        /// The file.
        file: String,
        /// The line's number.
        line: usize,
        /// Why.
        #[source]
        error: KernelError,
    },
}

impl Script {
    /// Parses a script; `file` names it in errors.
    ///
    /// # Errors
    /// The first malformed line.
    pub fn parse(file: &str, text: &str) -> Result<Script, ScriptError> {
        parse::parse(file, text)
    }

    /// The commands in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The name it was parsed under.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How many `edge` lines start on this torus: at least as many edges as it will have.
    pub fn edges(&self, torus: Torus) -> usize {
        let is_edge =
            |line: &&Line| matches!(line.command, Command::Edge { from, .. } if from.torus == torus);
        self.lines.iter().filter(is_edge).count()
    }

    /// How many `inject` lines are for this torus.
    pub fn injections(&self, torus: Torus) -> usize {
        let is_inject =
            |line: &&Line| matches!(line.command, Command::Inject { to, .. } if to.torus == torus);
        self.lines.iter().filter(is_inject).count()
    }
}
