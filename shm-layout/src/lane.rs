//! An injection lane: events from one client to one torus.
//!
//! A header page and a ring of entries, all written by the client that holds the lane's lock. The head counts entries
//! ever pushed and never goes back; the next holder continues at it. Entries below the head are pushed; an entry
//! written without its head does not exist. The torus says in its status cell below which position entries may be
//! overwritten, and in its frames which it has taken in.

use super::record::LaneEntry;
use super::words::{Own, View};

/// Words of a lane's header: one page.
pub const LANE_HEADER_WORDS: usize = 512;
/// Longest client name in bytes.
pub const CLIENT_BYTES: usize = 64;

const HEAD: usize = 0;
const CLIENT_LENGTH: usize = 16;
const CLIENT: usize = 17;
const CLIENT_WORDS: usize = CLIENT_BYTES / 8;

/// Words of a lane with `entries` entries.
pub const fn lane_words(entries: usize) -> usize {
    LANE_HEADER_WORDS + entries * LaneEntry::WORDS
}

/// The lane has no room for what was to be pushed; nothing was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lane has room for {room} of {wanted} entries; wait until the torus has secured earlier ones")]
pub struct WouldBlock {
    /// Entries that would fit.
    pub room: u64,
    /// Entries that were to be pushed.
    pub wanted: u64,
}

/// Why a lane cannot be given a client's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientNameError {
    /// Not between 1 and 64 bytes.
    #[error("a client name has 1 to {CLIENT_BYTES} bytes, \"{name}\" has {}", name.len())]
    Length {
        /// The name given.
        name: String,
    },
    /// The lane is another client's for as long as the segment exists.
    #[error("the lane belongs to client \"{owner}\", not to \"{name}\"")]
    Taken {
        /// The name given.
        name: String,
        /// The name that the lane has.
        owner: String,
    },
}

fn entry_start(position: u64, entries: usize) -> usize {
    // The remainder is below `entries`, so it fits.
    LANE_HEADER_WORDS + (position % entries as u64) as usize * LaneEntry::WORDS
}

/// The writing end of a lane; held with the lane's lock.
#[derive(Debug)]
pub struct LaneWriter<'s> {
    words: Own<'s>,
    entries: usize,
}

impl<'s> LaneWriter<'s> {
    /// A lane of `entries` entries in `words`, which are [`lane_words`] long or longer.
    pub fn new(words: Own<'s>, entries: usize) -> Self {
        debug_assert!(words.len() >= lane_words(entries));
        Self { words, entries }
    }

    /// Entries ever pushed.
    pub fn head(&self) -> u64 {
        self.words.load(HEAD)
    }

    /// How many entries can be pushed now, if all below `free_position` may be overwritten.
    pub fn room(&self, free_position: u64) -> u64 {
        (self.entries as u64).saturating_sub(self.head().saturating_sub(free_position))
    }

    /// Writes `entries` and publishes them all with one store of the head.
    ///
    /// # Errors
    /// [`WouldBlock`] if they do not all fit; nothing is pushed then.
    pub fn push(&self, entries: &[LaneEntry], free_position: u64) -> Result<(), WouldBlock> {
        let (room, wanted) = (self.room(free_position), entries.len() as u64);
        if wanted > room {
            return Err(WouldBlock { room, wanted });
        }
        let head = self.head();
        for (position, entry) in (head..).zip(entries) {
            self.words.write(
                entry_start(position, self.entries),
                bytemuck::cast_slice(std::slice::from_ref(entry)),
            );
        }
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `LaneReader::head`.
        self.words.store_release(HEAD, head + wanted);
        Ok(())
    }

    /// Lets a new lane begin at `position`, as if as many entries had been pushed and taken in. For a rebuilt segment.
    pub fn begin_at(&self, position: u64) {
        debug_assert_eq!(self.head(), 0, "only a new lane begins anywhere");
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `LaneReader::head`.
        self.words.store_release(HEAD, position);
    }

    /// Gives the lane the client's name, for good. Giving the same name again changes nothing.
    ///
    /// # Errors
    /// [`ClientNameError`].
    pub fn set_client(&self, name: &str) -> Result<(), ClientNameError> {
        if name.is_empty() || name.len() > CLIENT_BYTES {
            return Err(ClientNameError::Length {
                name: name.to_owned(),
            });
        }
        match self.reader().client() {
            Some(owner) if owner == name => return Ok(()),
            Some(owner) => {
                return Err(ClientNameError::Taken {
                    name: name.to_owned(),
                    owner,
                });
            }
            None => {}
        }
        let mut bytes = [0_u8; CLIENT_BYTES];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        let words: [u64; CLIENT_WORDS] = bytemuck::cast(bytes);
        self.words.write(CLIENT, &words);
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `LaneReader::client`.
        self.words.store_release(CLIENT_LENGTH, name.len() as u64);
        Ok(())
    }

    /// The reading end of the same lane.
    pub fn reader(&self) -> LaneReader<'s> {
        LaneReader {
            words: self.words.view(),
            entries: self.entries,
        }
    }
}

/// A reading end of a lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneReader<'s> {
    words: View<'s>,
    entries: usize,
}

impl<'s> LaneReader<'s> {
    /// A lane of `entries` entries in `words`, which are [`lane_words`] long or longer.
    pub fn new(words: View<'s>, entries: usize) -> Self {
        debug_assert!(words.len() >= lane_words(entries));
        Self { words, entries }
    }

    /// Entries that the lane holds.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Entries ever pushed.
    pub fn head(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `LaneWriter::push`.
        self.words.load_acquire(HEAD)
    }

    /// The entry at `position`, which a call of [`LaneReader::head`] has shown to be pushed and which the torus has not
    /// given free. The bytes are a client's: whoever takes them in checks every field.
    pub fn read(&self, position: u64) -> LaneEntry {
        let mut words = [0; LaneEntry::WORDS];
        self.words.read(entry_start(position, self.entries), &mut words);
        bytemuck::cast(words)
    }

    /// The name of the client that the lane belongs to; `None` while it has none.
    pub fn client(&self) -> Option<String> {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `LaneWriter::set_client`.
        let length = self.words.load_acquire(CLIENT_LENGTH);
        if length == 0 || length > CLIENT_BYTES as u64 {
            return None;
        }
        let mut words = [0; CLIENT_WORDS];
        self.words.read(CLIENT, &mut words);
        let bytes: [u8; CLIENT_BYTES] = bytemuck::cast(words);
        Some(String::from_utf8_lossy(&bytes[..length as usize]).into_owned())
    }
}
