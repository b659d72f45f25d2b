//! What is said over the control socket, as postcard bytes. The version stands in front of every message.

use serde::{Deserialize, Serialize};

/// Version of these messages. A supervisor answers another version with [`Response::Refused`].
pub const VERSION: u16 = 3;

/// A message with the version it was written for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// [`VERSION`] of the sender.
    pub version: u16,
    /// The message.
    pub body: T,
}

/// What a command asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Who are you?
    Ping,
    /// Stop all tori at one boundary.
    Stop,
    /// Send a signal to the worker of a torus.
    Kill {
        /// The torus, 0 to 2.
        torus: u8,
        /// The signal's number.
        signal: i32,
        /// Whether the worker is not to be replaced until the torus is released.
        hold: bool,
    },
    /// Let the worker of a torus that is held away be replaced again.
    Release {
        /// The torus, 0 to 2.
        torus: u8,
    },
    /// Flip a bit in the memory of the worker of a torus.
    Damage {
        /// The torus, 0 to 2.
        torus: u8,
        /// What is damaged, as the kernel numbers it.
        what: u64,
        /// Chooses which one of them, and the bit.
        seed: u64,
    },
    /// Put a command that changes the simulated state into the supervisor's lane.
    Command {
        /// The torus that takes it in, 0 to 2.
        torus: u8,
        /// The words of the lane entry.
        entry: [u64; 4],
    },
}

/// What the supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The answer to [`Request::Ping`].
    Pong {
        /// The supervisor's process.
        pid: u32,
    },
    /// The stop is under way.
    Stopping {
        /// The boundary, as far as it is known: it may still be raised.
        boundary: u64,
    },
    /// The signal has been sent.
    Killed {
        /// The process it went to.
        pid: u32,
        /// The incarnation of that process.
        incarnation: u64,
    },
    /// The torus may be replaced.
    Released {
        /// Whether it was held away.
        was_held: bool,
    },
    /// There is no living worker to signal.
    NoWorker,
    /// The worker has been asked for it.
    Damaging {
        /// The number of the request.
        number: u64,
    },
    /// The command stands in lane 0 of its torus.
    Queued {
        /// Its position there.
        position: u64,
    },
    /// Lane 0 of that torus is full: it has to secure earlier commands first.
    LaneFull,
    /// It cannot be done, and why.
    Refused(String),
}

/// The bytes of a message of this version.
pub fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    #[derive(Serialize)]
    struct Borrowed<'a, T> {
        version: u16,
        body: &'a T,
    }
    // Serialising these plain enums to memory has no way to fail; no bytes are an answer that the peer refuses.
    postcard::to_allocvec(&Borrowed {
        version: VERSION,
        body,
    })
    .unwrap_or_default()
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Another version of this program speaks.
    #[error("the other side speaks version {found} of the control protocol, this program version {VERSION}")]
    OtherVersion {
        /// What it speaks.
        found: u16,
    },
    /// Not a message at all.
    #[error("{length} bytes that are no message of the control protocol")]
    Malformed {
        /// How many bytes came.
        length: usize,
    },
}

/// The message in some bytes.
///
/// # Errors
/// When the version is another one, or the bytes are no message or have a tail.
pub fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, DecodeError> {
    let malformed = |_| DecodeError::Malformed { length: bytes.len() };
    let (version, _) = postcard::take_from_bytes::<u16>(bytes).map_err(malformed)?;
    if version != VERSION {
        return Err(DecodeError::OtherVersion { found: version });
    }
    let (message, tail) = postcard::take_from_bytes::<Versioned<T>>(bytes).map_err(malformed)?;
    if tail.is_empty() {
        Ok(message.body)
    } else {
        Err(DecodeError::Malformed { length: bytes.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire() {
        for request in [
            Request::Ping,
            Request::Stop,
            Request::Kill {
                torus: 2,
                signal: 9,
                hold: true,
            },
            Request::Release { torus: 1 },
            Request::Damage {
                torus: 1,
                what: 2,
                seed: u64::MAX,
            },
            Request::Command {
                torus: 1,
                entry: [u64::MAX, 0, 3, 1],
            },
        ] {
            assert_eq!(decode::<Request>(&encode(&request)), Ok(request));
        }
        let refused = Response::Refused("no".to_owned());
        assert_eq!(decode::<Response>(&encode(&refused)), Ok(refused));
    }

    #[test]
    fn another_version_is_named() {
        let bytes = postcard::to_allocvec(&Versioned {
            version: 9,
            body: Request::Ping,
        })
        .unwrap();
        assert_eq!(
            decode::<Request>(&bytes),
            Err(DecodeError::OtherVersion { found: 9 })
        );
    }

    #[test]
    fn garbage_and_tails_are_refused() {
        assert!(decode::<Request>(&[]).is_err());
        assert!(decode::<Request>(&[1, 200]).is_err());
        let mut bytes = encode(&Request::Ping);
        bytes.push(0);
        assert!(matches!(
            decode::<Request>(&bytes),
            Err(DecodeError::Malformed { length: 3 })
        ));
    }
}
