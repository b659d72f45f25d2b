//! The header page: what the segment is, so that whoever attaches can tell before believing anything else.
//!
//! Magic and layout version keep their places for ever; everything else may change with the version. The creator
//! writes the magic word last. A page that was read is [`Unverified`] until [`Unverified::verify`] has checked it.

use crate::hash;
use crate::layout::{LAYOUT_VERSION, PAGE};

/// The first eight bytes of a segment.
pub const MAGIC: u64 = u64::from_le_bytes(*b"BRAIDSEG");
/// Words of the header page.
pub const HEADER_WORDS: usize = 512;

/// Words that the checksum covers, beginning after it.
const COVERED: std::ops::Range<usize> = 3..64;
pub(crate) const MAGIC_WORD: usize = 0;
const VERSION_WORD: usize = 1;
const CHECKSUM_WORD: usize = 2;

/// What the header says, verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the segment in bytes.
    pub total_bytes: u64,
    /// [`crate::layout::Layout::hash`].
    pub layout_hash: u64,
    /// First byte of the stored configuration.
    pub config_offset: u64,
    /// Its length in bytes.
    pub config_bytes: u64,
    /// [`hash::bytes`] of it.
    pub config_hash: u64,
    /// [`crate::config::RunConfig::identity_hash`].
    pub identity_hash: u64,
    /// The run's random number.
    pub run_id: u64,
    /// Wall-clock time of creation in ns since 1970.
    pub created_ns: u64,
    /// Build hash of the worker binary that the run belongs to.
    pub worker_build_hash: u64,
}

/// What is wrong with a header page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// It is no segment at all.
    Foreign,
    /// The creator has not written the magic word yet, or died before.
    Unfinished,
    /// Another layout version.
    OtherVersion {
        /// The version found.
        found: u64,
    },
    /// The file is shorter than it says.
    Truncated {
        /// The length that the header names.
        expected: u64,
    },
    /// The header's own checksum is wrong, or its numbers make no sense.
    Corrupt,
}

impl Header {
    /// The page's words, with the magic word left out (0): it is written last.
    pub(crate) fn to_words(self) -> [u64; HEADER_WORDS] {
        let mut words = [0; HEADER_WORDS];
        words[VERSION_WORD] = LAYOUT_VERSION;
        let fields = [
            self.total_bytes,
            self.layout_hash,
            self.config_offset,
            self.config_bytes,
            self.config_hash,
            self.identity_hash,
            self.run_id,
            self.created_ns,
            self.worker_build_hash,
        ];
        words[COVERED.start..COVERED.start + fields.len()].copy_from_slice(&fields);
        words[CHECKSUM_WORD] = hash::words(&words[COVERED]);
        words
    }
}

/// A header page as it was read: nothing in it can be used yet.
pub struct Unverified {
    words: Vec<u64>,
    page_bytes: usize,
}

impl Unverified {
    /// The first bytes of a file, at most a page; fewer if the file is shorter.
    pub fn new(bytes: &[u8]) -> Self {
        let page_bytes = bytes.len().min(HEADER_WORDS * 8);
        let mut words = vec![0; HEADER_WORDS];
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..page_bytes].copy_from_slice(&bytes[..page_bytes]);
        Self { words, page_bytes }
    }

    /// The header, if the page is one of this layout version and the file of `file_bytes` bytes has its length.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn verify(self, file_bytes: u64) -> Result<Header, HeaderError> {
        if self.page_bytes < 16 || self.words[MAGIC_WORD] != MAGIC {
            let begun = self.words[MAGIC_WORD] == 0 && self.words[VERSION_WORD] == LAYOUT_VERSION;
            return Err(if begun {
                HeaderError::Unfinished
            } else {
                HeaderError::Foreign
            });
        }
        let found = self.words[VERSION_WORD];
        if found != LAYOUT_VERSION {
            return Err(HeaderError::OtherVersion { found });
        }
        if self.page_bytes < HEADER_WORDS * 8 {
            return Err(HeaderError::Truncated { expected: PAGE });
        }
        if self.words[CHECKSUM_WORD] != hash::words(&self.words[COVERED]) {
            return Err(HeaderError::Corrupt);
        }
        let header = self.header();
        let config_end = header.config_offset.checked_add(header.config_bytes);
        if config_end.is_none_or(|end| end > header.total_bytes) || header.config_offset < PAGE {
            return Err(HeaderError::Corrupt);
        }
        if file_bytes < header.total_bytes {
            return Err(HeaderError::Truncated {
                expected: header.total_bytes,
            });
        }
        Ok(header)
    }

    fn header(&self) -> Header {
        let field = |index: usize| self.words[COVERED.start + index];
        Header {
            total_bytes: field(0),
            layout_hash: field(1),
            config_offset: field(2),
            config_bytes: field(3),
            config_hash: field(4),
            identity_hash: field(5),
            run_id: field(6),
            created_ns: field(7),
            worker_build_hash: field(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        total_bytes: 1 << 20,
        layout_hash: 1,
        config_offset: PAGE,
        config_bytes: 100,
        config_hash: 2,
        identity_hash: 3,
        run_id: 4,
        created_ns: 5,
        worker_build_hash: 6,
    };

    fn page(change: impl Fn(&mut [u64; HEADER_WORDS])) -> Vec<u8> {
        let mut words = HEADER.to_words();
        words[MAGIC_WORD] = MAGIC;
        change(&mut words);
        bytemuck::cast_slice(&words).to_vec()
    }

    fn verify(bytes: &[u8], length: u64) -> Result<Header, HeaderError> {
        Unverified::new(bytes).verify(length)
    }

    #[test]
    fn a_whole_header_verifies() {
        assert_eq!(verify(&page(|_| ()), 1 << 20), Ok(HEADER));
    }

    #[test]
    fn each_defect_has_its_own_error() {
        assert_eq!(verify(b"", 0), Err(HeaderError::Foreign));
        assert_eq!(verify(&[0; 4096], 4096), Err(HeaderError::Foreign));
        assert_eq!(verify(&[b'x'; 4096], 4096), Err(HeaderError::Foreign));
        assert_eq!(
            verify(&page(|words| words[0] = 0), 1 << 20),
            Err(HeaderError::Unfinished)
        );
        let found = LAYOUT_VERSION + 1;
        let other = page(|words| words[1] = found);
        assert_eq!(verify(&other, 1 << 20), Err(HeaderError::OtherVersion { found }));
        let whole = page(|_| ());
        assert_eq!(
            verify(&whole[..100], 100),
            Err(HeaderError::Truncated { expected: PAGE })
        );
        assert_eq!(
            verify(&whole, 1 << 19),
            Err(HeaderError::Truncated { expected: 1 << 20 })
        );
        for word in 2..64 {
            let damaged = page(|words| words[word] ^= 1 << 40);
            assert_eq!(
                verify(&damaged, 1 << 20),
                Err(HeaderError::Corrupt),
                "word {word}"
            );
        }
    }

    #[test]
    fn a_configuration_outside_the_segment_is_corrupt() {
        let header = Header {
            config_bytes: u64::MAX,
            ..HEADER
        };
        let mut words = header.to_words();
        words[MAGIC_WORD] = MAGIC;
        assert_eq!(
            verify(bytemuck::cast_slice(&words), 1 << 20),
            Err(HeaderError::Corrupt)
        );
    }
}
