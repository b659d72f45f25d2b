//! The asking end of the control socket.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::address;
use super::frame::{Assembler, TooLong, wrap};
use super::message::{DecodeError, Request, Response, decode, encode};

/// How long an answer may take. The supervisor answers from its poll loop, which never does anything long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens: there is no supervisor.
    #[error("no supervisor answers for this run")]
    Nobody,
    /// Somebody else's process listens under the run's name.
    #[error("the process that answers for this run belongs to another user; it is not asked")]
    Stranger,
    /// The connection failed.
    #[error("the supervisor did not answer: {0}")]
    Io(#[source] io::Error),
    /// The answer was none.
    #[error("the supervisor's answer makes no sense: {0}; use the braid-supervisor that started the run")]
    Decode(#[from] DecodeError),
    /// The answer was too long.
    #[error("the supervisor's answer makes no sense: {0}")]
    TooLong(#[from] TooLong),
}

/// Asks the supervisor of the run whose segment is at `segment`.
///
/// # Errors
/// [`AskError::Nobody`] when there is no supervisor; the others when there is one and no good answer came.
pub fn ask(segment: &Path, request: &Request) -> Result<Response, AskError> {
    let mut stream = connect(segment)?;
    stream.write_all(&wrap(&encode(request))).map_err(AskError::Io)?;
    let mut assembler = Assembler::default();
    let mut buffer = [0; 512];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Err(AskError::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => assembler.push(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(AskError::Io(error)),
        }
        if let Some(message) = assembler.take()? {
            return Ok(decode(&message)?);
        }
    }
}

fn connect(segment: &Path) -> Result<UnixStream, AskError> {
    let owner = segment.metadata().map_err(AskError::Io)?.uid();
    let address = address::of_segment(segment).map_err(AskError::Io)?;
    let stream = UnixStream::connect_addr(&address).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => AskError::Nobody,
        _ => AskError::Io(error),
    })?;
    if !address::trusted(&stream, owner) {
        return Err(AskError::Stranger);
    }
    stream
        .set_read_timeout(Some(ANSWER_TIMEOUT))
        .map_err(AskError::Io)?;
    stream
        .set_write_timeout(Some(ANSWER_TIMEOUT))
        .map_err(AskError::Io)?;
    Ok(stream)
}
