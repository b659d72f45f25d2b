//! The contestants that the operating system offers: a pipe, and a connected pair of Unix-domain stream sockets.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::peer::{Means, Peer};
use super::{Arrival, PlainEvent, Task, Timed, What};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// pipe(2), with its default capacity.
    Pipe,
    /// socketpair(2).
    Socket,
}

/// Receives what a child process sends, and measures. Echoes are for sockets.
///
/// # Errors
/// What the system reports.
pub fn measure(stream: Stream, task: Task) -> io::Result<Timed> {
    let (own, childs): (File, OwnedFd) = match stream {
        Stream::Pipe => {
            let (read, write) = io::pipe()?;
            (File::from(OwnedFd::from(read)), write.into())
        }
        Stream::Socket => {
            let (own, childs) = UnixStream::pair()?;
            (File::from(OwnedFd::from(own)), childs.into())
        }
    };
    let child = Peer::start(Means::Stream, task, None, Some(childs))?;
    let timed = receive(own, task);
    child.finish()?;
    timed
}

fn bytes_of(what: What) -> usize {
    match what {
        What::Events(batch) => batch * size_of::<PlainEvent>(),
        What::Frames => 8 * super::FRAME_WORDS,
        What::EventEcho => size_of::<PlainEvent>(),
        What::HeaderEcho => 8 * super::HEADER_WORDS,
    }
}

fn receive(mut own: File, task: Task) -> io::Result<Timed> {
    let (bytes, each) = (
        bytes_of(task.what),
        if let What::Events(batch) = task.what {
            batch
        } else {
            1
        },
    );
    let mut words = vec![0_u64; bytes / 8];
    let mut arrival = Arrival::new();
    let echo = matches!(task.what, What::EventEcho | What::HeaderEcho);
    for _ in 0..task.count / each as u64 {
        if echo {
            own.write_all(bytemuck::cast_slice(&words))?;
        }
        own.read_exact(bytemuck::cast_slice_mut(&mut words))?;
        arrival.fold(&words);
        arrival.note(if echo { 2 } else { each });
    }
    Ok(arrival.finish())
}

/// The child's part.
///
/// # Errors
/// What the system reports.
pub fn serve(mut end: File, task: Task) -> io::Result<()> {
    let each = if let What::Events(batch) = task.what {
        batch
    } else {
        1
    };
    let mut words = vec![3_u64; bytes_of(task.what) / 8];
    let echo = matches!(task.what, What::EventEcho | What::HeaderEcho);
    for _ in 0..task.count / each as u64 {
        if echo {
            end.read_exact(bytemuck::cast_slice_mut(&mut words))?;
        }
        end.write_all(bytemuck::cast_slice(&words))?;
    }
    Ok(())
}
