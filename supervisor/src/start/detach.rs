//! `--detach`: the supervisor starts itself again in a session of its own, and this half waits until the run is ready.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use shm_layout::control::RunState;
use shm_layout::segment::SegmentFile;
use shm_layout::status::Phase;
use shm_layout::sys::pidfd::{ExitStatus, PidFd};

use crate::child;
use crate::error::CommandError;

/// How often the background half is looked at.
const PERIOD: Duration = Duration::from_millis(5);
/// Most of the log that is repeated when it failed.
const TAIL_BYTES: u64 = 4096;

/// What became of the background half.
#[derive(Debug)]
pub enum Outcome {
    /// The run is ready; the supervisor's process.
    Ready(u32),
    /// It has ended already, well.
    Ended,
    /// It failed: its exit code, and what it said.
    Failed {
        /// The exit code; none when a signal ended it.
        code: Option<i32>,
        /// What it said.
        said: String,
    },
}

/// Starts the background half and waits for it. `log` is the run's log, open for reading too.
///
/// # Errors
/// When it cannot be started.
pub fn detach(segment: &Path, log: &Path) -> Result<Outcome, CommandError> {
    let program = std::env::current_exe()
        .map_err(|error| CommandError::system("find this program's own file", error))?;
    let arguments = background_arguments(std::env::args_os().skip(1));
    let error = |error| CommandError::system(format!("open the log {}", log.display()), error);
    let output = File::options().append(true).open(log).map_err(error)?;
    let before = output.metadata().map_err(error)?.len();
    let started = |error| CommandError::system("start the background process", error);
    let (pid, pidfd) = child::start(&program, &arguments, output.as_fd()).map_err(started)?;
    loop {
        if !pidfd.alive().map_err(started)? {
            return Ok(ended(&pidfd, log, before));
        }
        if is_ready(segment, pid) {
            return Ok(Outcome::Ready(pid));
        }
        std::thread::sleep(PERIOD);
    }
}

fn ended(pidfd: &PidFd, log: &Path, before: u64) -> Outcome {
    match pidfd.wait() {
        Ok(Some(ExitStatus::Code(0))) => Outcome::Ended,
        Ok(Some(ExitStatus::Code(code))) => Outcome::Failed {
            code: Some(code),
            said: tail(log, before),
        },
        _ => Outcome::Failed {
            code: None,
            said: tail(log, before),
        },
    }
}

/// The same command line, as the background half gets it.
fn background_arguments(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    arguments
        .map(|word| {
            if word == "--detach" {
                "--in-background".into()
            } else {
                word
            }
        })
        .collect()
}

/// Whether the run is the one of this supervisor, and all its tori run (or have run).
fn is_ready(segment: &Path, supervisor: u32) -> bool {
    let Ok(file) = SegmentFile::open(segment) else {
        return false;
    };
    let Ok(map) = file.map_reader() else { return false };
    let views = map.views();
    let state = views.control.run_state();
    views.control.supervisor_pid() == u64::from(supervisor)
        && match state {
            Some(RunState::Running) => views
                .regions
                .iter()
                .all(|region| ready_phase(region.status.phase())),
            Some(RunState::Finished | RunState::Stopped) => true,
            _ => false,
        }
}

/// Whether a worker in this phase is ready.
pub fn ready_phase(phase: Phase) -> bool {
    matches!(phase, Phase::Running | Phase::Finished)
}

/// What was written to the log since it was `before` bytes long, or since it was emptied.
fn tail(log: &Path, before: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        let from = if length < before { 0 } else { before };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_background_half_gets_the_same_options() {
        let words = ["start", "--detach", "--name", "x"].map(OsString::from);
        let expected = ["start", "--in-background", "--name", "x"].map(OsString::from);
        assert_eq!(background_arguments(words.into_iter()), expected);
    }

    #[test]
    fn the_tail_begins_where_the_background_half_began() {
        let path = std::env::temp_dir().join(format!("braid-tail-{}", std::process::id()));
        std::fs::write(&path, "old\nnew\n").unwrap();
        assert_eq!(tail(&path, 4), "new");
        assert_eq!(tail(&path, 100), "old\nnew", "emptied meanwhile");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(tail(&path, 0), "");
    }
}
