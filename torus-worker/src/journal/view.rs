//! Reading a journal that another process appends to.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;

use super::file::io;
use super::{Appended, HEADER_BYTES, JournalError, check_header, parse_from};

/// The records of a journal between lengths that committed frames or checkpoints name: these never change while their
/// frames stand.
pub trait Records {
    /// The records between these two lengths.
    ///
    /// # Errors
    /// [`JournalError`] if they cannot be read, or are damaged.
    fn records_between(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError>;
}

/// A journal file, for reading only.
#[derive(Debug)]
pub struct FileRecords {
    file: File,
    path: PathBuf,
}

impl FileRecords {
    /// Opens the journal of a torus.
    ///
    /// # Errors
    /// [`JournalError`] if it is missing, or belongs to another torus, run or version.
    pub fn open(path: &Path, config: &RunConfig, torus: Torus) -> Result<Self, JournalError> {
        let mut file = File::open(path).map_err(io("open", path))?;
        let mut head = Vec::with_capacity(HEADER_BYTES as usize);
        (&mut file)
            .take(HEADER_BYTES)
            .read_to_end(&mut head)
            .map_err(io("read", path))?;
        check_header(&head, config, torus, &path.display().to_string())?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }
}

impl Records for FileRecords {
    fn records_between(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
        self.file
            .read_exact_at(&mut bytes, range.start)
            .map_err(io("read", &self.path))?;
        parse_from(&bytes, range.start, &self.path.display().to_string())
    }
}
