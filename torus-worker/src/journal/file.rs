//! A journal in a file.
//!
//! Appends are plain writes: they survive the death of the process, which is what Braid promises, and not that of the
//! machine (docs/RECOVERY.md). The file is created by the supervisor before any worker starts.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;

use super::{
    Appended, HEADER_BYTES, Journal, JournalError, Record, check_header, header, parse, parse_from, too_short,
};

/// The journal file of one torus.
#[derive(Debug)]
pub struct FileJournal {
    file: File,
    path: PathBuf,
    length: u64,
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.display().to_string();
    move |source| JournalError::Io { action, path, source }
}

impl FileJournal {
    /// Creates an empty journal, replacing an older one.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn create(path: &Path, config: &RunConfig, torus: Torus) -> Result<(), JournalError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(io("create", path))?;
        file.write_all(&header(config, torus)).map_err(io("write", path))
    }

    /// Opens an existing journal to append to it.
    ///
    /// # Errors
    /// [`JournalError`] if it is missing, or belongs to another torus, run or version.
    pub fn open(path: &Path, config: &RunConfig, torus: Torus) -> Result<Self, JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io("open", path))?;
        let mut head = Vec::with_capacity(HEADER_BYTES as usize);
        (&mut file)
            .take(HEADER_BYTES)
            .read_to_end(&mut head)
            .map_err(io("read", path))?;
        check_header(&head, config, torus, &path.display().to_string())?;
        let length = file.seek(SeekFrom::End(0)).map_err(io("read", path))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length,
        })
    }

    /// Reads all records of a journal.
    ///
    /// # Errors
    /// [`JournalError`] if it is missing, foreign or damaged.
    pub fn read(path: &Path, config: &RunConfig, torus: Torus) -> Result<Vec<Record>, JournalError> {
        let bytes = std::fs::read(path).map_err(io("read", path))?;
        parse(&bytes, config, torus, &path.display().to_string())
    }
}

impl Journal for FileJournal {
    fn length(&self) -> u64 {
        self.length
    }

    fn append(&mut self, framed: &[u8]) -> Result<(), JournalError> {
        self.file.write_all(framed).map_err(io("append to", &self.path))?;
        self.length += framed.len() as u64;
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> Result<(), JournalError> {
        if self.length < length {
            return Err(too_short(&self.path.display().to_string(), self.length));
        }
        self.file.set_len(length).map_err(io("truncate", &self.path))?;
        self.file
            .seek(SeekFrom::End(0))
            .map_err(io("truncate", &self.path))?;
        self.length = length;
        Ok(())
    }

    fn records(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        let path = self.path.display().to_string();
        if self.length < range.end {
            return Err(too_short(&path, self.length));
        }
        let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
        self.file
            .read_exact_at(&mut bytes, range.start)
            .map_err(io("read", &self.path))?;
        parse_from(&bytes, range.start, &path)
    }
}
