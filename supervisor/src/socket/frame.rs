//! Messages in a byte stream: a 32-bit little-endian length, then so many bytes, at most [`LONGEST`].

/// Longest message in bytes.
pub const LONGEST: usize = 4096;
const PREFIX: usize = 4;

/// A message with its length in front.
pub fn wrap(message: &[u8]) -> Vec<u8> {
    let length = message.len().min(LONGEST) as u32;
    let mut out = Vec::with_capacity(PREFIX + message.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&message[..length as usize]);
    out
}

/// A stream that announces a message longer than [`LONGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of {announced} bytes was announced; the longest is {LONGEST}")]
pub struct TooLong {
    /// The announced length in bytes.
    pub announced: u32,
}

/// Collects bytes until a whole message is there. Holds at most one message and its length.
#[derive(Debug, Default)]
pub struct Assembler {
    bytes: Vec<u8>,
}

impl Assembler {
    /// How many more bytes may be taken in before the next [`Assembler::take`].
    pub fn room(&self) -> usize {
        PREFIX + LONGEST - self.bytes.len()
    }

    /// Takes bytes in; more than [`Assembler::room`] are cut.
    pub fn push(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(self.room());
        self.bytes.extend_from_slice(&bytes[..taken]);
    }

    /// The next whole message, if it is there.
    ///
    /// # Errors
    /// When the announced length is over the bound; the stream is of no use then.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let Some(prefix) = self.bytes.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let announced = u32::from_le_bytes(*prefix);
        let length = announced as usize;
        if length > LONGEST {
            return Err(TooLong { announced });
        }
        if self.bytes.len() < PREFIX + length {
            return Ok(None);
        }
        let message = self.bytes[PREFIX..PREFIX + length].to_vec();
        self.bytes.drain(..PREFIX + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_the_bytes_arrive() {
        let mut stream = wrap(b"first");
        stream.extend(wrap(b""));
        stream.extend(wrap(b"third"));
        for step in 1..=stream.len() {
            let mut assembler = Assembler::default();
            let mut got = Vec::new();
            for part in stream.chunks(step) {
                assembler.push(part);
                while let Some(message) = assembler.take().unwrap() {
                    got.push(message);
                }
            }
            assert_eq!(
                got,
                [b"first".to_vec(), Vec::new(), b"third".to_vec()],
                "step {step}"
            );
        }
    }

    #[test]
    fn a_length_over_the_bound_ends_the_stream() {
        let mut assembler = Assembler::default();
        assembler.push(&u32::MAX.to_le_bytes());
        assert_eq!(assembler.take(), Err(TooLong { announced: u32::MAX }));
    }

    #[test]
    fn memory_is_bounded() {
        let mut assembler = Assembler::default();
        assembler.push(&wrap(&[1; LONGEST]));
        assembler.push(&[0; 100_000]);
        assert_eq!(assembler.room(), 0);
        assert_eq!(
            assembler.take().unwrap().map(|message| message.len()),
            Some(LONGEST)
        );
    }
}
