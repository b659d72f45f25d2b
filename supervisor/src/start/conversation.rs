//! One question to a child process: bytes to its standard input, bytes from its outputs, within a time. No threads:
//! a child that neither reads nor writes, or writes without end, cannot hold us.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Most bytes that are taken from each output.
const OUTPUT_MAX: usize = 1 << 20;

/// What the child said.
#[derive(Debug)]
pub struct Answer {
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its standard error.
    pub errors: Vec<u8>,
    /// How it ended.
    pub status: ExitStatus,
}

/// Why there was no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It could not be started.
    #[error("it cannot be started: {0}")]
    Start(#[source] io::Error),
    /// It did not end in time.
    #[error("it did not answer within {} s", limit.as_secs())]
    Silent {
        /// The time it had.
        limit: Duration,
    },
    /// It wrote more than any answer has.
    #[error("it wrote more than {OUTPUT_MAX} bytes")]
    TooMuch,
    /// The pipes failed.
    #[error("the conversation with it broke: {0}")]
    Io(#[source] io::Error),
}

/// Starts `command`, gives it `question`, and collects what it says until it has ended or `limit` is over.
///
/// # Errors
/// [`NoAnswer`]; the child is killed and reaped then.
pub fn ask(command: &mut Command, question: &[u8], limit: Duration) -> Result<Answer, NoAnswer> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(NoAnswer::Start)?;
    let result = converse(&mut child, question, limit);
    if result.is_err() {
        // It may be gone already; then there is nothing to kill, and it is reaped all the same.
        let _ = child.kill();
        let _ = child.wait();
    }
    result
}

fn converse(child: &mut Child, question: &[u8], limit: Duration) -> Result<Answer, NoAnswer> {
    let deadline = Instant::now() + limit;
    let mut input = child.stdin.take();
    let mut unsent = question;
    let mut output = Collector::new(child.stdout.take())?;
    let mut errors = Collector::new(child.stderr.take())?;
    if let Some(pipe) = &input {
        nonblocking(pipe).map_err(NoAnswer::Io)?;
    }
    while output.pipe.is_some() || errors.pipe.is_some() {
        await_any(&input, &output, &errors, deadline, limit)?;
        if send(&mut input, &mut unsent) {
            input = None;
        }
        output.collect()?;
        errors.collect()?;
    }
    drop(input);
    let status = reap(child, deadline, limit)?;
    Ok(Answer {
        output: output.bytes,
        errors: errors.bytes,
        status,
    })
}

fn await_any(
    input: &Option<impl AsFd>,
    output: &Collector<impl AsFd>,
    errors: &Collector<impl AsFd>,
    deadline: Instant,
    limit: Duration,
) -> Result<(), NoAnswer> {
    let mut fds = Vec::with_capacity(3);
    fds.extend(
        input
            .as_ref()
            .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)),
    );
    fds.extend(
        output
            .pipe
            .as_ref()
            .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)),
    );
    fds.extend(
        errors
            .pipe
            .as_ref()
            .map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)),
    );
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(NoAnswer::Silent { limit });
    }
    match poll(
        &mut fds,
        PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX),
    ) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(NoAnswer::Io(error.into())),
    }
}

/// Sends what the pipe takes; true when it can be closed: all is sent, or the child does not read.
fn send(input: &mut Option<impl Write>, unsent: &mut &[u8]) -> bool {
    let Some(pipe) = input else { return false };
    while !unsent.is_empty() {
        match pipe.write(unsent) {
            Ok(count) => *unsent = &unsent[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return true,
        }
    }
    true
}

/// The child has closed its outputs; it ends now, or it is silent.
fn reap(child: &mut Child, deadline: Instant, limit: Duration) -> Result<ExitStatus, NoAnswer> {
    loop {
        if let Some(status) = child.try_wait().map_err(NoAnswer::Io)? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            return Err(NoAnswer::Silent { limit });
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

struct Collector<P> {
    pipe: Option<P>,
    bytes: Vec<u8>,
}

impl<P: Read + AsFd> Collector<P> {
    fn new(pipe: Option<P>) -> Result<Self, NoAnswer> {
        if let Some(pipe) = &pipe {
            nonblocking(pipe).map_err(NoAnswer::Io)?;
        }
        Ok(Collector {
            pipe,
            bytes: Vec::new(),
        })
    }

    fn collect(&mut self) -> Result<(), NoAnswer> {
        let mut buffer = [0; 4096];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) if self.bytes.len() + count > OUTPUT_MAX => return Err(NoAnswer::TooMuch),
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NoAnswer::Io(error)),
            }
        }
        Ok(())
    }
}

fn nonblocking(pipe: &impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_truncate(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn question_and_answer() {
        let answer = ask(
            &mut shell("cat; echo bad >&2; exit 3"),
            b"hello",
            Duration::from_secs(5),
        )
        .unwrap();
        assert_eq!(
            (answer.output.as_slice(), answer.errors.as_slice()),
            (&b"hello"[..], &b"bad\n"[..])
        );
        assert_eq!(answer.status.code(), Some(3));
    }

    #[test]
    fn a_long_question_to_a_child_that_answers_while_it_reads() {
        let question = vec![b'x'; 300_000];
        let answer = ask(&mut shell("cat"), &question, Duration::from_secs(5)).unwrap();
        assert_eq!(answer.output.len(), question.len());
    }

    #[test]
    fn a_child_that_does_not_read_is_no_obstacle() {
        let question = vec![b'x'; 300_000];
        let answer = ask(
            &mut shell("exec </dev/null; echo no"),
            &question,
            Duration::from_secs(5),
        )
        .unwrap();
        assert_eq!(answer.output, b"no\n");
    }

    #[test]
    fn silence_ends() {
        let start = Instant::now();
        let limit = Duration::from_millis(200);
        assert!(matches!(
            ask(&mut shell("exec sleep 60"), b"", limit),
            Err(NoAnswer::Silent { .. })
        ));
        let closed = "exec sleep 60 >/dev/null 2>&1";
        assert!(matches!(
            ask(&mut shell(closed), b"", limit),
            Err(NoAnswer::Silent { .. })
        ));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn an_endless_answer_ends() {
        let result = ask(&mut shell("exec yes"), b"", Duration::from_secs(20));
        assert!(matches!(result, Err(NoAnswer::TooMuch)));
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let result = ask(&mut Command::new("/no/such/program"), b"", Duration::from_secs(1));
        assert!(matches!(result, Err(NoAnswer::Start(_))));
    }
}
