//! The child process: this very program again, with [`PEER_FLAG`] as its first argument.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use super::{Task, What, braid, floor, pipes};

/// The first argument that makes the program the sending process of a measurement.
pub const PEER_FLAG: &str = "--braid-bench-peer";

/// By what means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// [`super::ring_floor`].
    Floor,
    /// Strands and frame rings in a segment.
    Braid,
    /// A pipe, or a connected pair of Unix-domain sockets: standard input is the child's end of either.
    Stream,
    /// iceoryx2, in a build with the feature `comparators`.
    Iceoryx,
}

impl Means {
    const ALL: [(Means, &str); 4] = [
        (Means::Floor, "floor"),
        (Means::Braid, "braid"),
        (Means::Stream, "stream"),
        (Means::Iceoryx, "iceoryx"),
    ];

    fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(means, _)| *means == self)
            .map_or("", |(_, word)| word)
    }
}

/// A child process that sends. Dropping it ends it.
#[derive(Debug)]
pub struct Peer {
    child: Child,
}

impl Peer {
    /// Starts it. `path` names a segment, or a service of iceoryx2; `end` becomes its standard input.
    ///
    /// # Errors
    /// What the system reports.
    pub fn start(means: Means, task: Task, path: Option<&Path>, end: Option<OwnedFd>) -> io::Result<Peer> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(PEER_FLAG).arg(means.word());
        let (what, batch) = match task.what {
            What::Events(batch) => ("events", batch),
            What::Frames => ("frames", 1),
            What::EventEcho => ("event-echo", 1),
            What::HeaderEcho => ("header-echo", 1),
        };
        command.args([what, &batch.to_string(), &task.count.to_string()]);
        command.args(path);
        command.stdin(end.map_or_else(Stdio::null, Stdio::from));
        command.stdout(Stdio::null());
        // Ctrl-C asks the measurement to end, and that ends the child after its round.
        command.process_group(0);
        Ok(Peer {
            child: command.spawn()?,
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it failed.
    pub fn finish(mut self) -> io::Result<()> {
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("the sending process failed: {status}")))
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail for a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child's main.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let outcome = parse(arguments)
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "not the arguments of a sending process",
            )
        })
        .and_then(|(means, task, path)| serve(means, task, path.as_deref()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the sending process of a measurement: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<(Means, Task, Option<PathBuf>)> {
    let mut word = || arguments.next()?.into_string().ok();
    let means = word()?;
    let (means, _) = Means::ALL.into_iter().find(|(_, word)| *word == means)?;
    let (what, batch, count) = (word()?, word()?.parse().ok()?, word()?.parse().ok()?);
    let what = match what.as_str() {
        "events" => What::Events(batch),
        "frames" => What::Frames,
        "event-echo" => What::EventEcho,
        "header-echo" => What::HeaderEcho,
        _ => return None,
    };
    Some((means, Task { what, count }, arguments.next().map(PathBuf::from)))
}

fn serve(means: Means, task: Task, path: Option<&Path>) -> io::Result<()> {
    let end = || io::stdin().as_fd().try_clone_to_owned().map(File::from);
    match (means, path) {
        (Means::Floor, _) => floor::serve(&end()?, task),
        (Means::Stream, _) => pipes::serve(end()?, task),
        (Means::Braid, Some(path)) => braid::serve(path, task),
        #[cfg(feature = "comparators")]
        (Means::Iceoryx, Some(path)) => crate::comparators::iceoryx::serve(&path.to_string_lossy(), task),
        (Means::Braid | Means::Iceoryx, _) => {
            Err(io::Error::other("nothing to send through is named, or built in"))
        }
    }
}
