//! The guard: a process that clears up after a measurement that was killed.
//!
//! It is this very program again, with [`GUARD_FLAG`] as its first argument, and does nothing but read from a pipe whose
//! other end the measurement holds. A measurement that ends in order says so there. One that is killed says nothing, and
//! the pipe ends: then its runs, some of them frozen, are stopped and removed here.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use shm_layout::names::Names;
use shm_layout::segment::SegmentFile;

use super::runs;
use crate::target;

/// The first argument that makes the program a guard.
pub const GUARD_FLAG: &str = "--braid-bench-guard";

/// What the guard hears when there is nothing to clear up.
const DONE: &[u8] = b"done";
/// A run may have been on its way when the measurement died: so long after the last one another is looked for.
const CALM: Duration = Duration::from_secs(3);
/// It gives up after so long: what cannot be removed by then never can.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

/// The guard of this process.
pub struct Guard(Child);

impl Guard {
    /// Posts a guard over the runs whose names begin with `prefix` and whose journals are in `folder`.
    pub fn post(program: &Path, folder: &Path, prefix: &str) -> std::io::Result<Guard> {
        let mut command = Command::new(program);
        command.arg(GUARD_FLAG).arg(folder).arg(prefix);
        command.env("BRAID_STATE_DIR", folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        // Ctrl-C is for the measurement, which then ends in order.
        command.process_group(0);
        command.spawn().map(Guard)
    }

    /// Sends the guard away: nothing is left.
    pub fn dismiss(&mut self) {
        // A guard that is gone needs no word.
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(DONE);
        }
        let _ = self.0.wait();
    }
}

/// The guard's main.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let folder = arguments.next().map(PathBuf::from);
    let prefix = arguments.next().and_then(|word| word.into_string().ok());
    let (Some(folder), Some(prefix)) = (folder, prefix) else {
        return ExitCode::FAILURE;
    };
    let mut heard = Vec::new();
    let read = std::io::stdin().read_to_end(&mut heard);
    if read.is_ok() && heard == DONE {
        return ExitCode::SUCCESS;
    }
    match (std::env::current_exe(), target::names()) {
        (Ok(program), Ok(names)) => {
            clear_up(&program, &folder, &names, &prefix);
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// Removes everything until nothing has come for a while.
fn clear_up(program: &Path, folder: &Path, names: &Names, prefix: &str) {
    let begin = Instant::now();
    let mut calm_since = begin;
    while calm_since.elapsed() < CALM && begin.elapsed() < PATIENCE {
        for name in left(names, prefix) {
            clear(program, folder, names, &name);
            calm_since = Instant::now();
        }
        std::thread::sleep(LOOK);
    }
    // What is left in the temporary folder is small, and the system's to remove.
    let _ = std::fs::remove_dir_all(folder);
}

/// Names of what is there.
fn left(names: &Names, prefix: &str) -> Vec<String> {
    let Ok(listing) = names.list() else {
        return Vec::new();
    };
    let runs = listing.runs.into_iter().map(|run| run.name);
    let leftovers = listing.leftovers.into_iter().map(|left| left.name);
    let mut found: Vec<String> = runs
        .chain(leftovers)
        .filter(|name| name.starts_with(prefix))
        .collect();
    found.dedup();
    found
}

fn clear(program: &Path, folder: &Path, names: &Names, name: &str) {
    let file = names.segment(name).map(|path| SegmentFile::open(&path));
    if let Ok(Ok(file)) = file {
        runs::thaw_all(&file);
    }
    runs::remove(program, folder, name);
}
