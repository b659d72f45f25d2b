//! What can be wrong with a segment, in sentences that say what to do.

use crate::layout::LayoutError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a segment cannot be created, attached or changed.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the fields are the offending values that the message quotes"
)]
pub enum SegmentError {
    /// There is no such file.
    #[error("there is no segment {}", path.display())]
    NotFound { path: PathBuf },
    /// The file may not be read and written, or none may be created there.
    #[error("no permission to {action} {}; it belongs to another user, or its folder does", path.display())]
    Permission { action: &'static str, path: PathBuf },
    /// Something else stands there.
    #[error("{} is not a Braid segment; remove it or choose another --name or --segment", path.display())]
    NotASegment { path: PathBuf },
    /// Its creator has not finished it, or died before.
    #[error("the segment {} was never finished: its creator is at it or died; if no start is under way, use clean", path.display())]
    Unfinished { path: PathBuf },
    /// The file is shorter than its header says.
    #[error("the segment {} is truncated: it should have {expected} bytes and has {found}; use clean", path.display())]
    Truncated {
        path: PathBuf,
        expected: u64,
        found: u64,
    },
    /// Made by another version of Braid.
    #[error(
        "the segment {} has layout version {found}, this program needs {needed}; use the version of Braid that made it, \
         or clean", path.display()
    )]
    OtherVersion { path: PathBuf, found: u64, needed: u64 },
    /// A checksum is wrong.
    #[error("the {what} of segment {} is damaged: {detail}; use clean", path.display())]
    Corrupt {
        path: PathBuf,
        what: &'static str,
        detail: &'static str,
    },
    /// There is not enough memory or disk space for it.
    #[error(
        "the segment {} needs {} and only {} are free there; free some, lower --pending, --edges or \
         --remote-per-interval, or put it elsewhere with --segment", path.display(), Bytes(*needed), Bytes(*available)
    )]
    NoSpace {
        path: PathBuf,
        needed: u64,
        available: u64,
    },
    /// The name is taken.
    #[error("the segment {} exists already", path.display())]
    AlreadyExists { path: PathBuf },
    /// The file was replaced or removed while it was being locked.
    #[error("the segment {} has been replaced or removed by someone else in the meantime; try again", path.display())]
    Replaced { path: PathBuf },
    /// Somebody holds one of its locks.
    #[error("the segment {} is in use: {who} holds its lock", path.display())]
    InUse { path: PathBuf, who: String },
    /// This run has no such torus or lane.
    #[error("the run in {} has no {what}", path.display())]
    NoSuchPart { path: PathBuf, what: String },
    /// The configuration allows no layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Anything else that the system reports.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl SegmentError {
    /// The error for what the system reported when `action` was tried on `path`.
    pub(crate) fn io(action: &'static str, path: &Path, source: impl Into<io::Error>) -> SegmentError {
        let (source, path) = (source.into(), path.to_owned());
        match source.kind() {
            io::ErrorKind::NotFound => SegmentError::NotFound { path },
            io::ErrorKind::PermissionDenied => SegmentError::Permission { action, path },
            io::ErrorKind::IsADirectory => SegmentError::NotASegment { path },
            io::ErrorKind::AlreadyExists => SegmentError::AlreadyExists { path },
            _ => SegmentError::Io { action, path, source },
        }
    }
}

/// Bytes for people: exact, and in MiB from one MiB on.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1 << 20 {
            write!(f, "{} bytes", self.0)
        } else {
            write!(
                f,
                "{} bytes ({:.1} MiB)",
                self.0,
                self.0 as f64 / (1 << 20) as f64
            )
        }
    }
}
