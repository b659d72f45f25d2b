//! One command, run to its end within a deadline, with everything that it said.

use std::fmt;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;
use shm_layout::sys::pidfd::PidFd;

/// How long anything may take before it counts as never happening: far more than a loaded machine needs.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_micros(500);

/// What a command said and how it ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The command line.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Answer {
    /// The exit code; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Holds the exit code against the documented one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Answer {
        assert_eq!(self.code(), Some(code), "exit code\n{self}");
        self
    }

    /// The message on standard error contains each of these.
    #[track_caller]
    pub fn explains(self, parts: &[&str]) -> Answer {
        for part in parts {
            assert!(
                self.err.contains(part),
                "standard error does not say {part:?}\n{self}"
            );
        }
        self
    }

    /// Standard output contains each of these.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Answer {
        for part in parts {
            assert!(
                self.out.contains(part),
                "standard output does not say {part:?}\n{self}"
            );
        }
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.line)?;
        let ended = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or(0)),
        };
        writeln!(f, "  {ended} after {} ms", self.took.as_millis())?;
        for (stream, text) in [("out", &self.out), ("err", &self.err)] {
            for line in text.lines() {
                writeln!(f, "  {stream}| {line}")?;
            }
        }
        Ok(())
    }
}

/// A command that runs, with its outputs going to files: whoever inherits them holds nobody up.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    begin: Instant,
    outputs: [std::path::PathBuf; 2],
}

impl Running {
    /// Starts the command; its outputs are kept in `folder` until it ends.
    pub fn start(mut command: Command, folder: &Path) -> Running {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let outputs = ["out", "err"].map(|stream| folder.join(format!("{stream}.{number}")));
        let [out, err] = outputs
            .each_ref()
            .map(|path| File::create(path).unwrap_or_else(|error| panic!("{path:?}: {error}")));
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let line = in_words(&command);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
        Running {
            line,
            child,
            begin: Instant::now(),
            outputs,
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal. It is our child and not reaped, so its number is its own.
    pub fn signal(&self, signal: i32) {
        let pidfd = PidFd::open(self.pid()).expect("our own child");
        pidfd.send_signal(signal).expect("our own child can be signalled");
    }

    /// What it has said so far.
    pub fn said(&self) -> [String; 2] {
        self.outputs.each_ref().map(|path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When `limit` is over first: it is killed then, and this is what it had said.
    pub fn finish(&mut self, limit: Duration) -> Result<Answer, Answer> {
        let ended = self.ends_within(limit);
        if !ended {
            // It may end at this very moment; then it is reaped all the same.
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("our own child can be waited for");
        let [out, err] = self.said();
        self.outputs
            .iter()
            .for_each(|path| drop(std::fs::remove_file(path)));
        let answer = Answer {
            line: self.line.clone(),
            status,
            out,
            err,
            took: self.begin.elapsed(),
        };
        if ended { Ok(answer) } else { Err(answer) }
    }

    fn ends_within(&self, limit: Duration) -> bool {
        let Ok(pidfd) = PidFd::open(self.pid()) else {
            return true;
        };
        let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
    }
}

fn in_words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Looks until there is a value.
///
/// # Panics
/// When there is none within [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "waited {} s in vain until {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(LOOK);
    }
}
