//! The segment as a file: creating, attaching, locking, shrinking, removing.
//!
//! A segment stands in /dev/shm by default, or in any file. Nothing in it is believed before it is verified:
//! [`SegmentFile::open`] checks magic word, layout version, checksum and length of the header, the hash of the stored
//! configuration, and that the layout computed from it is the one in the header.

mod create;
mod error;
mod lock;
mod map;
mod remove;
mod shrink;

pub use crate::heap::HeapSegment;
pub use crate::region::{
    AuditSegment, LaneSegment, OwnRegion, PeerRegion, ReaderSegment, RegionReader, SupervisorSegment,
    WorkerSegment,
};
pub use create::{Draft, temporary_path};
pub use error::{Bytes, SegmentError};
pub use lock::LockByte;
pub use map::{LaneMap, ReaderMap, ScrubberMap, SupervisorMap, WorkerMap};
pub use remove::{in_use, remove};

use crate::config::RunConfig;
use crate::hash;
use crate::header::{HEADER_WORDS, Header, HeaderError, Unverified};
use crate::layout::{LAYOUT_VERSION, Layout};
use lock::HeldLocks;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A segment that has been verified. Holds the file open; locks taken through it last until it is dropped.
#[derive(Debug)]
pub struct SegmentFile {
    file: File,
    path: PathBuf,
    inode: Inode,
    header: Header,
    config: RunConfig,
    layout: Layout,
    held: HeldLocks,
}

/// Which file it is, whatever its name: device and inode number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode(u64, u64);

impl Inode {
    fn of(metadata: &std::fs::Metadata) -> Inode {
        Inode(metadata.dev(), metadata.ino())
    }

    fn at(path: &Path) -> Option<Inode> {
        std::fs::metadata(path).ok().map(|metadata| Inode::of(&metadata))
    }
}

impl SegmentFile {
    /// Opens and verifies the segment at `path`.
    ///
    /// # Errors
    /// [`SegmentError`]: each defect has its own.
    pub fn open(path: &Path) -> Result<SegmentFile, SegmentError> {
        // O_NONBLOCK: a FIFO or device that stands there must not make us wait. It means nothing for a plain file.
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path);
        let file = open.map_err(|error| SegmentError::io("open", path, error))?;
        Self::verify(file, path)
    }

    fn verify(file: File, path: &Path) -> Result<SegmentFile, SegmentError> {
        let metadata = file
            .metadata()
            .map_err(|error| SegmentError::io("read", path, error))?;
        if !metadata.is_file() {
            return Err(SegmentError::NotASegment {
                path: path.to_owned(),
            });
        }
        let found = metadata.len();
        let page = read_at(
            &file,
            0,
            (HEADER_WORDS * 8).min(usize::try_from(found).unwrap_or(usize::MAX)),
        )
        .map_err(|error| SegmentError::io("read", path, error))?;
        let header = Unverified::new(&page)
            .verify(found)
            .map_err(|error| describe(error, path, found))?;
        let (config, layout) = stored_config(&file, path, &header)?;
        let (path, inode, held) = (path.to_owned(), Inode::of(&metadata), HeldLocks::default());
        Ok(SegmentFile {
            file,
            path,
            inode,
            header,
            config,
            layout,
            held,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The stored configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// Where everything stands.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The verified header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether the path still names this very file.
    pub fn is_current(&self) -> bool {
        Inode::at(&self.path) == Some(self.inode)
    }
}

fn read_at(file: &File, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut data = vec![0; bytes];
    file.read_exact_at(&mut data, offset)?;
    Ok(data)
}

fn describe(error: HeaderError, path: &Path, found: u64) -> SegmentError {
    let path = path.to_owned();
    match error {
        HeaderError::Foreign => SegmentError::NotASegment { path },
        HeaderError::Unfinished => SegmentError::Unfinished { path },
        HeaderError::Truncated { expected } => SegmentError::Truncated {
            path,
            expected,
            found,
        },
        HeaderError::OtherVersion { found } => SegmentError::OtherVersion {
            path,
            found,
            needed: LAYOUT_VERSION,
        },
        HeaderError::Corrupt => SegmentError::Corrupt {
            path,
            what: "header",
            detail: "its checksum or its numbers are wrong",
        },
    }
}

fn stored_config(file: &File, path: &Path, header: &Header) -> Result<(RunConfig, Layout), SegmentError> {
    let corrupt = |what, detail| SegmentError::Corrupt {
        path: path.to_owned(),
        what,
        detail,
    };
    if header.config_bytes > crate::config::CONFIG_BYTES_MAX {
        return Err(corrupt("configuration", "it is longer than any configuration"));
    }
    let bytes = read_at(file, header.config_offset, header.config_bytes as usize)
        .map_err(|error| SegmentError::io("read", path, error))?;
    if hash::bytes(&bytes) != header.config_hash {
        return Err(corrupt("configuration", "its hash is not the one in the header"));
    }
    let config =
        RunConfig::from_bytes(&bytes).ok_or_else(|| corrupt("configuration", "it cannot be decoded"))?;
    let layout = Layout::compute(&config).map_err(|_| corrupt("configuration", "it allows no layout"))?;
    if layout.hash() != header.layout_hash || layout.total_bytes() != header.total_bytes {
        return Err(corrupt(
            "header",
            "its layout is not that of the stored configuration",
        ));
    }
    if config.identity_hash() != header.identity_hash {
        return Err(corrupt(
            "header",
            "its identity hash is not that of the stored configuration",
        ));
    }
    Ok((config, layout))
}
